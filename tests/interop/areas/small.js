// Vectors of padding, profile headers and safety numbers; SPEC §9.5, §21, §7.7.
import { Pieces, cut, pad, unpad } from '../padding.js';
import { Header, unwrap, wrap, wrappingKey } from '../profile.js';
import { decode } from '../codec.js';
import { safetyDigest, safetyNumber } from '../safety.js';
import { expectSame, hex } from './expect.js';

export function padding(inputs, steps) {
  const pieces = new Pieces();
  const run = {
    size: (step) => expectSame(step.gives, 'padded', pad(Buffer.alloc(step.bytes)).length),
    pad: (step) => expectSame(step.gives, 'padded', pad(hex(step.content))),
    unpad: (step) => expectSame({ content: '', ...step.gives }, 'content', unpad(hex(step.padded))),
    cut: (step) => expectSame(step.gives, 'contents', cut(hex(step.message))),
    add: (step) => expectSame({ message: null, ...step.gives }, 'message', pieces.add(hex(step.content))),
  };
  return steps.map((step) => () => run[step.do](step));
}

const PROFILE = {
  wrap(step) {
    const { port, operations, memory_bytes: memory } = step;
    const header = wrap(hex(step.database_key), step.passphrase, {
      salt: hex(step.salt),
      port,
      operations,
      memory,
    });
    const fields = decode(Header, header);
    const told = { header, wrapping_key: wrappingKey(step.passphrase, fields), check: fields.check };
    expectSame(step, 'gives', told);
  },
  unwrap(step) {
    const { databaseKey, port } = unwrap(hex(step.header), step.passphrase);
    expectSame(step, 'gives', { database_key: databaseKey, port });
  },
};

export const profile = (inputs, steps) => steps.map((step) => () => PROFILE[step.do](step));

function safetyStep(step) {
  const persons = [hex(step.own_person), hex(step.their_person)];
  expectSame(step, 'gives', { digest: safetyDigest(...persons), number: safetyNumber(...persons) });
}

export const safety = (inputs, steps) => steps.map((step) => () => safetyStep(step));
