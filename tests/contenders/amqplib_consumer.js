// The bench's consumer on amqplib, as its documentation has it: a callback for each message, a channel in
// confirm mode where anything is published, and the ack in the callback of the confirmation.
//
// Arguments: URL QUEUE PREFETCH WORK, where WORK is ack, publish or retry.
const amqplib = require('amqplib');

const OUT = 'bench.out';
const DELAY = 'bench.retry.100ms';

async function main([url, queue, prefetch, work]) {
  const connection = await amqplib.connect(url);
  const channel = await connection.createConfirmChannel();
  await channel.prefetch(Number(prefetch));

  const send = (message, to, body, options) => {
    channel.sendToQueue(to, body, { persistent: true, mandatory: true, ...options }, (error) => {
      if (error) throw error;
      channel.ack(message);
    });
  };

  const handle = (message) => {
    if (message === null) throw new Error('the broker cancelled the consumer');
    if (work === 'ack') return channel.ack(message);
    if (work === 'retry' && !message.properties.headers.attempt) {
      return send(message, DELAY, message.content, { headers: { attempt: 2 } });
    }
    const order = JSON.parse(message.content.toString());
    order.seen = true;
    return send(message, OUT, Buffer.from(JSON.stringify(order)));
  };
  await channel.consume(queue, handle);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
