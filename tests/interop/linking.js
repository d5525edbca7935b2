// Linking a terminal of one's own on an OPEN link, after the comparison of words; SPEC §7.8.1, §5.11.1 to §5.11.5.
import { pairingSecrets } from './agreement.js';
import { decode, encode } from './codec.js';
import { checkDrawn } from './drawing.js';
import { Rejected, must, reject } from './errors.js';
import { key, readLog, receiveLog } from './log.js';
import { areShares, ascending, encodeMessage, isName, isTerminalName } from './messages.js';
import { Operation, Signed, keysOf, operationIdOf, readOperation, signedText } from './operations.js';
import { commitmentOf, fiveWords } from './pairing.js';
import { ascii, checkEd25519, checkSignature, checkX25519 } from './primitives.js';
import { dh, equal, hash, join, sign } from './primitives.js';
import { readAddress } from './relay_address.js';

const MESSAGE_MOST = 256;
const BYTES_MOST = 262_144;
const LOG_MOST = 2048;
const INITIATOR = Buffer.from([0]);

const bare = (message) => ({ ...message, proof: Buffer.alloc(32), signature: Buffer.alloc(64) });
const coreOf = (message) => hash('parlour.new.core', [encodeMessage(bare(message))]);
const proofOf = (message, shared, t) =>
  hash('parlour.newproof', [INITIATOR, t, coreOf(message)], { key: shared });
const textOf = (message, t) =>
  join(ascii('parlour.sign.newterminal\0'), INITIATOR, t, coreOf(message), message.proof);

const COURSE = {
  initiator: {
    Reveal: { COMMITTED: 'COMPARING' },
    LogOperations: { OFFERED: 'OFFERED', TOLD: 'TOLD', CONSENTED: 'READY' },
    LinkState: { OFFERED: 'TOLD' },
    SharedPairing: { TOLD: 'TOLD' },
    Addition: { TOLD: 'CONSENTED' },
  },
  responder: {
    Commit: { LISTENING: 'REVEALED' },
    Open: { REVEALED: 'COMPARING' },
    NewTerminal: { COMPARING: 'OFFERED', CONFIRMED: 'SHARING' },
    Consent: { SHARED: 'READY' },
  },
};

const OUT_OF_TURN = {
  Commit: 'V-CM-02',
  Reveal: 'V-RV-02',
  Open: 'V-OP-02',
  NewTerminal: 'V-NT-06',
  SharedPairing: 'V-SP-04',
  LinkState: 'V-LS-04',
  Addition: 'V-AD-04',
  Consent: 'V-CO-02',
};

// The words, and what both ends have in common. `name` is shown on the other side.
class Linking {
  constructor(link, actor, name, nonce) {
    Object.assign(this, pairingSecrets(link.agreed), { link, actor, name, nonce, out: [], events: [] });
  }

  receive(message) {
    const next = COURSE[this.actor][message.is]?.[this.state];
    if (!next) reject('unexpected', OUT_OF_TURN[message.is] ?? 'V-MS-04');
    this[`take${message.is}`](message, next);
    this.state = next;
    return this.events.splice(0);
  }

  showWords(nonceI, nonceR) {
    this.events.push({ is: 'words', words: fiveWords(this.t, nonceI, nonceR), name: this.shown });
  }

  refuse() {
    this.state = 'FAILED';
    this.out.push({ is: 'Close', reason: 3 });
    return [];
  }

  ended(by) {
    const unsure = this.state === 'ADDED';
    this.state = 'FAILED';
    return [{ is: 'failed', by, unsure }];
  }
}

// The new terminal. `pairs`: its signing and static pairs. At the end `told` is the LinkState, `signed` its Add, and
// `shared` has {log, message} of each contact, the message a SharedPairing.
export class BeingAdded extends Linking {
  constructor(link, pairs, name, nonce) {
    super(link, 'initiator', name, nonce);
    Object.assign(this, { pairs, state: 'COMMITTED', before: [], contacts: [], shared: [] });
    this.out.push({ is: 'Commit', commitment: commitmentOf(this.t, nonce), name });
  }

