// Comparison of what a vector says with what was computed here.

const isBytes = (value) => value instanceof Uint8Array;

// Bytes of a vector: hex, {hex, times}, or a list of both.
export function hex(value) {
  if (isBytes(value)) return Buffer.from(value);
  if (typeof value === 'string') return Buffer.from(value, 'hex');
  if (Array.isArray(value)) return Buffer.concat(value.map(hex));
  return Buffer.from(value.hex.repeat(value.times ?? 1), 'hex');
}

export class Different extends Error {}

const isObject = (value) => typeof value === 'object' && value !== null && !isBytes(value);

function sameObject(expected, value) {
  const names = Object.keys(expected);
  return names.length === Object.keys(value).length && names.every((name) => same(expected[name], value[name]));
}

export function same(expected, value) {
  if (isBytes(value)) return expected !== null && expected !== undefined && hex(expected).equals(value);
  if (isObject(value) && isObject(expected)) return sameObject(expected, value);
  return expected === value;
}

const show = (value) =>
  JSON.stringify(value, (_, v) => (v?.type === 'Buffer' ? Buffer.from(v.data).toString('hex') : v))?.slice(0, 160);

export function expectSame(step, name, value) {
  if (!(name in step)) throw new Different(`nothing to compare ${name} with`);
  if (!same(step[name], value)) {
    throw new Different(`${name}: ${show(value)} instead of ${show(step[name])}`);
  }
}
