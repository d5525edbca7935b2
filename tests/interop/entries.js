// Entries between two persons; SPEC §11.1 to §11.4.
import { bool, bytes, decode, encode, int, list, struct, text, u48, u53, u8 } from './codec.js';
import { Rejected, must } from './errors.js';
import { FileBody, checkFile } from './files.js';
import { Head, ascending, isLine } from './messages.js';
import { StateBody, checkState, notesOf } from './notes.js';
import { ascii, checkSignature, empty, equal, hash, join, random, sign } from './primitives.js';

const id = bytes(32);
const HEADER_MOST = 2048;
const BODY_MOST = 131_072;
export const TEXT = 1;
const CUT = 2;
const DELETE = 3;
const EDIT = 4;
const TIMER = 5;
export const STATE = 6;
const BOT = 7;
export const FILE = 64;
const YEAR = 31_536_000;
const FOUR_WEEKS_MS = 2_419_200_000;
const CUTS_MOST = 16;

export const EntryHeader = struct({
  conversation: id,
  author: id,
  incarnation: bytes(8),
  sequence: u53,
  previous: bytes(0, 32),
  parents: list(0, 16, id),
  membership: list(0, 16, id),
  time: u48,
  kind: u8,
  timer: int(0, YEAR),
  until: u53,
  content: id,
  self_tag: bytes(0, 32),
});
export const TextBody = struct({ text: text(1, 16384), reply: bytes(0, 32) });
const CutHead = struct({ incarnation: bytes(8), sequence: u53, id });
export const CutBody = struct({ terminal: id, heads: list(0, 16, CutHead) });
export const DeleteBody = struct({ ids: list(1, 64, id) });
export const EditBody = struct({ entry: id, text: text(1, 16384) });
export const TimerBody = struct({ seconds: int(0, YEAR) });
const BotCommand = struct({ name: text(1, 32), description: text(1, 100) });
export const BotBody = struct({ bot: bool, commands: list(0, 32, BotCommand) });
const BODIES = new Map([
  [TEXT, TextBody],
  [CUT, CutBody],
  [DELETE, DeleteBody],
  [EDIT, EditBody],
  [TIMER, TimerBody],
  [STATE, StateBody],
  [BOT, BotBody],
  [FILE, FileBody],
]);

const order = (a, b) => Buffer.compare(a, b);

export const conversationId = (one, other) => hash('parlour.conv', [one, other].sort(order));
const contentHash = (salt, body) => hash('parlour.content', [salt, body]);
const entryId = (header) => hash('parlour.entry', [header]);

function selfTag(selfKey, header) {
  const untagged = encode(EntryHeader, { ...header, self_tag: empty });
  return hash('parlour.self', [untagged], { key: selfKey });
}

// Bytes of an Entry message of `kind` 1, or 64 for a body that names a file, from the header's other fields, with
// a timer of so many seconds.
export function write(selfKey, { timer = 0, ...fields }, named, salt = random(16)) {
  const [kind, body] = named.root
    ? [FILE, encode(FileBody, named)]
    : [TEXT, encode(TextBody, { reply: empty, ...named })];
  const until = timer && fields.time + timer * 1000 + FOUR_WEEKS_MS;
  const header = { ...fields, kind, timer, until, content: contentHash(salt, body), self_tag: empty };
  header.self_tag = selfTag(selfKey, header);
  const raw = encode(EntryHeader, header);
  return { id: entryId(raw), header: raw, salt, body };
}

const emptyOrId = (value) => value.length === 0 || value.length === 32;

// A header alone. Inside of a message V-ET-01 stands for the rules of the codec.
export const readHeader = (raw) => decode(EntryHeader, raw, HEADER_MOST);

function decodeHeader(raw) {
  try {
    return readHeader(raw);
  } catch (error) {
    if (error instanceof Rejected) throw new Rejected(error.errorClass, 'V-ET-01');
    throw error;
  }
}

