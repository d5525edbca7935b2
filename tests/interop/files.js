// Files: bodies, sealed pieces, the tree that proves them, and what two ends owe each other; SPEC §12.
import { bytes, decode, int, list, struct, text } from './codec.js';
import { Rejected, must } from './errors.js';
import { equal, hash, open, random, seal, tagSize } from './primitives.js';

export const PIECE = 59_392;
const FILE_MOST = 2 ** 40;
const NAME_MOST = 200;
const FOLDERS_MOST = 16;
const VOICE_MOST = 3_600;
const ASKS_MOST = 16;
const BODY_MOST = 131_072;
const id = bytes(32);

export const FileBody = struct({
  name: text(1, NAME_MOST),
  media: text(0, 127),
  size: int(0, FILE_MOST),
  aead: int(1, 2),
  key: id,
  root: id,
  folder: list(0, FOLDERS_MOST, text(1, NAME_MOST)),
  seconds: int(0, VOICE_MOST),
});

const UNNAMED = /[\u0000-\u001f\u007f-\u009f/\\]/u;
const MEDIA = /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/u;

export function checkFile({ name, media, folder }) {
  const isName = (one) => Buffer.byteLength(one) <= NAME_MOST && !UNNAMED.test(one) && !['.', '..'].includes(one);
  must([name, ...folder].every(isName), 'malformed', 'V-ET-09');
  must(media === '' || MEDIA.test(media), 'malformed', 'V-ET-09');
}

export function readFile(raw) {
  try {
    const body = decode(FileBody, raw, BODY_MOST);
    checkFile(body);
    return body;
  } catch (error) {
    if (error instanceof Rejected) throw new Rejected('malformed', 'V-ET-09');
    throw error;
  }
}

const NAMES = { 1: 'AEGIS-256', 2: 'ChaCha20-Poly1305' };
const NONCES = { 1: 32, 2: 12 };

function nonceOf(aead, number) {
  const nonce = Buffer.alloc(NONCES[aead]);
  nonce.writeUInt32BE(number, nonce.length - 4);
  return nonce;
}

const nothing = Buffer.alloc(0);
export const sealPiece = (aead, key, number, piece) =>
  seal(NAMES[aead], key, piece, nothing, nonceOf(aead, number));
export const openPiece = (aead, key, number, sealed) =>
  open(NAMES[aead], key, sealed, nothing, { nonce: nonceOf(aead, number) });

export const countOf = (size) => Math.max(1, Math.ceil(size / PIECE));

// Bytes of a sealed piece of a file.
function lengthOf(size, aead, number) {
  const last = number === countOf(size) - 1;
  return (last ? size - number * PIECE : PIECE) + tagSize(NAMES[aead]);
}

export const leafOf = (sealed) => hash('parlour.aleaf', [sealed]);
const nodeOf = (left, right) => hash('parlour.anode', [left, right]);

// All levels of the tree, the leaves first.
export function treeOf(leaves) {
  const levels = [leaves];
  while (levels.at(-1).length > 1) {
    const below = levels.at(-1);
    const level = [];
    for (let at = 0; at < below.length; at += 2) {
      level.push(at + 1 < below.length ? nodeOf(below[at], below[at + 1]) : below[at]);
    }
    levels.push(level);
  }
  return levels;
}

export function sizesOf(count) {
  const sizes = [count];
  while (sizes.at(-1) > 1) sizes.push(Math.ceil(sizes.at(-1) / 2));
  return sizes;
}

// [level, place] of each hash that proves a piece.
export function proofOf(count, number) {
  const found = [];
  let place = number;
  for (const [level, nodes] of sizesOf(count).entries()) {
    const other = place % 2 ? place - 1 : place + 1;
    if (other < nodes) found.push([level, other]);
    place = Math.floor(place / 2);
  }
  return found;
}

export function checkPiece({ number, path, data }, { size, aead, root }) {
  const count = countOf(size);
  must(number < count && data.length === lengthOf(size, aead, number), 'malformed', 'V-PE-02');
  const proof = proofOf(count, number);
  must(path.length === proof.length, 'malformed', 'V-PE-02');
  let node = leafOf(data);
  for (const [at, [, place]] of proof.entries()) {
    node = place % 2 ? nodeOf(node, path[at]) : nodeOf(path[at], node);
  }
  must(equal(node, root), 'authentication', 'V-PE-03');
}

// A content in memory, sealed under a key that is drawn for it: the body that names it, and its pieces.
export function sealFile(name, media, content) {
  const [aead, fileKey] = [2, random(32)];
  const sealed = Array.from({ length: countOf(content.length) }, (_, number) =>
    sealPiece(aead, fileKey, number, content.subarray(number * PIECE, (number + 1) * PIECE)),
  );
  const levels = treeOf(sealed.map(leafOf));
  const pieces = sealed.map((data, number) => {
    const path = proofOf(sealed.length, number).map(([level, place]) => levels[level][place]);
    return { number, path, data };
  });
  const root = levels.at(-1)[0];
  return { body: { name, media, size: content.length, aead, key: fileKey, root, folder: [], seconds: 0 }, pieces };
}

const key = (entry) => entry.toString('hex');

// What the other end asks of this one.
export class Supply {
  asks = new Map();

  get unanswered() {
    return [...this.asks.values()].reduce((sum, asks) => sum + asks.length, 0);
  }

  take({ entry, ranges }) {
    const rises = ranges.every(({ first }, i) => i === 0 || ranges[i - 1].first + ranges[i - 1].count <= first);
    must(rises, 'malformed', 'V-AK-01');
    must(this.unanswered < ASKS_MOST, 'limit', 'V-AK-02');
    const asks = this.asks.get(key(entry)) ?? [];
    asks.push(ranges.map((range) => ({ ...range })));
    this.asks.set(key(entry), asks);
  }

  drop(entry) {
    for (const ask of this.asks.get(key(entry)) ?? []) ask.length = 0;
  }

  // {entry, first, count}, {entry} at the end of an ask, or null.
  next(most) {
    if (!this.asks.size) return null;
    const [name, asks] = this.asks.entries().next().value;
    this.asks.delete(name);
    const due = { entry: Buffer.from(name, 'hex') };
    const [range] = asks[0];
    if (range) {
      Object.assign(due, { first: range.first, count: Math.min(most, range.count) });
      range.first += due.count;
      range.count -= due.count;
      if (!range.count) asks[0].shift();
    } else asks.shift();
    if (asks.length) this.asks.set(name, asks);
    return due;
  }
}

// What this end has asked of the other one.
export class Demand {
  asks = new Map();
  entries = new Set();

  ask(entry, ranges) {
    const wanted = new Set();
    for (const { first, count } of ranges) for (let i = 0; i < count; i += 1) wanted.add(first + i);
    this.entries.add(key(entry));
    this.asks.set(key(entry), [...(this.asks.get(key(entry)) ?? []), wanted]);
    return { is: 'AskPieces', entry, ranges };
  }

  takes({ entry, number }) {
    must(this.entries.has(key(entry)), 'unexpected', 'V-PE-01');
    const ask = (this.asks.get(key(entry)) ?? []).find((wanted) => wanted.has(number));
    return ask ? ask.delete(number) : false;
  }

  ended({ entry }) {
    const asks = this.asks.get(key(entry)) ?? [];
    must(asks.length, 'unexpected', 'V-EP-01');
    return [...asks.shift()].sort((a, b) => a - b);
  }
}
