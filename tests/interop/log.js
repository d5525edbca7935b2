// A set of operations of one person: validity and what it means; SPEC §7.2, §7.3.
import { must } from './errors.js';
import { keysOf, readOperation, signedText } from './operations.js';
import { checkSignature } from './primitives.js';

const HELD_MOST = 512;
const OTHERS_MOST = 256;
const HEADS_MOST = 16;
const RECOVERY = 'recovery key';

export const key = (value) => value.toString('hex');
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

const parentsOf = (node) => (node.op.parents ?? []).map(key);
const authorOf = ({ op }) => (op.is === 'Genesis' ? null : op.is === 'Recover' ? RECOVERY : key(op.author));

// Sets depth and past of every node that is placed; the placed ones in the order of (depth, id).
function place(nodes) {
  const placed = [];
  let waiting = [...nodes.values()].sort(byId);
  for (let depth = 0; waiting.length; depth++) {
    const ready = waiting.filter((node) => parentsOf(node).every((name) => nodes.get(name)?.depth < depth));
    if (!ready.length) break;
    ready.forEach((node) => putAt(node, depth, nodes));
    placed.push(...ready);
    waiting = waiting.filter((node) => node.depth === undefined);
  }
  return placed;
}

function putAt(node, depth, nodes) {
  node.depth = depth;
  node.past = new Set();
  for (const name of parentsOf(node)) {
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

// The Recover that holds after a set, or null.
function newestRecover(set) {
  const recovers = set.filter((node) => node.op.is === 'Recover');
  return recovers.sort((a, b) => b.op.sequence - a.op.sequence || byId(a, b))[0] ?? null;
}

const recoveryKey = (set, genesis) => (newestRecover(set) ?? genesis).op.recovery;

function authorKey(node, past) {
  const brought = past.find((other) => other.terminal?.equals(node.op.author));
  must(brought, 'untrusted', 'V-LG-04');
  return brought.op.signing;
}

function signersOf(node, past, genesis) {
  const { op } = node;
  if (op.is === 'Genesis') return [op.signing, op.recovery];
  const newcomer = op.signing?.length ? [op.signing] : [];
  const first = op.is === 'Recover' ? recoveryKey(past, genesis) : authorKey(node, past);
  return [first, ...newcomer];
}

const signatureCount = ({ op }) => 1 + (op.signing?.length ? 1 : 0);

function checkSignatures(node, past, genesis) {
  for (const signatures of [node.signatures, ...node.others]) {
    must(signatures.length === signatureCount(node), 'authentication', 'V-LG-03');
    signersOf(node, past, genesis).forEach((signer, i) => {
      checkSignature(signer, signedText(node.id), signatures[i], 'V-LG-03');
    });
  }
}

function checkSequence(node, past) {
  const own = past.filter((other) => authorOf(other) === authorOf(node)).map((other) => other.op.sequence);
  must(node.op.sequence === Math.max(0, ...own) + 1, 'malformed', 'V-LG-05');
}

function checkKeys(node, past) {
  const known = new Set(past.flatMap((other) => keysOf(other.op)).map(key));
  must(
    keysOf(node.op).every((one) => !known.has(key(one))),
    'malformed',
    'V-LG-06',
  );
}

export const removalsOf = ({ op }) => (op.is === 'Remove' ? [op] : op.is === 'Recover' ? op.removed : []);

function checkRemoval({ terminal, last }, past) {
  must(
    past.some((other) => other.terminal?.equals(terminal)),
    'untrusted',
    'V-LG-07',
  );
  const own = past.some((other) => other.id.equals(last) && authorOf(other) === key(terminal));
  must(last.length === 0 || own, 'malformed', 'V-LG-08');
}

function checkPlaced(node, nodes, genesis) {
  const past = pastOf(node, nodes);
  checkSignatures(node, past, genesis);
  if (node === genesis) return;
  checkSequence(node, past);
  checkKeys(node, past);
  removalsOf(node).forEach((removal) => checkRemoval(removal, past));
}

// `upto(x)`, for an id that may be empty.
function upto(last, nodes) {
  if (last.length === 0) return new Set();
  const node = nodes.get(key(last));
  return node ? new Set([key(last), ...node.past]) : new Set();
}

class Count {
  constructor(nodes, placed, genesis) {
    Object.assign(this, { nodes, placed, established: [], newKeys: new Set() });
    const first = placed.filter((node) => node === genesis || node.op.is === 'Recover');
    this.counting = new Set(first);
    this.standing = new Set(first);
  }

  run() {
    const introducing = this.placed.filter((node) => node.terminal);
    introducing.sort((a, b) => a.depth - b.depth || Buffer.compare(a.terminal, b.terminal) || byId(a, b));
    introducing.forEach((node) => this.introduce(node));
    this.dropByJuniors();
    return this;
  }

  find(terminal) {
    return this.established.find((one) => one.terminal.equals(terminal));
  }

  introduce(node) {
    if (!this.counting.has(node) || this.find(node.terminal)) return;
    const keys = [node.op.signing, node.op.static].map(key);
    if (keys.some((one) => this.newKeys.has(one))) {
      if (node.op.is === 'Add') this.counting.delete(node);
      return;
    }
    keys.forEach((one) => this.newKeys.add(one));
    this.establish(node);
  }

  establish(node) {
    const terminal = { terminal: node.terminal, introducer: node, removals: [], expelled: false };
    terminal.seniority = this.established.length;
    this.established.push(terminal);
    let own = this.placed.filter((one) => authorOf(one) === key(node.terminal));
    own = this.cutByOthers(terminal, own);
    own.forEach((one) => this.standing.add(one));
    own = this.cutByItself(terminal, own);
    own.forEach((one) => this.counting.add(one));
  }

  cutByOthers(terminal, own) {
    for (const node of this.counting) {
      const removal = removalsOf(node).find((one) => one.terminal.equals(terminal.terminal));
      if (!removal) continue;
      Object.assign(terminal, { expelled: true });
      terminal.removals.push(node);
      const kept = upto(removal.last, this.nodes);
      own = own.filter((one) => kept.has(key(one.id)));
    }
    return own;
  }

  cutByItself(terminal, own) {
    const leaving = own.filter(({ op }) => op.is === 'Remove' && op.terminal.equals(terminal.terminal));
    for (const node of leaving) {
      const kept = upto(node.op.last, this.nodes);
      own = own.filter((one) => kept.has(key(one.id)) || leaving.includes(one));
    }
    terminal.removals.push(...leaving);
    return own;
  }

  dropByJuniors() {
    for (const node of [...this.counting]) {
      if (node.op.is !== 'Remove' || node.op.terminal.equals(node.op.author)) continue;
      const [author, target] = [this.find(node.op.author), this.find(node.op.terminal)];
      if (!(author && target && author.seniority < target.seniority)) this.counting.delete(node);
    }
  }
}

function forksOf(count) {
  const groups = new Map();
  for (const node of count.standing) {
    if (node.op.is === 'Genesis') continue;
    const name = `${authorOf(node)} ${node.op.sequence}`;
    groups.set(name, [...(groups.get(name) ?? []), node]);
  }
  return [...groups.values()]
    .filter((group) => group.length > 1 && !settled(group, count))
    .map((g) => g.sort(byId));
}

function settled(group, count) {
  if (group[0].op.is !== 'Recover') return count.find(group[0].op.author)?.expelled ?? false;
  const recovers = [...count.standing].filter((node) => node.op.is === 'Recover');
  return recovers.some((later) => group.every((one) => later.past.has(key(one.id))));
}

function lastOf(terminal, count) {
  return count.placed.filter((n) => count.counting.has(n) && authorOf(n) === key(terminal)).at(-1) ?? null;
}

function highest(kept) {
  const out = new Map();
  for (const node of kept) {
    const author = authorOf(node);
    if (author) out.set(author, Math.max(out.get(author) ?? 0, node.op.sequence));
  }
  return out;
}

const isLive = (terminal) => terminal.removals.length === 0;

function results(nodes, placed, genesis) {
  const count = new Count(nodes, placed, genesis).run();
  const keptIds = new Set([...count.standing].flatMap((node) => [key(node.id), ...node.past]));
  const kept = placed.filter((node) => keptIds.has(key(node.id)));
  const covered = new Set([...count.standing].flatMap((node) => [...node.past]));
  const renames = placed.filter((node) => node.op.is === 'Rename' && count.counting.has(node));
  const recover = newestRecover(placed);
  return {
    person: genesis.id,
    name: renames.at(-1)?.op.name ?? '',
    recovery: (recover ?? genesis).op.recovery,
    recoveries: recover?.op.sequence ?? 0,
    established: count.established,
    live: count.established.filter(isLive),
    removed: count.established.filter((terminal) => !isLive(terminal)),
    last: new Map(count.established.map(({ terminal }) => [key(terminal), lastOf(terminal, count)])),
    forks: forksOf(count),
    kept,
    sequence: highest(kept),
    heads: [...count.standing]
      .filter((node) => !covered.has(key(node.id)))
      .map((n) => n.id)
      .sort(Buffer.compare),
    pending: [...nodes.values()]
      .filter((node) => node.depth === undefined)
      .map((n) => n.id)
      .sort(Buffer.compare),
    counting: count.counting,
    standing: count.standing,
    nodes,
    placed,
  };
}

// What a set of signed operations means, by V-LG-01 to V-LG-08 and V-OG.
export function readLog(raws) {
  const nodes = readAll(raws);
  const genesis = checkPersons(nodes);
  const placed = place(nodes);
  placed.forEach((node) => checkPlaced(node, nodes, genesis));
  return results(nodes, placed, genesis);
}

function checkBounds(log) {
  const senior = log.live[0] ? key(log.live[0].terminal) : null;
  const others = log.kept.filter((node) => ![null, RECOVERY, senior].includes(authorOf(node)));
  must(others.length <= OTHERS_MOST && log.heads.length <= HEADS_MOST, 'limit', 'V-LG-10');
}

const allKeys = (log) => [...log.nodes.values()].flatMap((node) => keysOf(node.op)).map(key);

// Operations that were received, together with those held. `foreign`: the logs of other persons.
export function receiveLog(held, received, foreign = []) {
  const log = readLog([...held, ...received]);
  must(log.pending.length === 0, 'malformed', 'V-LG-09');
  checkBounds(log);
  checkForeign(log, foreign);
  return log;
}

export function checkForeign(log, foreign, rule = 'V-LG-11') {
  const taken = new Set(foreign.flatMap(allKeys));
  must(
    allKeys(log).every((one) => !taken.has(one)),
    'untrusted',
    rule,
  );
}

// What `kept` has outside of the past of these heads, raw and in causal order.
export function operationsBeyond(log, heads) {
  const covered = new Set();
  for (const head of heads) {
    const node = log.nodes.get(key(head));
    if (node) [key(head), ...(node.past ?? [])].forEach((name) => covered.add(name));
  }
  return log.kept.filter((node) => !covered.has(key(node.id))).map((node) => node.raw);
}

// Whether a share drawn under these heads is older than a removal (SPEC §7.6).
export function isStale(log, heads) {
  const covered = new Set(heads.flatMap((head) => [key(head), ...(log.nodes.get(key(head))?.past ?? [])]));
  return log.established.some(({ removals }) => removals.some((node) => !covered.has(key(node.id))));
}