function checkHeader(header) {
  must(emptyOrId(header.previous) && emptyOrId(header.self_tag), 'malformed', 'V-ET-02');
  const first = header.sequence === 1;
  must(header.sequence > 0 && first === (header.previous.length === 0), 'malformed', 'V-ET-03');
  must(ascending(header.parents) && ascending(header.membership), 'malformed', 'V-ET-04');
  const again = header.parents.some((parent) => parent.equals(header.previous));
  must(header.membership.length > 0 && !again, 'malformed', 'V-ET-05');
  checkTimer(header);
}

function checkTimer({ time, kind, timer, until }) {
  must((timer === 0) === (until === 0), 'malformed', 'V-EX-01');
  if (timer === 0) return;
  const unread = until - time - timer * 1000;
  must(unread >= 0 && unread <= FOUR_WEEKS_MS, 'malformed', 'V-EX-02');
  must(![CUT, DELETE, EDIT, TIMER, STATE, BOT].includes(kind), 'malformed', 'V-EX-03');
}

// The end of an entry with a timer in Unix milliseconds: as far as it is known, and at the latest. `read` is
// the time of the first reading, or null: nobody reads an entry of an unknown kind.
export function ends({ header: { kind, time, timer, until }, hasBody }, { stored, read: at, own }) {
  const read = hasBody && !BODIES.has(kind) ? stored : at;
  const last = Math.min(until, stored + timer * 1000 + FOUR_WEEKS_MS);
  const written = own ? Math.min(time, stored) + timer * 1000 : last;
  const seen = read === null ? last : read + timer * 1000;
  return { due: Math.min(last, written, seen), last };
}

function decodeStruct(kind, raw) {
  try {
    return decode(BODIES.get(kind), raw, BODY_MOST);
  } catch (error) {
    if (error instanceof Rejected) throw new Rejected('malformed', 'V-ET-09');
    throw error;
  }
}

const compareCutHeads = (a, b) => a.sequence - b.sequence || order(a.id, b.id);

const COMMAND = /^[a-z][a-z0-9_-]*$/;

function checkBot({ bot, commands }) {
  must(bot || commands.length === 0, 'malformed', 'V-ET-09');
  const names = commands.map(({ name }) => name);
  must(names.slice(1).every((name, at) => names[at] < name), 'malformed', 'V-ET-09');
  const fits = ({ name, description }) => COMMAND.test(name) && isLine(description);
  must(commands.every(fits), 'malformed', 'V-ET-09');
}

function decodeBody(kind, raw) {
  const body = decodeStruct(kind, raw);
  if (kind === TEXT) must(emptyOrId(body.reply), 'malformed', 'V-ET-09');
  if (kind === STATE) checkState(body);
  if (kind === FILE) checkFile(body);
  if (kind === BOT) checkBot(body);
  if (kind === DELETE) must(ascending(body.ids), 'malformed', 'V-ET-09');
  if (kind === CUT) {
    const rising = body.heads.slice(1).every((head, at) => compareCutHeads(body.heads[at], head) < 0);
    must(rising, 'malformed', 'V-ET-09');
  }
  return body;
}

// The form of an Entry or SignedEntry: {id, header, hasBody, body, signed}, the body null in a header alone and of an
// unknown kind, `signed` null without a signature.
export function readForm({ header: raw, salt, body, signer, signature }) {
  const header = decodeHeader(raw);
  checkHeader(header);
  const bare = salt.length === 0 && body.length === 0;
  const entry = { id: entryId(raw), raw, header, salt, rawBody: body, hasBody: !bare, body: null };
  entry.signed = signer ? { signer, signature } : null;
  must(bare || salt.length === 16, 'malformed', 'V-ET-07');
  if (bare) return entry;
  must(equal(contentHash(salt, body), header.content), 'authentication', 'V-ET-08');
  return BODIES.has(header.kind) ? { ...entry, body: decodeBody(header.kind, body) } : entry;
}

// Whether an entry is this person's, who has these terminals.
export const isOwn = ({ header }, terminals, selfKey) =>
  terminals.some((one) => one.equals(header.author)) && equal(selfTag(selfKey, header), header.self_tag);

const signedBytes = (entry, signer) => {
  const label = signer.equals(entry.header.author) ? 'entry' : 'taken';
  return join(ascii(`parlour.sign.${label}\0`), entry.id);
};

