// The words of a recovery seed; SPEC §7.1, §7.9.
import { must } from './errors.js';
import { words as listed } from './pairing.js';
import { hash } from './primitives.js';

const check = (seed) => hash('parlour.recwords', [seed], { size: 2 });

export const recoveryWords = (seed) => [...Buffer.concat([seed, check(seed)])].map((byte) => listed[byte]);

// The seed of the words in a text, with any white space between them.
export function readRecoveryWords(text) {
  const read = text.split(/\s+/).filter(Boolean).map((word) => listed.indexOf(word.toLowerCase()));
  must(read.length === 34 && !read.includes(-1), 'malformed', 'V-RW-01');
  const seed = Buffer.from(read.slice(0, 32));
  must(check(seed).equals(Buffer.from(read.slice(32))), 'malformed', 'V-RW-02');
  return seed;
}
