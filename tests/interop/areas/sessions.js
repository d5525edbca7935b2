// Vectors of sessions; SPEC §9.
import { empty, x25519Pair } from '../primitives.js';
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

function encrypt(session, step) {
  expectSame(step, 'envelope', session.encrypt(hex(step.content)));
  if (!step.intermediate) return;
  expectSame(step.intermediate, 'chain_key', session.last.chainKey);
  expectSame(step.intermediate, 'message_key', session.last.messageKey);
}

// Where an envelope is refused, what is named as `then` must still open: nothing was changed.
function decrypt(session, step) {
  try {
    expectSame(step, 'content', session.decrypt(hex(step.envelope)));
  } catch (error) {
    if (step.then) expectSame(step.then, 'content', session.decrypt(hex(step.then.envelope)));
    throw error;
  }
}

const empties = (session, { count }) => Array.from({ length: count }, () => session.encrypt(empty));

const ACTS = {
  encrypt,
  decrypt,
  lose: empties,
  pass: (session, step, other) => empties(session, step).forEach((envelope) => other.decrypt(envelope)),
};

export function sessions(inputs, steps) {
  const ends = makeEnds(inputs);
  const other = { alice: ends.bob, bob: ends.alice };
  return steps.map((step) => () => ACTS[step.do](ends[step.actor], step, other[step.actor]));
}