// The SignedEntry that a terminal makes of an entry, as its author or its taker. `pair`: its Ed25519 pair.
export function signEntry({ raw: header, salt, rawBody: body, ...entry }, signer, pair) {
  const signature = sign(pair, signedBytes(entry, signer));
  return { is: 'SignedEntry', header, salt, body, signer, signature };
}

// Trust. `view`: {carrier, accepted, self, contact, selfKeys, live(person), former(person), signing(terminal)}; persons are
// ids, `selfKeys` the newest or none, `signing` gives an Ed25519 key or null. Returns what the author is: live, former or
// unknown; claimed where logs say that it is of this person, and nothing shows it.
export function checkTrust(entry, view) {
  const { header, signed } = entry;
  must(view.accepted, 'untrusted', 'V-ET-10');
  const alone = view.self.equals(view.contact);
  const conversation = alone ? notesOf(view.self) : conversationId(view.self, view.contact);
  must(header.conversation.equals(conversation), 'untrusted', 'V-ET-11');
  const known = [view.self, view.contact].some((person) => person.equals(view.carrier));
  must(known, 'untrusted', 'V-ET-12');
  const passed = view.carrier.equals(view.self);
  must(passed || !signed, 'unexpected', 'V-MS-05');
  must(header.self_tag.length > 0, 'malformed', 'V-ET-13');
  must(alone || header.kind !== STATE, 'malformed', 'V-ET-15');
  must(!alone || (header.kind !== TIMER && header.timer === 0), 'malformed', 'V-ET-16');
  const among = (terminals) => terminals.some((terminal) => terminal.equals(header.author));
  const own = among(view.live(view.self)) || among(view.former(view.self));
  const live = among(view.live(view.self)) || among(view.live(view.contact));
  const isKnown = own || live || among(view.former(view.contact));
  if (!isKnown) return 'unknown';
  if (signed && own && !view.signing(signed.signer)) return 'unknown';
  must(!signed || own, 'authentication', 'V-ET-14');
  const isTagged = (key) => equal(selfTag(key, header), header.self_tag);
  if (own && !(passed ? isSigned(entry, view, alone) : view.selfKeys.some(isTagged))) return 'claimed';
  return live ? 'live' : 'former';
}

function isSigned(entry, view, alone) {
  if (!entry.signed) return false;
  const { signer, signature } = entry.signed;
  checkSignature(view.signing(signer), signedBytes(entry, signer), signature, 'V-ET-14');
  if (signer.equals(entry.header.author)) return true;
  const isLive = (terminal) => view.live(view.self).some((one) => one.equals(terminal));
  return !alone && isLive(signer) && !isLive(entry.header.author);
}

// Sequence, previous and parents after {sequence, id} of the author's newest entry, or null for the first. The tips
// are the last one in the order first.
export function placeAfter(newest, tips) {
  const previous = newest?.id ?? empty;
  const parents = tips
    .filter((tip) => !tip.equals(previous))
    .slice(0, 16)
    .sort(order);
  return { sequence: (newest?.sequence ?? 0) + 1, previous, parents };
}

const key = (value) => value.toString('hex');
const inOrder = (heads) =>
  heads.sort((a, b) => order(a.author, b.author) || a.sequence - b.sequence || order(a.id, b.id));

// The state of a body after an entry arrived; `before` is undefined where the header is new.
export function bodyAfter(before, hasBody) {
  if (before === 'held' || before === 'deleted') return before;
  return hasBody ? 'held' : 'missing';
}
const named = ({ header }) => [header.previous, ...header.parents].filter((one) => one.length);

export const compareHeads = (a, b) =>
  order(a.author, b.author) || a.sequence - b.sequence || order(a.id, b.id);

// Ascending heads in lists, one for each author.
export function byAuthor(heads) {
  const lists = [];
  for (const head of heads) {
    if (!lists.at(-1)?.[0].author.equals(head.author)) lists.push([]);
    lists.at(-1).push(head);
  }
  return lists;
}

// Those of ascending heads that are named: the last four of each author.
export const namedOf = (heads) => byAuthor(heads).flatMap((author) => author.slice(-4));

// The entries of one conversation, by id. Entries are what readForm gives.
const FOLLOWED_BELOW = 2 ** 52;

