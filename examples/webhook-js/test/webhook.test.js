import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { consumer } from '../../../guest-sdk/javascript/hive.js';
import { delivery, rawDelivery } from '../../../guest-sdk/javascript/testing.js';
import { fanOut } from '../src/webhook.js';

const settings = {
  'subscribers.order.paid': 'mail stock',
  'region.PT': 'europe',
  large_order_cents: '100000',
};

const order = { country: 'PT', customer: ' Ana@Example.com ', lines: [{ quantity: 3, cents: 450 }] };
const paid = { id: 'w-1', type: 'order.paid', order };

test('a webhook goes to each subscriber of its type, enriched', () => {
  const [mail, stock, ...others] = fanOut(delivery({ json: paid }), settings);
  assert.deepEqual(others, []);
  assert.equal(mail.routingKey, 'mail.order.paid');
  assert.equal(stock.routingKey, 'stock.order.paid');
  assert.equal(mail.message.properties.messageId, 'w-1/mail');
  assert.deepEqual(mail.json(), {
    webhook: 'w-1', type: 'order.paid', country: 'PT', region: 'europe', customer: 'ana@example.com', total_cents: 1350,
  });
});

test('a large order is told to the desk as well', () => {
  const large = { ...order, lines: [{ quantity: 100, cents: 1000 }] };
  const published = fanOut(delivery({ json: { ...paid, order: large } }), settings);
  assert.deepEqual(published.map(({ routingKey }) => routingKey.split('.')[0]), ['mail', 'stock', 'desk']);
});

test('a type that nobody subscribed to is acknowledged', () => {
  assert.deepEqual(fanOut(delivery({ json: { ...paid, type: 'cart.opened' } }), settings), { tag: 'ack' });
});

test('every fault of a webhook is named', () => {
  const faulty = delivery({ json: { id: '', order: { lines: [{ quantity: 'two', cents: 1 }] } } });
  assert.throws(() => fanOut(faulty, settings), (error) =>
    ['id', 'type', 'order.country', 'order.lines[0].quantity'].every((field) => error.message.includes(field)));
});

test('the samples come to what their names say', () => {
  const { handle } = consumer((one) => fanOut(one, settings));
  const folder = new URL('../messages/', import.meta.url);
  for (const name of readdirSync(folder)) {
    const { tag } = handle(rawDelivery({ body: readFileSync(new URL(name, folder)) }));
    const outcome = { publish: 'published', ack: 'acked', reject: 'rejected' }[tag];
    assert.ok(name.startsWith(outcome), `${name} was ${outcome}`);
  }
});
