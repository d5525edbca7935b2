// Vectors of encodings; SPEC §3.3.
import * as agreement from '../agreement.js';
import { decode, encode, numbered } from '../codec.js';
import { BotBody, CutBody, DeleteBody, EditBody, EntryHeader, TextBody, TimerBody } from '../entries.js';
import { MESSAGES } from '../messages.js';
import { StateBody } from '../notes.js';
import { expectSame, hex } from './expect.js';

// The type of each name, and the most bytes of its encoding.
const TYPES = {
  message: [numbered(MESSAGES), 300_000],
  EntryHeader: [EntryHeader, 2048],
  TextBody: [TextBody, 131_072],
  CutBody: [CutBody, 131_072],
  DeleteBody: [DeleteBody, 131_072],
  EditBody: [EditBody, 131_072],
  TimerBody: [TimerBody, 131_072],
  BotBody: [BotBody, 131_072],
  StateBody: [StateBody, 131_072],
  ...Object.fromEntries(
    ['ContactHello', 'ContactReply', 'PairingReply', 'PairingFinish'].map((name) => [
      name,
      [agreement[name], 2048],
    ]),
  ),
};

const zip = (fields, values) =>
  Object.fromEntries(Object.entries(fields).map(([name, type], i) => [name, fromVector(type, values[i])]));

function fromVector(type, value) {
  if (type.table) {
    const [is, [, fields]] = Object.entries(type.table).find(([, [number]]) => number === value[0]);
    return { is, ...zip(fields, value.slice(1)) };
  }
  if (type.fields) return zip(type.fields, value);
  if (type.of) return value.map((one) => fromVector(type.of, one));
  return typeof value === 'object' ? hex(value) : value;
}

const RUN = {
  encode(step) {
    const [type] = TYPES[step.type];
    expectSame(step.gives, 'bytes', encode(type, fromVector(type, step.value)));
  },
  accept(step) {
    const [type, most] = TYPES[step.type];
    decode(type, hex(step.bytes), most);
  },
  decode(step) {
    const [type, most] = TYPES[step.type];
    const value = decode(type, hex(step.bytes), most);
    expectSame({ value: fromVector(type, step.gives.value) }, 'value', value);
  },
};

export function codec(inputs, steps) {
  return steps.map((step) => () => RUN[step.do](step));
}
