// What the component exports: the webhook's handler with its configuration from hive.toml.

import { all } from '../../../guest-sdk/javascript/config.js';
import { consumer } from '../../../guest-sdk/javascript/hive.js';
import { fanOut } from './webhook.js';

export const handler = consumer((delivery) => fanOut(delivery, all()));
