// Vectors of padding, profile headers and safety numbers; SPEC §9.5, §21, §7.7.
import { Pieces, cut, pad, unpad } from '../padding.js';
import { Header, unwrap, wrap, wrappingKey } from '../profile.js';
import { decode } from '../codec.js';
import { readLog } from '../log.js';
import { branchesOf, openQuestions, safetyDigest, safetyNumber } from '../safety.js';
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

export function safety({ operations }, steps) {
  const raws = (names) => names.map((name) => hex(operations[name]));
  return steps.map((step) => () => {
    const own = readLog(raws(step.own), { seen: step.own_seen, confirmed: step.own_confirmed });
    const questions = openQuestions(own, step.own_confirmed.map(hex));
    const live = own.live.some(({ terminal }) => terminal.equals(hex(step.terminal)));
    const logs = live && !questions.length ? branchesOf(raws(step.theirs), step) : [];
    const numbers = logs.map((log) => ({
      newest: log.newest.toString('hex'),
      digest: safetyDigest(own, log).toString('hex'),
      number: safetyNumber(own, log),
    }));
    expectSame(step, 'gives', { questions, numbers });
  });
}
