// One webhook in, one event for each subscriber out.

import { ack, publication, Reject } from '../../../guest-sdk/javascript/hive.js';

const EXCHANGE = 'webhooks';

/**
 * Publishes the event of a webhook to everybody who subscribed to its type.
 *
 * `settings` is the component's configuration: `"subscribers.TYPE" = "name name"`, `"region.COUNTRY"`,
 * and `large_order_cents`, from which on an order is told to the desk as well.
 */
export function fanOut(delivery, settings) {
  const webhook = read(delivery);
  const subscribers = (settings[`subscribers.${webhook.type}`] ?? '').split(' ').filter(Boolean);
  const event = enrich(webhook, settings);
  if (event.total_cents >= Number(settings.large_order_cents ?? Infinity)) subscribers.push('desk');
  if (subscribers.length === 0) return ack();
  return subscribers.map((subscriber) =>
    publication(EXCHANGE, `${subscriber}.${webhook.type}`, {
      json: event,
      headers: { region: event.region, attempt: delivery.attempt },
      // The same webhook gives the same id at every attempt, one for each subscriber.
      messageId: `${webhook.id}/${subscriber}`,
      type: webhook.type,
    }),
  );
}

function read(delivery) {
  let webhook;
  try {
    webhook = delivery.json();
  } catch (error) {
    // It will be as malformed next time, so a retry would only waste one.
    throw new Reject(error.message);
  }
  const faults = faultsOf(webhook);
  if (faults.length > 0) throw new Reject(faults.join('; '));
  return webhook;
}

function faultsOf(webhook) {
  const faults = [];
  const isText = (value) => typeof value === 'string' && value !== '';
  if (!isText(webhook?.id)) faults.push('id is missing or empty');
  if (!isText(webhook?.type)) faults.push('type is missing or empty');
  if (!isText(webhook?.order?.country)) faults.push('order.country is missing or empty');
  const lines = webhook?.order?.lines;
  if (!Array.isArray(lines)) faults.push('order.lines is missing');
  for (const [index, line] of (Array.isArray(lines) ? lines : []).entries()) {
    for (const key of ['quantity', 'cents']) {
      if (!Number.isSafeInteger(line?.[key])) faults.push(`order.lines[${index}].${key} is no whole number`);
    }
  }
  return faults;
}

function enrich({ id, type, order }, settings) {
  return {
    webhook: id,
    type,
    country: order.country,
    region: settings[`region.${order.country}`] ?? 'elsewhere',
    customer: order.customer?.trim().toLowerCase() ?? null,
    total_cents: order.lines.reduce((total, { quantity, cents }) => total + quantity * cents, 0),
  };
}
