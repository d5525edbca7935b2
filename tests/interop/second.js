// Another terminal of a person, in memory: what it was given, holds and takes in; SPEC §7.8, §11.10.
import { Book } from './book.js';
import { candidates, ownShare, pairingId } from './contact.js';
import { commitmentTo, openRenew, selfKeyOf, shareName } from './drawing.js';
import * as entries from './entries.js';
import { passingOver } from './errors.js';
import { Initiator } from './initiator.js';
import { key, readLog, receiveLog } from './log.js';
import * as notes from './notes.js';
import { readOperation, terminalId } from './operations.js';
import { random } from './primitives.js';
import { keyName, named as namedKeys, ownKeys } from './siblings.js';

const terminalsOf = (log, is) => log.terminals.filter((one) => one.is === is).map((one) => one.terminal);

// Shares of a contact that are held in one pairing, the first left out.
const SHARES_MOST = 8;

// Shares of a person by the order in which its log has their operations, those that it has not last.
function bestFirst(shares, log) {
  const places = log.drawn.map(({ node }) => key(node.id));
  const place = ({ operation }) => (places.indexOf(key(operation)) + 1 || Infinity);
  return [...shares].sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b)));
}

function joined({ nodes }, operations, pins) {
  return receiveLog([...nodes.values()].map((node) => node.raw), operations, pins);
}

export class SecondTerminal {
  // `pairs`: its signing and static pairs. `linking`: the BeingAdded that is over.
  constructor({ signing, fixed }, { log, told, signed, add, shared }) {
    Object.assign(this, { signing, fixed, incarnation: random(8), awaited: new Map() });
    const confirmed = [...told.confirmed, add].map(key);
    this.pins = { seen: told.seen.map(key), confirmed };
    this.log = readLog([...log.raws, signed], this.pins);
    this.person = log.person;
    this.terminal = terminalId(signing.key, fixed.key);
    this.drawn = new Map(told.drawn.map(({ operation, secret }) => [key(operation), secret]));
    this.adder = told.terminal;
    this.notes = new Book(notes.notesOf(this.person));
    this.contacts = new Map();
    for (const { log: theirs, message } of shared) {
      const pins = { seen: message.seen.map(key), confirmed: message.confirmed.map(key) };
      this.takeIn(theirs, message.pairings, { pins, places: message.places });
    }
  }

  takeIn(log, pairings, { pins = {}, places = [] } = {}) {
    const book = new Book(entries.conversationId(this.person, log.person), log.person);
    const contact = { person: log.person, log, pairings, pins, places, book };
    this.contacts.set(key(log.person), contact);
    return contact;
  }

  // The notes and the conversations.
  get books() {
    const all = [this.notes, ...[...this.contacts.values()].map(({ book }) => book)];
    return all.sort((a, b) => Buffer.compare(a.id, b.id));
  }

  bookOf(conversation) {
    return this.books.find(({ id }) => id.equals(conversation)) ?? null;
  }

  // The operations that draw secrets that are held, the best first.
  get drawing() {
    return this.log.drawn.map(({ node }) => node.id).filter((id) => this.drawn.has(key(id)));
  }

  get selfKeys() {
    return this.drawing.map((id) => selfKeyOf(this.drawn.get(key(id))));
  }

  get firstSelfKey() {
    return selfKeyOf(this.drawn.get(key(this.person)));
  }

  // Takes the secrets that the log hands to this terminal.
  openRenews() {
    for (const { id, op } of this.log.nodes.values()) {
      if (op.is !== 'Renew' || this.drawn.has(key(id))) continue;
      const live = this.log.liveAfter(op.parents);
      const secret = openRenew(op, live, this.terminal, this.firstSelfKey, this.fixed);
      if (secret) this.drawn.set(key(id), secret);
    }
  }

  // The log that is held of a person, or null.
  logOf(person) {
    return person.equals(this.person) ? this.log : (this.contacts.get(key(person))?.log ?? null);
  }

  // A link to another own terminal.
  callOwn(terminal, options) {
    const tried = namedKeys(this.selfKeys, this.firstSelfKey).map((one) => {
      const name = keyName(one);
      return { own: name, theirs: name, psk: ownKeys(this.person, one).psk };
    });
    return this.call(this.log, terminal, tried, options);
  }

  callContact(contact, terminal, options) {
    const tried = candidates(this.pairsWith(contact), { own: this.person, their: contact.person });
    return this.call(contact.log, terminal, tried, options);
  }

  // What contact.js has of the pairings with a contact.
  pairsWith({ log, pairings }) {
    return pairings.map(({ root, first, retired, theirs }) => {
      const own = this.drawing.map((id) => ownShare(root, { operation: id, secret: this.drawn.get(key(id)) }));
      const [{ operation: firstTheirs }] = theirs;
      return { root, own, theirs: bestFirst(theirs, log), firstOwn: first, firstTheirs, retired };
    });
  }

  // The best own share of each pairing with a contact, but the one with this name.
  sharesFor(contact, name) {
    const best = this.pairsWith(contact).map(({ root, own: [one] }) => ({ root, ...one }));
    const others = best.filter(({ share, operation }) => !shareName(share, operation).equals(name));
    return others.map(({ root, operation, share }) => {
      return { is: 'RenewedShare', pairing: pairingId(root), operation, share };
    });
  }

