// Announcements: slots and the TXT record; SPEC §13.
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { Rejected, must, reject } from './errors.js';
import { ascii, hash, join, random, u16, u32 } from './primitives.js';

const DAY_MS = 86_400_000;
const SLOT = 8;
const COUNTS = [32, 64, 128];
const PIECE = 248;
const PIECES_MOST = 5;
const TEXT_MOST = 1400;
const NAME_BYTES_MOST = 253;
const ADDRESSES_MOST = 8;

export const dayOf = (unixMs) => Math.floor(unixMs / DAY_MS);

const unique = (addresses) => [...new Set(addresses)].sort();

// `place`: {day, static, instance, port, addresses}.
export function slot(discoveryKey, place) {
  const { day, static: fixed, instance, port, addresses } = place;
  const where = ascii(unique(addresses).join(','));
  const input = [u32(day), fixed, ascii(instance), Buffer.from([0]), u16(port), where];
  return hash('parlour.slot', input, { key: discoveryKey, size: SLOT });
}

function shuffled(items) {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = random(4).readUInt32BE() % (i + 1);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

// The slots for these contacts, who were spoken to last first.
export function announce(discoveryKeys, place) {
  const own = discoveryKeys.slice(0, COUNTS.at(-1)).map((key) => slot(key, place));
  const count = COUNTS.find((size) => own.length <= size);
  const filling = Array.from({ length: count - own.length }, () => random(SLOT));
  return shuffled([...own, ...filling]);
}

// The place in `known` ({static, discovery_key}) of the terminal whose slot is there, or null.
export function recognise(slots, known, day, place) {
  const seen = new Set(cut(slots, SLOT).map((one) => one.toString('hex')));
  const fits = ({ static: fixed, discovery_key: key }) =>
    [day - 1, day, day + 1]
      .filter((one) => one >= 0)
      .some((one) => seen.has(slot(key, { ...place, day: one, static: fixed }).toString('hex')));
  const found = known.findIndex(fits);
  return found < 0 ? null : found;
}

const cut = (raw, size) =>
  Array.from({ length: Math.ceil(raw.length / size) }, (_, n) => raw.subarray(size * n, size * (n + 1)));

function cutName(name) {
  let out = '';
  for (const character of name) {
    if (Buffer.byteLength(out + character) > NAME_BYTES_MOST) break;
    out += character;
  }
  return out;
}

// The TXT record of slots (one after the other) and a name, which may be empty.
export function writeText(slots, name) {
  const pieces = cut(slots, PIECE).map((piece, n) => join(ascii(`s${n}=`), piece));
  const named = name ? [join(ascii('n='), Buffer.from(cutName(name), 'utf8'))] : [];
  const strings = [ascii('v=1'), ...pieces, ...named];
  return join(...strings.flatMap((string) => [Buffer.from([string.length]), string]));
}

function readStrings(raw) {
  must(raw.length <= TEXT_MOST, 'malformed', 'V-DR-03');
  const pairs = new Map();
  for (let at = 0; at < raw.length; at += 1 + raw[at]) {
    const string = raw.subarray(at + 1, at + 1 + raw[at]);
    const equals = string.indexOf('=');
    must(raw[at] > 0 && string.length === raw[at] && equals >= 0, 'malformed', 'V-DR-03');
    const key = string.subarray(0, equals).toString('latin1');
    must(!pairs.has(key), 'malformed', 'V-DR-03');
    pairs.set(key, string.subarray(equals + 1));
  }
  return pairs;
}

function readSlots(pairs) {
  const pieces = [];
  for (let n = 0; n < PIECES_MOST && pairs.has(`s${n}`); n++) pieces.push(pairs.get(`s${n}`));
  const slots = join(...pieces);
  must(
    COUNTS.some((count) => slots.length === count * SLOT),
    'malformed',
    'V-DR-05',
  );
  return slots;
}

function readName(raw) {
  try {
    const name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
    must([...name].length <= 64 && !/[\u0000-\u001f\u007f-\u009f]/.test(name), 'malformed', 'V-DR-06');
    return name;
  } catch (error) {
    if (error instanceof Rejected) throw error;
    return reject('malformed', 'V-DR-06');
  }
}

function blocks(rows) {
  const list = new BlockList();
  for (const [net, bits, family] of rows) list.addSubnet(net, bits, family);
  return list;
}

const LOOPBACK = blocks([
  ['127.0.0.0', 8, 'ipv4'],
  ['::1', 128, 'ipv6'],
]);
const NETWORK = blocks([
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['fe80::', 10, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
]);

// The one form of an IP address (RFC 5952, mapped ones as IPv4), or null.
export function canonical(address) {
  if (isIPv4(address)) return address;
  if (!isIPv6(address) || address.includes('%')) return null;
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(short) ?? [];
  if (high === undefined) return short;
  const bytes = join(u16(parseInt(high, 16)), u16(parseInt(low, 16)));
  return [...bytes].join('.');
}

const inside = (list, address) => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');

function localOf(given) {
  const addresses = given.map(canonical).filter((address) => address !== null);
  const network = addresses.filter((address) => inside(NETWORK, address));
  const local = network.length ? network : addresses.filter((address) => inside(LOOPBACK, address));
  return unique(local);
}

// An announcement as it was received: {slots, name, addresses}.
export function readAnnouncement({ instance, port, addresses, text }) {
  must(/^[0-9a-z-]{1,63}$/.test(instance), 'malformed', 'V-DR-01');
  must(port !== null && port > 0, 'malformed', 'V-DR-02');
  const pairs = readStrings(text);
  must(pairs.get('v')?.toString('latin1') === '1', 'malformed', 'V-DR-04');
  const slots = readSlots(pairs);
  const name = readName(pairs.get('n') ?? Buffer.alloc(0));
  const local = localOf(addresses);
  must(local.length > 0 && local.length <= ADDRESSES_MOST, 'malformed', 'V-DR-07');
  return { slots, name, addresses: local };
}
