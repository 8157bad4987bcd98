// What a native unit test of a handler needs: a delivery. The types are in testing.d.ts.

import { Delivery, publication } from './hive.js';

/** A delivery of such a message at its first attempt, as a handler gets it. */
export function delivery(content = {}, about = {}) {
  return new Delivery(rawDelivery(content, about));
}

/** The same as the host hands it over: for what `consumer` made. */
export function rawDelivery(content = {}, about = {}) {
  const { message } = publication('', 'queue', content);
  return { message, queue: 'queue', exchange: '', routingKey: 'queue', redelivered: false, attempt: 1, ...about };
}
