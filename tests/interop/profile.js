// The profile's header file and its key; SPEC §21.
import { bytes, decode, encode, int, struct, text, u16, u32, Reader } from './codec.js';
import { Rejected, must, reject } from './errors.js';
import { argon2id, equal, hash, open, random, seal } from './primitives.js';

const HEADER_MOST = 1024;
const MAGIC = 'parlour-profile';
const AEAD = 'ChaCha20-Poly1305';

const first = {
  magic: text(0, Infinity),
  version: u32,
  salt: bytes(16),
  operations: int(1, 10),
  memory_bytes: int(8_388_608, 1_073_741_824),
};
const Associated = struct(first);
const Fields = struct({ ...first, wrapped: bytes(48), port: u16 });
export const Header = struct({ ...Fields.fields, check: bytes(16) });

const checkOf = (header) => hash('parlour.header', [encode(Fields, header)], { size: 16 });

export function wrappingKey(passphrase, { salt, operations, memory_bytes: memory }) {
  return argon2id(Buffer.from(passphrase.normalize('NFC'), 'utf8'), salt, operations, memory);
}

export function wrap(
  databaseKey,
  passphrase,
  { salt = random(16), port = 0, operations = 3, memory = 268_435_456 } = {},
) {
  const cost = { salt, operations, memory_bytes: memory };
  const header = { magic: MAGIC, version: 1, ...cost, port };
  header.wrapped = seal(AEAD, wrappingKey(passphrase, header), databaseKey, encode(Associated, header));
  return encode(Header, { ...header, check: checkOf(header) });
}

// The version next to a magic in whatever array of two fields or more this is, or null.
export function versionOf(raw, magic) {
  try {
    const reader = new Reader(raw);
    if ((reader.number(1) & 0xf0) !== 0x90 || first.magic.read(reader) !== magic) return null;
    const version = first.version.read(reader);
    const shortest = Buffer.concat([encode(first.magic, magic), encode(first.version, version)]);
    return shortest.equals(raw.subarray(1, reader.at)) ? version : null;
  } catch (error) {
    if (error instanceof Rejected) return null;
    throw error;
  }
}

function decodeHeader(raw) {
  try {
    return decode(Header, raw);
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    return reject('malformed', versionOf(raw, MAGIC) > 1 ? 'V-PH-04' : 'V-PH-02');
  }
}

export function readHeader(raw) {
  must(raw.length <= HEADER_MOST, 'limit', 'V-PH-01');
  const header = decodeHeader(raw);
  must(header.magic === MAGIC && equal(checkOf(header), header.check), 'malformed', 'V-PH-03');
  must(header.version === 1, 'malformed', 'V-PH-04');
  return header;
}

export function unwrap(raw, passphrase) {
  const header = readHeader(raw);
  const key = wrappingKey(passphrase, header);
  const database = open(AEAD, key, header.wrapped, encode(Associated, header), { rule: 'V-PH-05' });
  return { databaseKey: database, port: header.port };
}
