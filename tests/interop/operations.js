// One operation of a person log: form, ids, making; SPEC §7.1, §7.2.
import { beginningOf, bytes, decode, encode, list, numberAtStart } from './codec.js';
import { numbered, struct, text, u32 } from './codec.js';
import { Rejected, must } from './errors.js';
import { ascending, isName } from './messages.js';
import { ascii, checkEd25519, checkX25519, dh, hash, join, random, sign } from './primitives.js';

const OPERATION_MOST = 1024;
const id = bytes(32);
const parents = list(0, 16, id);
const authored = { person: id, author: id, sequence: u32, parents };
const Removal = struct({ terminal: id, last: bytes(0, 32) });

export const Signed = struct({ operation: bytes(0, 1024), signatures: list(1, 3, bytes(64)) });
export const Operation = numbered({
  Genesis: [0, { random: id, recovery: id, signing: id, static: id }],
  Add: [1, { ...authored, signing: id, static: id, name: text(1, 32) }],
  Remove: [2, { ...authored, terminal: id, last: bytes(0, 32) }],
  Rename: [3, { ...authored, name: text(1, 64) }],
  Recover: [
    4,
    {
      person: id,
      previous: id,
      sequence: u32,
      parents,
      recovery: id,
      removed: list(0, 8, Removal),
      signing: bytes(0, 32),
      static: bytes(0, 32),
    },
  ],
});

const KNOWN_MOST = 4;
const NUMBER_MOST = 65_535;

// An operation, also one of a later version: {is: 'Later', number, person, author, sequence, parents}.
export function decodeOperation(raw) {
  const { number } = numberAtStart(raw);
  if (number <= KNOWN_MOST) return decode(Operation, raw);
  must(number <= NUMBER_MOST, 'malformed', 'V-OG-02');
  return { is: 'Later', ...beginningOf(authored, raw) };
}

// The Ed25519 seed of the recovery key with a number.
export function recoverySeed(seed, number) {
  const input = Buffer.alloc(4);
  input.writeUInt32BE(number);
  return hash('parlour.recovery', [input], { key: seed });
}

export const terminalId = (signing, fixed) => hash('parlour.terminal', [signing, fixed]);
export const personId = (genesis) => hash('parlour.person', [genesis]);

// The id of an encoded operation that is no genesis.
export const operationIdOf = (raw) => hash('parlour.log.op', [raw]);

export function operationId(operation, raw) {
  return operation.is === 'Genesis' ? personId(raw) : operationIdOf(raw);
}

export const signedText = (operationName) => join(ascii('parlour.sign.operation\0'), operationName);

// The signed operation, given the pairs that sign it in the order of the table.
export function make(operation, signers) {
  const raw = encode(Operation, operation);
  const name = operationId(operation, raw);
  const signatures = signers.map((pair) => sign(pair, signedText(name)));
  return { id: name, raw: encode(Signed, { operation: raw, signatures }) };
}

// A new person with its first terminal: pairs `recovery`, `signing`, `fixed`; a log of Genesis and Rename.
export function newLog({ recovery, signing, fixed }, name, fresh = random(32)) {
  const keys = { recovery: recovery.key, signing: signing.key, static: fixed.key };
  const genesis = make({ is: 'Genesis', random: fresh, ...keys }, [signing, recovery]);
  const author = terminalId(signing.key, fixed.key);
  const place = { person: genesis.id, author, sequence: 1, parents: [genesis.id] };
  return {
    person: genesis.id,
    terminal: author,
    log: [genesis, make({ is: 'Rename', ...place, name }, [signing])],
  };
}

// Runs `work`; whatever it rejects is malformed by this rule.
function under(rule, work) {
  try {
    return work();
  } catch (error) {
    if (error instanceof Rejected) throw new Rejected('malformed', rule);
    throw error;
  }
}

const signingKeys = (op) => [op.recovery, op.signing].filter((key) => key?.length);
const staticKeys = (op) => [op.static].filter((key) => key?.length);
export const keysOf = (op) => [...signingKeys(op), ...staticKeys(op)];

function checkStatic(key) {
  checkX25519(key);
  dh(Buffer.alloc(32, 1), key);
}

function checkLasts(op) {
  const lasts = op.is === 'Remove' ? [op.last] : (op.removed ?? []).map((removal) => removal.last);
  must(
    lasts.every((last) => [0, 32].includes(last.length)),
    'malformed',
    'V-OG-05',
  );
}

function checkForm(op) {
  must(op.is === 'Genesis' || (op.parents.length && op.sequence), 'malformed', 'V-OG-03');
  const removed = (op.removed ?? []).map((removal) => removal.terminal);
  must(ascending(op.parents ?? []) && ascending(removed), 'malformed', 'V-OG-04');
  checkLasts(op);
  must(!['Rename', 'Add'].includes(op.is) || isName(op.name), 'malformed', 'V-OG-06');
  must(op.is !== 'Recover' || op.signing.length === op.static.length, 'malformed', 'V-OG-07');
  under('V-OG-08', () => {
    signingKeys(op).forEach(checkEd25519);
    staticKeys(op).forEach(checkStatic);
  });
  const keys = keysOf(op).map((key) => key.toString('hex'));
  must(new Set(keys).size === keys.length, 'malformed', 'V-OG-09');
}

// One signed operation, judged alone: {id, raw, op, signatures, terminal}; terminal: the one it brings in.
export function readOperation(raw) {
  must(raw.length <= OPERATION_MOST, 'limit', 'V-OG-01');
  const { signed, op } = under('V-OG-02', () => {
    const outer = decode(Signed, raw);
    return { signed: outer, op: decodeOperation(outer.operation) };
  });
  checkForm(op);
  const terminal = op.signing?.length ? terminalId(op.signing, op.static) : null;
  return {
    id: operationId(op, signed.operation),
    raw,
    bytes: signed.operation,
    op,
    signatures: signed.signatures,
    terminal,
  };
}
