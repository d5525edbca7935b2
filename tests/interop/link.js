// One link, without sockets and clocks: bytes in, bytes and events out; SPEC §5, §6, §8.
import * as agreement from './agreement.js';
import { must } from './errors.js';
import { LINK_OWN, PAIRING, decodeMessage, encodeMessage, laterNumber } from './messages.js';
import { Handshake } from './noise.js';
import { Pieces, cut } from './padding.js';
import { ascii, encapsulate, join, random, x25519Pair } from './primitives.js';
import { Session } from './ratchet.js';
import { Frames, frame } from './wire.js';

const ENVELOPES_MOST = 2 ** 20;
const HELD_MOST = 131_072;
const HANDSHAKE_SECONDS = 5;
const PING_AFTER = { initiator: 6, responder: 6.5 };
const DEAD_AFTER = 10;
const LINK_SECONDS = 900;
const REASONS = ['done', 'replaced', 'locked', 'refused', 'twice'];

export const protocolName = (pattern) =>
  `Noise_${pattern === 'linking' ? 'XX' : pattern}_25519_ChaChaPoly_BLAKE2b`;
export const prologue = (greeting, choice) => join(ascii('parlour.link.v1'), greeting, choice);

// What an end draws for one handshake; vectors give it.
const freshDraw = () => ({
  ephemeral: x25519Pair(),
  kemSeed: random(64),
  encapsulate,
  share: random(32),
  psk: () => random(32),
  ratchets: x25519Pair,
});

export class Link {
  // `features`: those that this end names.
  constructor(initiator, draw = freshDraw(), features = []) {
    Object.assign(this, { initiator, draw, features, theirs: [], state: 'GREETING', pattern: null, aead: null });
    this.session = null;
    this.frames = new Frames();
    this.pieces = new Pieces();
    this.out = [];
    this.events = [];
    this.sent = 0;
    this.received = 0;
    this.pings = { sent: 0, answered: 0, since: null };
    this.agreed = {};
    Object.assign(this, {
      now: 0,
      openedAt: 0,
      heardAt: 0,
      unansweredSince: null,
      ended: null,
      versions: null,
    });
  }

  // The other end's static key of the handshake.
  get peerKey() {
    return this.noise.rs;
  }

  get pingAfter() {
    return this.initiator ? PING_AFTER.initiator : PING_AFTER.responder;
  }

  get pairing() {
    return this.pattern !== 'IKpsk2';
  }

  // Feeds bytes of the stream; the events that they caused. Raises Rejected and is CLOSED then.
  receive(data) {
    if (this.isOver()) return [];
    try {
      this.feed(Buffer.from(data));
    } catch (error) {
      this.state = 'CLOSED';
      throw error;
    }
    return this.events.splice(0);
  }

  // The stream has ended.
  cut() {
    if (this.state !== 'CLOSED') this.end('cut');
  }

  end(how) {
    Object.assign(this, { state: 'CLOSED', ended: how });
  }

  // Whether nothing may be read or sent any more; a link whose time is over ends here.
  isOver() {
    if (this.state === 'OPEN' && this.now - this.openedAt >= LINK_SECONDS) this.end('aged');
    return this.state === 'CLOSED';
  }

  // Sets the clock, in seconds since the stream began, and does what is due.
  wait(now) {
    this.now = now;
    if (this.isOver()) return;
    if (this.state !== 'OPEN') {
      if (now >= HANDSHAKE_SECONDS) this.end('deadline');
    } else if (this.unansweredSince !== null && now - this.unansweredSince >= DEAD_AFTER) {
      this.end('dead');
    } else if (now - this.heardAt >= this.pingAfter && this.pings.since === null) {
      this.ping();
    }
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
    this.noise = new Handshake(
      protocolName(this.pattern),
      this.initiator,
      prologue(this.greeting, choice),
      secrets,
    );
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
    Object.assign(this, { state: 'OPEN', openedAt: this.now, heardAt: this.now });
    this.frames.most = 65_535;
    this.events.push({ is: 'open', pattern: this.pattern });
  }

