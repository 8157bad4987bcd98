"""The bench's consumer on pika, as its documentation has it: a blocking connection, a callback for each
message, and a channel in confirm mode, on which a publication waits for its confirmation.

Arguments: URL QUEUE PREFETCH WORK, where WORK is ack, publish or retry.
"""

import json
import sys

import pika

OUT = "bench.out"
DELAY = "bench.retry.100ms"


def main(url, queue, prefetch, work):
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=int(prefetch))
    if work != "ack":
        channel.confirm_delivery()

    def send(to, body, headers=None):
        properties = pika.BasicProperties(
            delivery_mode=pika.DeliveryMode.Persistent, headers=headers
        )
        channel.basic_publish("", to, body, properties, mandatory=True)

    def handle(channel, method, properties, body):
        if work == "retry" and not (properties.headers or {}).get("attempt"):
            send(DELAY, body, {"attempt": 2})
        elif work != "ack":
            order = json.loads(body)
            order["seen"] = True
            send(OUT, json.dumps(order, separators=(",", ":")).encode())
        channel.basic_ack(method.delivery_tag)

    channel.basic_consume(queue, handle)
    channel.start_consuming()


main(*sys.argv[1:])
