/**
 * The SDK of Hive: a consumer is a function that takes a delivery and returns an action.
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
 * The return value of a handler: an action, one or more publications, or one of the errors that stand for
 * an action.
 */
export type Answer = Action | Publication | Publication[] | Reject | Retry;

/**
 * Turns a function into the component's export: `export const handler = consumer(…)`.
 *
 * An error that the function throws becomes the error of the delivery. The host retries the delivery by
 * the consumer's policy and writes the text to the log and to the dead letter, with the message, its
 * causes, and the file and line of each call in the handler. A thrown `Reject` or `Retry` counts as that
 * action. The function may be asynchronous.
 */
export function consumer(handle: (delivery: Delivery) => Answer | Promise<Answer>): {
  handle(delivery: RawDelivery): Action | Promise<Action>;
};

/** A message as it arrived. */
declare class Received {
  /** Properties and body as they arrived, each header with its AMQP type. */
  readonly message: Message;
  get properties(): Properties;
  /** The raw bytes, exactly as published. */
  get body(): Uint8Array;
  /**
   * The headers as JavaScript values: an integer is a `number` if that can hold it, otherwise a
   * `bigint`; a timestamp is a `Date`, a table or an array is the value of its JSON, a void is `null`.
   */
  get headers(): Readonly<Record<string, HeaderValue | undefined>>;
  /** The body as text. Throws a `TypeError` if it is not UTF-8. */
  text(): string;
  /** The body as JSON. Throws a `SyntaxError` with the position if it is not valid JSON. */
  json(): unknown;
}

/** One message, as it was consumed from one queue. */
export class Delivery extends Received {
  constructor(delivery: RawDelivery);
  /** The queue that it was consumed from. */
  readonly queue: string;
  /** The exchange that it was published to; empty for the default exchange. A retry keeps it. */
  readonly exchange: string;
  /** The routing key that it was published with. A retry keeps it. */
  readonly routingKey: string;
  /** The broker delivered this message before and got no answer. */
  readonly redelivered: boolean;
  /** 1 for the first attempt, then one more for each retry. Redeliveries do not count. */
  readonly attempt: number;
  /** The offset in a stream. */
  readonly streamOffset?: bigint;
  /** A publication of the unchanged message: body, properties and every header, with its AMQP type. */
  forward(exchange: string, routingKey: string, options?: Routing): Publication;
  /**
   * A publication to the `reply-to` of the message with its correlation id. It is not mandatory, because
   * the requester may be gone. Throws a `Reject` if the message has no reply-to.
   */
  reply(content?: Content): Publication;
}

/** The reply to a request: see requests.d.ts. */
export class Reply extends Received {
  constructor(message: Message);
}

/** The value of a header, as it is read. */
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

/** How and when a publication is sent. */
export interface Routing {
  /** True, the default: a message that no queue takes fails the delivery. */
  mandatory?: boolean;
  /** Publish it this much later, in milliseconds. */
  delayMs?: number | bigint;
}

/** The content of a publication. It has one of `json`, `text` and `body`, or is empty. */
export interface Content extends Routing {
  /** The body in JSON; the content type is `application/json` unless you set another. */
  json?: unknown;
  /** The body in UTF-8. */
  text?: string;
  /** The body as bytes. */
  body?: Uint8Array;
  /**
   * A whole `number` and a `bigint` become an integer (of 64 bits; otherwise a `RangeError`), any other
   * `number` a double, a `Date` a timestamp, `null` a void, a `Uint8Array` bytes, an array or another
   * object a nested value. `field` makes values of AMQP types that JavaScript does not have.
   */
  headers?: Record<string, HeaderValue | Field>;
  /** Whether it survives a restart of the broker; true by default. */
  persistent?: boolean;
  contentType?: string;
  contentEncoding?: string;
  /** 0 to 255, higher first. */
  priority?: number;
  correlationId?: string;
  replyTo?: string;
  /** Time to live in milliseconds. */
  expirationMs?: number | bigint;
  /** Without one, the host derives an id from the delivery, the same at every attempt. */
  messageId?: string;
  /** A date, or seconds since the Unix epoch. */
  timestamp?: Date | number | bigint;
  type?: string;
  userId?: string;
  appId?: string;
}

/** A header value with an explicit AMQP type. */
export interface Field {
  readonly value: FieldValue;
}

/** Header values of AMQP types that JavaScript does not have. */
export const field: {
  /** A floating point number, even if it is whole. */
  double(value: number): Field;
  /** A table or an array, as JSON text. */
  nested(json: string): Field;
  /** Seconds since the Unix epoch. */
  timestamp(seconds: number | bigint): Field;
};

/** A publication to an exchange: persistent and mandatory by default. */
export function publication(exchange: string, routingKey: string, content?: Content): Publication;
/** The same to a queue, through the default exchange. */
export function toQueue(queue: string, content?: Content): Publication;

/** Done: the delivery is acknowledged. */
export function ack(): Action;
/** Publish these, in this order; the host acknowledges the delivery when the broker has confirmed all of them. */
export function publish(...publications: (Publication | Publication[])[]): Action;
/** Not now: the delivery comes again after the delay, or after that of the consumer's retry policy. */
export function retry(reason: string, options?: { delayMs?: number | bigint }): Action;
/** Never: the delivery is dead-lettered now, for this reason. */
export function reject(reason: string): Action;

/** Dead-letters the delivery at once. Return it, or throw it from anywhere. */
export class Reject extends Error {}
/** Asks for the delivery again later. Return it or throw it. */
export class Retry extends Error {
  constructor(reason: string, options?: { delayMs?: number | bigint });
  readonly delayMs?: bigint;
}

// The types of the contract (wit/consumer.wit), in the form that the engine uses.

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
