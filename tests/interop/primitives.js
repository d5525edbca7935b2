// The algorithms of SPEC §4.1 and the rules V-KY for keys and signatures.
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { ml_dsa65 as mldsa } from '@noble/post-quantum/ml-dsa.js';
import sodium from 'libsodium-wrappers-sumo';
import { blake2b } from './blake2b.js';
import { Rejected, must, reject } from './errors.js';

await sodium.ready;

export const random = (size) => randomBytes(size);
export const join = (...parts) => Buffer.concat(parts);
export const ascii = (label) => Buffer.from(label, 'ascii');
export const empty = Buffer.alloc(0);

export function u16(value) {
  const out = Buffer.alloc(2);
  out.writeUInt16BE(value);
  return out;
}

export function u32(value) {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}

export const equal = (a, b) => a.length === b.length && timingSafeEqual(a, b);

// B2b of SPEC §3.1: the hash of all parts one after the other.
export const hash = (label, parts, { key = empty, size = 32 } = {}) =>
  blake2b(join(...parts), { key, size, personal: ascii(label) });

const NOISE_HASHES = { BLAKE2b: 'blake2b512', BLAKE2s: 'blake2s256', SHA256: 'sha256', SHA512: 'sha512' };
export const noiseHash = (name, data) => createHash(NOISE_HASHES[name]).update(data).digest();
export const noiseHmac = (name, key, data) => createHmac(NOISE_HASHES[name], key).update(data).digest();

const FIELD = 2n ** 255n - 19n;
const littleEndian = (raw) => BigInt(`0x${Buffer.from(raw).reverse().toString('hex')}`);

export function checkX25519(key, rule = 'V-KY-01') {
  must(key.length === 32 && littleEndian(key) < FIELD, 'malformed', rule);
}

export function dh(secret, key, rule = 'V-KY-02') {
  checkX25519(key);
  try {
    return Buffer.from(sodium.crypto_scalarmult(secret, key));
  } catch {
    return reject('authentication', rule);
  }
}

export const x25519Pair = (secret = random(32)) => ({
  secret,
  key: Buffer.from(sodium.crypto_scalarmult_base(secret)),
});

export function ed25519Pair(seed = random(32)) {
  const pair = sodium.crypto_sign_seed_keypair(seed);
  return { seed, key: Buffer.from(pair.publicKey), full: pair.privateKey };
}

export function checkEd25519(key) {
  must(key.length === 32 && sodium.crypto_core_ed25519_is_valid_point(key), 'malformed', 'V-KY-03');
}

export const sign = (pair, message) => Buffer.from(sodium.crypto_sign_detached(message, pair.full));

export function checkSignature(key, message, signature, rule = 'V-KY-05') {
  const good = signature.length === 64 && sodium.crypto_sign_verify_detached(signature, message, key);
  must(good, 'authentication', rule);
}

export function mldsaPair(seed = random(32)) {
  const { publicKey, secretKey } = mldsa.keygen(seed);
  return { key: Buffer.from(publicKey), secret: secretKey };
}

export const signMldsa = ({ secret }, message) => Buffer.from(mldsa.sign(message, secret));

export function checkMldsaSignature(key, message, signature, rule) {
  must(signature.length === 3309 && mldsa.verify(signature, message, key), 'authentication', rule);
}

const KEM_PRIME = 3329;

function coefficients(key) {
  const out = [];
  for (let at = 0; at < 1152; at += 3) {
    out.push(key[at] | ((key[at + 1] & 15) << 8), (key[at + 1] >> 4) | (key[at + 2] << 4));
  }
  return out;
}

export function checkKemKey(key) {
  const good = key.length === 1184 && coefficients(key).every((c) => c < KEM_PRIME);
  must(good, 'malformed', 'V-KY-04');
}

export function kemPair(seed = random(64)) {
  const pair = sodium.crypto_kem_mlkem768_seed_keypair(seed);
  return { key: Buffer.from(pair.publicKey), secret: Buffer.from(pair.privateKey) };
}

// `seed` is the 32 bytes m of FIPS 203.
export function encapsulate(key, seed = random(32)) {
  checkKemKey(key);
  const made = sodium.crypto_kem_mlkem768_enc_deterministic(key, seed);
  return { ciphertext: Buffer.from(made.ciphertext), secret: Buffer.from(made.sharedSecret) };
}

export function decapsulate(ciphertext, secret) {
  must(ciphertext.length === 1088, 'malformed', 'V-CD-03');
  return Buffer.from(sodium.crypto_kem_mlkem768_dec(ciphertext, secret));
}

const AEADS = {
  'AEGIS-256': { name: 'aegis256', tag: 32, nonce: 32 },
  'ChaCha20-Poly1305': { name: 'chacha20poly1305_ietf', tag: 16, nonce: 12 },
};

export const tagSize = (aead) => AEADS[aead].tag;

export function seal(aead, key, content, associated, nonce = Buffer.alloc(AEADS[aead].nonce)) {
  const run = sodium[`crypto_aead_${AEADS[aead].name}_encrypt`];
  return Buffer.from(run(content, associated, null, nonce, key));
}

export function open(aead, key, sealed, associated, { nonce, rule } = {}) {
  const { name, nonce: size } = AEADS[aead];
  try {
    const run = sodium[`crypto_aead_${name}_decrypt`];
    return Buffer.from(run(null, sealed, associated, nonce ?? Buffer.alloc(size), key));
  } catch {
    throw new Rejected('authentication', rule);
  }
}

export function argon2id(passphrase, salt, operations, memoryBytes) {
  const { crypto_pwhash: run, crypto_pwhash_ALG_ARGON2ID13: algorithm } = sodium;
  return Buffer.from(run(32, passphrase, salt, operations, memoryBytes, algorithm));
}
