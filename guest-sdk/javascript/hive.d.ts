/**
 * Write a RabbitMQ consumer for Hive: a function from a delivery to an action.
 *
 * ```ts
 * import { consumer, publication, Reject } from './hive.js';
 *
 * export const handler = consumer((delivery) => {
 *   const name = delivery.text();
 *   if (name === '') throw new Reject('nobody to greet');
 *   return publication('', 'greetings', { text: `hello ${name}` });
 * });
 * ```
 */

/**
 * What a handler gives: an action, a publication or several, or one of the errors that stand for an
 * action.
 */
export type Answer = Action | Publication | Publication[] | Reject | Retry;

/**
 * Makes of a function what the component exports: `export const handler = consumer(…)`.
 *
 * What the function throws becomes the error of the delivery, with its message, its causes, and the
 * file and line of each call of the handler's own: the delivery is retried by the consumer's policy,
 * and the text stands in the log and in the dead letter. A `Reject` or a `Retry` that is thrown is
 * that action. An asynchronous function is waited for.
 */
export function consumer(handle: (delivery: Delivery) => Answer | Promise<Answer>): {
  handle(delivery: RawDelivery): Action | Promise<Action>;
};

/** One message, as it came off one queue. */
export class Delivery {
  constructor(delivery: RawDelivery);
  /** Properties and body as they came, each header with its kind. */
  readonly message: Message;
  /** The queue that it was consumed from. */
  readonly queue: string;
  /** The exchange that it was published to; empty for the default exchange. A retry keeps it. */
  readonly exchange: string;
  /** The routing key that it was published with. A retry keeps it. */
  readonly routingKey: string;
  /** The broker handed this message out before and got no answer. */
  readonly redelivered: boolean;
  /** 1 for the first try, then one more for each retry. Redeliveries do not count. */
  readonly attempt: number;
  /** The offset in a stream queue. */
  readonly streamOffset?: bigint;
  get properties(): Properties;
  /** The raw bytes, exactly as published. */
  get body(): Uint8Array;
  /**
   * The headers as values of JavaScript: an integer is a `number` where that holds it, else a
   * `bigint`; a timestamp is a `Date`, a table or an array the value of its JSON, a void `null`.
   */
  get headers(): Readonly<Record<string, HeaderValue | undefined>>;
  /** The body as text. Throws a `TypeError` where it is not UTF-8. */
  text(): string;
  /** The body as JSON. Throws a `SyntaxError` that says where it is none. */
  json(): unknown;
  /** A publication of the message as it is: body, properties and every header, with its kind. */
  forward(exchange: string, routingKey: string, options?: Routing): Publication;
  /**
   * A publication to the `reply-to` of the message with its correlation id; it may go nowhere, since
   * whoever asked may be gone. Throws a `Reject` where the message has no reply-to.
   */
  reply(content?: Content): Publication;
}

/** A value of a header, as it is read. */
export type HeaderValue = null | boolean | number | bigint | string | Uint8Array | Date | object;

/** A message for the host to publish: made by `publication`, `toQueue`, `forward` or `reply`. */
export class Publication {
  private constructor();
  readonly exchange: string;
  readonly routingKey: string;
  readonly message: Message;
  readonly mandatory: boolean;
  readonly delayMs?: bigint;
  /** The body as text, for tests. */
  text(): string;
  /** The body as JSON, for tests. */
  json(): unknown;
}

/** Where a publication may and when it is to go. */
export interface Routing {
  /** True, the default: a message that no queue takes fails the delivery. */
  mandatory?: boolean;
  /** Publish it this much later, in milliseconds. */
  delayMs?: number | bigint;
}

/** What a publication is made of. It has one of `json`, `text` and `body`, or is empty. */
export interface Content extends Routing {
  /** The body in JSON; the content type is `application/json` unless it is said. */
  json?: unknown;
  /** The body in UTF-8. */
  text?: string;
  /** The body as it is. */
  body?: Uint8Array;
  /**
   * A whole `number` and a `bigint` become an integer (of 64 bits, else a `RangeError`), any other
   * `number` a double, a `Date` a timestamp, `null` a void, a `Uint8Array` bytes, an array or another
   * object a nested value. `field` says a kind where JavaScript has no type for it.
   */
  headers?: Record<string, HeaderValue | Field>;
  /** Survives a restart of the broker. True, the default. */
  persistent?: boolean;
  contentType?: string;
  contentEncoding?: string;
  /** 0 to 255, higher first. */
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  /** Time to live in milliseconds. */
  expirationMs?: number | bigint;
  /** Without one the host derives an id from the delivery, the same at every attempt. */
  messageId?: string;
  /** A date, or seconds since the Unix epoch. */
  timestamp?: Date | number | bigint;
  type?: string;
  userId?: string;
  appId?: string;
}

/** A header value of a kind that is said. */
export interface Field {
  readonly value: FieldValue;
}

/** Header values of a kind that JavaScript's own types do not tell. */
export const field: {
  /** A floating point number, also where it is a whole one. */
  double(value: number): Field;
  /** A table or an array, as JSON text. */
  nested(json: string): Field;
  /** Seconds since the Unix epoch. */
  timestamp(seconds: number | bigint): Field;
};

/** A publication to an exchange: persistent and mandatory, unless told otherwise. */
export function publication(exchange: string, routingKey: string, content?: Content): Publication;
/** The same to a queue, through the default exchange. */
export function toQueue(queue: string, content?: Content): Publication;

/** Done: the delivery is acknowledged. */
export function ack(): Action;
/** Publish these, in this order; the delivery is acknowledged once the broker has confirmed every one. */
export function publish(...publications: (Publication | Publication[])[]): Action;
/** Not now: the delivery comes again after the delay, or after that of the consumer's retry policy. */
export function retry(reason: string, options?: { delayMs?: number | bigint }): Action;
/** Never: the delivery is dead-lettered now, for this reason. */
export function reject(reason: string): Action;

/** Dead-letters the delivery at once: returned or thrown, from wherever it is known. */
export class Reject extends Error {}
/** Asks for the delivery again later: returned or thrown. */
export class Retry extends Error {
  constructor(reason: string, options?: { delayMs?: number | bigint });
  readonly delayMs?: bigint;
}

// The contract's own types, as the engine hands them over: wit/consumer.wit.

export type FieldValue =
  | { tag: 'void' }
  | { tag: 'boolean'; val: boolean }
  | { tag: 'integer'; val: bigint }
  | { tag: 'double'; val: number }
  | { tag: 'text'; val: string }
  | { tag: 'bytes'; val: Uint8Array }
  | { tag: 'timestamp'; val: bigint }
  | { tag: 'nested'; val: string };

export interface Properties {
  contentType?: string;
  contentEncoding?: string;
  headers: [string, FieldValue][];
  persistent: boolean;
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  expirationMs?: bigint;
  messageId?: string;
  timestamp?: bigint;
  type?: string;
  userId?: string;
  appId?: string;
}

export interface Message {
  properties: Properties;
  body: Uint8Array;
}

export interface RawDelivery {
  message: Message;
  queue: string;
  exchange: string;
  routingKey: string;
  redelivered: boolean;
  attempt: number;
  streamOffset?: bigint;
}

export type Action =
  | { tag: 'ack' }
  | { tag: 'publish'; val: Publication[] }
  | { tag: 'retry'; val: { reason: string; delayMs?: bigint } }
  | { tag: 'reject'; val: string };
