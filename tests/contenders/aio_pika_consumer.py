"""The bench's consumer on aio-pika, as its documentation has it: a robust connection, a coroutine for each
message inside `message.process()`, which acknowledges at its end, and publications that are awaited until
they are confirmed.

Arguments: URL QUEUE PREFETCH WORK, where WORK is ack, publish or retry.
"""

import asyncio
import json
import sys

import aio_pika

OUT = "bench.out"
DELAY = "bench.retry.100ms"


async def main(url, queue, prefetch, work):
    connection = await aio_pika.connect_robust(url)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=int(prefetch))

    async def send(to, body, headers=None):
        message = aio_pika.Message(
            body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, headers=headers
        )
        await channel.default_exchange.publish(message, routing_key=to)

    async def handle(message):
        async with message.process():
            if work == "retry" and not message.headers.get("attempt"):
                await send(DELAY, message.body, {"attempt": 2})
            elif work != "ack":
                order = json.loads(message.body)
                order["seen"] = True
                await send(OUT, json.dumps(order, separators=(",", ":")).encode())

    source = await channel.get_queue(queue)
    await source.consume(handle)
    await asyncio.Future()


asyncio.run(main(*sys.argv[1:]))
