// The Double Ratchet of a link; SPEC §9.1 to §9.4. Names are those of Perrin and Marlinspike's document.
import { must } from './errors.js';
import { checkX25519, dh, hash, join, open, seal, tagSize, u32, x25519Pair } from './primitives.js';
import { pad, unpad } from './padding.js';

const RESERVED = 2 ** 32 - 1;
const SKIP_MOST = 1000;
const KEPT_MOST = 2000;
const KEPT_AGE = 2000;

function rootStep(rk, dhOutput, sender, receiver) {
  const made = hash('parlour.ratchet', [dhOutput, sender, receiver], { key: rk, size: 64 });
  return [made.subarray(0, 32), made.subarray(32)];
}

function chainStep(ck) {
  const made = hash('parlour.chain', [], { key: ck, size: 64 });
  return [made.subarray(0, 32), made.subarray(32)];
}

export class Session {
  // Give `theirs` for the initiator (Alice), `pair` for the responder (Bob). `draw` gives ratchet pairs.
  constructor({ root, aead, pair = null, theirs = null, allowSkip = false, draw = x25519Pair }) {
    Object.assign(this, { RK: root, aead, allowSkip, draw, DHs: pair ?? draw(), DHr: theirs });
    Object.assign(this, {
      CKs: null,
      CKr: null,
      Ns: 0,
      Nr: 0,
      PN: 0,
      PNr: 0,
      skipped: new Map(),
      received: 0,
    });
    if (theirs) this.startSending();
  }

  startSending() {
    const output = dh(this.DHs.secret, this.DHr);
    [this.RK, this.CKs] = rootStep(this.RK, output, this.DHs.key, this.DHr);
  }

  // The envelope of a content of 0 to 61,438 bytes.
  encrypt(content) {
    must(this.CKs && this.Ns < RESERVED, 'limit', 'V-EN-02');
    const [next, key] = chainStep(this.CKs);
    const counters = join(u32(this.PN), u32(this.Ns));
    const envelope = join(this.DHs.key, counters, seal(this.aead, key, pad(content), counters));
    this.CKs = next;
    this.Ns += 1;
    this.last = { chainKey: next, messageKey: key };
    return envelope;
  }

  // The content. An envelope that is rejected leaves the session as it was.
  decrypt(envelope) {
    const trial = Object.assign(Object.create(Session.prototype), this, { skipped: new Map(this.skipped) });
    const content = trial.accept(envelope);
    Object.assign(this, trial);
    return content;
  }

  accept(envelope) {
    const size = envelope.length - 40 - tagSize(this.aead);
    must(size >= 256 && size <= 61_440, 'malformed', 'V-EN-01');
    const header = { key: Buffer.from(envelope.subarray(0, 32)), counters: envelope.subarray(32, 40) };
    Object.assign(header, {
      pn: envelope.readUInt32BE(32),
      n: envelope.readUInt32BE(36),
      sealed: envelope.subarray(40),
    });
    must(header.pn !== RESERVED && header.n !== RESERVED, 'limit', 'V-EN-02');
    must(!header.key.equals(this.DHs.key), 'unexpected', 'V-EN-03');
    const content = this.acceptSkipped(header) ?? this.acceptNext(header);
    this.received += 1;
    this.forgetOld();
    return content;
  }

  openWith(key, header) {
    return unpad(open(this.aead, key, header.sealed, header.counters, { rule: 'V-EN-10' }));
  }

  acceptSkipped(header) {
    const name = `${header.key.toString('hex')} ${header.n}`;
    const found = this.skipped.get(name);
    if (!found) return null;
    this.skipped.delete(name);
    return this.openWith(found.key, header);
  }

  acceptNext(header) {
    if (this.DHr && this.CKr && header.key.equals(this.DHr)) return this.acceptInChain(header);
    return this.acceptNewChain(header);
  }

  acceptInChain(header) {
    must(header.pn === this.PNr, 'unexpected', 'V-EN-04');
    this.checkGap(this.Nr, header.n);
    this.skipTo(header.n);
    return this.openNext(header);
  }

  checkGap(have, next) {
    must(next >= have, 'unexpected', 'V-EN-05');
    must(this.allowSkip || next === have, 'unexpected', 'V-EN-06');
    must(next - have <= SKIP_MOST, 'limit', 'V-EN-07');
  }

  acceptNewChain(header) {
    if (this.allowSkip) this.checkGap(0, Math.max(0, header.pn - this.Nr));
    else this.checkGap(this.Nr, header.pn);
    this.checkGap(0, header.n);
    checkX25519(header.key, 'V-EN-08');
    if (this.CKr) this.skipTo(header.pn);
    [this.RK, this.CKr] = rootStep(
      this.RK,
      dh(this.DHs.secret, header.key, 'V-EN-09'),
      header.key,
      this.DHs.key,
    );
    Object.assign(this, { DHr: header.key, Nr: 0, PNr: header.pn });
    this.skipTo(header.n);
    const content = this.openNext(header);
    Object.assign(this, { PN: this.Ns, Ns: 0, DHs: this.draw() });
    this.startSending();
    return content;
  }

  skipTo(n) {
    while (this.Nr < n) {
      const [next, key] = chainStep(this.CKr);
      this.skipped.set(`${this.DHr.toString('hex')} ${this.Nr}`, { key, stored: this.received });
      this.CKr = next;
      this.Nr += 1;
    }
  }

  openNext(header) {
    const [next, key] = chainStep(this.CKr);
    const content = this.openWith(key, header);
    this.CKr = next;
    this.Nr += 1;
    return content;
  }

  forgetOld() {
    for (const [name, { stored }] of this.skipped) {
      const old = this.received - stored >= KEPT_AGE || this.skipped.size > KEPT_MOST;
      if (!old) break;
      this.skipped.delete(name);
    }
  }
}
