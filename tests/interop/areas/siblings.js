// Vectors of own terminals; SPEC §5.2, §5.14.1, §5.14.2, §7.8.
import { farewell } from '../farewell.js';
import { key, readLog } from '../log.js';
import { decodeMessage, encodeMessage } from '../messages.js';
import { readOperation } from '../operations.js';
import * as own from '../siblings.js';
import { expectSame, hex } from './expect.js';

const RUN = {
  keys(inputs, step) {
    const { secret, psk, discovery, meeting } = own.ownKeys(hex(step.person), hex(step.self_key));
    const name = own.keyName(hex(step.self_key));
    return { own_secret: secret, name, psk, discovery_key: discovery, meeting_key: meeting };
  },
  answer(inputs, step) {
    const names = { own: step.names.own.map(hex), theirs: step.names.theirs.map(hex) };
    return { psk: own.answer(hex(step.person), step.self_keys.map(hex), names) };
  },
  name(inputs, step) {
    return { names: own.named(step.self_keys.map(hex), hex(step.first)).map(own.keyName) };
  },
  farewell(inputs, step) {
    const told = farewell(readLog(Object.values(inputs.log).map(hex)), hex(step.static));
    const names = Object.keys(inputs.log).sort();
    return { told: names.filter((name) => told.has(key(readOperation(hex(inputs.log[name])).id))) };
  },
  standing({ log }, step) {
    const read = readLog(log.map(hex), { confirmed: step.confirmed });
    const keys = [step.own_static, step.static].map(hex);
    const confirmed = step.whose === 'own' ? step.confirmed.map(hex) : null;
    return { standing: own.standing(read, confirmed, ...keys) };
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
