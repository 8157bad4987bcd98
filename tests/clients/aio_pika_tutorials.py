"""The tutorials of RabbitMQ on aio-pika. Argument: URL. Prints what each receives."""

import asyncio
import sys
import uuid

import aio_pika
from aio_pika import DeliveryMode, ExchangeType, Message

URL = sys.argv[1]


async def received(queue, count, ack=False):
    """The first messages that a consumer gets."""
    messages = []
    async with queue.iterator(no_ack=not ack) as those:
        async for message in those:
            messages.append(message)
            if ack:
                await message.ack()
            if len(messages) == count:
                return messages


async def hello(connection):
    channel = await connection.channel()
    queue = await channel.declare_queue("hello")
    await channel.default_exchange.publish(Message(b"Hello World!"), routing_key=queue.name)
    for message in await received(queue, 1):
        print("hello:", message.body.decode())


async def work_queues(connection):
    channel = await connection.channel()
    queue = await channel.declare_queue("task_queue", durable=True)
    for task in [b"First.", b"Second..", b"Third..."]:
        message = Message(task, delivery_mode=DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key="task_queue")

    def show(message):
        print("work:", message.body.decode(), "redelivered" if message.redelivered else "first")

    # A worker that dies before it acknowledges.
    lost = await aio_pika.connect(URL)
    dying = await lost.channel()
    await dying.set_qos(prefetch_count=1)
    got = asyncio.get_running_loop().create_future()
    await (await dying.get_queue("task_queue")).consume(got.set_result)
    show(await got)
    await lost.close()
    await channel.set_qos(prefetch_count=1)
    for message in await received(queue, 3, ack=True):
        show(message)
    print("work:", "one left" if await queue.get(fail=False) else "none left")


async def publish_subscribe(connection):
    channel = await connection.channel()
    logs = await channel.declare_exchange("logs", ExchangeType.FANOUT)
    queues = [await channel.declare_queue("", exclusive=True) for _ in range(2)]
    # Its own names, where the broker's would do.
    print("subscribe:", all(queue.name.startswith("amq") for queue in queues))
    for queue in queues:
        await queue.bind(logs)
    await logs.publish(Message(b"info: Hello World!"), routing_key="info")
    for queue in queues:
        for message in await received(queue, 1):
            print("subscribe:", message.body.decode())


async def by_key(connection, name, exchange, kind, bindings, keys, count):
    channel = await connection.channel()
    exchange = await channel.declare_exchange(exchange, kind)
    queue = await channel.declare_queue("", exclusive=True)
    for binding in bindings:
        await queue.bind(exchange, routing_key=binding)
    for key in keys:
        # Those that reach no queue come back to a channel that confirms.
        await exchange.publish(Message(f"from {key}".encode()), routing_key=key, mandatory=False)
    await channel.default_exchange.publish(Message(b"the end"), routing_key=queue.name)
    for message in await received(queue, count + 1):
        key, body = message.routing_key, message.body.decode()
        print(f"{name}:", body if key == queue.name else f"{key} {body}")


def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


async def rpc(connection, name, answers_in):
    channel = await connection.channel()
    server = await connection.channel()
    requests = await server.declare_queue("rpc_queue")

    async def serve(message):
        async with message.process():
            answer = Message(
                str(fibonacci(int(message.body))).encode(), correlation_id=message.correlation_id
            )
            await server.default_exchange.publish(answer, routing_key=message.reply_to)

    tag = await requests.consume(serve)
    got = asyncio.get_running_loop().create_future()
    if answers_in:
        answers = await channel.get_queue(answers_in, ensure=False)
    else:
        answers = await channel.declare_queue("", exclusive=True)
    await answers.consume(got.set_result, no_ack=True)
    call = str(uuid.uuid4())
    request = Message(b"10", correlation_id=call, reply_to=answers.name)
    await channel.default_exchange.publish(request, routing_key="rpc_queue")
    answer = await got
    print(f"{name}:", answer.body.decode(), answer.correlation_id == call)
    await requests.cancel(tag)


async def confirms(connection):
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    queue = await channel.declare_queue("", exclusive=True)
    sent = [Message(str(number).encode()) for number in range(50)]
    exchange = channel.default_exchange
    await asyncio.gather(*(exchange.publish(one, routing_key=queue.name) for one in sent))
    print("confirms:", len({message.body for message in await received(queue, 50)}))
    try:
        await exchange.publish(Message(b"lost"), routing_key="nowhere")
    except aio_pika.exceptions.DeliveryError as error:
        back = error.frame if hasattr(error.frame, "reply_code") else error.message.delivery
        print("confirms:", back.reply_code, back.reply_text)


async def main():
    connection = await aio_pika.connect(URL)
    async with connection:
        await hello(connection)
        await work_queues(connection)
        await publish_subscribe(connection)
        await by_key(
            connection,
            "routing",
            "direct_logs",
            ExchangeType.DIRECT,
            ["warning", "error"],
            ["info", "warning", "error"],
            2,
        )
        await by_key(
            connection,
            "topics",
            "topic_logs",
            ExchangeType.TOPIC,
            ["kern.*", "*.critical.#"],
            ["kern.info", "cron.critical", "cron.info", "kern.critical", "cron.critical.disk"],
            4,
        )
        await rpc(connection, "rpc", None)
        await rpc(connection, "direct reply-to", "amq.rabbitmq.reply-to")
        await confirms(connection)


asyncio.run(main())