  call(log, terminal, tried, options) {
    const rs = log.live.find((one) => one.terminal.equals(terminal)).introducer.op.static;
    return new Initiator('IKpsk2', { s: this.fixed, rs, person: this.person, candidates: tried }, options);
  }

  // Whether a share that a contact hands over is new here, and one of those that are kept.
  takeShare({ pairing, operation, share }, { log, pairings }) {
    const found = pairings.find(({ root }) => pairingId(root).equals(pairing));
    const isDrawn = log.drawn.some(({ node }) => node.id.equals(operation));
    if (!found || !isDrawn || found.theirs.some((one) => one.operation.equals(operation))) return false;
    const [first, ...others] = found.theirs;
    const kept = bestFirst([...others, { operation, share }], log).slice(0, SHARES_MOST);
    found.theirs = [first, ...kept];
    return kept.some((one) => one.operation.equals(operation));
  }

  // Operations that came from `carrier`. The contact, if they begin an awaited log.
  takeOperations(operations, carrier) {
    const first = readOperation(operations[0]);
    const person = first.op.person ?? first.id;
    if (person.equals(this.person)) {
      this.log = passingOver('V-LG-10', this.log, () => joined(this.log, operations, this.pins));
      this.openRenews();
    } else if (this.contacts.has(key(person))) {
      const contact = this.contacts.get(key(person));
      contact.log = passingOver('V-LG-10', contact.log, () => joined(contact.log, operations, contact.pins));
    } else if (this.awaited.has(key(person)) && carrier.equals(this.person)) {
      return this.meet(receiveLog([], operations));
    }
    return null;
  }

  // The contact whose log was awaited.
  meet(log) {
    this.awaited.delete(key(log.person));
    return this.takeIn(log, this.pairingsOf(log.person));
  }

  // The entry of a message, once it is taken in; null where it is passed over, 'unknown' where its author is.
  takeEntry(message, carrier) {
    const entry = entries.readForm(message);
    const book = this.bookOf(entry.header.conversation);
    if (!book) return null;
    const standing = this.standingOf(entry, book, carrier);
    if (standing === null || standing === 'unknown') return standing;
    const own = this.log.terminals.some((one) => one.terminal.equals(entry.header.author));
    book.take(entry, own, own || carrier.equals(book.contact));
    return entry;
  }

  standingOf(entry, { contact }, carrier) {
    const among = (is) => (person) => terminalsOf(this.logOf(person), is);
    const view = { carrier, accepted: true, self: this.person, contact: contact ?? this.person };
    const signing = (terminal) => this.introducerOf(terminal)?.op.signing ?? null;
    const known = { selfKeys: this.newestKeys, live: among('live'), former: among('gone'), signing };
    const author = entries.checkTrust(entry, { ...view, ...known });
    return author === 'claimed' ? null : author; // it keeps no claims
  }

  introducerOf(terminal) {
    return this.log.terminals.find((one) => one.terminal.equals(terminal))?.introducer;
  }

  // The self key under which a contact's word counts, none where it is not held.
  get newestKeys() {
    const [best] = this.log.drawn;
    const secret = best?.standing === 'fresh' ? this.drawn.get(key(best.node.id)) : undefined;
    return secret ? [selfKeyOf(secret)] : [];
  }

  // The values in force in the notes. No terminal of this person is ever removed here, so every write counts.
  states() {
    return notes.inForce(this.notes.conversation.ordered());
  }

  valueOf(register, what) {
    const of = notes.about(what);
    const found = this.states().find((one) => one.register === register && one.of.equals(of));
    return found ? notes.valueOf(found) : null;
  }

  // Persons that the notes name as contacts and of whom no log is held or awaited. They are awaited from now on.
  await() {
    const named = this.states().filter(({ register, value }) => register === notes.CONTACT && value.length);
    const isNew = ({ person }) => !this.logOf(person) && !this.awaited.has(key(person));
    const fresh = named.map(notes.valueOf).filter(isNew);
    fresh.forEach((one) => this.awaited.set(key(one.person), one));
    return fresh.map(({ person }) => person);
  }

  // Roots and shares with a contact that the notes give, the newest pairing first.
  pairingsOf(contact) {
    const writes = this.notes.conversation.ordered().flatMap(({ body }) => body?.writes ?? []);
    const isRetired = (of) => writes.some((one) => one.register === notes.RETIRED && one.of.equals(of));
    const found = new Map();
    for (const write of writes.filter((one) => one.register === notes.PAIRING && !isRetired(one.of))) {
      const value = notes.valueOf(write);
      if (value.person.equals(contact)) found.set(key(write.of), value.pairing);
    }
    return [...found.values()].reverse();
  }

  write({ book }, text) {
    const place = { conversation: book.id, author: this.terminal, incarnation: this.incarnation };
    const fields = { ...place, time: Date.now(), ...book.conversation.place(this.terminal) };
    const bare = entries.write(this.selfKeys[0], { ...fields, membership: this.log.heads }, { text });
    const entry = entries.readForm(entries.signEntry(entries.readForm(bare), this.terminal, this.signing));
    book.take(entry, true, true);
    return book.entry(entry.id);
  }
}
