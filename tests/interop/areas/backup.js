// Vectors of backups; SPEC §21.1.
import { firstRoot, historyRoot, nextRoot, openFile, readContent, sealFile } from '../backup.js';
import { expectSame, hex } from './expect.js';

const fileOf = ({ file }, step) => {
  if (!step.slices) return hex(step.file);
  const whole = hex(file);
  return Buffer.concat(step.slices.map(([start, end]) => whole.subarray(start, end)));
};

const BACKUP = {
  seal(inputs, step) {
    const { operations, memory_bytes: memory } = step;
    const file = sealFile(hex(step.content), step.passphrase, { salt: hex(step.salt), operations, memory });
    expectSame(step, 'gives', { file });
  },
  open(inputs, step) {
    const content = openFile(fileOf(inputs, step), step.passphrase);
    expectSame(step, 'gives', { content });
  },
  read(inputs, step) {
    const { numbers, talks, end } = readContent(hex(step.content));
    const roots = talks.map(({ conversation, count, root }) => [
      conversation.toString('hex'),
      { count, root: root.toString('hex') },
    ]);
    expectSame(step, 'gives', { numbers, roots: Object.fromEntries(roots), end });
  },
  root(inputs, step) {
    const entries = step.entries.map(({ id, content }) => ({ id: hex(id), content: hex(content) }));
    expectSame(step, 'gives', { root: entries.reduce(nextRoot, firstRoot(hex(step.conversation))) });
  },
  history(inputs, step) {
    const roots = step.roots.map(({ conversation, root }) => ({
      conversation: hex(conversation),
      root: hex(root),
    }));
    expectSame(step, 'gives', { root: historyRoot(roots) });
  },
};

export const backup = (inputs, steps) => steps.map((step) => () => BACKUP[step.do](inputs, step));
