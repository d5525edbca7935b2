// The terminals of one person: their secret, who gets which link, and what they pass on; SPEC §7.8.
import { bytes, encode, int, list, struct } from './codec.js';
import { shareName } from './drawing.js';
import { must } from './errors.js';
import { ascending } from './messages.js';
import { empty, equal, hash } from './primitives.js';

const IDS_MOST = 1024;
const KEYS_NAMED = 4;
const UNTOLD = 3;
const NOT_HELD = 4;

export function ownKeys(person, selfKey) {
  const secret = hash('parlour.own', [person], { key: selfKey });
  const derived = (label) => hash(`parlour.own.${label}`, [], { key: secret });
  return { secret, psk: derived('psk'), discovery: derived('disc'), meeting: derived('rlay') };
}

// Those of the self keys, the best first, under which a link with an own terminal is begun: `first`, that of the
// genesis, among them.
export function named(selfKeys, first) {
  const best = selfKeys.slice(0, KEYS_NAMED);
  return best.some((one) => one.equals(first)) ? best : [...best.slice(0, KEYS_NAMED - 1), first];
}

// What message 1 calls a self key.
export const keyName = (selfKey) => shareName(selfKey, empty);

// The psk that a responder with these self keys, the best first, takes for the names of message 1, or null.
export function answer(person, selfKeys, { own, theirs }) {
  const given = (name) => [own, theirs].every((names) => names.some((one) => one.equals(name)));
  const taken = selfKeys.find((one) => given(keyName(one)));
  return taken ? ownKeys(person, taken).psk : null;
}

// Which link a caller gets, by the log of its person. `confirmed`: ids of operations of the own log, null for a
// contact's.
export function standing(log, confirmed, ownStatic, callerStatic) {
  const known = log.terminals.filter(({ introducer }) => introducer.op.static?.equals(callerStatic));
  if (equal(ownStatic, callerStatic)) return 'stranger';
  const live = known.filter(({ is }) => is === 'live');
  if (!live.length) return known.some(({ is }) => is === 'gone') ? 'removed' : 'provisional';
  const isKnown = ({ introducer }) => !confirmed || isSure(log, confirmed, introducer);
  return live.some(isKnown) ? 'live' : 'provisional';
}

// Whether neither a recovery that is not confirmed brought in a terminal, nor one that such a recovery did.
function isSure(log, confirmed, introducer) {
  if (confirmed.some((one) => one.equals(introducer.id))) return true;
  if (log.path.includes(introducer)) return false;
  const { author } = introducer.op;
  const by = author && log.terminals.find(({ terminal }) => terminal.equals(author));
  return !author || isSure(log, confirmed, by.introducer);
}

const Marks = list(0, Infinity, struct({ entry: bytes(32), terminal: bytes(32), kind: int(1, 3) }));

const compareBy = (names) => (a, b) => {
  for (const name of names) {
    const found = name === 'kind' ? a.kind - b.kind : Buffer.compare(a[name], b[name]);
    if (found) return found;
  }
  return 0;
};

function sorted(marks, names) {
  const compare = compareBy(names);
  return [...marks].sort(compare).filter((one, i, all) => i === 0 || compare(all[i - 1], one) !== 0);
}

export const marksHash = (conversation, marks) =>
  hash('parlour.own.mark', [conversation, encode(Marks, sorted(marks, ['entry', 'terminal', 'kind']))]);

export function passedReceipts(conversation, marks) {
  const messages = [];
  for (const { entry, terminal, kind } of sorted(marks, ['terminal', 'kind', 'entry'])) {
    const last = messages.at(-1);
    const fits = last?.terminal.equals(terminal) && last.kind === kind && last.ids.length < IDS_MOST;
    if (fits) last.ids.push(entry);
    else messages.push({ is: 'PassedReceipt', conversation, terminal, kind, ids: [entry] });
  }
  return messages;
}

// The conversations of which heads and marks are the answer. `held`: {conversation, heads, marks} of contacts.
export function answerDigests({ digests }, held) {
  must(ascending(digests.map(({ conversation }) => conversation)), 'malformed', 'V-DG-01');
  const found = { heads: [], marks: [] };
  for (const theirs of digests) {
    const own = held.find(({ conversation }) => conversation.equals(theirs.conversation));
    for (const what of own && !theirs.answered ? ['heads', 'marks'] : []) {
      if (!own[what].equals(theirs[what])) found[what].push(theirs.conversation);
    }
  }
  return found;
}

// What a receipt that was passed on says; a terminal of both logs is this person's.
export function whatPassedSays({ terminal, kind, ids }, own, contact) {
  must(ascending(ids), 'malformed', 'V-PR-01');
  const among = (terminals) => terminals.some((one) => one.equals(terminal));
  if (among(own)) return kind === 2 || kind === UNTOLD ? 'reading' : 'nothing';
  return among(contact) && kind < UNTOLD ? 'receipt' : 'nothing';
}

// Whether a PassedReceipt asks which bodies its receiver holds, or says which ones its sender holds or does not.
export function isOfHolding({ terminal, kind, ids }, receiver, sender) {
  must(ascending(ids), 'malformed', 'V-PR-01');
  if (terminal.equals(sender)) return kind === 1 || kind === NOT_HELD;
  return kind === 1 && terminal.equals(receiver);
}

// The terminal of `live` ids that the setting `keeper` names, empty where it names none.
export function keeper(value, live) {
  const named = /^[0-9a-f]{64}$/.test(value) ? Buffer.from(value, 'hex') : Buffer.alloc(0);
  return live.some((one) => one.equals(named)) ? named : Buffer.alloc(0);
}

// Whether a message has its place on a link: of own terminals, or with a contact.
export function checkPlace(message, own) {
  const read = message.is === 'Receipt' && message.kind === 2;
  const misplaced = own
    ? read || ['HeadsHash', 'Typing', 'RenewedShare'].includes(message.is)
    : ['Digests', 'PassedReceipt', 'SignedEntry'].includes(message.is);
  must(!misplaced, 'unexpected', 'V-MS-05');
}
