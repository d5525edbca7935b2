// Pairing on an OPEN link, by words and by invitation; SPEC §7.4, §5.7 to §5.11.
import { readFileSync } from 'node:fs';
import { pairingSecrets } from './agreement.js';
import { contactSecret, ownShare } from './contact.js';
import { shareName } from './drawing.js';
import { must, reject } from './errors.js';
import { checkOf } from './invitation.js';
import { key, receiveLog } from './log.js';
import { encodeMessage } from './messages.js';
import { ascii, checkSignature, dh, equal, hash, join, random, sign } from './primitives.js';

// Operations in one message, and in a Record with the LogOperations before it.
const MESSAGE_MOST = 256;
const HELD_MOST = 2048;

const listOf = (file) =>
  readFileSync(new URL(`../../protocol/identity/${file}`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ')[0]);

// By language; §7.9. A list but the English one has the feature by which it is offered.
export const lists = { en: listOf('words.txt'), zh: listOf('words_zh.txt') };
export const words = lists.en;
export const OFFERS = { zh: 1 };

// What both ends show, by the features that each has named.
export function shownList(own, other) {
  const both = (feature) => own.includes(feature) && other.includes(feature);
  return Object.keys(OFFERS).find((language) => both(OFFERS[language])) ?? 'en';
}

export const commitmentOf = (t, nonce) => hash('parlour.sas.com', [t, nonce]);

const fiveOf = (t, nonceI, nonceR) => [...hash('parlour.saswords', [t, nonceI, nonceR], { size: 5 })];

export function fiveWords(t, nonceI, nonceR, language = 'en') {
  return fiveOf(t, nonceI, nonceR).map((byte) => lists[language][byte]);
}

export function fiveDigits(t, nonceI, nonceR) {
  return fiveOf(t, nonceI, nonceR).map((byte) => String(byte).padStart(3, '0'));
}

const roleByte = (initiator) => Buffer.from([initiator ? 0 : 1]);
const recordHash = (record) => hash('parlour.record', [encodeMessage(record)]);

const bare = (record) => ({ ...record, proof: Buffer.alloc(32), signature: Buffer.alloc(64) });
const coreOf = (record) => hash('parlour.rec.core', [encodeMessage(bare(record))]);

function recordText(record, initiator, t) {
  return join(ascii('parlour.sign.record\0'), roleByte(initiator), t, coreOf(record), record.proof);
}

function proofOf(record, shared, initiator, t) {
  return hash('parlour.recproof', [roleByte(initiator), t, coreOf(record)], { key: shared });
}

// `fields`: operations, terminal, number, share, heads. `shared`: DH(terminal's static pair, peer's one-time key).
function makeRecord(fields, { signing, shared }, initiator, t) {
  const record = { is: 'Record', ...fields };
  const proven = { ...record, proof: proofOf(record, shared, initiator, t) };
  return { ...proven, signature: sign(signing, recordText(proven, initiator, t)) };
}

// The tag of the end named by `initiator`, over its own record and the other's.
export function acceptTag(root, t, initiator, own, other) {
  return hash('parlour.accept', [roleByte(initiator), t, recordHash(own), recordHash(other)], { key: root });
}

const FIRST = {
  XX: { true: 'COMMITTED', false: 'LISTENING' },
  XXpsk0: { true: 'OFFERED', false: 'INVITED' },
};

// What each message does in the states that wait for it.
const COURSE = {
  Commit: { LISTENING: 'REVEALED' },
  Reveal: { COMMITTED: 'COMPARING' },
  Open: { REVEALED: 'COMPARING' },
  LogOperations: { COMPARING: 'COMPARING', INVITED: 'INVITED', OFFERED: 'OFFERED' },
  Record: { COMPARING: 'RECEIVED', INVITED: 'RECEIVED', OFFERED: 'READY' },
  Accept: { READY: 'ACCEPTED', STORED: 'DONE' },
};

const OUT_OF_TURN = {
  Commit: 'V-CM-02',
  Reveal: 'V-RV-02',
  Open: 'V-OP-02',
  Record: 'V-RC-01',
  Accept: 'V-AC-02',
};

export class Pairing {
  // `link`: {initiator, pattern, agreed, oneTime, peerKey}, the last two being this end's one-time static pair and
  // the other end's one-time static key; and perhaps {features, theirs}, what each end has named. `me`: {person, name, fields, drawn, signing, fixed, log},
  // fields being the record's but for the share, and drawn {operation, secret}. `expected`: an invitation's check. `contacts`: the logs that are held of other persons.
  constructor(link, me, { expected = null, contacts = [], nonce = random(32) } = {}) {
    Object.assign(this, { initiator: link.initiator, pattern: link.pattern, me, expected, contacts, nonce });
    Object.assign(this, pairingSecrets(link.agreed), { link, oneTime: link.oneTime });
    this.state = FIRST[this.pattern][this.initiator];
    this.out = [];
    this.events = [];
    this.before = [];
    const keys = { signing: me.signing, shared: dh(me.fixed.secret, link.peerKey) };
    this.share = ownShare(this.root, me.drawn);
    const fields = { ...me.fields, drawn: this.share.operation, share: this.share.share };
    this.record = makeRecord(fields, keys, this.initiator, this.t);
    if (this.state === 'COMMITTED') this.sendCommit();
    if (this.state === 'OFFERED') this.sendRecord();
  }

  // A log that is too long for one message goes before the Record, which keeps its end.
  sendRecord() {
    const { operations } = this.record;
    const rest = (Math.ceil(operations.length / MESSAGE_MOST) - 1) * MESSAGE_MOST;
    for (let at = 0; at < rest; at += MESSAGE_MOST) {
      this.out.push({ is: 'LogOperations', operations: operations.slice(at, at + MESSAGE_MOST) });
    }
    this.out.push({ ...this.record, operations: operations.slice(rest) });
  }

  sendCommit() {
    this.out.push({ is: 'Commit', commitment: commitmentOf(this.t, this.nonce), name: this.me.name });
  }

  // Takes a message of the link; the events that it caused.
  receive(message) {
    const next = COURSE[message.is]?.[this.state];
    if (!next) reject('unexpected', OUT_OF_TURN[message.is] ?? 'V-MS-04');
    this[`take${message.is}`](message);
    this.state = next;
    if (next === 'DONE') this.events.push({ is: 'completed', person: this.otherLog.person });
    return this.events.splice(0);
  }

  takeCommit({ commitment, name }) {
    Object.assign(this, { commitment, shown: name });
    this.out.push({ is: 'Reveal', nonce: this.nonce, name: this.me.name });
  }

  takeReveal({ nonce, name }) {
    this.shown = name;
    this.out.push({ is: 'Open', nonce: this.nonce });
    this.showWords(this.nonce, nonce);
  }

  takeOpen({ nonce }) {
    must(equal(commitmentOf(this.t, nonce), this.commitment), 'authentication', 'V-OP-01');
    this.showWords(nonce, this.nonce);
  }

  showWords(nonceI, nonceR) {
    const { features = [], theirs = [] } = this.link;
    const words = fiveWords(this.t, nonceI, nonceR, shownList(features, theirs));
    this.events.push({ is: 'words', words, name: this.shown });
  }

  takeLogOperations({ operations }) {
    this.before = this.withBefore(operations);
  }

  withBefore(operations) {
    must(this.before.length + operations.length <= HELD_MOST, 'limit', 'V-RC-11');
    return [...this.before, ...operations];
  }

  takeRecord(message) {
    const record = { ...message, operations: this.withBefore(message.operations) };
    const log = this.verify(record);
    Object.assign(this, { other: record, otherLog: log });
    if (this.state === 'INVITED') this.events.push({ is: 'joiner', person: log.person, name: log.name });
    if (this.state === 'OFFERED') this.events.push(this.pending());
  }

  // What is to be stored before Accept may be sent.
  pending() {
    const { other, otherLog: log, me, root } = this;
    const held = new Set(this.heldOf(log.person).map((raw) => raw.toString('hex')));
    const fresh = log.kept.map((node) => node.raw).filter((raw) => !held.has(raw.toString('hex')));
    const own = { person: me.person, share: this.share.share };
    const secret = contactSecret(root, own, { person: log.person, share: other.share });
    return {
      is: 'pending',
      person: log.person,
      terminal: other.terminal,
      name: log.name,
      new_operations: fresh,
      own_share: shareName(this.share.share, this.share.operation),
      their_share: shareName(other.share, other.drawn),
      contact_secret: secret,
    };
  }

  // In the order of SPEC §5.10.
  verify(record) {
    const alone = receiveLog([], record.operations);
    must(!alone.person.equals(this.me.person), 'untrusted', 'V-RC-02');
    must(alone.name && (this.shown ?? alone.name) === alone.name, 'untrusted', 'V-RC-03');
    const pins = { confirmed: alone.path.map((node) => key(node.id)) };
    const log = receiveLog(this.heldOf(alone.person), record.operations, pins);
    this.checkSigner(record, log);
    this.checkShare(record, log);
    this.checkProof(record, log);
    return log;
  }

  heldOf(person) {
    const held = this.contacts.find((log) => log.person.equals(person));
    return held ? [...held.nodes.values()].map((node) => node.raw) : [];
  }

  checkSigner(record, log) {
    const terminal = log.live.find((one) => one.terminal.equals(record.terminal));
    must(terminal, 'untrusted', 'V-RC-05');
    const { signing, static: fixed } = terminal.introducer.op;
    const isMine = signing.equals(this.me.signing.key) || fixed.equals(this.me.fixed.key);
    must(!isMine, 'untrusted', 'V-RC-04');
    checkSignature(signing, recordText(record, !this.initiator, this.t), record.signature, 'V-RC-06');
    must(!this.expected || equal(checkOf(log.person, fixed), this.expected), 'untrusted', 'V-RC-08');
  }

  checkShare({ drawn }, log) {
    const node = log.nodes.get(key(drawn));
    must(['Genesis', 'Renew'].includes(node?.op.is), 'malformed', 'V-RC-09');
  }

  checkProof(record, log) {
    const terminal = log.live.find((one) => one.terminal.equals(record.terminal));
    const shared = dh(this.oneTime.secret, terminal.introducer.op.static);
    const due = proofOf(record, shared, !this.initiator, this.t);
    must(equal(due, record.proof), 'authentication', 'V-RC-10');
  }

  takeAccept({ tag }) {
    const due = acceptTag(this.root, this.t, !this.initiator, this.other, this.record);
    must(equal(due, tag), 'authentication', 'V-AC-01');
  }

  // The person has said that the words are the same, or that who joins may.
  confirm() {
    this.state = { COMPARING: 'OFFERED', RECEIVED: 'READY' }[this.state];
    this.sendRecord();
    return this.state === 'READY' ? [this.pending()] : [];
  }

  // The contact is stored as pending.
  stored() {
    this.state = { READY: 'STORED', ACCEPTED: 'DONE' }[this.state];
    this.out.push({
      is: 'Accept',
      tag: acceptTag(this.root, this.t, this.initiator, this.record, this.other),
    });
    return this.state === 'DONE' ? [{ is: 'completed', person: this.otherLog.person }] : [];
  }
}

// Both persons began: whether the link with this `h` goes on, and the other ends; SPEC §7.4.
export const goesOn = (h, other) => Buffer.compare(h, other) < 0;

const PENDING_MS = 24 * 3600 * 1000;

// Whether a contact that has been pending since then is forgotten; Unix times in milliseconds.
export const isForgotten = (stored, now) => now - stored >= PENDING_MS;
