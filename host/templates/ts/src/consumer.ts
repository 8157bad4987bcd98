// What the component exports. Its configuration, where it has one, is in ../sdk/config.js.

import { consumer } from '../sdk/hive.js';
import { greet } from './greet.ts';

export const handler = consumer(greet);
