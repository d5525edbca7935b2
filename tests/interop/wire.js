// What precedes and surrounds envelopes: greeting, choice, refusal, frames; SPEC §5.1.
import { must, reject } from './errors.js';
import { ascii, join, random, u16 } from './primitives.js';

const MAGIC = ascii('PARLOUR\0');
export const GREETING_SIZE = 28;
const AEAD_NUMBERS = { 'AEGIS-256': 1, 'ChaCha20-Poly1305': 2 };
const AEAD_NAMES = { 1: 'AEGIS-256', 2: 'ChaCha20-Poly1305' };
export const PATTERNS = { XX: 1, XXpsk0: 2, IKpsk2: 3, linking: 8 };
const PATTERN_NAMES = { 1: 'XX', 2: 'XXpsk0', 3: 'IKpsk2', 8: 'linking' };
export const REFUSAL = Buffer.from([0, 1, 1]);

export const makeGreeting = (aeads = 3, fresh = random(16)) =>
  join(MAGIC, Buffer.from([1, 1, aeads, 0]), fresh);

// Judges what has come of a greeting; the AEADs that it offers once it is whole, else null.
export function readGreeting(raw) {
  const begun = Math.min(raw.length, MAGIC.length);
  must(raw.subarray(0, begun).equals(MAGIC.subarray(0, begun)), 'malformed', 'V-GR-01');
  if (raw.length < GREETING_SIZE) return null;
  const [min, max, aeads, reserved] = raw.subarray(8, 12);
  must(min > 0 && min <= max, 'malformed', 'V-GR-02');
  must(min === 1, 'unexpected', 'V-GR-03');
  must(reserved === 0 && aeads & 2, 'malformed', 'V-GR-04');
  return aeads;
}

// The AEAD and the choice for a greeting's offer, given whether this processor has AES instructions.
export function choose(pattern, offered, fast) {
  const aead = offered & 1 && fast ? 'AEGIS-256' : 'ChaCha20-Poly1305';
  return { aead, choice: Buffer.from([1, PATTERNS[pattern], AEAD_NUMBERS[aead]]) };
}

// Pattern and AEAD of a first frame. Only V-CH-01 is answered with silence.
export function readChoice(frame, offered) {
  must(frame.length >= 3 && frame[0] > 0, 'malformed', 'V-CH-01');
  must(frame[0] === 1, 'unexpected', 'V-CH-02');
  const pattern = PATTERN_NAMES[frame[1]];
  const known = pattern && AEAD_NAMES[frame[2]] && offered & (1 << (frame[2] - 1));
  must(known, 'unexpected', 'V-CH-03');
  return { pattern, aead: AEAD_NAMES[frame[2]], choice: frame.subarray(0, 3) };
}

export function checkRefusal(frame) {
  if (frame.length !== 3 || frame[0] !== 0) return;
  const [, min, max] = frame;
  must(min > 0 && min <= max, 'malformed', 'V-RF-01');
  reject('unexpected', min === 1 ? 'V-RF-03' : 'V-RF-02');
}

export const frame = (body) => join(u16(body.length), body);

// Cuts a stream into frames. `most` is what a frame may have now.
export class Frames {
  buffer = Buffer.alloc(0);
  most = 4096;

  add(data) {
    this.buffer = join(this.buffer, data);
  }

  // The next whole body, or null.
  next() {
    if (this.buffer.length < 2) return null;
    const length = this.buffer.readUInt16BE(0);
    must(length > 0, 'malformed', 'V-FR-01');
    must(length <= this.most, 'limit', 'V-FR-02');
    if (this.buffer.length < 2 + length) return null;
    const body = this.buffer.subarray(2, 2 + length);
    this.buffer = this.buffer.subarray(2 + length);
    return body;
  }
}
