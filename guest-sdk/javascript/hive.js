// The SDK of Hive for JavaScript and TypeScript: a consumer is a function that takes a delivery and returns an
// action. One file without dependencies. hive.d.ts has the types and documents every export.

const decoder = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

const S64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n };
const U64 = { least: 0n, most: 2n ** 64n - 1n };

/** Turns a function into the component's export `handler`. */
export function consumer(handle) {
  return {
    handle(raw) {
      try {
        const answer = handle(new Delivery(raw));
        return typeof answer?.then === 'function' ? answer.then(toAction).catch(failed) : toAction(answer);
      } catch (error) {
        return failed(error);
      }
    },
  };
}

/** A message as it arrived. */
class Received {
  #headers;

  constructor(message) {
    this.message = message;
  }

  get properties() {
    return this.message.properties;
  }

  get body() {
    return this.message.body;
  }

  get headers() {
    const entry = ([name, value]) => [name, fromField(value)];
    this.#headers ??= Object.assign(Object.create(null), Object.fromEntries(this.properties.headers.map(entry)));
    return this.#headers;
  }

  text() {
    try {
      return decoder.decode(this.body);
    } catch {
      throw new TypeError('the body is not UTF-8');
    }
  }

  json() {
    const text = this.text();
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new SyntaxError(`the body is not JSON: ${error.message}`);
    }
  }
}

/** One message, as it was consumed from one queue. */
export class Delivery extends Received {
  constructor({ message, queue, exchange, routingKey, redelivered, attempt, streamOffset }) {
    super(message);
    Object.assign(this, { queue, exchange, routingKey, redelivered, attempt, streamOffset });
  }

  forward(exchange, routingKey, { mandatory = true, delayMs } = {}) {
    return new Publication(exchange, routingKey, this.message, mandatory, delayMs);
  }

  reply(content = {}) {
    const { replyTo, correlationId } = this.properties;
    if (!replyTo) throw new Reject('the message says no reply-to');
    return toQueue(replyTo, { mandatory: false, correlationId, ...content });
  }
}

/** The reply to a request; `request` of requests.js returns it. */
export class Reply extends Received {}

/** A message for the host to publish. */
export class Publication {
  constructor(exchange, routingKey, message, mandatory, delayMs) {
    this.exchange = exchange;
    this.routingKey = routingKey;
    this.message = message;
    this.mandatory = mandatory;
    this.delayMs = u64(delayMs, 'delayMs');
  }

  text() {
    return decoder.decode(this.message.body);
  }

  json() {
    return JSON.parse(this.text());
  }
}

/** Dead-letters the delivery at once. Return it, or throw it from anywhere. */
export class Reject extends Error {
  name = 'Reject';
}

/** Asks for the delivery again later. Return it or throw it. */
export class Retry extends Error {
  name = 'Retry';

  constructor(reason, { delayMs } = {}) {
    super(reason);
    this.delayMs = u64(delayMs, 'delayMs');
  }
}

export const ack = () => ({ tag: 'ack' });
export const publish = (...publications) => ({ tag: 'publish', val: publications.flat() });
export const reject = (reason) => ({ tag: 'reject', val: String(reason) });
export const retry = (reason, { delayMs } = {}) => ({
  tag: 'retry',
  val: { reason: String(reason), delayMs: u64(delayMs, 'delayMs') },
});

export function publication(exchange, routingKey, { mandatory = true, delayMs, ...content } = {}) {
  return new Publication(exchange, routingKey, toMessage(content), mandatory, delayMs);
}

export function toQueue(queue, content) {
  return publication('', queue, content);
}

/** Header values of AMQP types that JavaScript does not have. */
export const field = {
  double: (value) => new Field({ tag: 'double', val: Number(value) }),
  nested: (json) => new Field({ tag: 'nested', val: String(json) }),
  timestamp: (seconds) => new Field({ tag: 'timestamp', val: u64(seconds, 'a timestamp') }),
};

class Field {
  constructor(value) {
    this.value = value;
  }
}

