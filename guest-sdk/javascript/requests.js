// Calls to others over the broker. The component's world must import `hive:consumer/requests`, as
// hive:guest/requesting-consumer does; the types are in requests.d.ts.

import { request as send } from 'hive:consumer/requests@0.1.0';
import { Reply } from './hive.js';

/** A request without a reply. */
export class RequestError extends Error {
  name = 'RequestError';

  constructor({ failure, text }) {
    super(text);
    this.failure = failure;
  }
}

/** Publishes a message and waits for the reply to it. */
export function request({ exchange, routingKey, message, delayMs }, { timeoutMs } = {}) {
  if (delayMs !== undefined) throw new RequestError({ failure: 'refused', text: 'a request cannot be delayed' });
  try {
    return new Reply(send(exchange, routingKey, message, timeoutMs === undefined ? undefined : BigInt(timeoutMs)));
  } catch (error) {
    throw error?.payload?.failure ? new RequestError(error.payload) : error;
  }
}
