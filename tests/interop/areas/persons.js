// Vectors of person logs; SPEC §7.1 to §7.3.
import { openRenew } from '../drawing.js';
import { operationsBeyond, ownerNamed, readLog, receiveLog, removalsOf } from '../log.js';
import { encode } from '../codec.js';
import { decodeMessage, encodeMessage } from '../messages.js';
import { Signed, decodeOperation, operationIdOf, readOperation, recoveryKey } from '../operations.js';
import { personId, signRecover, signedText, terminalId } from '../operations.js';
import { checkMldsaSignature, ed25519Pair, empty, hash, sign, x25519Pair } from '../primitives.js';
import { readRecoveryWords, recoveryWords } from '../recovery.js';
import { expectSame, hex } from './expect.js';

function terminal(step) {
  const signing = ed25519Pair(hex(step.signing_seed)).key;
  const fixed = x25519Pair(hex(step.static_secret)).key;
  expectSame(step, 'gives', { signing, static: fixed, terminal: terminalId(signing, fixed) });
}

function signOperation(step) {
  const raw = hex(step.operation);
  const genesis = raw[1] === 0;
  const name = genesis ? personId(raw) : hash('parlour.log.op', [raw]);
  const signatures = step.signing_seeds.map((seed) => sign(ed25519Pair(hex(seed)), signedText(name)));
  expectSame(step, 'gives', { signed: encode(Signed, { operation: raw, signatures }) });
}

// The ML-DSA-65 signature is another one each time.
function signRecovery(step) {
  const raw = hex(step.operation);
  const [first, drawn, ...others] = signRecover(
    raw,
    hex(step.recovery_seed),
    step.terminal_seeds.map((seed) => ed25519Pair(hex(seed))),
  );
  checkMldsaSignature(decodeOperation(raw).mldsa, signedText(operationIdOf(raw)), drawn);
  expectSame(step, 'gives', { ed25519_signatures: [first, ...others] });
}

function parse(step) {
  const node = readOperation(hex(step.signed));
  const { op } = node;
  expectSame(step, 'gives', {
    id: node.id,
    person: op.person ?? node.id,
    author: op.author ?? empty,
    parents: op.parents ?? [],
    brings_in: node.terminal ?? empty,
    removes: removalsOf(node).map(({ terminal: gone, keep }) => ({ terminal: gone, keep })),
  });
}

const ids = (nodes) => nodes.map((node) => node.id);

const standing = ({ terminal, introducer }) => ({ terminal, operation: introducer.id });
const sorted = (list) => list.sort(Buffer.compare);

export function reduced(log) {
  return {
    person: log.person,
    name: log.name,
    recovery: log.recovery,
    path: ids(log.path),
    rivals: log.rivals,
    contested: log.contested,
    live: log.live.map(standing),
    gone: log.gone.map(standing),
    removed: sorted(log.removed.map(({ terminal }) => terminal)),
    copied: log.copied.map(({ terminal, pair }) => ({ terminal: Buffer.from(terminal, 'hex'), operations: ids(pair) })),
    drawn: log.drawn.map(({ node, standing: how }) => ({ operation: node.id, standing: how })),
    counting: log.counting,
    kept: sorted(ids(log.kept)),
    heads: log.heads,
    pending: log.pending,
  };
}

function openDrawn(log, raw, step) {
  const { op } = readOperation(raw);
  const fixed = x25519Pair(hex(step.static_secret));
  const { terminal } = log.terminals.find(({ introducer }) => introducer.op.static.equals(fixed.key));
  const drawn = openRenew(op, log.liveAfter(op.parents), terminal, hex(step.first_self_key), fixed);
  expectSame(step, 'gives', { drawn: drawn ?? empty });
}

export function persons({ operations = {} }, steps) {
  const raws = (names) => names.map((name) => hex(operations[name]));
  const nameOf = (raw) => Object.keys(operations).find((name) => hex(operations[name]).equals(raw));
  const run = {
    terminal,
    recovery_key: (step) => expectSame(step, 'gives', recoveryKey(hex(step.seed)).named),
    recovery_words: (step) => expectSame(step, 'gives', { words: recoveryWords(hex(step.seed)) }),
    read_recovery_words: (step) => expectSame(step, 'gives', { seed: readRecoveryWords(step.text) }),
    sign: signOperation,
    sign_recover: signRecovery,
    parse,
    reduce: (step) => expectSame(step, 'gives', reduced(readLog(raws(step.operations), step))),
    open_renew: (step) => openDrawn(readLog(raws(step.operations)), hex(operations[step.renew]), step),
    extend(step) {
      const held = raws(step.held);
      const log = receiveLog(held, raws(step.received), step);
      const fresh = log.fresh.map((node) => nameOf(node.raw));
      expectSame(step, 'gives', { new: fresh, dropped: log.dropped, heads: log.heads });
    },
    missing(step) {
      const found = operationsBeyond(readLog(raws(step.operations)), step.heads.map(hex));
      expectSame(step, 'gives', { operations: found.map(nameOf) });
    },
    receive_log_heads(step) {
      const [own, contact] = [step.own, step.contact].map((names) => readLog(raws(names)));
      const { person, heads } = decodeMessage(hex(step.message));
      const operations = operationsBeyond(ownerNamed(person, own, contact), heads);
      const answers = operations.length ? [encodeMessage({ is: 'LogOperations', operations })] : [];
      expectSame(step, 'gives', { answers });
    },
  };
  return steps.map((step) => () => run[step.do](step));
}
