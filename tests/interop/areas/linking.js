// Vectors of linking; SPEC §5.11.1 to §5.11.5, §7.8.1.
import { Adding, BeingAdded } from '../linking.js';
import { decodeMessage, encodeMessage } from '../messages.js';
import { ed25519Pair, x25519Pair } from '../primitives.js';
import { expectSame, hex } from './expect.js';
import { agreedOf, oneTimeKeys } from './pairing.js';

function makeNew({ facts, initiator }) {
  const link = { agreed: agreedOf(facts), ...oneTimeKeys(facts, 'initiator') };
  const { name, nonce } = initiator;
  const pairs = {
    signing: ed25519Pair(hex(initiator.signing_seed)),
    fixed: x25519Pair(hex(initiator.static_secret)),
  };
  return new BeingAdded(link, pairs, name, hex(nonce));
}

function makeOld({ facts, responder }) {
  const link = { agreed: agreedOf(facts), ...oneTimeKeys(facts, 'responder') };
  const contacts = responder.contacts.map((one) => ({
    operations: one.operations.map(hex),
    shared: decodeMessage(hex(one.shared)),
  }));
  const operations = responder.operations.map(hex);
  const given = { operations, state: decodeMessage(hex(responder.state)), contacts };
  return new Adding(link, ed25519Pair(hex(responder.signing_seed)), given, hex(responder.nonce));
}

const MAKE = { initiator: makeNew, responder: makeOld };

// What the link does around a linking: Close ends it.
function receive(end, raw) {
  const message = decodeMessage(raw);
  if (message.is !== 'Close') return end.receive(message);
  return end.closed ? end.closed(message.reason) : end.ended('refused');
}

const ACTS = {
  start: () => [],
  receive: (end, step) => receive(end, hex(step.message)),
  confirm: (end) => end.confirm(),
  refuse: (end) => end.refuse(),
  cut: (end) => end.ended('cut'),
  share: (end) => end.share(),
  stored: (end) => end.stored(),
};

function act(ends, inputs, step) {
  const end = (ends[step.actor] ??= MAKE[step.actor](inputs));
  const events = ACTS[step.do](end, step).map(({ is, ...rest }) => ({ event: is, ...rest }));
  const send = end.out.splice(0).map(encodeMessage);
  expectSame(step, 'gives', { send, events, state: end.state });
}

export function linking(inputs, steps) {
  const ends = {};
  return steps.map((step) => () => act(ends, inputs, step));
}