function toMessage(content) {
  const { json, text, body, headers = {}, persistent = true, expirationMs, timestamp, ...others } = content;
  const kinds = Object.entries({ json, text, body }).filter(([, value]) => value !== undefined);
  if (kinds.length > 1) {
    throw new TypeError(`a message has one body, not ${kinds.map(([kind]) => kind).join(' and ')}`);
  }
  const unknown = Object.keys(others).find((name) => !PROPERTIES.has(name));
  if (unknown) throw new TypeError(`a message has no property ${unknown}`);
  return {
    body: body ?? encoder.encode(json === undefined ? (text ?? '') : toJson(json)),
    properties: {
      ...(json === undefined ? {} : { contentType: 'application/json' }),
      ...others,
      headers: Object.entries(headers).map(([name, value]) => [name, toField(name, value)]),
      persistent,
      expirationMs: u64(expirationMs, 'expirationMs'),
      timestamp: timestamp instanceof Date ? seconds(timestamp) : u64(timestamp, 'timestamp'),
    },
  };
}

const PROPERTIES = new Set([
  'contentType', 'contentEncoding', 'priority', 'correlationId', 'replyTo', 'messageId', 'type', 'userId', 'appId',
]);

function toJson(value) {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${typeof value} cannot be written as JSON`);
  return text;
}

function toAction(answer) {
  if (answer instanceof Publication) return publish(answer);
  if (Array.isArray(answer)) return publish(answer);
  if (answer instanceof Reject) return reject(answer.message);
  if (answer instanceof Retry) return retry(answer.message, answer);
  if (typeof answer?.tag === 'string') return answer;
  throw new TypeError(`the handler gave ${answer === null ? 'null' : typeof answer}, which is no action`);
}

// The host accepts an error as text; the engine aborts if anything else is thrown. When memory has run out,
// aborting is right: the host reports the limit and makes a new instance.
function failed(error) {
  if (error instanceof Reject || error instanceof Retry) return toAction(error);
  throw error === 'out of memory' ? { error } : describe(error);
}

function describe(error) {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : `thrown: ${show(error)}`;
  const inSources = globalThis[Symbol.for('hive.in-sources')] ?? ((calls) => calls);
  const lines = inSources(`${error.stack ?? ''}`.split('\n').map((line) => line.trim()));
  // The calls outside of the handler belong to the engine and to this file.
  const own = lines.filter((line) => line.includes('@') && !/initializer\.js|hive\.js/.test(line));
  const trace = own.map((line) => `\n    at ${line.replace(/^async\*/, '').replace(/[/<]*@/, ' (')})`).join('');
  const cause = error.cause === undefined ? '' : `\ncaused by ${describe(error.cause)}`;
  return `${error.name}: ${error.message}${trace}${cause}`;
}

function show(value) {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

function fromField({ tag, val }) {
  switch (tag) {
    case 'void':
      return null;
    case 'integer':
      return Number.isSafeInteger(Number(val)) ? Number(val) : val;
    case 'nested':
      return JSON.parse(val);
    case 'timestamp': {
      const date = new Date(Number(val) * 1000);
      return Number.isNaN(date.getTime()) ? val : date;
    }
    default:
      return val;
  }
}

function toField(name, value) {
  switch (typeof value) {
    case 'string':
      return { tag: 'text', val: value };
    case 'boolean':
      return { tag: 'boolean', val: value };
    case 'bigint':
      return { tag: 'integer', val: within(value, S64, `the header ${name}`) };
    case 'number':
      return Number.isSafeInteger(value) ? { tag: 'integer', val: BigInt(value) } : { tag: 'double', val: value };
    case 'object':
      if (value === null) return { tag: 'void' };
      if (value instanceof Field) return value.value;
      if (value instanceof Uint8Array) return { tag: 'bytes', val: value };
      if (value instanceof Date) return { tag: 'timestamp', val: seconds(value) };
      return { tag: 'nested', val: toJson(value) };
    default:
      throw new TypeError(`the header ${name} is a ${typeof value}`);
  }
}

function seconds(date) {
  return u64(Math.floor(date.getTime() / 1000), 'a date');
}

function u64(value, what) {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw new RangeError(`${what} is ${value}, which is no whole number`);
  }
  return within(BigInt(value), U64, what);
}

function within(value, { least, most }, what) {
  if (value < least || value > most) throw new RangeError(`${what} is ${value}, which is out of range`);
  return value;
}
