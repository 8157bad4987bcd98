// What the component exports: the pushes' handler with its configuration from hive.toml.

import { all } from '../../../guest-sdk/javascript/config.js';
import { consumer } from '../../../guest-sdk/javascript/hive.js';
import { fanOut } from './fan-out.ts';

export const handler = consumer((delivery) => fanOut(delivery, all()));
