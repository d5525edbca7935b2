// A set of operations of one person: validity and what it means; SPEC §7.2, §7.3.
import { must } from './errors.js';
import { decodeOperation, hashOf, keysOf, operationId, readOperation, signedText, terminalId } from './operations.js';
import { checkMldsaSignature, checkSignature } from './primitives.js';
import { Reduction, authorOf, key, removalsOf, results } from './reduction.js';

export { key, removalsOf };

const HELD_MOST = 2048;
const CLASS_MOST = { senior: 256, other: 256, gone: 512 };
const RECOVERIES_MOST = 64;
const KEPT_MOST = 1536;
const ROOM_FOR_REMOVALS = 256;

const byId = (a, b) => Buffer.compare(a.id, b.id);

// Reads operations, each once. Raw bytes that are equal are one operation.
function readAll(raws) {
  const distinct = new Map(raws.map((raw) => [key(raw), raw]));
  must(distinct.size <= HELD_MOST, 'limit', 'V-LG-01');
  const nodes = new Map();
  for (const raw of distinct.values()) {
    const node = readOperation(raw);
    if (nodes.has(key(node.id))) nodes.get(key(node.id)).others.push(node.signatures);
    else nodes.set(key(node.id), { ...node, others: [] });
  }
  return nodes;
}

const parentsOf = (node) => (node.parents ??= (node.op.parents ?? []).map(key));

// Sets depth and past of every node that is placed; the placed ones in the order of (depth, id).
function place(nodes) {
  const placed = [];
  const followers = followersOf(nodes);
  const isReady = (node) => parentsOf(node).every((name) => nodes.get(name)?.depth !== undefined);
  let ready = [...nodes.values()].filter((node) => !parentsOf(node).length);
  for (let depth = 0; ready.length; depth++) {
    ready.sort(byId).forEach((node) => putAt(node, depth, nodes));
    placed.push(...ready);
    const next = new Set(ready.flatMap((node) => followers.get(key(node.id)) ?? []));
    ready = [...next].filter(isReady);
  }
  return placed;
}

function followersOf(nodes) {
  const found = new Map();
  for (const node of nodes.values()) {
    for (const name of parentsOf(node)) found.set(name, [...(found.get(name) ?? []), node]);
  }
  return found;
}

function putAt(node, depth, nodes) {
  node.depth = depth;
  const [first, ...others] = parentsOf(node);
  node.past = new Set(nodes.get(first)?.past);
  if (first) node.past.add(first);
  for (const name of others) {
    if (node.past.has(name)) continue; // and so is all that it follows
    node.past.add(name);
    for (const above of nodes.get(name).past) node.past.add(above);
  }
}

const pastOf = (node, nodes) => [...node.past].map((name) => nodes.get(name));

function checkPersons(nodes) {
  const geneses = [...nodes.values()].filter((node) => node.op.is === 'Genesis');
  const persons = new Set([...nodes.values()].map((node) => key(node.op.person ?? node.id)));
  must(geneses.length === 1 && persons.size === 1, 'malformed', 'V-LG-02');
  return geneses[0];
}

// The recovery key that the genesis or Recover before a Recover names.
function keyBefore(node, past) {
  const before = past.find((other) => other.id.equals(node.op.previous));
  must(['Genesis', 'Recover'].includes(before?.op.is), 'malformed', 'V-LG-12');
  return before.op.recovery;
}

function authorKey(node, past) {
  const brought = past.find((other) => other.terminal?.equals(node.op.author));
  must(brought, 'untrusted', 'V-LG-04');
  return brought.op.signing;
}

// Each takes the signed text, a signature and a rule.
function signersOf(node, past) {
  const { op } = node;
  const by = (key) => (text, signature, rule) => checkSignature(key, text, signature, rule);
  if (op.is === 'Genesis') return [by(op.signing), by(op.recovery.ed25519)];
  const newcomer = op.signing?.length ? [by(op.signing)] : [];
  if (op.is !== 'Recover') return [by(authorKey(node, past)), ...newcomer];
  const { ed25519, mldsa } = keyBefore(node, past);
  must(hashOf(op.mldsa).equals(mldsa), 'authentication', 'V-LG-03');
  const byMldsa = (text, signature, rule) => checkMldsaSignature(op.mldsa, text, signature, rule);
  return [by(ed25519), byMldsa, ...newcomer];
}

function checkSignatures(node, past) {
  const signers = signersOf(node, past);
  for (const signatures of [node.signatures, ...node.others]) {
    must(signatures.length === signers.length, 'authentication', 'V-LG-03');
    signers.forEach((check, i) => check(signedText(node.id), signatures[i], 'V-LG-03'));
  }
}

function checkKeys(node, past) {
  const own = keysOf(node.op);
  if (!own.length) return;
  const known = new Set(past.flatMap((other) => keysOf(other.op)).map(key));
  must(
    own.every((one) => !known.has(key(one))),
    'malformed',
    'V-LG-06',
  );
}

