// Vectors of the handshake patterns; SPEC §6.2.
import { Handshake } from '../noise.js';
import { x25519Pair } from '../primitives.js';
import { expectSame, hex } from './expect.js';

function end(name, inputs) {
  const of = (what) => inputs[`${name}_${what}`];
  const other = name === 'initiator' ? 'responder' : 'initiator';
  const knows = inputs.protocol_name.includes('_IK') && name === 'initiator';
  const rs = of('remote_static') ?? (knows && x25519Pair(hex(inputs[`${other}_static`])).key.toString('hex'));
  const secrets = {
    s: of('static') && x25519Pair(hex(of('static'))),
    e: x25519Pair(hex(of('ephemeral'))),
    rs: rs ? hex(rs) : null,
    psks: (of('psks') ?? []).map(hex),
  };
  return new Handshake(inputs.protocol_name, name === 'initiator', hex(of('prologue')), secrets);
}

const none = Buffer.alloc(0);

function write(state, step) {
  const message = state.handshake.finished
    ? state.ciphers().send.encrypt(none, hex(step.payload))
    : state.handshake.write(hex(step.payload));
  expectSame(step, 'message', message);
}

function read(state, step) {
  const payload = state.handshake.finished
    ? state.ciphers().receive.decrypt(none, hex(step.message))
    : state.handshake.read(hex(step.message));
  expectSame(step, 'payload', payload);
}

function setNonce(actor, other, step) {
  const nonce = BigInt(`0x${step.nonce}`);
  actor.ciphers().send.n = nonce;
  other.ciphers().receive.n = nonce;
}

function state(handshake) {
  let made = null;
  return { handshake, ciphers: () => (made ??= handshake.split()) };
}

const ACTS = {
  write: (actor, other, step) => write(actor, step),
  read: (actor, other, step) => read(actor, step),
};

export function noise(inputs, steps) {
  const initiator = state(end('initiator', inputs));
  const responder = state(end('responder', inputs));
  const ends = { initiator: [initiator, responder], responder: [responder, initiator] };
  return steps.map((step) => () => {
    const [actor, other] = ends[step.actor];
    (ACTS[step.do] ?? setNonce)(actor, other, step);
    if (step.intermediate?.h) expectSame(step.intermediate, 'h', actor.handshake.h);
  });
}