export class Conversation {
  // In a person's notes times count as 0.
  constructor(id, { clocked = true } = {}) {
    this.id = id;
    this.clocked = clocked;
    this.held = new Map();
  }

  // Entries of other conversations change nothing.
  add(entry) {
    if (!entry.header.conversation.equals(this.id)) return;
    const state = this.held.get(key(entry.id));
    if (!state?.hasBody) this.held.set(key(entry.id), entry);
  }

  entries() {
    return [...this.held.values()];
  }

  // The id that the author's next entry names as previous, or null.
  lastOf(author) {
    const mine = this.entries().filter(({ header }) => header.author.equals(author));
    const followed = mine.filter(({ header }) => header.sequence < FOLLOWED_BELOW);
    followed.sort((a, b) => a.header.sequence - b.header.sequence || Buffer.compare(a.id, b.id));
    return followed.at(-1)?.id ?? null;
  }

  ranks() {
    const known = new Map();
    for (const start of this.held.keys()) this.rankOf(start, known);
    return known;
  }

  // Walks without recursion: a chain may be long.
  rankOf(start, known) {
    const stack = [start];
    while (stack.length) {
      const name = stack.at(-1);
      const { header } = this.held.get(name);
      const above = named(this.held.get(name))
        .map(key)
        .filter((one) => this.held.has(one));
      const open = above.filter((one) => !known.has(one));
      if (open.length && !known.has(name)) {
        stack.push(...open);
        continue;
      }
      known.set(name, Math.max(this.clocked ? header.time : 0, ...above.map((one) => known.get(one) + 1)));
      stack.pop();
    }
  }

  // The order in which entries are shown.
  ordered() {
    const ranks = this.ranks();
    const rank = (entry) => ranks.get(key(entry.id));
    return this.entries().sort((a, b) => rank(a) - rank(b) || order(a.id, b.id));
  }

  // Those first that are shown last.
  tips() {
    const ended = new Set(this.entries().flatMap(named).map(key));
    return this.ordered()
      .filter((entry) => !ended.has(key(entry.id)))
      .map((entry) => entry.id)
      .reverse();
  }

  nextInChain({ header: { author, sequence, previous } }) {
    const before = this.held.get(key(previous));
    return before?.header.author.equals(author) && before.header.sequence < sequence ? before : undefined;
  }

  // Keys of the entries in the chains of some, by id.
  chains(ids) {
    const found = new Set();
    for (const start of ids) {
      let entry = this.held.get(key(start));
      while (entry && !found.has(key(entry.id))) {
        found.add(key(entry.id));
        entry = this.nextInChain(entry);
      }
    }
    return found;
  }

  // The timer of the conversation in seconds; `leftOut` are ids of entries that do not count.
  timer(leftOut) {
    const counts = ({ id: one }) => !leftOut.some((other) => other.equals(one));
    const set = this.ordered().filter((entry) => entry.header.kind === TIMER && entry.body && counts(entry));
    return set.at(-1)?.body.seconds ?? 0;
  }

  // What a person declares of itself as a bot, null where nothing is in force. `isOf` tells its entries.
  bot(isOf, leftOut) {
    const counts = ({ id: one }) => !leftOut.some((other) => other.equals(one));
    const said = this.ordered().filter((entry) => entry.header.kind === BOT && isOf(entry) && counts(entry));
    return said.at(-1)?.body ?? null;
  }

  // The cuts of a removed author that are in force, by the rank of their authors. `live` and `ranked` are
  // terminals of its person, the latter all with a rank, the least first.
  cutsInForce(author, live, ranked) {
    const place = (terminal) => ranked.findIndex((one) => one.equals(terminal));
    const rank = (terminal) => (place(terminal) < 0 ? Infinity : place(terminal));
    const seniors = live.filter((terminal) => rank(terminal) < rank(author));
    const isOne = (terminals, terminal) => terminals.some((one) => one.equals(terminal));
    const may = seniors.length ? seniors : live;
    const cuts = this.entries()
      .filter(({ header, body }) => header.kind === CUT && body?.terminal.equals(author))
      .filter(({ header }) => isOne(may, header.author))
      .sort((a, b) => a.header.sequence - b.header.sequence || order(a.id, b.id));
    const first = cuts.filter(
      (cut, at) => cuts.findIndex(({ header }) => header.author.equals(cut.header.author)) === at,
    );
    return first
      .sort((a, b) => rank(a.header.author) - rank(b.header.author))
      .slice(0, CUTS_MOST);
  }

