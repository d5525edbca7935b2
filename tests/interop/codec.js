// MessagePack with one encoding for each value, read by type; SPEC §3.3.
//
// A type is { write(out, value), read(reader) }. A struct is an object with its fields by name.
import { must, reject } from './errors.js';

const U32 = 2 ** 32;

export class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(size) {
    must(this.at + size <= this.bytes.length, 'malformed', 'V-CD-02');
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  // A number of `size` bytes; a negative size says that it is signed.
  number(size) {
    const taken = this.take(Math.abs(size));
    if (size === 8) return Number(taken.readBigUInt64BE());
    if (size === -8) return Number(taken.readBigInt64BE());
    return size > 0 ? taken.readUIntBE(0, size) : taken.readIntBE(0, -size);
  }
}

// The number after one of `heads`, which says its bytes; `fix` is the head that holds small ones itself.
function readLength(reader, fix, heads) {
  const head = reader.number(1);
  if (fix && (head & fix.mask) === fix.head) return head & ~fix.mask & 0xff;
  const size = heads[head];
  must(size !== undefined, 'malformed', 'V-CD-02');
  return reader.number(size);
}

function writeLength(length, fix, heads) {
  if (fix && length <= (~fix.mask & 0xff)) return Buffer.from([fix.head | length]);
  const [head, size] = Object.entries(heads).find(([, bytes]) => length < 2 ** (8 * bytes));
  const out = Buffer.alloc(1 + size, Number(head));
  if (size === 8) out.writeBigUInt64BE(BigInt(length), 1);
  else out.writeUIntBE(length, 1, size);
  return out;
}

const FIXINT = { head: 0x00, mask: 0x80 };
const FIXSTR = { head: 0xa0, mask: 0xe0 };
const FIXARRAY = { head: 0x90, mask: 0xf0 };
const INT = { 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8 };
// A signed form may hold a number that this codec has, but never in its shortest form.
const ANY_INT = { ...INT, 0xd0: -1, 0xd1: -2, 0xd2: -4, 0xd3: -8 };
const BIN = { 0xc4: 1, 0xc5: 2, 0xc6: 4 };
const STR = { 0xd9: 1, 0xda: 2, 0xdb: 4 };
const ARRAY = { 0xdc: 2, 0xdd: 4 };

const within = (value, from, to) => must(value >= from && value <= to, 'malformed', 'V-CD-03');

export const int = (from, to) => ({
  write: (value) => writeLength(value, FIXINT, INT),
  read(reader) {
    const value = readLength(reader, FIXINT, ANY_INT);
    must(value >= 0, 'malformed', 'V-CD-02');
    within(value, from, to);
    return value;
  },
});

export const u8 = int(0, 255);
export const u16 = int(0, 0xffff);
export const u32 = int(0, U32 - 1);
export const u48 = int(0, 2 ** 48 - 1);
export const u53 = int(0, Number.MAX_SAFE_INTEGER);

export const bool = {
  write: (value) => Buffer.from([value ? 0xc3 : 0xc2]),
  read(reader) {
    const head = reader.number(1);
    must(head === 0xc2 || head === 0xc3, 'malformed', 'V-CD-02');
    return head === 0xc3;
  },
};

export const bytes = (from, to = from) => ({
  write: (value) => Buffer.concat([writeLength(value.length, null, BIN), value]),
  read(reader) {
    const value = reader.take(readLength(reader, null, BIN));
    within(value.length, from, to);
    return Buffer.from(value);
  },
});

function utf8(raw) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    return reject('malformed', 'V-CD-02');
  }
}

const codePoints = (value) => [...value].length;

export const text = (from, to) => ({
  write(value) {
    const raw = Buffer.from(value, 'utf8');
    return Buffer.concat([writeLength(raw.length, FIXSTR, STR), raw]);
  },
  read(reader) {
    const value = utf8(reader.take(readLength(reader, FIXSTR, STR)));
    within(codePoints(value), from, to);
    return value;
  },
});

export const list = (from, to, type) => ({
  of: type,
  write: (values) => Buffer.concat([writeLength(values.length, FIXARRAY, ARRAY), ...values.map(type.write)]),
  read(reader) {
    const count = readLength(reader, FIXARRAY, ARRAY);
    within(count, from, to);
    return Array.from({ length: count }, () => type.read(reader));
  },
});

export const struct = (fields) => ({
  fields,
  write(value) {
    const parts = Object.entries(fields).map(([name, type]) => type.write(value[name]));
    return Buffer.concat([writeLength(parts.length, FIXARRAY, ARRAY), ...parts]);
  },
  read(reader) {
    must(readLength(reader, FIXARRAY, ARRAY) === Object.keys(fields).length, 'malformed', 'V-CD-02');
    return Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, type.read(reader)]));
  },
});

// The number of a struct whose table this reader may not know; what follows it stays unread.
export function numberAtStart(raw) {
  const reader = new Reader(Buffer.from(raw));
  const start = readLength(reader, FIXARRAY, ARRAY);
  must(start > 0, 'malformed', 'V-CD-02');
  const number = u53.read(reader);
  const shortest = Buffer.concat([writeLength(start, FIXARRAY, ARRAY), u53.write(number)]);
  must(shortest.equals(raw.subarray(0, reader.at)), 'malformed', 'V-CD-04');
  return { number, at: reader.at };
}

// The first fields of a struct of which a later version defines the others: {number, ...fields}.
export function beginningOf(fields, raw) {
  const { number, at } = numberAtStart(raw);
  const elements = readLength(new Reader(Buffer.from(raw)), FIXARRAY, ARRAY);
  must(elements > Object.keys(fields).length, 'malformed', 'V-CD-02');
  const reader = new Reader(Buffer.from(raw));
  reader.at = at;
  const entries = Object.entries(fields).map(([name, type]) => [name, type.read(reader)]);
  const shortest = Buffer.concat(entries.map(([name, value]) => fields[name].write(value)));
  must(shortest.equals(raw.subarray(at, reader.at)), 'malformed', 'V-CD-04');
  return { number, ...Object.fromEntries(entries) };
}

// A choice of structs that begin with a number; values carry the struct's name as `is`.
export const numbered = (table, unknown = 'V-CD-02') => ({
  table,
  write(value) {
    const [number, fields] = table[value.is];
    return struct({ '#': int(number, number), ...fields }).write({ ...value, '#': number });
  },
  read(reader) {
    const start = reader.at;
    const elements = readLength(reader, FIXARRAY, ARRAY);
    must(elements > 0, 'malformed', 'V-CD-02');
    const number = int(0, Number.MAX_SAFE_INTEGER).read(reader);
    const [is, row] = Object.entries(table).find(([, [its]]) => its === number) ?? [];
    must(is, 'malformed', unknown);
    reader.at = start;
    const { '#': _, ...value } = struct({ '#': u53, ...row[1] }).read(reader);
    return { is, ...value };
  },
});

export const encode = (type, value) => type.write(value);

// Raises malformed for whatever is not the one encoding of a value of this type, limit beyond `most` bytes.
export function decode(type, raw, most = Infinity) {
  must(raw.length <= most, 'limit', 'V-CD-01');
  const reader = new Reader(Buffer.from(raw));
  const value = type.read(reader);
  must(reader.at === raw.length, 'malformed', 'V-CD-02');
  must(encode(type, value).equals(raw), 'malformed', 'V-CD-04');
  return value;
}
