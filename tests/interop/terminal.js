// One person with one terminal, in memory: what it says of itself, holds and answers; SPEC §7, §11.
import { answer, candidates, ownShare } from './contact.js';
import * as entries from './entries.js';
import { passingOver } from './errors.js';
import { Initiator } from './initiator.js';
import { invitationPsk } from './invitation.js';
import { operationsBeyond, ownerNamed, readLog, receiveLog } from './log.js';
import { newLog, readOperation } from './operations.js';
import { Pairing } from './pairing.js';
import { ed25519Pair, random, x25519Pair } from './primitives.js';
import { READ, STORED, answerHeads, answerHeadsHash, checkConversation, countReceipt } from './receipts.js';

export class Terminal {
  constructor(name) {
    const pairs = { signing: ed25519Pair(), fixed: x25519Pair() };
    const { person, terminal, selfKey, drawn, log } = newLog(pairs, name);
    Object.assign(this, { name, pairs, person, terminal, log: readLog(log.map((signed) => signed.raw)) });
    Object.assign(this, { selfKey, drawn, incarnation: random(8), contact: null });
    this.acknowledged = new Set();
  }

  logOf(person) {
    return person.equals(this.person) ? this.log : this.contact.log;
  }

  live(person) {
    return this.logOf(person).live.map((one) => one.terminal);
  }

  // A link that joins by this invitation, and what makes the pairing once it is open.
  join(invitation) {
    const link = new Initiator('XXpsk0', { psk: invitationPsk(invitation), expected: invitation.one_time });
    return { link, pair: () => new Pairing(link, this.introduction(), { expected: invitation.check }) };
  }

  introduction() {
    const operations = this.log.kept.map((node) => node.raw);
    const fields = { operations, terminal: this.terminal };
    const { signing, fixed } = this.pairs;
    return { person: this.person, name: this.name, fields, drawn: this.drawn, signing, fixed, log: this.log };
  }

  keep(pairing) {
    const { other, otherLog: log, root } = pairing;
    const fixed = log.live.find((one) => one.terminal.equals(other.terminal)).introducer.op.static;
    const [own, theirs] = [[ownShare(root, this.drawn)], [{ operation: other.drawn, share: other.share }]];
    const firsts = { firstOwn: own[0].operation, firstTheirs: other.drawn };
    const kept = { root, own, theirs, ...firsts, retired: false, fresh: 1 };
    this.contact = { person: log.person, log, fixed, pairing: kept };
    this.conversation = new entries.Conversation(entries.conversationId(this.person, log.person));
  }

  // A link to the contact.
  call(options) {
    const { person, fixed: rs, pairing } = this.contact;
    const tried = candidates([pairing], { own: this.person, their: person });
    const secrets = { s: this.pairs.fixed, rs, person: this.person, candidates: tried };
    return new Initiator('IKpsk2', secrets, options);
  }

  // The psk for a caller, or null for a stranger.
  lookUp(caller, { person, names }) {
    if (!this.contact?.person.equals(person) || !this.contact.fixed.equals(caller)) return null;
    return answer([this.contact.pairing], names, { own: this.person, their: person });
  }

  headsHash() {
    return { is: 'HeadsHash', conversation: this.conversation.id, hash: this.conversation.headsHash() };
  }

  // What is sent when a link is OPEN, by a terminal that listens on `port`, or nowhere: SPEC §11.4, in its order.
  greet(port) {
    const news = [
      { is: 'LogHeads', person: this.contact.person, heads: this.contact.log.heads },
      { is: 'LogHeads', person: this.person, heads: this.log.heads },
      this.headsHash(),
      ...(port ? [{ is: 'Reachable', port }] : []),
    ];
    const read = this.entriesOf(this.contact.log.live).slice(-64);
    if (read.length) news.push({ is: 'Receipt', kind: READ, ids: read.map((entry) => entry.id).sort(Buffer.compare) });
    const own = this.entriesOf([{ terminal: this.terminal }]);
    const waiting = own.filter((entry) => entry.hasBody && !this.acknowledged.has(entry.id.toString('hex')));
    return [...news, ...waiting.map((entry) => this.resend(entry))];
  }

  entriesOf(terminals) {
    const isBy = ({ header }) => terminals.some(({ terminal }) => terminal.equals(header.author));
    return this.conversation.entries().filter(isBy);
  }

  // A text, or the body of a file. The entry.
  write(named) {
    const { id: conversation } = this.conversation;
    const place = { conversation, author: this.terminal, incarnation: this.incarnation, time: Date.now() };
    const fields = { ...place, ...this.conversation.place(this.terminal), membership: this.log.heads };
    const body = typeof named === 'string' ? { text: named } : named;
    const entry = entries.readForm(entries.write(this.selfKey, fields, body));
    this.conversation.add(entry);
    return entry;
  }

  // The answers to a message of the contact, and what it means here.
  receive(message) {
    return this[`take${message.is}`]?.(message) ?? { answers: [], events: [] };
  }

  takeLogHeads({ person, heads }) {
    const operations = operationsBeyond(ownerNamed(person, this.log, this.contact.log), heads);
    return { answers: operations.length ? [{ is: 'LogOperations', operations }] : [], events: [] };
  }

  takeLogOperations({ operations }) {
    const first = readOperation(operations[0]);
    const isOwn = this.person.equals(first.op.person ?? first.id);
    const held = [...(isOwn ? this : this.contact).log.nodes.values()].map((node) => node.raw);
    if (isOwn) this.log = passingOver('V-LG-10', this.log, () => receiveLog(held, operations));
    else this.contact.log = receiveLog(held, operations);
    return { answers: [], events: [] };
  }

  takeHeadsHash(message) {
    return { answers: answerHeadsHash(message, this.conversation), events: [] };
  }

  takeHeads(message) {
    const missing = answerHeads(message, this.conversation);
    return { answers: missing.map((entry) => this.resend(entry)), events: [] };
  }

  resend({ raw: header, salt, rawBody: body }) {
    return { is: 'Entry', header, salt, body };
  }

  takeEntry(message) {
    const entry = entries.readForm(message);
    const { person: contact } = this.contact;
    const view = { carrier: contact, accepted: true, self: this.person, contact, selfKeys: [this.selfKey] };
    const former = (person) => this.logOf(person).gone.map((one) => one.terminal);
    const author = entries.checkTrust(entry, { ...view, live: (person) => this.live(person), former });
    if (author === 'unknown' || author === 'claimed') return { answers: [], events: [] };
    this.conversation.add(entry);
    if (!entry.hasBody) return { answers: [], events: [] };
    const receipt = (kind) => ({ is: 'Receipt', kind, ids: [entry.id] });
    if (entry.body === null) return { answers: [receipt(STORED)], events: ['entry of an unknown kind'] };
    return { answers: [receipt(STORED), receipt(READ)], events: entry.body.text ? [`entry ${entry.body.text}`] : [] };
  }

  takeReceipt(message) {
    const counted = countReceipt(message, this.conversation, [this.terminal]);
    counted.forEach((entry) => this.acknowledged.add(entry.id.toString('hex')));
    return { answers: [], events: counted.map(() => (message.kind === READ ? 'read' : 'delivered')) };
  }

  takeTyping(message) {
    checkConversation(message, this.conversation, 'V-TY-01');
    return { answers: [], events: [] };
  }
}
