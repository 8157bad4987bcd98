// Greets: a name in JSON comes in, a greeting goes out.

import { Reject, toQueue } from '../sdk/hive.js';

export function greet(delivery) {
  const greeting = `hello ${nameIn(delivery)}`;
  return toQueue('{{name}}.out', { text: greeting });
}

function nameIn(delivery) {
  let guest;
  try {
    guest = delivery.json();
  } catch (error) {
    // It will be as malformed next time, so a retry would only waste one.
    throw new Reject(error.message);
  }
  if (typeof guest?.name !== 'string') throw new Reject('the message has no name');
  return guest.name;
}
