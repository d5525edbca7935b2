// Comparison of what a vector says with what was computed here.

export const hex = (text) => Buffer.from(text, 'hex');

export class Different extends Error {}

// Bytes are compared as hex, everything else as JSON.
export function expectSame(step, name, value) {
  const shown = (thing) => JSON.stringify(thing, (_, v) => (v?.type === 'Buffer' ? hexOf(v.data) : v));
  if (!(name in step)) throw new Different(`nothing to compare ${name} with`);
  if (shown(step[name]) !== shown(value)) {
    throw new Different(`${name}: ${shown(value)?.slice(0, 80)} instead of ${shown(step[name])?.slice(0, 80)}`);
  }
}

const hexOf = (bytes) => Buffer.from(bytes).toString('hex');
