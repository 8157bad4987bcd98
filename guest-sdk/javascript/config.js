// The component's configuration, `config = { … }` in hive.toml. The component's world must import
// `wasi:config/store`, as hive:guest/configured-consumer does; the types are in config.d.ts.

import { get as lookUp, getAll } from 'wasi:config/store@0.2.0-rc.1';

/** The value of a key; undefined if the key is not set. */
export const get = (key) => lookUp(key) ?? undefined;

/** Every key with its value. */
export const all = () => Object.fromEntries(getAll());
