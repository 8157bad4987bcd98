// node strip-types.js FROM TO: TypeScript without its types, under its own file names and with every
// statement at its own line and column, so that the errors of a component name the line that was written.
// `tsc` is what checks the types.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';

const [from, to] = process.argv.slice(2);
mkdirSync(to, { recursive: true });
for (const name of readdirSync(from).filter((name) => name.endsWith('.ts'))) {
  writeFileSync(join(to, name), stripTypeScriptTypes(readFileSync(join(from, name), 'utf8')));
}
