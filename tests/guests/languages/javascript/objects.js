// Does to a container what the body asks for, as tests/guests/examples/objects.rs does.

import { consumer, toQueue } from '../../../../guest-sdk/javascript/hive.js';
import { Container } from '../../../../guest-sdk/javascript/objects.js';

export const handler = consumer((delivery) => {
  const words = delivery.text().split(' ');
  if (words[0] === 'fail') return toQueue('out', { text: carryOut(words.slice(1)) });
  try {
    return toQueue('out', { text: carryOut(words) });
  } catch (error) {
    return toQueue('out', { text: `error: ${error.message}` });
  }
});

function carryOut([name, verb, object, ...rest]) {
  const container = Container.open(name);
  switch (verb) {
    case 'put':
      container.put(object, rest[0]);
      return 'done';
    case 'put-large':
      container.put(object, new Uint8Array(Number(rest[0])).fill(1));
      return 'done';
    case 'get': {
      const content = container.get(object);
      return content === undefined ? '-' : new TextDecoder().decode(content);
    }
    case 'size':
      return String(container.info(object)?.size ?? '-');
    case 'exists':
      return String(container.exists(object));
    case 'delete':
      container.delete(object);
      return 'done';
    case 'names':
      return container.names().sort().join(' ');
    case 'copy':
      container.copy(object, Container.open(rest[0]), rest[1]);
      return 'done';
    default:
      return 'what?';
  }
}
