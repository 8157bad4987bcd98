import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { consumer, Publication, Reject } from '../../../guest-sdk/javascript/hive.js';
import type { Action } from '../../../guest-sdk/javascript/hive.js';
import { delivery, rawDelivery } from '../../../guest-sdk/javascript/testing.js';
import { fanOut } from '../src/fan-out.ts';

const settings = { 'owner.shop': 'shop', 'owner.shop/tax': 'finance', 'owner.site': 'web' };

const commit = (id: string, ...files: string[]) => ({ id, message: `${id}: a change\n\nwhy`, files });
const push = (...commits: object[]) => ({ repository: 'store', ref: 'refs/heads/main', commits });

function notices(value: unknown): Publication[] {
  const answer = fanOut(delivery({ json: value }), settings);
  assert.ok(Array.isArray(answer));
  return answer;
}

test('each team is told of the commits in its folders', () => {
  const [shop, web, ...others] = notices(push(commit('c1', 'shop/cart.ts'), commit('c2', 'site/a.css', 'shop/b.ts')));
  assert.deepEqual(others, []);
  assert.equal(shop?.routingKey, 'shop.store');
  assert.equal(web?.routingKey, 'web.store');
  assert.deepEqual(shop.json(), {
    repository: 'store', branch: 'main', team: 'shop',
    commits: [{ id: 'c1', title: 'c1: a change' }, { id: 'c2', title: 'c2: a change' }],
  });
});

test('the deepest folder that is owned decides', () => {
  assert.deepEqual(notices(push(commit('c1', 'shop/tax/vat.ts'))).map((one) => one.routingKey), ['finance.store']);
});

test('a push that concerns nobody is acknowledged', () => {
  assert.deepEqual(fanOut(delivery({ json: push(commit('c1', 'README.md')) }), settings), { tag: 'ack' });
});

test('every fault of a push is named', () => {
  const faulty = delivery({ json: { ref: 7, commits: [{ id: '', message: 'm' }] } });
  assert.throws(() => fanOut(faulty, settings), (error) => error instanceof Reject
    && ['repository', 'ref', 'commits[0].id', 'commits[0].files'].every((field) => error.message.includes(field)));
});

test('the samples come to what their names say', () => {
  const { handle } = consumer((one) => fanOut(one, settings));
  const folder = new URL('../messages/', import.meta.url);
  for (const name of readdirSync(folder)) {
    const { tag } = handle(rawDelivery({ body: readFileSync(new URL(name, folder)) })) as Action;
    const outcome = { publish: 'published', ack: 'acked', reject: 'rejected', retry: 'retried' }[tag];
    assert.ok(name.startsWith(outcome), `${name} was ${outcome}`);
  }
});
