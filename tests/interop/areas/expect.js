// Comparison of what a vector says with what was computed here.

const isBytes = (value) => value instanceof Uint8Array;

// Bytes of a vector: hex, {hex, times}, or a list of both.
export function hex(value) {
  if (isBytes(value)) return Buffer.from(value);
  if (typeof value === 'string') return Buffer.from(value, 'hex');
  if (Array.isArray(value)) return Buffer.concat(value.map(hex));
  return Buffer.from(value.hex.repeat(value.times ?? 1), 'hex');
}

class Different extends Error {}

const isObject = (value) => typeof value === 'object' && value !== null && !isBytes(value);

// The first place where two values differ, as a path and both, or null.
function difference(expected, value, place) {
  if (isBytes(value) && (expected ?? null) !== null && hex(expected).equals(value)) return null;
  if (!isObject(value) || !isObject(expected)) return expected === value ? null : { place, expected, value };
  const names = new Set([...Object.keys(expected), ...Object.keys(value)]);
  for (const name of names) {
    const found = difference(expected[name], value[name], `${place}.${name}`);
    if (found) return found;
  }
  return null;
}

const show = (value) =>
  JSON.stringify(value, (_, v) => (v?.type === 'Buffer' ? Buffer.from(v.data).toString('hex') : v))?.slice(
    0,
    160,
  );

export function expectSame(step, name, value) {
  if (!(name in step)) throw new Different(`nothing to compare ${name} with`);
  const found = difference(step[name], value, name);
  if (found) throw new Different(`${found.place}: ${show(found.value)} instead of ${show(found.expected)}`);
}