  takeReveal({ nonce, name }) {
    this.shown = name;
    this.out.push({ is: 'Open', nonce: this.nonce });
    this.showWords(this.nonce, nonce);
  }

  confirm() {
    const { signing, fixed } = this.pairs;
    const keys = { signing: signing.key, static: fixed.key, name: this.name };
    const message = bare({ is: 'NewTerminal', ...keys });
    message.proof = proofOf(message, dh(fixed.secret, this.link.peerKey), this.t);
    message.signature = sign(signing, textOf(message, this.t));
    this.out.push(message);
    this.state = 'OFFERED';
    return [];
  }

  takeLogOperations({ operations }, next) {
    if (next === 'READY') return this.takeAdd(operations);
    this.before.push(...operations);
    must(this.before.length <= LOG_MOST, 'limit', 'V-LS-03');
  }

  // The log that has come before what is said about it.
  logOf({ person, seen, confirmed }, [form, contradiction]) {
    must(ascending(seen) && ascending(confirmed), 'malformed', form);
    const raws = this.before.splice(0);
    const log = readLog(raws, { seen: seen.map(key), confirmed: confirmed.map(key) });
    must(log.pending.length === 0, 'malformed', 'V-LG-09');
    must(log.person.equals(person), 'untrusted', contradiction);
    return { ...log, raws };
  }

  takeLinkState(message) {
    const log = this.logOf(message, ['V-LS-01', 'V-LS-02']);
    must(log.name === this.shown, 'untrusted', 'V-LS-02');
    must(
      log.live.some((one) => one.terminal.equals(message.terminal)),
      'untrusted',
      'V-LS-02',
    );
    checkDrawn([...log.nodes.values()], log.person, message.drawn);
    must(message.relays.every(isRelay), 'malformed', 'V-LS-01');
    Object.assign(this, { log, told: message });
  }

  takeSharedPairing(message) {
    const log = this.logOf(message, ['V-SP-01', 'V-SP-02']);
    const known = [this.log.person, ...this.contacts].some((one) => one.equals(log.person));
    must(!known, 'untrusted', 'V-SP-02');
    must(this.contacts.length < this.told.contacts, 'limit', 'V-SP-03');
    must(isContact(message), 'malformed', 'V-SP-01');
    this.contacts.push(log.person);
    this.shared.push({ log, message });
  }

  // The one Add that may come.
  due() {
    const author = this.told.terminal;
    const { signing, fixed } = this.pairs;
    const keys = { signing: signing.key, static: fixed.key, name: this.name };
    return { is: 'Add', person: this.log.person, author, parents: this.log.heads, ...keys };
  }

  takeAddition({ operation }) {
    const whole = this.before.length === 0 && this.contacts.length === this.told.contacts;
    must(whole && isAdd(operation), 'malformed', 'V-AD-01');
    must(encode(Operation, this.due()).equals(operation), 'untrusted', 'V-AD-02');
    this.add = operationIdOf(operation);
    this.out.push({ is: 'Consent', signature: sign(this.pairs.signing, signedText(this.add)) });
  }

  takeAdd(operations) {
    const { id } = readOperation(operations[0]);
    must(operations.length === 1 && id.equals(this.add), 'untrusted', 'V-AD-03');
    receiveLog(this.log.raws, operations);
    [this.signed] = operations;
    this.events.push({ is: 'profile', signed: operations[0], contacts: this.contacts });
  }

  stored() {
    this.state = 'DONE';
    this.out.push({ is: 'Close', reason: 0 });
    return [{ is: 'linked' }];
  }
}

function isRelay({ address }) {
  try {
    readAddress(address);
    return true;
  } catch (error) {
    if (error instanceof Rejected) return false;
    throw error;
  }
}

function isAdd(raw) {
  try {
    return decode(Operation, raw).is === 'Add';
  } catch (error) {
    if (error instanceof Rejected) return false;
    throw error;
  }
}

