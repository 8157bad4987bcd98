import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const here = import.meta.dirname;
const sdk = join(here, '../../../../guest-sdk/javascript');
const to = join(mkdtempSync(join(tmpdir(), 'bundle-')), 'guest.js');

execFileSync('node', [join(sdk, 'bundle.js'), join(here, 'contract.js'), to], { stdio: 'inherit' });
// What the host has, and Node has not.
const host = { url: 'data:text/javascript,export const request = () => {};', shortCircuit: true };
registerHooks({ resolve: (name, context, next) => (name.startsWith('hive:') ? host : next(name, context)) });
await import(to);
const inSources = globalThis[Symbol.for('hive.in-sources')];

/** The line and column of a text in a file, both from 1. */
function place(file, text) {
  const lines = readFileSync(file, 'utf8').split('\n');
  const line = lines.findIndex((line) => line.includes(text));
  return `${line + 1}:${lines[line].indexOf(text) + 1}`;
}

test('a call in the bundle is one in the source', () => {
  const [call] = inSources([`deep@build/guest.js:${place(to, 'new RangeError("deep')}`]);
  const source = place(join(here, 'contract.js'), "new RangeError('deep");
  assert.match(call, new RegExp(`^deep@.*javascript/contract\\.js:${source}$`));
});

test('calls elsewhere stay as they are', () => {
  const line = place(to, 'new RangeError("deep');
  const calls = [`handle@/tmp/initializer.js:${line}`, 'deep@build/guest.js:1000000:1', 'native', ''];
  assert.deepEqual(inSources(calls), calls);
});
