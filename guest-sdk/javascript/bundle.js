// node bundle.js FROM TO [OPTION…]: makes one file of a component's source, of what it imports, and of the npm
// packages among that, for componentize-js. It runs esbuild, which also takes away the types of TypeScript; further
// options are esbuild's own.

import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

const [from, to, ...options] = process.argv.slice(2);
const esbuild = spawnSync(
  'esbuild',
  [
    from,
    `--outfile=${to}`,
    '--bundle',
    '--format=esm',
    // The engine has what browsers and Node share; packages for both have a part for browsers without Node's modules.
    '--platform=browser',
    '--target=es2024',
    // The engine refuses a file with a literal such as /\p{L}/u; as a call of RegExp it fails only where it is used.
    '--supported:regexp-unicode-property-escapes=false',
    '--external:wasi:*',
    '--external:hive:*',
    '--sourcemap=external',
    '--sources-content=false',
    `--inject:${fileURLToPath(new URL('source-map.js', import.meta.url))}`,
    '--log-level=warning',
    ...options,
  ],
  { stdio: 'inherit' },
);
if (esbuild.error) {
  console.error(`esbuild cannot be run: ${esbuild.error.message}. Run this with \`npm run build\`, after \`npm install\`.`);
  process.exit(1);
}
if (esbuild.status !== 0) process.exit(esbuild.status ?? 1);

// A component reads no files, so the map is a part of the bundle.
const { sources, mappings } = JSON.parse(readFileSync(`${to}.map`, 'utf8'));
rmSync(`${to}.map`);
const map = {
  bundle: basename(to),
  sources: sources.map((source) => source.replace(/^(\.\.\/)+/, '')),
  lines: linesOf(mappings),
};
appendFileSync(to, `globalThis[Symbol.for("hive.source-map")] = ${JSON.stringify(map)};\n`);

// The mappings with numbers that are relative to the segment before in the same line of the bundle: an error then
// takes the reading of a few lines, where the numbers of esbuild go on from line to line and begin with the first.
function linesOf(mappings) {
  const at = [0, 0, 0, 0];
  const lines = mappings.split(';').map((line) => {
    let before = [0, 0, 0, 0];
    at[0] = 0;
    const segments = line.split(',').filter(Boolean);
    const relative = segments.map((segment) => {
      decode(segment).forEach((step, field) => (at[field] += step));
      const steps = at.map((value, field) => value - before[field]);
      before = [...at];
      return steps.join(' ');
    });
    return relative.join(',');
  });
  return lines.join('\n');
}

// A column of the bundle, a source, and a line and a column there. The digits are of base 64, the low ones first; the
// highest bit of a digit says that another follows, the lowest of a number that it is negative.
function decode(segment) {
  const numbers = [];
  let number = 0;
  let shift = 0;
  for (const digit of segment) {
    const value = DIGITS.indexOf(digit);
    number |= (value & 31) << shift;
    shift += 5;
    if (value & 32) continue;
    numbers.push(number & 1 ? -(number >> 1) : number >> 1);
    number = shift = 0;
  }
  return numbers.slice(0, 4);
}
