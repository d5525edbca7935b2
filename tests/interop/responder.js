// The end of a link that took the connection; SPEC §6.2 to §6.4.
import {
  ContactHello,
  ContactReply,
  PairingFinish,
  PairingReply,
  readPayload,
  writePayload,
} from './agreement.js';
import { Rejected, must, reject } from './errors.js';
import { Link } from './link.js';
import { decapsulate, kemPair, x25519Pair } from './primitives.js';
import { REFUSAL, frame, makeGreeting, readChoice } from './wire.js';

const INVITATIONS_TRIED = 4;

export class Responder extends Link {
  // `terminal`: the static pair. `visible`, `adds`: whether XX and linking are taken. `invitations`: {psk, oneTime} of the open ones.
  // `lookUp(static, hello)`: {psk, …} for a caller, or null. `oneTime`: the pair for XX.
  constructor(
    { terminal, visible = false, adds = false, invitations = [], lookUp = () => null, oneTime = null },
    options = {},
  ) {
    super(false, options.draw, options.features);
    Object.assign(this, { terminal, visible, adds, invitations, lookUp, oneTime: oneTime ?? x25519Pair() });
    this.greeting = options.greeting ?? makeGreeting();
    this.out.push(this.greeting);
  }

  acceptHandshake(body) {
    if (this.state === 'HANDSHAKE') return this.acceptFinish(body);
    try {
      return this.acceptFirst(body);
    } catch (error) {
      if (error instanceof Rejected && /^V-CH-0[2-5]$/.test(error.rule)) this.out.push(frame(REFUSAL));
      if (error.rule === 'V-CH-02') this.versions = [body[0], body[0]];
      throw error;
    }
  }

  acceptFirst(body) {
    const { pattern, aead, choice } = readChoice(body, this.greeting[10]);
    Object.assign(this, { pattern, aead });
    const message = body.subarray(3);
    if (pattern === 'XX') return this.acceptNearby(this.visible, choice, message);
    if (pattern === 'linking') return this.acceptNearby(this.adds, choice, message);
    return pattern === 'XXpsk0' ? this.acceptInvited(choice, message) : this.acceptContact(choice, message);
  }

  acceptNearby(open, choice, message) {
    must(open, 'unexpected', 'V-CH-04');
    this.startHandshake(this.oneTime, null, [], choice);
    must(this.noise.read(message).length === 0, 'malformed', 'V-HS-04');
    this.replyPairing();
  }

  // Every psk is tried, random ones in place of missing ones; of two that fit the later counts.
  acceptInvited(choice, message) {
    let fitting = null;
    for (let n = 0; n < INVITATIONS_TRIED; n++) {
      const { psk, oneTime } = this.invitations[n] ?? { psk: this.draw.psk(), oneTime: this.oneTime };
      this.startHandshake(oneTime, null, [psk], choice);
      if (this.opensEmpty(message)) fitting = { noise: this.noise, n, oneTime };
    }
    if (!fitting) reject('unexpected', 'V-CH-05');
    Object.assign(this, { noise: fitting.noise, invitation: fitting.n, oneTime: fitting.oneTime });
    this.replyPairing();
  }

  opensEmpty(message) {
    try {
      return this.noise.read(message).length === 0;
    } catch (error) {
      if (error instanceof Rejected) return false;
      throw error;
    }
  }

  ratchet() {
    this.pair = this.draw.ratchets();
    Object.assign(this.agreed, { shareR: this.draw.share, ratchetKey: this.pair.key });
    return { share: this.draw.share, ratchet_key: this.pair.key };
  }

  replyPairing() {
    this.kem = kemPair(this.draw.kemSeed);
    const reply = { kem_key: this.kem.key, ...this.ratchet() };
    this.out.push(frame(this.noise.write(writePayload(PairingReply, reply))));
    this.state = 'HANDSHAKE';
  }

  acceptFinish(body) {
    const finish = readPayload(PairingFinish, this.noise.read(body));
    const kemSecret = decapsulate(finish.kem_ciphertext, this.kem.secret);
    const kem = { kemKey: this.kem.key, kemCiphertext: finish.kem_ciphertext, kemSecret };
    this.settle(finish.share, kem, this.oneTime);
    this.state = this.pattern === 'XXpsk0' ? 'HELD' : 'CONFIRMING';
    if (this.state === 'HELD')
      this.events.push({ is: 'held', invitation: this.invitation, joiner: this.noise.rs });
  }

  // The invitation is burned: the events of what came meanwhile.
  burned() {
    this.release();
    return this.receive(Buffer.alloc(0));
  }

  release() {
    this.state = 'CONFIRMING';
  }

  acceptContact(choice, message) {
    this.startHandshake(this.terminal, null, [], choice);
    const hello = readPayload(ContactHello, this.noise.read(message));
    must(!this.noise.rs.equals(this.terminal.key), 'unexpected', 'V-HS-07');
    this.fitting = this.lookUp(this.noise.rs, hello);
    this.noise.psks = [this.fitting?.psk ?? this.draw.psk()];
    const { ciphertext, secret } = this.draw.encapsulate(hello.kem_key);
    const reply = { kem_ciphertext: ciphertext, ...this.ratchet() };
    this.out.push(frame(this.noise.write(writePayload(ContactReply, reply))));
    this.settle(
      hello.share,
      { kemKey: hello.kem_key, kemCiphertext: ciphertext, kemSecret: secret },
      this.terminal,
    );
    this.state = 'CONFIRMING';
  }

  settle(shareI, kem, own) {
    Object.assign(this.agreed, kem, { shareI });
    this.agree(this.noise.rs, own.key);
    this.openSession({ pair: this.pair });
  }
}
