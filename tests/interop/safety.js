// The safety number of two persons; SPEC §7.7.
import { hash } from './primitives.js';

export const safetyDigest = (one, other) =>
  hash('parlour.safety', [one, other].sort(Buffer.compare), { size: 60 });

export function safetyNumber(one, other) {
  const digest = safetyDigest(one, other);
  const groups = Array.from({ length: 12 }, (_, n) => digest.readUIntBE(5 * n, 5) % 100_000);
  return groups.map((group) => String(group).padStart(5, '0')).join(' ');
}
