// What passes on an open link of own terminals, and on one with a contact; SPEC §7.8.3, §11.4, §11.5.
import { must } from './errors.js';
import { key, operationsBeyond, ownerNamed } from './log.js';
import { inMessages } from './linking.js';
import { ascending } from './messages.js';
import { READ, STORED, answerHeads, answerHeadsHash } from './receipts.js';
import { checkConversation, pagesOf, terminalOf } from './receipts.js';
import { answerDigests, checkPlace, passedReceipts, whatPassedSays } from './siblings.js';

// To an own terminal an entry goes with the signature beside it, to a contact without.
const resent = ({ raw: header, salt, rawBody: body, signed }, own) =>
  own && signed ? { is: 'SignedEntry', header, salt, body, ...signed } : { is: 'Entry', header, salt, body };
const allOf = (log) => log.terminals.map((one) => one.terminal);

class Exchange {
  // `told`: takes what happens, an object with `is`.
  constructor(terminal, link, told) {
    Object.assign(this, { terminal, link, told, carried: new Set(), alone: new Set() });
    Object.assign(this, { waiting: [] });
  }

  send(messages) {
    messages.forEach((message) => this.link.send(message));
  }

  // An entry goes at most once on a link. Those that went now.
  sendEntries(entries) {
    const fresh = entries.filter(({ id }) => !this.carried.has(key(id)));
    fresh.forEach(({ id }) => this.carried.add(key(id)));
    this.send(fresh.map((entry) => resent(entry, this.own)));
  }

  logHeads(log) {
    return { is: 'LogHeads', person: log.person, heads: log.heads };
  }

  take(message) {
    checkPlace(message, this.own);
    this[`take${message.is}`]?.(message);
  }

  tellOperations(log, heads) {
    this.send(inMessages(operationsBeyond(log, heads)));
  }

  takeLogOperations({ operations }) {
    const [before] = this.terminal.selfKeys;
    const met = this.terminal.takeOperations(operations, this.carrier);
    if (met) this.met(met);
    if (!this.terminal.selfKeys[0].equals(before)) this.told({ is: 'new self key' });
    this.waiting.splice(0).forEach((message) => this.takeEntry(message));
  }

  takeEntry(message) {
    const entry = this.terminal.takeEntry(message, this.carrier);
    if (entry === 'unknown') this.wait(message);
    else if (entry) this.taken(entry);
  }

  takeSignedEntry(message) {
    this.takeEntry(message);
  }

  wait(message) {
    if (!this.waiting.length) this.send([this.logHeads(this.terminal.log), ...this.contactHeads()]);
    this.waiting.push(message);
  }

  taken(entry) {
    this.carried.add(key(entry.id));
    if (entry.hasBody) this.send([{ is: 'Receipt', kind: STORED, ids: [entry.id] }]);
    else this.alone.add(key(entry.id));
    this.told({ is: 'entry', text: entry.body?.text });
  }
}

// With another terminal of this person.
export class OwnExchange extends Exchange {
  constructor(...given) {
    super(...given);
    Object.assign(this, { own: true, carrier: this.terminal.person, said: new Map(), theirs: new Map() });
  }

  contactHeads() {
    return [...this.terminal.contacts.values()].map(({ log }) => this.logHeads(log));
  }

  begin() {
    this.send([this.logHeads(this.terminal.log), ...this.contactHeads()]);
    this.sendDigests(this.terminal.books);
    this.ask();
  }

  digestOf(book) {
    return book.digest(this.alone);
  }

  sendDigests(books) {
    const digests = books.map((book) => this.digestOf(book));
    digests.forEach((one) => this.said.set(key(one.conversation), one));
    this.send([{ is: 'Digests', digests }]);
  }

  // Asks for the logs that the notes make this terminal await.
  ask() {
    const fresh = this.terminal.await();
    this.send(fresh.map((person) => ({ is: 'LogHeads', person, heads: [] })));
  }

  met({ log, book }) {
    this.told({ is: 'met', name: log.name });
    this.sendDigests([book]);
    this.sendHeads(book);
  }

  sendHeads(book) {
    this.send(pagesOf(book.id, book.conversation.namedHeads(book.wanted(this.alone))));
  }

  takeLogHeads({ person, heads }) {
    const log = this.terminal.logOf(person);
    if (log) this.tellOperations(log, heads);
  }