  // Ids, ascending, of a removed author's quarantined entries, where those in `before` were held at the time.
  quarantined(author, before, cuts) {
    const theirs = this.entries().filter(({ header }) => header.author.equals(author));
    const isTheirs = (one) => theirs.some((entry) => entry.id.equals(one));
    const ends = cuts.length ? cuts.map((cut) => cut.body.heads.map((head) => head.id)) : [before];
    const kept = ends.map((ids) => this.chains(ids.filter(isTheirs)));
    return theirs
      .map((entry) => entry.id)
      .filter((one) => !kept.every((chains) => chains.has(key(one))))
      .sort(order);
  }

  // Ids, ascending, of the entries for which the contact does not stand: of those that own terminals passed on.
  uncovered(passedOn, heads) {
    const open = new Set(passedOn.map(key));
    for (const head of heads) open.delete(key(head));
    for (let changed = true; changed; ) {
      changed = false;
      for (const { id: one, header } of this.entries()) {
        const before = this.held.get(key(header.previous));
        if (open.has(key(one)) || !before || !before.header.author.equals(header.author)) continue;
        changed = open.delete(key(before.id)) || changed;
      }
    }
    return this.entries()
      .map((entry) => entry.id)
      .filter((one) => open.has(key(one)))
      .sort(order);
  }

  // The heads to name where these entries, by id, are claims. Of an author of those `wanting` no claim is among them.
  namedWithClaims(claims, wanting) {
    const isClaim = ({ id: one }) => claims.some((other) => other.equals(one));
    const part = (is) => {
      const some = new Conversation(this.id);
      this.entries().filter(is).forEach((entry) => some.add(entry));
      return some.heads();
    };
    const found = namedOf(part((entry) => !isClaim(entry)));
    const wants = ({ author }) => wanting.some((one) => one.equals(author));
    for (const end of part(isClaim).filter((one) => !wants(one)).reverse()) {
      if (found.filter(({ author }) => author.equals(end.author)).length < 4) found.push(end);
    }
    return found.sort(compareHeads);
  }

  // The entries that deletes cover. `isOwn` tells this person's entries, `apart` are ids of those that do not count.
  deleted(isOwn, apart) {
    const isApart = ({ id: one }) => apart.some((other) => other.equals(one));
    const deletes = this.entries().filter((one) => one.header.kind === DELETE && one.body);
    const author = (name) => this.entries().find((one) => one.id.equals(name))?.header.author;
    const covers = (one, entry) => {
      if (isOwn(one) !== isOwn(entry) || [CUT, DELETE, TIMER, STATE, BOT].includes(entry.header.kind)) return false;
      const edited = entry.header.kind === EDIT && entry.body ? [entry.body.entry] : [];
      // One that does not count covers what its author wrote, with the edits of that.
      const may = (name) => !isApart(one) || Boolean(author(name)?.equals(one.header.author));
      return [entry.id, ...edited].some((name) => one.body.ids.some((other) => other.equals(name)) && may(name));
    };
    return this.entries().filter((entry) => deletes.some((one) => covers(one, entry)));
  }

  // The entries, of either person, that are deleted on all terminals of this one, whose notes have these ids.
  deletedOnAll(ids) {
    const isNamed = (one) => ids.some((other) => other.equals(one));
    return this.entries().filter(({ id: one, header, body }) => {
      if ([CUT, DELETE, TIMER, STATE, BOT].includes(header.kind)) return false;
      return isNamed(one) || (header.kind === EDIT && Boolean(body) && isNamed(body.entry));
    });
  }

