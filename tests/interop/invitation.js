// Invitations as text; SPEC §7.5.
import { isIPv6 } from 'node:net';
import { bytes, decode, encode, list, struct, text, u32, u8, Reader } from './codec.js';
import { canonical } from './discovery.js';
import { Rejected, must } from './errors.js';
import { hash, random } from './primitives.js';

const TEXT_MOST = 4096;
const SECONDS = 3600;
const HEAD = 'PARLOUR:';
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export const Invitation = struct({
  version: u8,
  secret: bytes(16),
  expires: u32,
  check: bytes(32),
  one_time: bytes(32),
  addresses: list(0, 8, text(6, 53)),
  relays: list(0, 4, text(1, 255)),
});

export const checkOf = (person, fixed) => hash('parlour.invcheck', [person, fixed]);
export const oneTimeOf = (key) => hash('parlour.inv.key', [key]);
export const invitationPsk = (invitation) =>
  hash('parlour.inv.psk', [encode(Invitation, invitation)], { key: invitation.secret });

export function toBase32(raw) {
  const bits = [...raw].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => LETTERS[parseInt(five.padEnd(5, '0'), 2)]).join('');
}

export function fromBase32(letters) {
  const bits = [...letters].map((letter) => LETTERS.indexOf(letter).toString(2).padStart(5, '0')).join('');
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((eight) => parseInt(eight, 2)));
}

export const writeInvitation = (invitation) => HEAD + toBase32(encode(Invitation, invitation));

// Host and port, or null where the address is not in its one spelling.
function splitAddress(address) {
  const [, v6, v4, port] = /^(?:\[([0-9a-f:]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(address) ?? [];
  const host = v6 ?? v4 ?? '';
  const known = canonical(host) === host && isIPv6(host) === (v6 !== undefined);
  return known && Number(port) <= 65535 ? { host, port: Number(port) } : null;
}

function readBytes(given) {
  const bare = given.replace(/[ \t\r\n]/g, '').toUpperCase();
  must(/^[\x00-\x7f]*$/.test(given) && bare.startsWith(HEAD), 'malformed', 'V-IN-02');
  const letters = bare.slice(HEAD.length);
  must(/^[A-Z2-7]*$/.test(letters), 'malformed', 'V-IN-02');
  const raw = fromBase32(letters);
  must(toBase32(raw) === letters, 'malformed', 'V-IN-02');
  return raw;
}

// Whether the bytes begin a short array whose first element is another version than 1.
function isOtherVersion(raw) {
  try {
    const reader = new Reader(raw);
    if ((reader.number(1) & 0xf0) !== 0x90) return false;
    const version = u8.read(reader);
    return version !== 1 && encode(u8, version).equals(raw.subarray(1, reader.at));
  } catch (error) {
    if (error instanceof Rejected) return false;
    throw error;
  }
}

function decodeStruct(raw) {
  try {
    const invitation = decode(Invitation, raw);
    must(
      invitation.relays.every((relay) => /^[\x21-\x7e]*$/.test(relay)),
      'malformed',
      'V-IN-04',
    );
    return invitation;
  } catch (error) {
    if (error instanceof Rejected) throw new Rejected('malformed', 'V-IN-04');
    throw error;
  }
}

export function readInvitation(given) {
  must([...given].length <= TEXT_MOST, 'limit', 'V-IN-01');
  const raw = readBytes(given);
  must(!isOtherVersion(raw), 'unexpected', 'V-IN-03');
  const invitation = decodeStruct(raw);
  must(invitation.addresses.every(splitAddress), 'malformed', 'V-IN-05');
  return invitation;
}

// A new one at `now`, Unix seconds. Of too many addresses or relays the first are taken.
// `fixed` is the terminal's static key, `oneTime` that of this invitation.
export function makeInvitation({ person, fixed, oneTime, addresses, relays = [] }, now, secret = random(16)) {
  const names = { check: checkOf(person, fixed), one_time: oneTimeOf(oneTime) };
  const places = { addresses: addresses.slice(0, 8), relays: relays.slice(0, 4) };
  return { version: 1, secret, expires: now + SECONDS, ...names, ...places };
}

// Whether its time is over at `now`, in Unix seconds.
export const isExpired = ({ expires }, now) => now >= expires;

// Who has burned it once message 3 with this one-time key has come: `burnedBy` before, or null.
export function burn(burnedBy, oneTime) {
  must(burnedBy === null || burnedBy.equals(oneTime), 'untrusted', 'V-IN-06');
  return oneTime;
}
