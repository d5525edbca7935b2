// Backups: the sealed file, its records, and root hashes; SPEC §21.1.
import { bool, bytes, decode, encode, int, list, numberAtStart, struct, text, u8, u32, u48, u53 } from './codec.js';
import { checkDrawn } from './drawing.js';
import { STATE, conversationId, readForm, readHeader as readEntryHeader } from './entries.js';
import { Rejected, must, reject } from './errors.js';
import { drawn, isName, voucher } from './messages.js';
import { notesOf } from './notes.js';
import { readOperation } from './operations.js';
import { padme } from './padding.js';
import { empty, equal, hash, join, open, random, seal } from './primitives.js';
import { versionOf, wrappingKey } from './profile.js';
import { readAddress } from './relay_address.js';

const CHUNK = 65_536;
const TAG = 16;
const HEADER = 75;
const RECORD_MOST = 300_000;
const MAGIC = 'parlour-backup';
const AEAD = 'ChaCha20-Poly1305';

// --- The sealed file ---

const first = {
  magic: text(0, Infinity),
  version: u32,
  salt: bytes(16),
  operations: int(1, 10),
  memory_bytes: int(8_388_608, 1_073_741_824),
};
const Fields = struct(first);
const Header = struct({ ...first, mac: bytes(32) });

function keysOf(passphrase, header) {
  const key = wrappingKey(passphrase, header);
  const macKey = hash('parlour.bmackey', [empty], { key });
  const mac = hash('parlour.bmac', [encode(Fields, header)], { key: macKey });
  return { mac, chunkKey: hash('parlour.bchunks', [mac], { key }) };
}

function nonceOf(index, last) {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(index, 7);
  nonce[11] = last ? 1 : 0;
  return nonce;
}

export function sealFile(content, passphrase, { salt = random(16), operations = 3, memory = 268_435_456 }) {
  const header = { magic: MAGIC, version: 1, salt, operations, memory_bytes: memory };
  const { mac, chunkKey } = keysOf(passphrase, header);
  const parts = [encode(Header, { ...header, mac })];
  for (let at = 0; at === 0 || at < content.length; at += CHUNK) {
    const last = at + CHUNK >= content.length;
    const nonce = nonceOf(at / CHUNK, last);
    parts.push(seal(AEAD, chunkKey, content.subarray(at, at + CHUNK), empty, nonce));
  }
  return join(...parts);
}

function readHeader(raw) {
  try {
    const header = decode(Header, raw.subarray(0, HEADER));
    must(header.magic === MAGIC, 'malformed', 'V-BK-01');
    must(header.version === 1, 'malformed', 'V-BK-02');
    return header;
  } catch (error) {
    if (!(error instanceof Rejected) || error.rule === 'V-BK-02') throw error;
    return reject('malformed', versionOf(raw, MAGIC) > 1 ? 'V-BK-02' : 'V-BK-01');
  }
}

// The key of the chunks, by the header of a file.
export function chunkKeyOf(raw, passphrase) {
  const header = readHeader(raw);
  const { mac, chunkKey } = keysOf(passphrase, header);
  must(equal(mac, header.mac), 'authentication', 'V-BK-03');
  return chunkKey;
}

export function openFile(raw, passphrase) {
  const chunkKey = chunkKeyOf(raw, passphrase);
  const parts = [];
  for (let at = HEADER, index = 0; index === 0 || at < raw.length; at += CHUNK + TAG, index += 1) {
    const last = at + CHUNK + TAG >= raw.length;
    const sealed = raw.subarray(at, at + CHUNK + TAG);
    must(sealed.length >= TAG + (index ? 1 : 0), 'malformed', 'V-BK-04');
    parts.push(open(AEAD, chunkKey, sealed, empty, { nonce: nonceOf(index, last), rule: 'V-BK-05' }));
  }
  return join(...parts);
}

// --- Records ---

const id = bytes(32);
const Comparison = struct({ by_words: bool, time: u48, newest: id, terminals: list(0, 256, id) });
const Receipt = struct({ terminal: id, kind: int(1, 3), time: u48 });
const RECORDS = {
  1: {
    person: id,
    terminal: id,
    time: u48,
    recovery: bytes(0, 32),
    drawn: list(1, 256, drawn),
  },
  2: { person: id, operations: list(1, 256, bytes(0, 8192)) },
  3: { person: id, recovery: id, confirmed: bool },
  4: {
    person: id,
    name: text(0, 64),
    petname: text(0, 64),
    verified: bool,
    blocked: bool,
    held: bool,
    since: u48,
    pinned: bool,
    muted: bool,
    comparison: list(0, 1, Comparison),
    vouchers: list(0, 64, voucher),
  },
  5: { person: id, static: id },
  6: { name: text(1, 128), value: text(0, 65_536) },
  7: { address: text(1, 255), invited: bool, since: u48 },
  8: { how: int(1, 255), ids: list(1, 256, id) },
  9: { contact: id },
  10: {
    header: bytes(0, 2048),
    salt: bytes(0, 16),
    body: bytes(0, 131_072),
    deleted: u8,
    quarantined: bool,
    uncovered: bool,
    cut: list(0, 17, id),
    receipts: list(0, 1024, Receipt),
    signed: list(0, 1, struct({ terminal: bytes(32), signature: bytes(64) })),
  },
  11: { count: u53, root: id },
  12: { entries: u53, root: id },
};
const TYPES = Object.fromEntries(
  Object.entries(RECORDS).map(([number, fields]) => [
    number,
    struct({ number: int(Number(number), Number(number)), ...fields }),
  ]),
);