function checkRemoval({ terminal, keep }, past) {
  must(
    past.some((other) => other.terminal?.equals(terminal)),
    'untrusted',
    'V-LG-07',
  );
  const isOwn = (id) => past.some((other) => other.id.equals(id) && authorOf(other) === key(terminal));
  must(keep.every(isOwn), 'malformed', 'V-LG-08');
}

function checkPlaced(node, nodes, genesis) {
  const past = pastOf(node, nodes);
  checkSignatures(node, past);
  if (node === genesis) return;
  checkKeys(node, past);
  removalsOf(node).forEach((removal) => checkRemoval(removal, past));
}

// What a set of signed operations means, by V-LG-01 to V-LG-08, V-LG-12 and V-OG. `pins`: seen, confirmed.
export function readLog(raws, pins = {}) {
  const nodes = readAll(raws);
  const genesis = checkPersons(nodes);
  const placed = place(nodes);
  placed.forEach((node) => checkPlaced(node, nodes, genesis));
  return results(new Reduction(nodes, placed, genesis, pins));
}

// What encoded operations mean that nobody has signed: of SPEC §7.3 alone.
export function reduceUnsigned(raws, pins) {
  const nodes = new Map();
  for (const bytes of raws) {
    const op = decodeOperation(bytes);
    const node = { id: operationId(op, bytes), op };
    node.terminal = op.signing?.length ? terminalId(op.signing, op.static) : null;
    nodes.set(key(node.id), node);
  }
  const genesis = checkPersons(nodes);
  return results(new Reduction(nodes, place(nodes), genesis, pins));
}

// The operations of each class, but for what is not counted.
function classesOf(log) {
  const past = log.path.at(-1)?.past ?? new Set();
  const counted = log.kept.filter((node) => authorOf(node) && !past.has(key(node.id)));
  const classes = { senior: [], other: [], gone: [] };
  for (const node of counted) {
    const standing = log.isGone(authorOf(node)) ? 'gone' : 'other';
    classes[authorOf(node) === log.senior ? 'senior' : standing].push(node);
  }
  return classes;
}

function isWithinBounds(log) {
  for (const [name, members] of Object.entries(classesOf(log))) {
    const grows = members.some((node) => log.fresh.includes(node));
    if (grows && members.length > CLASS_MOST[name]) return false;
  }
  return log.path.length <= RECOVERIES_MOST && hasRoom(log);
}

// All that is kept is bounded, with more room for a removal and what it follows, and any for a Recover.
function hasRoom({ fresh, kept, path }) {
  const known = path.at(-1)?.past ?? new Set();
  const bounded = fresh.filter((node) => node.op.is !== 'Recover' && !known.has(key(node.id)));
  const removals = bounded.filter((node) => node.op.is === 'Remove');
  const isBefore = (node) => removals.some((one) => one === node || one.past.has(key(node.id)));
  if (!bounded.length || kept.length <= KEPT_MOST) return true;
  return bounded.every(isBefore) && kept.length <= KEPT_MOST + ROOM_FOR_REMOVALS;
}

function joinLogs(held, received, pins) {
  const before = new Set(held.map((raw) => key(readOperation(raw).id)));
  const others = received.filter((raw) => !before.has(key(readOperation(raw).id)));
  const log = readLog([...held, ...others], pins);
  must(log.pending.length === 0, 'malformed', 'V-LG-09');
  log.received = [...log.nodes.values()].filter((node) => !before.has(key(node.id)));
  log.fresh = log.kept.filter((node) => !before.has(key(node.id)));
  log.dropped = log.lost.filter((node) => before.has(key(node.id))).map((node) => node.id);
  return log;
}

// Of what was received the operations of some kinds with their past.
function denyingOf({ received }, kinds) {
  const denying = received.filter((node) => kinds.includes(node.op.is));
  return received.filter((node) => denying.some((one) => one === node || one.past.has(key(node.id))));
}

// Operations that were received, together with those held.
export function receiveLog(held, received, pins = {}) {
  let log = joinLogs(held, received, pins);
  const whole = log;
  for (const kinds of [['Recover', 'Remove'], ['Recover']]) {
    if (isWithinBounds(log)) break;
    const some = denyingOf(whole, kinds);
    if (some.length === 0) continue;
    const raws = some.map((node) => node.raw);
    log = joinLogs(held, raws, pins);
  }
  must(isWithinBounds(log), 'limit', 'V-LG-10');
  return log;
}

const coveredBy = (log, heads) =>
  new Set(heads.flatMap((head) => [key(head), ...(log.nodes.get(key(head))?.past ?? [])]));

// What `kept` has outside of the past of these heads, raw and in causal order.
export function operationsBeyond(log, heads) {
  const covered = coveredBy(log, heads);
  return log.kept.filter((node) => !covered.has(key(node.id))).map((node) => node.raw);
}

// The log that LogHeads is about, of the two of the link (SPEC §5.12).
export function ownerNamed(person, own, contact) {
  const named = [own, contact].find((log) => log.person.equals(person));
  must(named, 'untrusted', 'V-LH-01');
  return named;
}