function isContact({ petname, proven, comparison, vouchers, pairings }) {
  const roots = new Set(pairings.map((one) => key(one.root)));
  return (
    (petname === '' || isName(petname)) &&
    ascending(proven) &&
    comparison.every((one) => ascending(one.terminals)) &&
    ascending(vouchers.map((one) => one.terminal)) &&
    roots.size === pairings.length &&
    pairings.every(({ theirs }) => areShares(theirs))
  );
}

// A terminal that adds. `given`: {operations, state, contacts}, contacts being {operations, shared}.
export class Adding extends Linking {
  constructor(link, signing, given, nonce) {
    const log = readLog(given.operations);
    super(link, 'responder', log.name, nonce);
    Object.assign(this, { signing, given, log, state: 'LISTENING' });
  }

  takeCommit({ commitment, name }) {
    must(isTerminalName(name), 'malformed', 'V-CM-01');
    Object.assign(this, { commitment, shown: name });
    this.out.push({ is: 'Reveal', nonce: this.nonce, name: this.name });
  }

  takeOpen({ nonce }) {
    must(equal(commitmentOf(this.t, nonce), this.commitment), 'authentication', 'V-OP-01');
    this.showWords(nonce, this.nonce);
  }

  takeNewTerminal(message, next) {
    const { signing, static: fixed, name } = message;
    must(isTerminalName(name) && !signing.equals(fixed), 'malformed', 'V-NT-01');
    checkEd25519(signing);
    checkX25519(fixed);
    must(name === this.shown, 'untrusted', 'V-NT-02');
    const known = [...this.log.nodes.values()].flatMap((node) => keysOf(node.op));
    must(!known.some((one) => one.equals(signing) || one.equals(fixed)), 'untrusted', 'V-NT-03');
    checkSignature(signing, textOf(message, this.t), message.signature, 'V-NT-04');
    const proof = proofOf(message, dh(this.link.oneTime.secret, fixed), this.t);
    must(equal(proof, message.proof), 'authentication', 'V-NT-05');
    this.fresh = { signing, static: fixed, name };
    if (next === 'SHARING') this.events.push({ is: 'handover' });
  }

  confirm() {
    this.state = { COMPARING: 'CONFIRMED', OFFERED: 'SHARING' }[this.state];
    return this.state === 'SHARING' ? [{ is: 'handover' }] : [];
  }

  share() {
    const { operations, state, contacts } = this.given;
    const author = state.terminal;
    const place = { person: this.log.person, author, parents: this.log.heads };
    this.add = encode(Operation, { is: 'Add', ...place, ...this.fresh });
    this.out.push(...inMessages(operations), state);
    for (const one of contacts) this.out.push(...inMessages(one.operations), one.shared);
    this.out.push({ is: 'Addition', operation: this.add });
    this.state = 'SHARED';
    return [];
  }

  takeConsent({ signature }) {
    const text = signedText(operationIdOf(this.add));
    checkSignature(this.fresh.signing, text, signature, 'V-CO-01');
    this.consent = signature;
    this.events.push({ is: 'add', operation: this.add });
  }

  stored() {
    const mine = sign(this.signing, signedText(operationIdOf(this.add)));
    const signed = encode(Signed, { operation: this.add, signatures: [mine, this.consent] });
    this.out.push({ is: 'LogOperations', operations: [signed] });
    this.state = 'ADDED';
    return [];
  }

  // Close of the other end.
  closed(reason) {
    if (this.state !== 'ADDED' || reason !== 0) return this.ended('refused');
    this.state = 'DONE';
    return [{ is: 'linked' }];
  }
}

// As many as fit into each message.
export function inMessages(operations) {
  const messages = [];
  let room = 0;
  for (const raw of operations) {
    if (raw.length > room || messages.at(-1).operations.length === MESSAGE_MOST) {
      messages.push({ is: 'LogOperations', operations: [] });
      room = BYTES_MOST;
    }
    messages.at(-1).operations.push(raw);
    room -= raw.length;
  }
  return messages;
}
