// Vectors of own terminals; SPEC §5.2, §5.14.1, §5.14.2, §7.8.
import { key, readLog } from '../log.js';
import { decodeMessage, encodeMessage } from '../messages.js';
import { readOperation } from '../operations.js';
import { ed25519Pair } from '../primitives.js';
import * as renewal from '../renewal.js';
import * as own from '../siblings.js';
import { expectSame, hex } from './expect.js';

const drawn = ({ secret, heads, terminal }) => ({
  secret: hex(secret),
  heads: heads.map(hex),
  terminal: hex(terminal),
});

function logWithout({ log }, without) {
  const names = Object.keys(log).filter((name) => !without.includes(name));
  return readLog(names.map((name) => hex(log[name])));
}

const RUN = {
  keys(inputs, step) {
    const { secret, psk, discovery, meeting } = own.ownKeys(hex(step.person), hex(step.self_key));
    const number = renewal.numberOf(hex(step.self_key));
    return { own_secret: secret, number, psk, discovery_key: discovery, meeting_key: meeting };
  },
  answer(inputs, step) {
    return { psk: own.answer(hex(step.person), step.self_keys.map(hex), step.numbers) };
  },
  name(inputs, step) {
    return { numbers: own.named(step.self_keys.map(hex), hex(step.first)).map(renewal.numberOf) };
  },
  draw(inputs, step) {
    const [person, terminal, secret] = [step.person, step.terminal, step.secret].map(hex);
    const [contact, root] = [step.contact, step.pairing_root].map(hex);
    const place = { person, contact, pairing: renewal.pairingId(root) };
    const bare = { is: 'RenewedShare', ...place, share: secret, heads: step.heads.map(hex), terminal };
    const message = encodeMessage(renewal.signed(person, bare, ed25519Pair(hex(step.seed))));
    return { number: renewal.numberOf(secret), message };
  },
  newest(inputs, step) {
    const [log, held] = [logWithout(inputs, step.without), step.held.map(drawn)];
    const order = held.map((one, i) => i).sort((a, b) => renewal.compare(log, held[b], held[a]));
    return { order, stale: held.map(({ heads }) => renewal.isStale(log, heads)) };
  },
  receive_renewal(inputs, step) {
    const message = decodeMessage(hex(step.message));
    own.checkPlace(message, step.link === 'own');
    renewal.checkPersons(message, hex(step.person), hex(step.peer));
    return { taken: renewal.take(logWithout(inputs, step.without), message, step.held.map(drawn)) };
  },
  farewell(inputs, step) {
    const told = renewal.farewell(logWithout(inputs, []), hex(step.static));
    const names = Object.keys(inputs.log).sort();
    return { told: names.filter((name) => told.has(key(readOperation(hex(inputs.log[name])).id))) };
  },
  standing({ log }, step) {
    const read = readLog(log.map(hex), { confirmed: step.confirmed });
    const keys = [step.own_static, step.static].map(hex);
    return { standing: own.standing(read, step.confirmed.map(hex), ...keys) };
  },
  marks(inputs, step) {
    const marks = step.marks.map(({ entry, terminal, kind }) => ({
      entry: hex(entry),
      terminal: hex(terminal),
      kind,
    }));
    const conversation = hex(step.conversation);
    const messages = own.passedReceipts(conversation, marks).map(encodeMessage);
    return { hash: own.marksHash(conversation, marks), messages };
  },
  receive_digests(inputs, step) {
    const bytes = (one) => Object.fromEntries(Object.entries(one).map(([name, value]) => [name, hex(value)]));
    return own.answerDigests(decodeMessage(hex(step.message)), step.held.map(bytes));
  },
  receive_passed(inputs, step) {
    const message = decodeMessage(hex(step.message));
    const terminals = [step.own_terminals, step.contact_terminals].map((some) => some.map(hex));
    return { says: own.whatPassedSays(message, ...terminals), kind: message.kind, ids: message.ids };
  },
  receive_kept(inputs, step) {
    const ends = [step.receiver, step.sender].map(hex);
    return { of_holding: own.isOfHolding(decodeMessage(hex(step.message)), ...ends) };
  },
  keeper(inputs, step) {
    return { keeper: own.keeper(step.value, step.live.map(hex)) };
  },
  receive(inputs, step) {
    own.checkPlace(decodeMessage(hex(step.message)), step.link === 'own');
    return {};
  },
};

export function siblings(inputs, steps) {
  return steps.map((step) => () => {
    expectSame({ gives: {}, ...step }, 'gives', RUN[step.do](inputs, step));
  });
}
