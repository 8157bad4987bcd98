// The part of a bundle that finds the lines of the sources: bundle.js puts it and the map in, and hive.js calls it
// for the stack of an error.

/** Calls of a stack, `name@file:line:column` each, with the places in the sources instead of those in the bundle. */
globalThis[Symbol.for('hive.in-sources')] = (calls) => {
  const { bundle, sources, lines } = globalThis[Symbol.for('hive.source-map')];
  const ofLine = lines.split('\n');
  return calls.map((call) => {
    const [, name, file, line, column] = /^(.*)@(.*):(\d+):(\d+)$/.exec(call) ?? [];
    // The engine has files of its own.
    const found = file?.endsWith(bundle) && find(ofLine[line - 1], column - 1);
    return found ? `${name}@${sources[found[0]]}:${found[1] + 1}:${found[2] + 1}` : call;
  });
};

// The source, the line and the column of the last segment that begins at or before this column of the bundle.
function find(segments, column) {
  if (!segments) return undefined;
  let found;
  const at = [0, 0, 0, 0];
  for (const segment of segments.split(',')) {
    segment.split(' ').forEach((step, field) => (at[field] += Number(step)));
    if (at[0] > column) break;
    found = at.slice(1);
  }
  return found;
}
