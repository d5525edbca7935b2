// The end of a link that opened the connection; SPEC §6.3, §6.4.
import {
  ContactHello,
  ContactReply,
  PairingFinish,
  PairingReply,
  readPayload,
  writePayload,
} from './agreement.js';
import { namesOf } from './contact.js';
import { Rejected, must, reject } from './errors.js';
import { oneTimeOf } from './invitation.js';
import { Link } from './link.js';
import { decapsulate, empty, equal, join, kemPair, x25519Pair } from './primitives.js';
import { GREETING_SIZE, checkRefusal, choose, frame, readGreeting } from './wire.js';

export class Initiator extends Link {
  // pattern XX: {s}; XXpsk0: {s, psk, expected}, the last being the invitation's `one_time`;
  // IKpsk2: {s, rs, person, candidates}. `fast`: AES instructions here.
  constructor(pattern, secrets, { draw, fast = false, replaces = empty, features } = {}) {
    super(true, draw, features);
    Object.assign(this, { pattern, secrets, fast, replaces, begun: empty });
    this.secrets.s ??= x25519Pair();
    this.oneTime = this.secrets.s;
  }

  feed(data) {
    if (this.greeting) return super.feed(data);
    this.begun = join(this.begun, data);
    const offered = this.noteVersions(() => readGreeting(this.begun), this.begun.subarray(8, 10));
    if (offered === null) return null;
    this.greeting = this.begun.subarray(0, GREETING_SIZE);
    this.beginWith(offered);
    return super.feed(this.begun.subarray(GREETING_SIZE));
  }

  // Where the other side speaks no version of ours, what it speaks is told.
  noteVersions(read, range) {
    try {
      return read();
    } catch (error) {
      if (['V-GR-03', 'V-RF-02'].includes(error.rule)) this.versions = [...range];
      throw error;
    }
  }

  beginWith(offered) {
    const { aead, choice } = choose(this.pattern, offered, this.fast);
    this.aead = aead;
    const { s, rs, psk } = this.secrets;
    this.startHandshake(s, rs, psk ? [psk] : [], choice);
    this.out.push(frame(join(choice, this.noise.write(this.hello()))));
    this.state = 'HANDSHAKE';
  }

  hello() {
    if (this.pairing) return empty;
    this.kem = kemPair(this.draw.kemSeed);
    const { person, candidates } = this.secrets;
    const hello = { person, names: namesOf(candidates), kem_key: this.kem.key, share: this.draw.share };
    return writePayload(ContactHello, hello);
  }

  acceptHandshake(body) {
    this.noteVersions(() => checkRefusal(body), body.subarray(1, 3));
    if (this.pairing) this.finishPairing(body);
    else this.finishContact(body);
    this.opened();
    this.send({ is: 'Confirm', replaces: this.replaces, features: this.features });
  }

  finishPairing(body) {
    const reply = readPayload(PairingReply, this.noise.read(body));
    const { expected } = this.secrets;
    must(!expected || equal(oneTimeOf(this.noise.rs), expected), 'untrusted', 'V-HS-09');
    const { ciphertext, secret } = this.draw.encapsulate(reply.kem_key);
    const finish = { kem_ciphertext: ciphertext, share: this.draw.share };
    const message = frame(this.noise.write(writePayload(PairingFinish, finish)));
    this.settle(reply, { kemKey: reply.kem_key, kemCiphertext: ciphertext, kemSecret: secret });
    this.out.push(message);
  }

  finishContact(body) {
    const reply = readPayload(ContactReply, this.readUnderCandidates(body));
    const kemSecret = decapsulate(reply.kem_ciphertext, this.kem.secret);
    this.settle(reply, { kemKey: this.kem.key, kemCiphertext: reply.kem_ciphertext, kemSecret });
  }

  readUnderCandidates(body) {
    for (const candidate of this.secrets.candidates) {
      const trial = this.noise.copy();
      trial.psks = [candidate.psk];
      const payload = readOrNull(trial, body);
      if (payload) {
        Object.assign(this, { noise: trial, fitting: candidate });
        return payload;
      }
    }
    return reject('authentication', 'V-HS-08');
  }

  settle(reply, kem) {
    Object.assign(this.agreed, kem, {
      shareI: this.draw.share,
      shareR: reply.share,
      ratchetKey: reply.ratchet_key,
    });
    this.agree(this.secrets.s.key, this.noise.rs);
    this.openSession({ theirs: reply.ratchet_key });
  }
}

// The payload, or null where the psk is another one. Other faults of the message do not depend on the psk.
function readOrNull(trial, body) {
  try {
    return trial.read(body);
  } catch (error) {
    if (error instanceof Rejected && error.rule === 'V-HS-02') return null;
    throw error;
  }
}