function readRecord(raw) {
  try {
    const type = TYPES[numberAtStart(raw).number];
    must(type, 'malformed', 'V-BK-07');
    return decode(type, raw);
  } catch (error) {
    if (error instanceof Rejected) return reject('malformed', 'V-BK-07');
    throw error;
  }
}

// The root of a conversation over entries {id, content}; without a body the content is empty.
export const firstRoot = (conversation) => hash('parlour.broot', [conversation]);
export const nextRoot = (root, { id: entry, content }) =>
  hash('parlour.broot', [root, entry, content.length ? content : Buffer.alloc(32)]);
export const historyRoot = (roots) => {
  const held = roots.filter((one) => !one.root.equals(firstRoot(one.conversation)));
  held.sort((a, b) => Buffer.compare(a.conversation, b.conversation));
  return hash('parlour.broot', held.flatMap((one) => [one.conversation, one.root]));
};

const ascending = (values) =>
  must(
    values.every((value, i) => i === 0 || Buffer.compare(values[i - 1], value) < 0),
    'malformed',
    'V-BK-09',
  );
const field = (holds) => must(holds, 'malformed', 'V-BK-09');
const place = (holds) => must(holds, 'malformed', 'V-BK-08');
const name = (value) => value.toString('hex');

function relay(address) {
  try {
    readAddress(address);
  } catch (error) {
    if (error instanceof Rejected) reject('malformed', 'V-BK-09');
    throw error;
  }
}

class Records {
  constructor() {
    this.numbers = [];
    this.logs = new Set();
    this.ownLog = [];
    this.contacts = new Set();
    this.talks = [];
  }

  mayFollow(number) {
    const before = this.numbers.at(-1);
    if (before === undefined) return number === 1;
    if (before === 1) return number === 2;
    if (before === 9 || before === 10) return number === 10 || number === 11;
    if (before === 11) return number === 9 || number === 12;
    return number >= before && number !== 10 && number !== 11;
  }

  take(record) {
    place(this.mayFollow(record.number));
    this.numbers.push(record.number);
    this[`take${record.number}`]?.(record);
  }

  take1(start) {
    field([0, 32].includes(start.recovery.length));
    this.start = start;
  }

  take2({ person, operations }) {
    const read = operations.map(readOperation);
    for (const { id: own, op } of read) field((op.person ?? own).equals(person));
    if (person.equals(this.start.person)) this.ownLog.push(...read);
    this.logs.add(name(person));
  }

  take3({ person }) {
    place(this.logs.has(name(person)));
  }

  take4({ person, name: own, petname, comparison, vouchers }) {
    field([own, petname].every((one) => one === '' || isName(one)));
    place(!this.contacts.has(name(person)) && !person.equals(this.start.person));
    place(this.logs.has(name(person)));
    comparison.forEach(({ terminals }) => ascending(terminals));
    ascending(vouchers.map(({ terminal }) => terminal));
    this.contacts.add(name(person));
  }

  take5({ person }) {
    place(this.contacts.has(name(person)));
  }

  take7({ address }) {
    relay(address);
  }

  take8({ ids }) {
    ascending(ids);
  }

  take9({ contact }) {
    const noted = this.start.person.equals(contact);
    place(noted || this.contacts.has(name(contact)));
    const conversation = noted ? notesOf(contact) : conversationId(this.start.person, contact);
    const before = this.talks.at(-1);
    place(!before || Buffer.compare(before.conversation, conversation) < 0);
    this.talks.push({ conversation, noted, ids: new Set(), count: 0, root: firstRoot(conversation) });
  }

  take10(record) {
    const talk = this.talks.at(-1);
    const form = readForm(record);
    const header = readEntryHeader(record.header);
    field(header.conversation.equals(talk.conversation));
    field(header.kind !== STATE || (talk.noted && !form.hasBody));
    field(!(record.deleted || header.timer) || !form.hasBody);
    field(record.deleted || !record.cut.length);
    ascending(record.receipts.map(({ terminal, kind }) => join(terminal, Buffer.from([kind]))));
    place(!talk.ids.has(name(form.id)));
    talk.ids.add(name(form.id));
    talk.count += 1;
    talk.root = nextRoot(talk.root, { id: form.id, content: form.hasBody ? header.content : empty });
  }

  take11({ count, root }) {
    const talk = this.talks.at(-1);
    must(count === talk.count && root.equals(talk.root), 'authentication', 'V-BK-11');
  }

  take12({ entries, root }) {
    const { person, drawn: secrets } = this.start;
    place(this.logs.has(name(person)));
    checkDrawn(this.ownLog, person, secrets);
    const all = this.talks.reduce((sum, { count }) => sum + count, 0);
    const same = entries === all && root.equals(historyRoot(this.talks));
    must(same, 'authentication', 'V-BK-11');
    this.end = { entries, root };
  }
}

// The records of a content, checked: {numbers, talks, end}.
export function readContent(content) {
  const records = new Records();
  let at = 0;
  while (!records.end) {
    must(at + 4 <= content.length, 'malformed', 'V-BK-10');
    const length = content.readUInt32BE(at);
    must(length <= RECORD_MOST, 'limit', 'V-BK-06');
    must(at + 4 + length <= content.length, 'malformed', 'V-BK-10');
    records.take(readRecord(content.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  const zeros = content.subarray(at);
  must(content.length === padme(at) && zeros.every((byte) => byte === 0), 'malformed', 'V-BK-10');
  return records;
}
