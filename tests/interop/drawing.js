// The secrets that operations draw, what derives from them, and how a Renew hands them over; SPEC §7.6.
import { Rejected, must } from './errors.js';
import { ascending } from './messages.js';
import { dh, empty, equal, hash, open } from './primitives.js';

export const commitmentTo = (drawn) => hash('parlour.drawn', [drawn]);
export const selfKeyOf = (drawn) => hash('parlour.selfkey', [], { key: drawn });
export const shareOf = (drawn, pairing) => hash('parlour.share', [pairing], { key: drawn });
export const shareName = (share, operation) =>
  hash('parlour.sh.name', [operation], { key: share, size: 16 });

// Secrets that come with a log, {operation, secret}; `operations`: {id, op} of the log of `person`.
export function checkDrawn(operations, person, drawn) {
  const ids = drawn.map(({ operation }) => operation);
  must(ascending(ids) && ids.some((one) => one.equals(person)), 'malformed', 'V-DW-01');
  const committed = (operation) => operations.find(({ id }) => id.equals(operation))?.op.drawn;
  for (const { operation, secret } of drawn) {
    must(committed(operation)?.equals(commitmentTo(secret)), 'untrusted', 'V-DW-02');
  }
}

// What a Renew (`op`) hands to a terminal; null where it hands it nothing that fits. `live`: the ids of the
// terminals that are live after its parents, the most senior there first. `fixed`: the static pair of the terminal.
export function openRenew(op, live, terminal, firstSelfKey, fixed) {
  const sealed = op.sealed[live.findIndex((one) => one.equals(terminal))];
  if (!sealed) return null;
  try {
    const input = [dh(fixed.secret, op.once), op.once, fixed.key];
    const drawn = open('ChaCha20-Poly1305', hash('parlour.seal', input, { key: firstSelfKey }), sealed, empty);
    return equal(commitmentTo(drawn), op.drawn) ? drawn : null;
  } catch (error) {
    if (error instanceof Rejected) return null;
    throw error;
  }
}