  takeDigests(message) {
    const compared = message.digests.filter(({ answered }) => !answered);
    compared.forEach((one) => this.theirs.set(key(one.conversation), one));
    const held = this.terminal.books.map((book) => this.digestOf(book));
    const { heads, marks } = answerDigests(message, held);
    heads.forEach((id) => this.sendHeads(this.terminal.bookOf(id)));
    marks.forEach((id) => this.answerMarks(this.terminal.bookOf(id)));
  }

  answerMarks(book) {
    this.send(passedReceipts(book.id, book.newestMarks()));
    const [now, last] = [this.digestOf(book), this.said.get(key(book.id))];
    if (!last?.heads.equals(now.heads) || !last.marks.equals(now.marks)) this.sendDigests([book]);
  }

  takeHeads(message) {
    const book = this.terminal.bookOf(message.conversation);
    if (!book) return;
    const lacking = answerHeads(message, book.conversation).filter(({ id }) => !this.carried.has(key(id)));
    this.send(passedReceipts(book.id, book.marksOf(lacking)));
    this.sendEntries(lacking);
    if (!message.more) {
      const digests = [{ ...this.digestOf(book), answered: true }];
      this.send([{ is: 'Digests', digests }]);
    }
  }

  taken(entry) {
    super.taken(entry);
    if (entry.header.conversation.equals(this.terminal.notes.id)) this.ask();
  }

  takePassedReceipt(message) {
    const book = this.terminal.bookOf(message.conversation);
    if (!book?.contact) return;
    const says = whatPassedSays(message, allOf(this.terminal.log), allOf(this.terminal.logOf(book.contact)));
    const { terminal, kind } = message;
    for (const id of message.ids) {
      book.whenHeld(id, (entry) => {
        if (says !== (entry.own ? 'receipt' : 'reading')) return;
        if (book.mark({ entry: id, terminal, kind })) this.told({ is: 'mark', kind, own: entry.own });
      });
    }
  }

  // Whether the other one's last Digests are those of what is held here.
  isSame() {
    return this.terminal.books.every((book) => {
      const [mine, theirs] = [this.digestOf(book), this.theirs.get(key(book.id))];
      return theirs && mine.heads.equals(theirs.heads) && mine.marks.equals(theirs.marks);
    });
  }
}

// With a terminal of a contact.
export class ContactExchange extends Exchange {
  constructor(terminal, link, told, contact) {
    super(terminal, link, told);
    Object.assign(this, { own: false, carrier: contact.person, contact });
  }

  contactHeads() {
    return [this.logHeads(this.contact.log)];
  }

  get book() {
    return this.contact.book;
  }

  begin() {
    const held = this.book.covered();
    const hash = held.headsHash(this.book.wanted(this.alone, held));
    this.send([...this.contactHeads(), this.logHeads(this.terminal.log)]);
    this.send([{ is: 'HeadsHash', conversation: held.id, hash }]);
    const isDue = (entry) => entry.own && entry.hasBody && !this.book.marks.has(key(entry.id));
    this.sendEntries(this.book.conversation.ordered().filter(isDue));
  }

  // The other side takes a share only of an operation that it has.
  takeLogHeads({ person, heads }) {
    const log = ownerNamed(person, this.terminal.log, this.contact.log);
    this.tellOperations(log, heads);
    if (log === this.terminal.log) this.send(this.terminal.sharesFor(this.contact, this.link.fitting.own));
  }

  takeRenewedShare(message) {
    if (this.terminal.takeShare(message, this.contact)) this.told({ is: message.is });
  }

  takeHeadsHash(message) {
    const held = this.book.covered();
    this.send(answerHeadsHash(message, held, this.book.wanted(this.alone, held)));
  }

  takeHeads(message) {
    checkConversation(message, this.book.conversation, 'V-HD-01');
    this.book.cover(message.heads.map(({ id }) => id));
    this.sendEntries(answerHeads(message, this.book.covered()));
    this.told({ is: 'covered', left: this.book.apart.length });
  }

  takeReceipt({ kind, ids }) {
    must(ascending(ids), 'malformed', 'V-RP-02');
    const terminal = terminalOf(this.contact.log, this.link.peerKey);
    must(terminal, 'untrusted', 'V-RP-01');
    for (const entry of ids.map((id) => this.book.entry(id)).filter((one) => one?.own)) {
      const isNew = this.book.mark({ entry: entry.id, terminal, kind });
      if (isNew) this.told({ is: 'mark', kind, own: true });
    }
  }
}

export const nameOfMark = ({ kind, own }) => (own ? (kind === READ ? 'read' : 'delivered') : 'seen');
