// One link, without sockets and clocks: bytes in, bytes and events out; SPEC §5, §6, §8.
import * as agreement from './agreement.js';
import { must } from './errors.js';
import { LINK_OWN, PAIRING, decodeMessage, encodeMessage } from './messages.js';
import { Handshake } from './noise.js';
import { Pieces, cut } from './padding.js';
import { ascii, join, random, x25519Pair } from './primitives.js';
import { Session } from './ratchet.js';
import { Frames, frame } from './wire.js';

const ENVELOPES_MOST = 2 ** 20;
const HELD_MOST = 131_072;

export const protocolName = (pattern) => `Noise_${pattern}_25519_ChaChaPoly_BLAKE2b`;
export const prologue = (greeting, choice) => join(ascii('parlour.link.v1'), greeting, choice);

// What an end draws for one handshake; vectors give it.
export const freshDraw = () => ({
  ephemeral: x25519Pair(),
  kemSeed: random(64),
  encapsulation: random(32),
  share: random(32),
  ratchet: null,
  ratchets: () => x25519Pair(),
});

export class Link {
  constructor(initiator, draw = freshDraw()) {
    Object.assign(this, { initiator, draw, state: 'GREETING', pattern: null, aead: null, session: null });
    this.frames = new Frames();
    this.pieces = new Pieces();
    this.out = [];
    this.events = [];
    this.sent = 0;
    this.received = 0;
    this.pings = { sent: 0, answered: 0 };
    this.agreed = {};
  }

  get pairing() {
    return this.pattern !== 'IKpsk2';
  }

  // Feeds bytes of the stream; the events that they caused. Raises Rejected and is CLOSED then.
  receive(data) {
    if (this.state === 'CLOSED') return [];
    try {
      this.feed(Buffer.from(data));
    } catch (error) {
      this.state = 'CLOSED';
      throw error;
    }
    return this.events.splice(0);
  }

  feed(data) {
    this.frames.add(data);
    this.readOn();
  }

  readOn() {
    while (this.state !== 'CLOSED' && this.state !== 'HELD') {
      const body = this.frames.next();
      if (!body) return;
      this.acceptFrame(body);
    }
    if (this.state === 'HELD') must(this.frames.buffer.length <= HELD_MOST, 'limit', 'V-FR-03');
  }

  acceptFrame(body) {
    if (this.session) this.acceptEnvelope(body);
    else this.acceptHandshake(body);
  }

  // The bytes that are to be written now.
  take() {
    return join(...this.out.splice(0));
  }

  startHandshake(s, rs, psks, choice) {
    const secrets = { s, e: this.draw.ephemeral, rs, psks };
    this.choice = choice;
    this.noise = new Handshake(protocolName(this.pattern), this.initiator, prologue(this.greeting, choice), secrets);
  }

  // After the last handshake message: the secrets of the session.
  agree(staticI, staticR) {
    Object.assign(this.agreed, { h: this.noise.h, staticI, staticR });
    Object.assign(this.agreed, agreement.sessionSecrets(this.agreed));
    this.sessionId = this.agreed.sessionId;
  }

  openSession(secret) {
    const common = { root: this.agreed.root, aead: this.aead, draw: this.draw.ratchets };
    this.session = new Session({ ...common, ...secret });
  }

  opened() {
    this.state = 'OPEN';
    this.frames.most = 65_535;
    this.events.push({ is: 'open', pattern: this.pattern });
  }

  send(message) {
    for (const content of cut(encodeMessage(message))) {
      const last = message.is === 'Close' ? ENVELOPES_MOST : ENVELOPES_MOST - 1;
      must(this.sent < last, 'limit', 'V-EL-01');
      this.out.push(frame(this.session.encrypt(content)));
      this.sent += 1;
    }
  }

  ping() {
    this.pings.sent += 1;
    this.send({ is: 'Ping', number: this.pings.sent });
  }

  close(reason) {
    if (this.state === 'OPEN') this.send({ is: 'Close', reason });
    this.state = 'CLOSED';
  }

  acceptEnvelope(body) {
    must(this.received < ENVELOPES_MOST, 'limit', 'V-EL-01');
    const content = this.session.decrypt(body);
    this.received += 1;
    const raw = this.pieces.add(content);
    if (raw) this.acceptMessage(decodeMessage(raw));
  }

  acceptMessage(message) {
    if (this.state === 'CONFIRMING') return this.acceptConfirm(message);
    must(message.is !== 'Confirm', 'unexpected', 'V-CF-04');
    if (LINK_OWN.includes(message.is)) return this.acceptOwn(message);
    must(this.pairing || !PAIRING.includes(message.is), 'unexpected', 'V-MS-03');
    must(!this.pairing || PAIRING.includes(message.is), 'unexpected', 'V-MS-04');
    return this.events.push({ is: 'message', message });
  }

  acceptConfirm(message) {
    must(message.is === 'Confirm', 'unexpected', 'V-CF-03');
    must(!this.pairing || message.replaces.length === 0, 'malformed', 'V-CF-02');
    this.opened();
    this.events.push({ is: 'confirm', replaces: message.replaces });
  }

  acceptOwn(message) {
    if (message.is === 'Ping') this.send({ is: 'Pong', number: message.number });
    else if (message.is === 'Pong') this.acceptPong(message);
    else this.acceptClose(message);
  }

  acceptPong({ number }) {
    const due = this.pings.answered + 1;
    must(due <= this.pings.sent && number === due, 'unexpected', 'V-PO-01');
    this.pings.answered = number;
  }

  acceptClose({ reason }) {
    this.state = 'CLOSED';
    this.events.push({ is: 'closed', reason });
  }
}