  // Seals a message. Where only the envelope for Close is left the link ends instead.
  send(message) {
    if (this.isOver()) return;
    const contents = cut(encodeMessage(message));
    const left = ENVELOPES_MOST - this.sent - (message.is === 'Close' ? 0 : 1);
    if (contents.length > left) {
      this.end('aged');
      return;
    }
    for (const content of contents) this.out.push(frame(this.session.encrypt(content)));
    this.sent += contents.length;
    this.noteSent(message);
  }

  noteSent({ is, reason, number }) {
    if (is === 'Ping') Object.assign(this.pings, { sent: number, since: this.now });
    if (is === 'Ping' || is === 'Entry') this.unansweredSince ??= this.now;
    if (is === 'Close') this.end(REASONS[reason]);
  }

  ping() {
    this.send({ is: 'Ping', number: this.pings.sent + 1 });
  }

  close(reason) {
    if (this.state === 'OPEN') this.send({ is: 'Close', reason });
    this.state = 'CLOSED';
  }

  acceptEnvelope(body) {
    must(this.received < ENVELOPES_MOST, 'limit', 'V-EL-01');
    const content = this.session.decrypt(body);
    this.received += 1;
    Object.assign(this, { heardAt: this.now, unansweredSince: null });
    this.pings.since = null;
    const raw = this.pieces.add(content);
    if (raw) this.acceptEncoded(raw);
  }

  // On an open contact's link a message of a later version is passed over.
  acceptEncoded(raw) {
    const later = this.state === 'OPEN' && !this.pairing ? laterNumber(raw) : null;
    if (later === null) this.acceptMessage(decodeMessage(raw));
    else this.events.push({ is: 'passed over', number: later });
  }

  acceptMessage(message) {
    if (this.state === 'CONFIRMING') return this.acceptConfirm(message);
    must(message.is !== 'Confirm', 'unexpected', 'V-CF-04');
    if (LINK_OWN.includes(message.is)) return this.acceptOwn(message);
    must(this.pairing || !PAIRING.includes(message.is), 'unexpected', 'V-MS-03');
    const isOfAny = message.is === 'LogOperations';
    must(!this.pairing || isOfAny || PAIRING.includes(message.is), 'unexpected', 'V-MS-04');
    return this.events.push({ is: 'message', message });
  }

  acceptConfirm(message) {
    must(message.is === 'Confirm', 'unexpected', LINK_OWN.includes(message.is) ? 'V-CF-03' : 'V-MS-02');
    must(!this.pairing || message.replaces.length === 0, 'malformed', 'V-CF-02');
    this.opened();
    this.events.push({ is: 'confirm', replaces: message.replaces });
    this.learn(message.features);
    if (this.features.length) this.send({ is: 'Features', features: this.features });
  }

  learn(features) {
    this.theirs = features;
    if (features.length) this.events.push({ is: 'features', features });
  }

  acceptOwn(message) {
    if (message.is === 'Ping') this.send({ is: 'Pong', number: message.number });
    else if (message.is === 'Pong') this.acceptPong(message);
    else if (message.is === 'Features') this.acceptFeatures(message);
    else this.acceptClose(message);
  }

  acceptFeatures({ features }) {
    must(this.initiator && this.received === 1, 'unexpected', 'V-FE-02');
    this.learn(features);
  }

  acceptPong({ number }) {
    const due = this.pings.answered + 1;
    must(due <= this.pings.sent && number === due, 'unexpected', 'V-PO-01');
    this.pings.answered = number;
    this.events.push({ is: 'answered', number });
  }

  acceptClose({ reason }) {
    this.end(REASONS[reason]);
    this.events.push({ is: 'closed', reason });
  }
}

// Whether this side closes link `m`, once the Pong has come on link `l` with the same terminal; SPEC §6.5.
// `higher`: this side's static key is the higher one.
export function closesOther(l, m, higher) {
  if (l.replaces.equals(m.session)) return l.began;
  if (m.replaces.equals(l.session)) return false;
  if (!m.began) return false;
  return l.began ? m.older : higher;
}
