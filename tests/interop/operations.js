// One operation of a person log: form, ids, making; SPEC §7.1, §7.2.
import { beginningOf, bytes, decode, encode, list, numberAtStart } from './codec.js';
import { numbered, struct, text } from './codec.js';
import { commitmentTo, selfKeyOf } from './drawing.js';
import { Rejected, must } from './errors.js';
import { ascending, isName } from './messages.js';
import { ascii, checkEd25519, checkX25519, dh, ed25519Pair, hash } from './primitives.js';
import { join, mldsaPair, random, sign, signMldsa } from './primitives.js';

const OPERATION_MOST = 1024;
const MOST = { Renew: 4096, Recover: 8192 };
const id = bytes(32);
const parents = list(1, 16, id);
const authored = { person: id, author: id, parents };
const keep = list(0, 4, id);
const Removal = struct({ terminal: id, keep });
const RecoveryKey = struct({ ed25519: id, mldsa: id });

export const Signed = struct({
  operation: bytes(0, MOST.Recover),
  signatures: list(1, 3, bytes(64, 3309)),
});
export const Operation = numbered({
  Genesis: [0, { random: id, recovery: RecoveryKey, drawn: id, signing: id, static: id }],
  Add: [1, { ...authored, signing: id, static: id, name: text(1, 32) }],
  Remove: [2, { ...authored, terminal: id, keep }],
  Rename: [3, { ...authored, name: text(1, 64) }],
  Recover: [
    4,
    {
      person: id,
      previous: id,
      mldsa: bytes(1952),
      parents,
      recovery: RecoveryKey,
      removed: list(0, 8, Removal),
      signing: bytes(0, 32),
      static: bytes(0, 32),
    },
  ],
  Renew: [5, { ...authored, drawn: id, once: id, sealed: list(0, 64, bytes(48)) }],
});

const KNOWN_MOST = 5;
const NUMBER_MOST = 65_535;

// An operation, also one of a later version: {is: 'Later', number, person, author, parents}.
export function decodeOperation(raw) {
  const { number } = numberAtStart(raw);
  if (number <= KNOWN_MOST) return decode(Operation, raw);
  must(number <= NUMBER_MOST, 'malformed', 'V-OG-02');
  return { is: 'Later', ...beginningOf(authored, raw) };
}

// The pairs of a recovery seed, and `named`, what an operation says of them.
export function recoveryKey(seed) {
  const ed25519 = ed25519Pair(hash('parlour.recovery', [], { key: seed }));
  const mldsa = mldsaPair(hash('parlour.rec.pq', [], { key: seed }));
  return { ed25519, mldsa, named: { ed25519: ed25519.key, mldsa: hashOf(mldsa.key) } };
}

// What names an ML-DSA-65 key.
export const hashOf = (mldsa) => hash('parlour.mldsakey', [mldsa]);

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

// The signatures of an encoded Recover, given the seed of the key in force and the pair of a new terminal, if any.
export function signRecover(raw, seed, newcomers) {
  const { ed25519, mldsa } = recoveryKey(seed);
  const text = signedText(operationIdOf(raw));
  return [sign(ed25519, text), signMldsa(mldsa, text), ...newcomers.map((pair) => sign(pair, text))];
}

// A new person with its first terminal: pairs `signing`, `fixed`; a log of Genesis and Rename.
export function newLog({ signing, fixed }, name, { seed, drawn } = { seed: random(32), drawn: random(32) }) {
  const recovery = recoveryKey(seed);
  const keys = { recovery: recovery.named, drawn: commitmentTo(drawn), signing: signing.key, static: fixed.key };
  const genesis = make({ is: 'Genesis', random: random(32), ...keys }, [signing, recovery.ed25519]);
  const author = terminalId(signing.key, fixed.key);
  const place = { person: genesis.id, author, parents: [genesis.id] };
  return {
    person: genesis.id,
    terminal: author,
    selfKey: selfKeyOf(drawn),
    drawn: { operation: genesis.id, secret: drawn },
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

const present = (keys) => keys.filter((key) => key?.length);
const signingKeys = (op) => present([op.recovery?.ed25519, op.signing]);
const staticKeys = (op) => present([op.static]);

// Those of the terminal that an operation brings in.
export const keysOf = (op) => present([op.signing, op.static]);

function checkStatic(key) {
  checkX25519(key);
  dh(Buffer.alloc(32, 1), key);
}

function checkForm(op) {
  const removed = op.removed ?? [];
  const kept = [op, ...removed].map((removal) => removal.keep ?? []);
  const lists = [op.parents ?? [], removed.map((removal) => removal.terminal), ...kept];
  must(lists.every(ascending), 'malformed', 'V-OG-04');
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
  must(raw.length <= MOST.Recover, 'limit', 'V-OG-01');
  const { signed, op } = under('V-OG-02', () => {
    const outer = decode(Signed, raw);
    return { signed: outer, op: decodeOperation(outer.operation) };
  });
  must(raw.length <= (MOST[op.is] ?? OPERATION_MOST), 'limit', 'V-OG-01');
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
