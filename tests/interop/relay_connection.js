// Both ends of a connection to a relay, without sockets and clocks; SPEC §11.7.2 to §11.7.4.
import { must } from './errors.js';
import { Handshake } from './noise.js';
import { ascii, empty, equal, hash, join } from './primitives.js';
import { FRAMES, readMessage, readWelcome, writeMessage, writeWelcome } from './relay_messages.js';
import { REFUSAL, checkRefusal, frame } from './wire.js';

const MAGIC = ascii('PARELAY\0');
const GREETING_SIZE = 28;
const CHOICE = Buffer.from([1, 16]);
const HELLO_SIZE = 66;
const FRAME_MOST = 4_096;
const PROTOCOL = 'Noise_NK_25519_ChaChaPoly_BLAKE2b';
const BEGIN_SECONDS = 5;
const DIAL_SECONDS = 10;
const ANSWER_SECONDS = 10;
const ALIVE_SECONDS = 25;
const SILENT_SECONDS = 60;
const CALLED_SECONDS = 3;
const DIALS_MOST = 16;
const OTHERS_MOST = 7;
const REASONS = ['busy', 'stopped'];

const prologue = (greeting) => join(ascii('parlour.relay.v1'), greeting, CHOICE);
const macOf = (relay, greeting, message) =>
  hash('parlour.relaymac', [greeting, CHOICE, message], { key: relay, size: 16 });

function checkMagic(begun) {
  const size = Math.min(begun.length, MAGIC.length);
  must(begun.subarray(0, size).equals(MAGIC.subarray(0, size)), 'malformed', 'V-RG-01');
}

export function readGreeting(greeting) {
  checkMagic(greeting);
  const [min, max] = greeting.subarray(8, 10);
  must(min > 0 && min <= max, 'malformed', 'V-RG-02');
  must(min === 1, 'unexpected', 'V-RG-03');
  must(greeting.readUInt16BE(10) === 0, 'malformed', 'V-RG-04');
}

// Noise message 1 in the body of a first frame.
export function readHello(body, relay, greeting) {
  must(body.length >= 2 && body[0] > 0, 'malformed', 'V-RH-01');
  must(body[0] === 1, 'unexpected', 'V-RH-02');
  must(body[1] === 16, 'unexpected', 'V-RH-03');
  must(body.length === HELLO_SIZE, 'malformed', 'V-RH-04');
  const message = body.subarray(18);
  must(equal(body.subarray(2, 18), macOf(relay, greeting, message)), 'authentication', 'V-RH-05');
  return message;
}

// What a state hears, by end.
const HEARS = {
  terminal: {
    READY: ['End'],
    WAITING: ['Waiting', 'Alive', 'Called', 'End'],
    DIALLING: ['Absent', 'Joined', 'End'],
  },
  relay: { READY: ['Wait', 'Dial'], WAITING: ['Wait', 'Alive'], CALLED: ['Wait', 'Alive', 'Answer'] },
};

class Connection {
  constructor(own, other, now) {
    Object.assign(this, { own, other, now, state: 'GREETING', ciphers: null, ended: null });
    this.buffer = empty;
    this.out = [];
    this.told = {};
    this.deadline = now + BEGIN_SECONDS;
  }

  get over() {
    return this.state === 'JOINED' || this.state === 'CLOSED';
  }

  // Feeds bytes of the stream. Raises Rejected and is CLOSED then.
  receive(data) {
    if (this.over) return;
    this.buffer = join(this.buffer, data);
    try {
      for (let unit = this.next(); unit; unit = this.next()) this.accept(unit);
    } catch (error) {
      this.state = 'CLOSED';
      throw error;
    }
  }

  // The next whole unit of the stream, or null.
  next() {
    if (this.over || this.buffer.length < 2) return null;
    const length = this.buffer.readUInt16BE(0);
    must(length > 0, 'malformed', 'V-FR-01');
    if (this.ciphers) {
      must(length <= Math.max(...FRAMES[this.other]), 'limit', 'V-RM-01');
      must(FRAMES[this.other].includes(length), 'malformed', 'V-RM-02');
    } else must(length <= FRAME_MOST, 'limit', 'V-FR-02');
    return this.cutOff(2 + length)?.subarray(2) ?? null;
  }

  cutOff(size) {
    if (this.buffer.length < size) return null;
    const unit = this.buffer.subarray(0, size);
    this.buffer = this.buffer.subarray(size);
    return unit;
  }

  open(body) {
    try {
      return this.ciphers.receive.decrypt(empty, body);
    } catch (error) {
      if (error.rule) error.rule = 'V-RM-03';
      throw error;
    }
  }

  hear(body) {
    const message = readMessage(this.other, this.open(body));
    const heard = HEARS[this.own][this.state] ?? [];
    must(heard.includes(message.is), 'unexpected', 'V-RM-08');
    this[`on${message.is}`](message);
  }

  say(message) {
    const padded = writeMessage(this.own, message);
    this.out.push(frame(this.ciphers.send.encrypt(empty, padded)));
  }

  enter(state, seconds = null) {
    Object.assign(this, { state, deadline: seconds === null ? null : this.now + seconds });
  }

  join() {
    this.enter('JOINED');
    Object.assign(this, { ciphers: null, noise: null });
    this.told.circuit = this.buffer;
  }

  end(how) {
    if (this.over) return;
    this.enter('CLOSED');
    Object.assign(this, { ended: how, ciphers: null, noise: null });
  }

  cut() {
    this.end('cut');
  }

