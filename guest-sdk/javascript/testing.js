// Deliveries for native unit tests of a handler. The types are in testing.d.ts.

import { Delivery, publication } from './hive.js';

/** A delivery of this message at its first attempt, as a handler gets it. */
export function delivery(content = {}, about = {}) {
  return new Delivery(rawDelivery(content, about));
}

/** The same, in the form that the host hands to the export made by `consumer`. */
export function rawDelivery(content = {}, about = {}) {
  const { message } = publication('', 'queue', content);
  return { message, queue: 'queue', exchange: '', routingKey: 'queue', redelivered: false, attempt: 1, ...about };
}
