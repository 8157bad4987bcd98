// Greets: a name in JSON comes in, a greeting goes out.

import { Reject, toQueue } from '../sdk/hive.js';
import type { Answer, Delivery } from '../sdk/hive.js';

export function greet(delivery: Delivery): Answer {
  const greeting = `hello ${nameIn(delivery)}`;
  return toQueue('{{name}}.out', { text: greeting });
}

function nameIn(delivery: Delivery): string {
  let guest: unknown;
  try {
    guest = delivery.json();
  } catch (error) {
    // It will be as malformed next time, so a retry would only waste one.
    throw new Reject(String(error));
  }
  if (typeof guest === 'object' && guest !== null && 'name' in guest && typeof guest.name === 'string') {
    return guest.name;
  }
  throw new Reject('the message has no name');
}