  wait(now) {
    this.now = now;
    if (!this.over && this.deadline !== null && now >= this.deadline) this.overdue();
  }

  take() {
    return join(...this.out.splice(0));
  }
}

export class RelayTerminal extends Connection {
  constructor(relay, ephemeral, now = 0) {
    super('terminal', 'relay', now);
    Object.assign(this, { relay, ephemeral, asked: [] });
  }

  next() {
    if (this.state !== 'GREETING') return super.next();
    checkMagic(this.buffer);
    return this.cutOff(GREETING_SIZE);
  }

  accept(unit) {
    if (this.state === 'GREETING') this.acceptGreeting(unit);
    else if (this.state === 'HANDSHAKE') this.acceptReply(unit);
    else this.hear(unit);
  }

  acceptGreeting(greeting) {
    readGreeting(greeting);
    const secrets = { s: null, e: this.ephemeral, rs: this.relay };
    this.noise = new Handshake(PROTOCOL, true, prologue(greeting), secrets);
    const message = this.noise.write(empty);
    this.out.push(frame(join(CHOICE, macOf(this.relay, greeting, message), message)));
    this.state = 'HANDSHAKE';
  }

  acceptReply(body) {
    checkRefusal(body);
    this.told.time = readWelcome(this.noise.read(body)).time;
    this.ciphers = this.noise.split();
    this.enter('READY', BEGIN_SECONDS);
  }

  waitOn(tokens) {
    this.enter('WAITING', this.asked.length ? this.deadline - this.now : null);
    this.ask({ is: 'Wait', tokens: [...tokens].sort(Buffer.compare) }, 'Waiting');
  }

  ask(message, answer) {
    this.say(message);
    this.asked.push(answer);
    if (this.asked.length === 1) this.deadline = this.now + ANSWER_SECONDS;
    this.aliveDue = this.now + ALIVE_SECONDS;
  }

  dial(token, place) {
    this.say({ is: 'Dial', token, place });
    this.enter('DIALLING', DIAL_SECONDS);
  }

  wait(now) {
    super.wait(now);
    if (this.state === 'WAITING' && !this.asked.length && now >= this.aliveDue) {
      this.ask({ is: 'Alive' }, 'Alive');
    }
  }

  overdue() {
    this.end(this.state === 'WAITING' ? 'silent' : 'deadline');
  }

  answered(kind) {
    must(this.asked[0] === kind, 'unexpected', 'V-RM-11');
    this.asked.shift();
    this.deadline = this.asked.length ? this.now + ANSWER_SECONDS : null;
  }

  onWaiting() {
    this.answered('Waiting');
    this.told.waits = true;
  }

  onAlive() {
    this.answered('Alive');
  }

  onAbsent() {
    this.enter('READY', BEGIN_SECONDS);
    this.told.absent = true;
  }

  onCalled({ token }) {
    this.told.called = token;
    this.say({ is: 'Answer' });
    this.join();
  }

  onJoined({ others }) {
    this.told.others = others;
    this.join();
  }

  onEnd({ reason }) {
    this.end(REASONS[reason]);
  }

  close() {
    this.end('done');
  }
}

export class RelayEnd extends Connection {
  constructor(pair, time, { greetingRandom, ephemeral }, now = 0) {
    super('relay', 'terminal', now);
    Object.assign(this, { pair, time, ephemeral, dials: 0 });
    this.greeting = join(MAGIC, Buffer.from([1, 1, 0, 0]), greetingRandom);
    this.out.push(this.greeting);
  }

  accept(unit) {
    if (this.state === 'GREETING') this.acceptHello(unit);
    else this.hear(unit);
  }

  acceptHello(body) {
    if (body.length >= 2 && body[0] > 0 && (body[0] !== 1 || body[1] !== 16)) this.out.push(frame(REFUSAL));
    const message = readHello(body, this.pair.key, this.greeting);
    const secrets = { s: this.pair, e: this.ephemeral };
    this.noise = new Handshake(PROTOCOL, false, prologue(this.greeting), secrets);
    this.noise.read(message);
    this.out.push(frame(this.noise.write(writeWelcome({ time: this.time }))));
    this.ciphers = this.noise.split();
    this.enter('READY', BEGIN_SECONDS);
  }

  overdue() {
    this.end(this.state === 'WAITING' || this.state === 'CALLED' ? 'silent' : 'deadline');
  }

  onWait({ tokens }) {
    if (this.state === 'CALLED') return;
    must(this.dials === 0, 'unexpected', 'V-RM-09');
    this.enter('WAITING', SILENT_SECONDS);
    this.told.tokens = tokens;
  }

  onAlive() {
    if (this.state === 'CALLED') return;
    this.enter('WAITING', SILENT_SECONDS);
    this.say({ is: 'Alive' });
  }

  onDial({ token, place }) {
    this.dials += 1;
    must(this.dials <= DIALS_MOST, 'limit', 'V-RM-10');
    this.enter('DIALLING');
    Object.assign(this.told, { token, place });
  }

  onAnswer() {
    this.join();
  }

  waiting() {
    this.say({ is: 'Waiting' });
  }

  absent() {
    this.say({ is: 'Absent' });
    this.enter('READY', BEGIN_SECONDS);
  }

  call(token) {
    this.say({ is: 'Called', token });
    this.enter('CALLED', CALLED_SECONDS);
  }

  joinDialler(others) {
    this.say({ is: 'Joined', others: Math.min(others, OTHERS_MOST) });
    this.join();
  }

  stop(reason) {
    this.say({ is: 'End', reason });
    this.end(REASONS[reason]);
  }
}

