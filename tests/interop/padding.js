// Padded contents and the pieces of messages; SPEC §9.5.
import { must } from './errors.js';
import { join, u16 } from './primitives.js';

const LEAST = 256;
const MOST = 61_440;
const PIECE_MOST = 61_437;
const MESSAGE_MOST = 300_000;

export function padme(length) {
  const e = Math.floor(Math.log2(length));
  const s = Math.floor(Math.log2(e)) + 1;
  const unit = 2 ** (e - s);
  return Math.ceil(length / unit) * unit;
}

const paddedSize = (size) => Math.max(LEAST, padme(2 + size));

export function pad(content) {
  return join(u16(content.length), content, Buffer.alloc(paddedSize(content.length) - 2 - content.length));
}

export function unpad(padded) {
  must(padded.length >= LEAST && padded.length <= MOST, 'malformed', 'V-PD-01');
  const size = padded.readUInt16BE(0);
  must(paddedSize(size) === padded.length, 'malformed', 'V-PD-02');
  must(
    padded.subarray(2 + size).every((byte) => byte === 0),
    'malformed',
    'V-PD-03',
  );
  return padded.subarray(2, 2 + size);
}

export function cut(message) {
  const contents = [];
  for (let at = 0; at < message.length; at += PIECE_MOST) {
    const more = at + PIECE_MOST < message.length;
    contents.push(join(Buffer.from([more ? 1 : 0]), message.subarray(at, at + PIECE_MOST)));
  }
  return contents;
}

// Puts messages together again. One instance a direction.
export class Pieces {
  kept = [];
  size = 0;

  // The whole message when `content` ended one, else null.
  add(content) {
    must(content.length > 1 && content[0] <= 1, 'malformed', 'V-PC-01');
    const piece = content.subarray(1);
    must(content[0] === 0 || piece.length === PIECE_MOST, 'malformed', 'V-PC-02');
    must(this.size + piece.length <= MESSAGE_MOST, 'limit', 'V-PC-03');
    this.kept.push(piece);
    this.size += piece.length;
    return content[0] ? null : this.whole();
  }

  whole() {
    const message = join(...this.kept);
    this.kept = [];
    this.size = 0;
    return message;
  }
}
