// Shares that a removal renews; SPEC §5.14.4, §7.6.
import { must } from './errors.js';
import { key, removalsOf } from './log.js';
import { ascending, encodeMessage } from './messages.js';
import { ascii, checkSignature, equal, hash, join, sign } from './primitives.js';

const RENEWED = 0x80000000;
const NONE = Buffer.alloc(64);

export const numberOf = (drawn) =>
  (hash('parlour.sharenum', [], { key: drawn, size: 4 }).readUInt32BE() | RENEWED) >>> 0;

export const pairingId = (root) => hash('parlour.pair.id', [], { key: root });

const signedText = (person, message) =>
  join(ascii('parlour.sign.renewal\0'), person, encodeMessage({ ...message, signature: NONE }));

// `signing` is the pair of the terminal that drew it.
export const signed = (person, bare, signing) => ({
  ...bare,
  signature: sign(signing, signedText(person, bare)),
});

const upto = (log, name) => (log.nodes.get(name)?.past ? [name, ...log.nodes.get(name).past] : []);

// The removals that stand, by name.
const removals = (log) =>
  log.kept.filter((node) => removalsOf(node).length && log.valid.has(key(node.id))).map((node) => key(node.id));

function covers(log, heads) {
  const seen = new Set(heads.flatMap((head) => upto(log, key(head))));
  return removals(log).filter((name) => seen.has(name)).length;
}

export const isStale = (log, heads) => covers(log, heads) < covers(log, log.heads);

// Terminals by their rank, whatever became of them since.
function places(log) {
  return log.terminals.map(({ terminal }) => terminal);
}

const isLive = (log, terminal) => log.live.some((one) => one.terminal.equals(terminal));

// `drawn`: {secret, heads, terminal}, the last one empty where nobody signed it.
function orderOf(log, { secret, heads, terminal }) {
  const at = places(log).findIndex((one) => one.equals(terminal));
  const live = !terminal.length || isLive(log, terminal);
  return [covers(log, heads), Number(live), -(at < 0 ? Infinity : at), numberOf(secret)];
}

export function compare(log, a, b) {
  const [one, other] = [orderOf(log, a), orderOf(log, b)];
  const i = one.findIndex((value, at) => value !== other[at]);
  return i < 0 ? 0 : one[i] > other[i] ? 1 : -1;
}

export function checkPersons({ person, contact }, own, peer) {
  const both = [person, contact];
  const has = (one) => both.some((other) => other.equals(one));
  const fits = equal(own, peer) ? has(own) : has(own) && has(peer);
  must(fits && !equal(person, contact), 'untrusted', 'V-RS-02');
}

// What becomes of a renewal; `held` stand newest first, `person` is its owner.
export function take(log, message, held) {
  must(ascending(message.heads), 'malformed', 'V-RS-01');
  if (message.heads.some((head) => !upto(log, key(head)).length)) return 'waits';
  if (!isLive(log, message.terminal)) return 'passed over';
  const { introducer } = log.live.find(({ terminal }) => terminal.equals(message.terminal));
  checkSignature(introducer.op.signing, signedText(log.person, message), message.signature, 'V-RS-03');
  const drawn = { secret: message.share, heads: message.heads, terminal: message.terminal };
  return held.length && compare(log, drawn, held[0]) > 0 ? 'newer' : 'passed over';
}

// The first removal of a terminal, or of the one that added it, and so on; null without one.
function felling(log, standing, terminal) {
  const removes = (node) => removalsOf(node).some((one) => one.terminal.equals(terminal));
  const { author } = log.terminals.find((one) => one.terminal.equals(terminal)).introducer.op;
  return standing.find(removes) ?? (author ? felling(log, standing, author) : null);
}

// The operations, by name, that tell a terminal with this static key that it is gone.
export function farewell(log, staticKey) {
  const found = new Set();
  const standing = removals(log).map((name) => log.nodes.get(name));
  const names = (node) => [key(node.id), ...node.past];
  for (const { terminal, introducer } of log.gone) {
    const first = introducer.op.static.equals(staticKey) && felling(log, standing, terminal);
    if (!first) continue;
    const own = [...log.nodes.values()].filter(({ op }) => op.author?.equals(terminal));
    const known = new Set([introducer, ...own].flatMap(names));
    names(first).forEach((name) => found.add(name));
    known.forEach((name) => name !== key(first.id) && found.delete(name));
  }
  return found;
}
