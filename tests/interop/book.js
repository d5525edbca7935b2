// One conversation as a terminal among several of its person holds it; SPEC §7.8.3, §11.2, §11.9, §21.1.
import { firstRoot, nextRoot } from './backup.js';
import { Conversation, TEXT } from './entries.js';
import { key } from './log.js';
import { empty } from './primitives.js';
import { stateOf } from './receipts.js';
import { marksHash } from './siblings.js';

const MARKED_MOST = 256;
const UNMARKED = [3, 4]; // deletes and edits

const headerAlone = (entry) => ({ ...entry, salt: empty, rawBody: empty, hasBody: false, body: null });

export class Book {
  // `contact`: the person at the other side; null for the person's notes.
  constructor(id, contact = null) {
    Object.assign(this, { id, contact, marks: new Map(), early: new Map(), apart: [], deleted: new Map() });
    this.conversation = new Conversation(id, { clocked: contact !== null });
  }

  entry(id) {
    return this.conversation.held.get(key(id));
  }

  // Takes in an entry that was checked. `own`: whether it is this person's. `vouched`: whether its person stands
  // for it.
  take(entry, own, vouched) {
    const isNew = !this.entry(entry.id);
    this.conversation.add({ ...(this.deleted.has(key(entry.id)) ? headerAlone(entry) : entry), own });
    if (isNew && !vouched) this.apart.push(entry.id);
    if (!isNew && vouched) this.cover([entry.id]);
    this.followDeletes();
    const due = this.early.get(key(entry.id)) ?? [];
    this.early.delete(key(entry.id));
    due.forEach((act) => act(this.entry(entry.id)));
  }

  // Acts on an entry now, or as soon as it comes: the marks of a part of a history come before its entries.
  whenHeld(id, act) {
    if (this.entry(id)) act(this.entry(id));
    else this.early.set(key(id), [...(this.early.get(key(id)) ?? []), act]);
  }

  // The contact stands for these entries, and so for what is before them.
  cover(ids) {
    if (this.apart.length) this.apart = this.conversation.uncovered(this.apart, ids);
    this.followDeletes();
  }

  followDeletes() {
    for (const entry of this.conversation.deleted((one) => one.own, this.apart)) {
      this.deleted.set(key(entry.id), entry.id);
      this.conversation.held.set(key(entry.id), headerAlone(entry));
    }
  }

  // The entries that count towards the contact.
  covered() {
    const left = new Conversation(this.id);
    const isApart = (id) => this.apart.some((one) => one.equals(id));
    this.conversation.entries().filter(({ id }) => !isApart(id)).forEach((entry) => left.add(entry));
    return left;
  }

  // Ids of entries whose body one asks for of a terminal that has passed `alone` without theirs; of covered ones.
  wanted(alone, conversation = this.conversation) {
    const missing = ({ id, hasBody }) => !hasBody && !this.deleted.has(key(id)) && !alone.has(key(id));
    return conversation.entries().filter(missing).map(({ id }) => id);
  }

  // Whether the mark is new. It is {entry, terminal, kind}.
  mark(mark) {
    const name = key(mark.entry);
    const known = this.marks.get(name) ?? [];
    const isKnown = known.some((one) => one.terminal.equals(mark.terminal) && one.kind === mark.kind);
    if (!isKnown) this.marks.set(name, [...known, mark]);
    return !isKnown;
  }

  marksOf(entries) {
    return entries.flatMap(({ id }) => this.marks.get(key(id)) ?? []);
  }

  // The marks of the newest entries.
  newestMarks() {
    const marked = this.conversation.ordered().filter(({ header }) => !UNMARKED.includes(header.kind));
    return this.marksOf(marked.slice(-MARKED_MOST));
  }

  digest(alone) {
    const heads = this.conversation.headsHash(this.wanted(alone));
    const entries = this.conversation.entries();
    const isAfterGap = ({ header }) => header.previous.length > 0 && !this.entry(header.previous);
    const counts = { entries: entries.length, gaps: entries.filter(isAfterGap).length, answered: false };
    return { conversation: this.id, heads, marks: marksHash(this.id, this.newestMarks()), ...counts };
  }

  // What the root hash has of an entry.
  contentHeld({ header, hasBody, body }) {
    const edited = header.kind === 4 && body ? this.entry(body.entry) : undefined;
    const isKept = hasBody && !header.timer && !edited?.header.timer;
    return isKept ? header.content : empty;
  }

  root() {
    return this.conversation
      .ordered()
      .reduce((root, one) => nextRoot(root, { id: one.id, content: this.contentHeld(one) }), firstRoot(this.id));
  }

  // The texts as a person would see them, in order: {id, text, own, state}, the text null where it is not held.
  shown() {
    const isOwn = (entry) => entry.own;
    const edits = this.conversation.edits(isOwn, this.apart, [...this.deleted.values()]);
    const lastEdit = new Map(edits.map(([entry, some]) => [key(entry.id), some.at(-1).body.text]));
    const kinds = ({ id }) => (this.marks.get(key(id)) ?? []).map(({ kind }) => kind);
    return this.conversation
      .ordered()
      .filter(({ header }) => header.kind === TEXT)
      .map((entry) => ({
        id: key(entry.id),
        text: lastEdit.get(key(entry.id)) ?? entry.body?.text ?? null,
        own: entry.own,
        state: entry.own ? stateOf(kinds(entry), true) : null,
      }));
  }
}
