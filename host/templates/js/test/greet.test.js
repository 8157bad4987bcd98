import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Reject } from '../sdk/hive.js';
import { delivery } from '../sdk/testing.js';
import { greet } from '../src/greet.js';

test('whoever is named is greeted', () => {
  const greeting = greet(delivery({ json: { name: 'Ada' } }));
  assert.equal(greeting.routingKey, '{{name}}.out');
  assert.match(greeting.text(), /Ada$/);
});

test('a message without a name is rejected', () => {
  for (const text of ['{}', 'Ada', '']) {
    assert.throws(() => greet(delivery({ text })), Reject);
  }
});
