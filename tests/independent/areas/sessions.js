// Vectors of sessions; SPEC §9.
import { x25519Pair } from '../primitives.js';
import { Session } from '../ratchet.js';
import { expectSame, hex } from './expect.js';

function drawer(secrets) {
  const left = secrets.map((secret) => x25519Pair(hex(secret)));
  return () => left.shift();
}

function makeEnds(inputs) {
  const common = { root: hex(inputs.root), aead: inputs.aead, allowSkip: inputs.allow_skip };
  const drawBob = drawer(inputs.bob_ratchet_keys);
  const pair = drawBob();
  const alice = new Session({ ...common, theirs: pair.key, draw: drawer(inputs.alice_ratchet_keys) });
  return { alice, bob: new Session({ ...common, pair, draw: drawBob }) };
}

function run(session, step) {
  if (step.do === 'decrypt') return expectSame(step, 'content', session.decrypt(hex(step.envelope)));
  expectSame(step, 'envelope', session.encrypt(hex(step.content)));
  if (!step.intermediate) return null;
  expectSame(step.intermediate, 'chain_key', session.last.chainKey);
  return expectSame(step.intermediate, 'message_key', session.last.messageKey);
}

export function sessions(inputs, steps) {
  const ends = makeEnds(inputs);
  return steps.map((step) => () => run(ends[step.actor], step));
}
