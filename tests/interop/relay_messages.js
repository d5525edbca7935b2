// What terminals and relays say before a circuit, and its padding; SPEC §11.7.2, §11.7.3.
import { bytes, decode, encode, int, list, numbered, struct, u32 } from './codec.js';
import { must } from './errors.js';
import { ascending } from './messages.js';
import { join, u16 } from './primitives.js';

const SMALL = 64;
const LARGE = 2_320;
const token = bytes(16);

const BY_TERMINAL = {
  Wait: [128, { tokens: list(1, 128, token) }],
  Alive: [130, {}],
  Dial: [131, { token, place: int(0, 7) }],
  Answer: [134, {}],
};
const BY_RELAY = {
  Waiting: [129, {}],
  Alive: [130, {}],
  Absent: [132, {}],
  Called: [133, { token }],
  Joined: [135, { others: int(0, 7) }],
  End: [136, { reason: int(0, 1) }],
};
const TABLES = {
  terminal: numbered(BY_TERMINAL, 'V-RM-05'),
  relay: numbered(BY_RELAY, 'V-RM-05'),
};
export const Welcome = struct({ time: u32 });

// Padded sizes that an end may send, with the tag of 16 bytes that sealing adds.
export const FRAMES = { terminal: [SMALL + 16, LARGE + 16], relay: [SMALL + 16] };

function pad(encoded, size) {
  return join(u16(encoded.length), encoded, Buffer.alloc(size - 2 - encoded.length));
}

function unpad(padded) {
  must(padded.length >= 2, 'malformed', 'V-RM-04');
  const end = 2 + padded.readUInt16BE(0);
  must(end <= padded.length && padded.subarray(end).every((byte) => byte === 0), 'malformed', 'V-RM-04');
  return padded.subarray(2, end);
}

// An encoded message in the padding of its number.
export const padMessage = (encoded) => pad(encoded, encoded[1] === 0xcc && encoded[2] === 128 ? LARGE : SMALL);

const sizeOf = (message) => (message.is === 'Wait' ? LARGE : SMALL);

function read(type, padded) {
  const message = decode(type, unpad(padded));
  must(padded.length === sizeOf(message), 'malformed', 'V-RM-06');
  return message;
}

export const readWelcome = (padded) => read(Welcome, padded);
export const writeWelcome = (welcome) => pad(encode(Welcome, welcome), SMALL);

// `sender` is 'terminal' or 'relay'.
export function readMessage(sender, padded) {
  const message = read(TABLES[sender], padded);
  if (message.is === 'Wait') must(ascending(message.tokens), 'malformed', 'V-RM-07');
  return message;
}

export const writeMessage = (sender, message) => pad(encode(TABLES[sender], message), sizeOf(message));