  // The edits of each text, in order: pairs of the text and the list. `destroyed` are ids of what was deleted here.
  edits(isOwn, apart, destroyed) {
    const gone = [...this.deleted(isOwn, apart).map((entry) => entry.id), ...destroyed];
    const isIn = (ids, one) => ids.some((other) => other.equals(one));
    const edits = this.ordered().filter(({ id: one, header, body }) => {
      return header.kind === EDIT && body && !isIn(gone, one) && !isIn(apart, one);
    });
    const texts = this.entries().filter((one) => one.header.kind === TEXT && one.hasBody && !isIn(gone, one.id));
    return texts
      .map((one) => [one, edits.filter((edit) => edit.body.entry.equals(one.id) && isOwn(edit) === isOwn(one))])
      .filter(([, some]) => some.length);
  }

  // The lines of a person's notes, in order: pairs of an entry and its text, null without one. `apart` are ids of entries
  // that do not count, `named` those that are deleted on all terminals.
  noteLines(apart, named) {
    const own = () => true;
    const gone = [...this.deleted(own, apart), ...this.deletedOnAll(named)].map((entry) => entry.id);
    const edits = new Map(this.edits(own, apart, gone).map(([one, some]) => [key(one.id), some.at(-1).body.text]));
    const silent = [CUT, DELETE, EDIT, STATE, BOT];
    return this.ordered()
      .filter(({ header }) => !silent.includes(header.kind))
      .map((one) => {
        if (gone.some((other) => other.equals(one.id))) return [one, null];
        return [one, edits.get(key(one.id)) ?? one.body?.text ?? null];
      });
  }

  // Ids of entries that claim one place, ascending, for each place that several claim. Uncovered ones claim none.
  evidence(uncovered = []) {
    const places = new Map();
    const claiming = ({ id: one }) => !uncovered.some((other) => other.equals(one));
    for (const { id: one, header } of this.entries().filter(claiming)) {
      const place = `${key(header.author)} ${key(header.incarnation)} ${header.sequence}`;
      places.set(place, [...(places.get(place) ?? []), one].sort(order));
    }
    return [...places.values()].filter((ids) => ids.length > 1).sort((a, b) => order(a[0], b[0]));
  }

  heads() {
    const next = this.entries().map((entry) => this.nextInChain(entry));
    const ended = new Set(next.filter(Boolean).map((entry) => key(entry.id)));
    const open = this.entries().filter(({ id: one }) => !ended.has(key(one)));
    const heads = open.map(({ id: one, header }) => ({
      author: header.author,
      sequence: header.sequence,
      id: one,
    }));
    return heads.sort(compareHeads);
  }

  // The heads that ask for the bodies of these entries, by id.
  headsThatAsk(wanted) {
    const asked = wanted.map((one) => this.held.get(key(one)));
    const lowest = new Map();
    for (const { header } of asked) {
      const author = key(header.author);
      lowest.set(author, Math.min(header.sequence, lowest.get(author) ?? Infinity));
    }
    const asking = this.heads().filter(
      ({ author, sequence }) => sequence < (lowest.get(key(author)) ?? Infinity),
    );
    for (const { header } of asked.filter(({ header: of }) => of.sequence === lowest.get(key(of.author)))) {
      const before = this.held.get(key(header.previous));
      const fits = before && before.header.author.equals(header.author);
      if (!fits || asking.some(({ id: one }) => one.equals(before.id))) continue;
      asking.push({ author: header.author, sequence: before.header.sequence, id: before.id });
    }
    return asking.sort(compareHeads);
  }

  namedHeads(wanted = []) {
    return namedOf(this.headsThatAsk(wanted));
  }

  headsHash(wanted = []) {
    return hash('parlour.heads', [this.id, encode(list(0, Infinity, Head), this.namedHeads(wanted))]);
  }

  // The answer to Heads: what is in a chain of the own heads of some authors and in none of these.
  missing(heads, covers) {
    const covered = this.chains(heads.map((head) => head.id));
    const mine = this.namedHeads().filter(({ author }) => covers(author));
    const own = this.chains(mine.map((head) => head.id));
    return this.ordered().filter(({ id: one }) => own.has(key(one)) && !covered.has(key(one)));
  }

  // The place of a new entry of this author.
  place(author) {
    const own = this.heads()
      .filter((head) => head.author.equals(author))
      .at(-1);
    return placeAfter(own ?? null, this.tips());
  }
}
