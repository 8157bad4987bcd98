// Does what the header `do` says: the guest of the contract test in TypeScript.

import type { Action, Answer, Content, Delivery } from '../../../../guest-sdk/javascript/hive.js';
import { ack, consumer, field, publication, publish, reject, retry, toQueue }
  from '../../../../guest-sdk/javascript/hive.js';
import { request, RequestError } from '../../../../guest-sdk/javascript/requests.js';

interface Asked {
  do: string;
  'delay-ms'?: number;
}

export const handler = consumer(async (delivery): Promise<Answer> => {
  const { do: what, 'delay-ms': delayMs } = delivery.headers as unknown as Asked;
  switch (what) {
    case 'ack':
      return ack();
    case 'echo':
      return delivery.forward('', 'out');
    case 'publish-none':
      return publish();
    case 'publish-one':
      return toQueue('out', { text: 'only' });
    case 'publish-several':
      return ['first', 'second', 'third'].map((text) => toQueue('out', { text }));
    case 'publish-everything':
      return publication('everything', 'every.thing', everything());
    case 'publish-delayed':
      return toQueue('out', { text: 'late', delayMs });
    case 'publish-nowhere':
      return publication('', 'nowhere', { mandatory: false });
    case 'reply':
      return delivery.reply({ text: `to ${delivery.text()}` });
    case 'request':
      return toQueue('out', { text: asked(delivery.text(), delayMs) });
    case 'json':
      return toQueue('out', { json: { got: delivery.json() } });
    case 'tell':
      return toQueue('out', { text: told(delivery) });
    case 'retry':
      return retry('not now');
    case 'retry-after':
      return retry('not now', { delayMs });
    case 'reject':
      return reject('never: ünïcode ✓');
    case 'error':
      throw new Error('plain words');
    case 'exception':
      return deep(delivery);
    case 'trap':
      return exhaust();
    default:
      throw new TypeError(`nothing is called ${what}`);
  }
});

function everything(): Content {
  return {
    body: Uint8Array.of(0, 255, 128, 10),
    headers: {
      void: null,
      yes: true,
      no: false,
      least: -(2n ** 63n),
      most: 2n ** 63n - 1n,
      small: -5,
      double: 0.5,
      whole: field.double(2),
      text: 'ünïcode ✓',
      bytes: Uint8Array.of(0, 255),
      when: new Date(1_700_000_000_000),
      nested: { list: [1, 'x', true] },
      list: [1, 2],
    },
    persistent: false,
    contentType: 'text/plain',
    contentEncoding: 'identity',
    priority: 7,
    correlationId: 'correlation',
    replyTo: 'answers',
    expirationMs: 3_600_000,
    messageId: 'id-1',
    timestamp: 1_700_000_000,
    type: 'kind',
    userId: 'guest',
    appId: 'contract',
  };
}

function asked(text: string, timeoutMs?: number): string {
  try {
    const reply = request(toQueue('answers', { text, type: 'question' }), { timeoutMs });
    return `${reply.text()} ${reply.properties.type} ${reply.headers.number}`;
  } catch (error) {
    if (error instanceof RequestError) return error.failure;
    throw error;
  }
}

function told({ queue, exchange, routingKey, redelivered, attempt }: Delivery): string {
  return [queue, exchange, routingKey, redelivered, attempt].join('|');
}

function deep(delivery: Delivery): Action {
  const cause = new Error(delivery.text());
  throw new RangeError('deep trouble', { cause });
}

// Takes memory until there is none.
function exhaust(): never {
  const taken: Uint8Array[] = [];
  for (;;) taken.push(new Uint8Array(1 << 20).fill(1));
}
