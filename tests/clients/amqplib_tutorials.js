// The tutorials of RabbitMQ on amqplib. Argument: URL. Prints what each receives.
const { randomUUID } = require('node:crypto');
const amqplib = require('amqplib');

const [url] = process.argv.slice(2);

// The first messages that a consumer gets.
async function received(channel, queue, count, { noAck = true } = {}) {
  const messages = [];
  let tag;
  await new Promise((resolve) => {
    const take = (message) => {
      messages.push(message);
      if (!noAck) channel.ack(message);
      if (messages.length === count) resolve();
    };
    channel.consume(queue, take, { noAck }).then(({ consumerTag }) => { tag = consumerTag; });
  });
  if (tag) await channel.cancel(tag);
  return messages;
}

async function hello(connection) {
  const channel = await connection.createChannel();
  await channel.assertQueue('hello', { durable: false });
  channel.sendToQueue('hello', Buffer.from('Hello World!'));
  for (const message of await received(channel, 'hello', 1)) console.log('hello: %s', message.content);
}

async function workQueues(connection) {
  const channel = await connection.createChannel();
  await channel.assertQueue('task_queue', { durable: true });
  for (const task of ['First.', 'Second..', 'Third...']) {
    channel.sendToQueue('task_queue', Buffer.from(task), { persistent: true });
  }
  const show = ({ content, fields }) => {
    console.log('work: %s %s', content, fields.redelivered ? 'redelivered' : 'first');
  };
  // A worker that dies before it acknowledges.
  const lost = await amqplib.connect(url);
  const dying = await lost.createChannel();
  await dying.prefetch(1);
  show(await new Promise((resolve) => dying.consume('task_queue', resolve)));
  await lost.close();
  await channel.prefetch(1);
  for (const message of await received(channel, 'task_queue', 3, { noAck: false })) show(message);
  console.log('work: %s left', (await channel.get('task_queue')) ? 'one' : 'none');
}

async function publishSubscribe(connection) {
  const channel = await connection.createChannel();
  await channel.assertExchange('logs', 'fanout', { durable: false });
  const queues = [];
  for (let i = 0; i < 2; i++) queues.push((await channel.assertQueue('', { exclusive: true })).queue);
  console.log('subscribe: %s', queues.every((queue) => queue.startsWith('amq.gen-')) ? 'True' : 'False');
  for (const queue of queues) await channel.bindQueue(queue, 'logs', '');
  channel.publish('logs', '', Buffer.from('info: Hello World!'));
  for (const queue of queues) {
    for (const message of await received(channel, queue, 1)) console.log('subscribe: %s', message.content);
  }
}

async function byKey(connection, name, exchange, kind, bindings, keys, count) {
  const channel = await connection.createChannel();
  await channel.assertExchange(exchange, kind, { durable: false });
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const binding of bindings) await channel.bindQueue(queue, exchange, binding);
  for (const key of keys) channel.publish(exchange, key, Buffer.from(`from ${key}`));
  channel.sendToQueue(queue, Buffer.from('the end'));
  for (const { fields, content } of await received(channel, queue, count + 1)) {
    console.log('%s: %s', name, fields.routingKey === queue ? content.toString() : `${fields.routingKey} ${content}`);
  }
}

const fibonacci = (number) => (number < 2 ? number : fibonacci(number - 1) + fibonacci(number - 2));

async function rpc(connection, name, answersIn) {
  const channel = await connection.createChannel();
  const server = await connection.createChannel();
  await server.assertQueue('rpc_queue', { durable: false });
  await server.prefetch(1);
  const { consumerTag } = await server.consume('rpc_queue', (message) => {
    const { replyTo, correlationId } = message.properties;
    server.sendToQueue(replyTo, Buffer.from(`${fibonacci(Number(message.content))}`), { correlationId });
    server.ack(message);
  });
  const answers = answersIn || (await channel.assertQueue('', { exclusive: true })).queue;
  const call = randomUUID();
  const answer = await new Promise((resolve) => {
    channel.consume(answers, resolve, { noAck: true }).then(() => {
      channel.sendToQueue('rpc_queue', Buffer.from('10'), { correlationId: call, replyTo: answers });
    });
  });
  const isMine = answer.properties.correlationId === call;
  console.log('%s: %s %s', name, answer.content, isMine ? 'True' : 'False');
  await server.cancel(consumerTag);
}

async function confirms(connection) {
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (let number = 0; number < 50; number++) channel.sendToQueue(queue, Buffer.from(`${number}`));
  await channel.waitForConfirms();
  const bodies = (await received(channel, queue, 50)).map(({ content }) => content.toString());
  console.log('confirms: %d', new Set(bodies).size);
  const back = new Promise((resolve) => channel.on('return', resolve));
  channel.sendToQueue('nowhere', Buffer.from('lost'), { mandatory: true });
  const { fields } = await back;
  console.log('confirms: %d %s', fields.replyCode, fields.replyText);
  await channel.waitForConfirms();
}

async function main() {
  const connection = await amqplib.connect(url);
  await hello(connection);
  await workQueues(connection);
  await publishSubscribe(connection);
  await byKey(connection, 'routing', 'direct_logs', 'direct', ['warning', 'error'], ['info', 'warning', 'error'], 2);
  const topics = ['kern.info', 'cron.critical', 'cron.info', 'kern.critical', 'cron.critical.disk'];
  await byKey(connection, 'topics', 'topic_logs', 'topic', ['kern.*', '*.critical.#'], topics, 4);
  await rpc(connection, 'rpc');
  await rpc(connection, 'direct reply-to', 'amq.rabbitmq.reply-to');
  await confirms(connection);
  await connection.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
