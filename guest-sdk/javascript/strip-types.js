// node strip-types.js FROM TO: copies TypeScript without its types. File names stay the same, and every statement
// keeps its line and column, so that the errors of a component name the lines of the source. `tsc` checks the
// types.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';

const [from, to] = process.argv.slice(2);
mkdirSync(to, { recursive: true });
for (const name of readdirSync(from).filter((name) => name.endsWith('.ts'))) {
  writeFileSync(join(to, name), stripTypeScriptTypes(readFileSync(join(from, name), 'utf8')));
}
