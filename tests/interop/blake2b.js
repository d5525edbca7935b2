// BLAKE2b (RFC 7693) with key and personalisation, in 32-bit halves; SPEC §3.1.

const IV = Uint32Array.from([
  0xf3bcc908, 0x6a09e667, 0x84caa73b, 0xbb67ae85, 0xfe94f82b, 0x3c6ef372, 0x5f1d36f1, 0xa54ff53a, 0xade682d1,
  0x510e527f, 0x2b3e6c1f, 0x9b05688c, 0xfb41bd6b, 0x1f83d9ab, 0x137e2179, 0x5be0cd19,
]);

const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

const MIX = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

const v = new Uint32Array(32);
const m = new Uint32Array(32);

// v[a] += v[b] + (m[c] or nothing), each 64 bits in two halves, the lower first.
function add(a, b, low, high) {
  const sum = v[2 * a] + v[2 * b] + low;
  v[2 * a + 1] = v[2 * a + 1] + v[2 * b + 1] + high + Math.floor(sum / 0x100000000);
  v[2 * a] = sum;
}

function xorRotate(a, b, bits) {
  let low = v[2 * a] ^ v[2 * b];
  let high = v[2 * a + 1] ^ v[2 * b + 1];
  if (bits >= 32) [low, high] = [high, low];
  const rest = bits % 32;
  v[2 * a] = rest ? (low >>> rest) | (high << (32 - rest)) : low;
  v[2 * a + 1] = rest ? (high >>> rest) | (low << (32 - rest)) : high;
}

function mix([a, b, c, d], x, y) {
  add(a, b, m[2 * x], m[2 * x + 1]);
  xorRotate(d, a, 32);
  add(c, d, 0, 0);
  xorRotate(b, c, 24);
  add(a, b, m[2 * y], m[2 * y + 1]);
  xorRotate(d, a, 16);
  add(c, d, 0, 0);
  xorRotate(b, c, 63);
}

function compress(h, block, counted, last) {
  const view = new DataView(block.buffer, block.byteOffset, 128);
  for (let i = 0; i < 32; i++) m[i] = view.getUint32(4 * i, true);
  v.set(h, 0);
  v.set(IV, 16);
  v[24] ^= counted;
  v[25] ^= Math.floor(counted / 0x100000000);
  if (last) {
    v[28] = ~v[28];
    v[29] = ~v[29];
  }
  for (let round = 0; round < 12; round++) {
    const order = SIGMA[round % 10];
    for (let i = 0; i < 8; i++) mix(MIX[i], order[2 * i], order[2 * i + 1]);
  }
  for (let i = 0; i < 16; i++) h[i] ^= v[i] ^ v[i + 16];
}

function firstState(size, keySize, personal) {
  const block = new Uint8Array(64);
  block.set([size, keySize, 1, 1]);
  block.set(personal, 48);
  const view = new DataView(block.buffer);
  return IV.map((word, i) => word ^ view.getUint32(4 * i, true));
}

// The hash of `input`: `size` bytes (1 to 64), under `key` (0 to 64 bytes) and `personal` (0 to 16 bytes).
export function blake2b(input, { size = 32, key = new Uint8Array(0), personal = new Uint8Array(0) } = {}) {
  const h = firstState(size, key.length, personal);
  const head = key.length ? 128 : 0;
  const padded = new Uint8Array(Math.max(128, Math.ceil((head + input.length) / 128) * 128));
  padded.set(key, 0);
  padded.set(input, head);
  for (let at = 0; at < padded.length; at += 128) {
    const last = at + 128 === padded.length;
    compress(h, padded.subarray(at, at + 128), last ? head + input.length : at + 128, last);
  }
  const out = Buffer.alloc(64);
  h.forEach((word, i) => out.writeUInt32LE(word, 4 * i));
  return out.subarray(0, size);
}
