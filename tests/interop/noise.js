// The Noise Protocol Framework, revision 34, for the patterns of SPEC §6.2 and §11.7.2.
import { must } from './errors.js';
import {
  ascii,
  checkX25519,
  dh,
  empty,
  join,
  noiseHash,
  noiseHmac,
  open,
  seal,
  x25519Pair,
} from './primitives.js';

const AEAD = 'ChaCha20-Poly1305';
const MESSAGE_MOST = 65_535;
const NONCE_RESERVED = 2n ** 64n - 1n;
const PATTERNS = {
  XX: [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']],
  IK: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se'],
  ],
  NK: [
    ['e', 'es'],
    ['e', 'ee'],
  ],
};

// 'XXpsk0' gives the tokens of XX with psk before those of the first message.
function tokens(name) {
  const messages = PATTERNS[name.slice(0, 2)].map((message) => [...message]);
  for (const place of name.slice(2).split('+').filter(Boolean)) {
    const n = Number(place.replace('psk', ''));
    if (n === 0) messages[0].unshift('psk');
    else messages[n - 1].push('psk');
  }
  return messages;
}

function hkdf(hashName, chaining, input, outputs) {
  const temporary = noiseHmac(hashName, chaining, input);
  const made = [empty];
  for (let n = 1; n <= outputs; n++) {
    made.push(noiseHmac(hashName, temporary, join(made[n - 1], Buffer.from([n]))));
  }
  return made.slice(1);
}

class Cipher {
  constructor(key = null, n = 0n) {
    this.key = key;
    this.n = n;
  }

  nonce() {
    must(this.n < NONCE_RESERVED, 'limit', null);
    const out = Buffer.alloc(12);
    out.writeBigUInt64LE(this.n, 4);
    return out;
  }

  encrypt(associated, plain) {
    if (!this.key) return plain;
    const sealed = seal(AEAD, this.key, plain, associated, this.nonce());
    this.n += 1n;
    return sealed;
  }

  decrypt(associated, sealed) {
    if (!this.key) return sealed;
    must(sealed.length >= 16, 'authentication', 'V-HS-02');
    const plain = open(AEAD, this.key, sealed, associated, { nonce: this.nonce(), rule: 'V-HS-02' });
    this.n += 1n;
    return plain;
  }
}

export class Handshake {
  // `secrets` has s and e ({secret, key}; e made anew when absent), rs where it is known, psks in order.
  constructor(protocolName, initiator, prologue, { s, e, rs = null, psks = [] }) {
    const [, pattern, , , hashName] = protocolName.split('_');
    Object.assign(this, { initiator, s, e: null, nextE: e, rs, re: null, hashName, at: 0, psked: 0 });
    this.psks = psks;
    this.messages = tokens(pattern);
    this.withPsk = pattern.includes('psk');
    const name = ascii(protocolName);
    const size = noiseHash(hashName, empty).length;
    this.h = name.length <= size ? join(name, Buffer.alloc(size - name.length)) : noiseHash(hashName, name);
    this.ck = this.h;
    this.cipher = new Cipher();
    this.mixHash(prologue);
    if (/^(IK|NK)/.test(pattern)) this.mixHash(initiator ? rs : s.key);
  }

  copy() {
    const other = Object.assign(Object.create(Handshake.prototype), this);
    other.cipher = new Cipher(this.cipher.key, this.cipher.n);
    return other;
  }

  get finished() {
    return this.at === this.messages.length;
  }

  mixHash(data) {
    this.h = noiseHash(this.hashName, join(this.h, data));
  }

  mixKey(input) {
    const [ck, key] = hkdf(this.hashName, this.ck, input, 2);
    this.ck = ck;
    this.cipher = new Cipher(key.subarray(0, 32));
  }

  mixKeyAndHash(input) {
    const [ck, h, key] = hkdf(this.hashName, this.ck, input, 3);
    this.ck = ck;
    this.mixHash(h);
    this.cipher = new Cipher(key.subarray(0, 32));
  }

  encryptAndHash(plain) {
    const sealed = this.cipher.encrypt(this.h, plain);
    this.mixHash(sealed);
    return sealed;
  }

  decryptAndHash(sealed) {
    const plain = this.cipher.decrypt(this.h, sealed);
    this.mixHash(sealed);
    return plain;
  }

  // A token of two letters: the first is the initiator's key, the second the responder's.
  mixDh(token) {
    const [own, other] = this.initiator ? token : [token[1], token[0]];
    this.mixKey(dh(this[own].secret, this[`r${other}`]));
  }

  mixKnown(token) {
    if (token === 'psk') this.mixKeyAndHash(this.psks[this.psked++]);
    else this.mixDh(token);
  }

  mixEphemeral(key) {
    this.mixHash(key);
    if (this.withPsk) this.mixKey(key);
    return key;
  }

  writeToken(token) {
    if (token === 's') return this.encryptAndHash(this.s.key);
    if (token !== 'e') {
      this.mixKnown(token);
      return empty;
    }
    this.e = this.nextE ?? x25519Pair();
    return this.mixEphemeral(this.e.key);
  }

  write(payload) {
    const parts = this.messages[this.at++].map((token) => this.writeToken(token));
    return join(...parts, this.encryptAndHash(payload));
  }

  readEphemeral(key) {
    checkX25519(key);
    must(!this.e || !key.equals(this.e.key), 'unexpected', 'V-HS-03');
    this.re = this.mixEphemeral(Buffer.from(key));
  }

  readStatic(sealed) {
    const key = this.decryptAndHash(sealed);
    checkX25519(key);
    this.rs = key;
  }

  readTokens(message) {
    let at = 0;
    const take = (size) => {
      must(at + size <= message.length, 'malformed', 'V-HS-01');
      at += size;
      return message.subarray(at - size, at);
    };
    for (const token of this.messages[this.at]) {
      if (token === 'e') this.readEphemeral(take(32));
      else if (token === 's') this.readStatic(take(this.cipher.key ? 48 : 32));
      else this.mixKnown(token);
    }
    this.at += 1;
    return this.decryptAndHash(message.subarray(at));
  }

  // The payload. A message that is rejected leaves the state as it was.
  read(message) {
    must(message.length <= MESSAGE_MOST, 'limit', 'V-CD-01');
    const trial = this.copy();
    const payload = trial.readTokens(message);
    Object.assign(this, trial);
    return payload;
  }

  // The two transport ciphers, as send and receive.
  split() {
    const [first, second] = hkdf(this.hashName, this.ck, empty, 2).map(
      (key) => new Cipher(key.subarray(0, 32)),
    );
    return this.initiator ? { send: first, receive: second } : { send: second, receive: first };
  }
}
