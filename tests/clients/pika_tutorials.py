"""The tutorials of RabbitMQ on pika. Argument: URL. Prints what each receives."""

import sys
import uuid

import pika

URL = sys.argv[1]
PERSISTENT = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)


def connect():
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    return connection, connection.channel()


def received(channel, queue, count, ack=False):
    """The first bodies that a consumer gets."""
    bodies = []
    for method, _, body in channel.consume(queue, auto_ack=not ack):
        bodies.append((method.routing_key, body.decode()))
        if ack:
            channel.basic_ack(method.delivery_tag)
        if len(bodies) == count:
            channel.cancel()
            return bodies
    return bodies


def hello():
    connection, channel = connect()
    channel.queue_declare("hello")
    channel.basic_publish("", "hello", "Hello World!")
    for _, body in received(channel, "hello", 1):
        print("hello:", body)
    connection.close()


def work_queues():
    connection, channel = connect()
    channel.queue_declare("task_queue", durable=True)
    for task in ["First.", "Second..", "Third..."]:
        channel.basic_publish("", "task_queue", task, PERSISTENT)
    # A worker that dies before it acknowledges.
    lost, dying = connect()
    dying.basic_qos(prefetch_count=1)
    method, _, body = next(dying.consume("task_queue"))
    print("work:", body.decode(), "redelivered" if method.redelivered else "first")
    lost.close()
    channel.basic_qos(prefetch_count=1)
    for _ in range(3):
        method, _, body = next(channel.consume("task_queue"))
        print("work:", body.decode(), "redelivered" if method.redelivered else "first")
        channel.basic_ack(method.delivery_tag)
    channel.cancel()
    print("work:", "none left" if channel.basic_get("task_queue") == (None, None, None) else "one left")
    connection.close()


def publish_subscribe():
    connection, channel = connect()
    channel.exchange_declare("logs", "fanout")
    queues = [channel.queue_declare("", exclusive=True).method.queue for _ in range(2)]
    print("subscribe:", all(queue.startswith("amq.gen-") for queue in queues))
    for queue in queues:
        channel.queue_bind(queue, "logs")
    channel.basic_publish("logs", "", "info: Hello World!")
    for queue in queues:
        for _, body in received(channel, queue, 1):
            print("subscribe:", body)
    connection.close()


def by_key(name, exchange, kind, bindings, keys, count):
    connection, channel = connect()
    channel.exchange_declare(exchange, kind)
    queue = channel.queue_declare("", exclusive=True).method.queue
    for binding in bindings:
        channel.queue_bind(queue, exchange, binding)
    for key in keys:
        channel.basic_publish(exchange, key, f"from {key}")
    channel.basic_publish("", queue, "the end")
    for key, body in received(channel, queue, count + 1):
        print(f"{name}:", body if key == queue else f"{key} {body}")
    connection.close()


def fibonacci(number):
    return number if number < 2 else fibonacci(number - 1) + fibonacci(number - 2)


def serve(channel, queue):
    """Answers one request."""
    for method, properties, body in channel.consume(queue):
        answer = pika.BasicProperties(correlation_id=properties.correlation_id)
        channel.basic_publish("", properties.reply_to, str(fibonacci(int(body))), answer)
        channel.basic_ack(method.delivery_tag)
        channel.cancel()
        return


def rpc(name, answers_in):
    connection, channel = connect()
    serving, server = connect()
    server.queue_declare("rpc_queue")
    server.basic_qos(prefetch_count=1)
    answers = answers_in or channel.queue_declare("", exclusive=True).method.queue
    got = []
    channel.basic_consume(answers, lambda *answer: got.append(answer), auto_ack=True)
    call = str(uuid.uuid4())
    channel.basic_publish(
        "", "rpc_queue", "10", pika.BasicProperties(reply_to=answers, correlation_id=call)
    )
    serve(server, "rpc_queue")
    while not got:
        connection.process_data_events(time_limit=None)
    _, _, properties, body = got[0]
    print(f"{name}:", body.decode(), properties.correlation_id == call)
    serving.close()
    connection.close()


def confirms():
    connection, channel = connect()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.confirm_delivery()
    for number in range(50):
        channel.basic_publish("", queue, str(number), mandatory=True)
    print("confirms:", len({body for _, body in received(channel, queue, 50)}))
    try:
        channel.basic_publish("", "nowhere", "lost", mandatory=True)
    except pika.exceptions.UnroutableError as error:
        back = error.messages[0].method
        print("confirms:", back.reply_code, back.reply_text)
    connection.close()


hello()
work_queues()
publish_subscribe()
by_key("routing", "direct_logs", "direct", ["warning", "error"], ["info", "warning", "error"], 2)
by_key(
    "topics",
    "topic_logs",
    "topic",
    ["kern.*", "*.critical.#"],
    ["kern.info", "cron.critical", "cron.info", "kern.critical", "cron.critical.disk"],
    4,
)
rpc("rpc", None)
rpc("direct reply-to", "amq.rabbitmq.reply-to")
confirms()
