// Vectors of attachments; SPEC §12.
import * as files from '../files.js';
import { decodeMessage, encodeMessage } from '../messages.js';
import { expectSame, hex } from './expect.js';

const message = (step) => decodeMessage(hex(step.message));

const RUN = {
  body(step) {
    const { name, media, size, aead, folder } = files.readFile(hex(step.body));
    return { name, media, size, aead, folder };
  },
  seal(step) {
    const [content, key] = [hex(step.content), hex(step.key)];
    const pieces = Array.from({ length: files.countOf(content.length) }, (_, number) => {
      const piece = content.subarray(number * files.PIECE, (number + 1) * files.PIECE);
      return files.sealPiece(step.aead, key, number, piece);
    });
    const leaves = pieces.map(files.leafOf);
    const sealed = pieces.reduce((sum, { length }) => sum + length, 0);
    return { leaves, root: files.treeOf(leaves).at(-1)[0], sealed, last: pieces.at(-1) };
  },
  open: (step) => ({ piece: files.openPiece(step.aead, hex(step.key), step.number, hex(step.sealed)) }),
  tree({ leaves }) {
    const proofs = leaves.map((_, number) => files.proofOf(leaves.length, number));
    const root = files.treeOf(leaves.map(hex)).at(-1)[0];
    return { root, levels: files.sizesOf(leaves.length), proofs };
  },
  check(step) {
    const piece = message(step);
    files.checkPiece(piece, { size: step.size, aead: step.aead, root: hex(step.root) });
    return { number: piece.number };
  },
  asked(step, { supply }) {
    supply.take(message(step));
    return { unanswered: supply.unanswered };
  },
  stopped(step, { supply }) {
    supply.drop(hex(step.entry));
    return { unanswered: supply.unanswered };
  },
  next(step, { supply }) {
    const due = supply.next(step.most);
    if (due && 'count' in due) return due;
    return { message: due && encodeMessage({ is: 'PiecesEnd', ...due }) };
  },
  ask(step, { demand }) {
    const ranges = step.ranges.map(([first, count]) => ({ first, count }));
    return { message: encodeMessage(demand.ask(hex(step.entry), ranges)) };
  },
  takes: (step, { demand }) => ({ wanted: demand.takes(message(step)) }),
  ended: (step, { demand }) => ({ left: demand.ended(message(step)) }),
};

export function attachments(inputs, steps) {
  const ends = { supply: new files.Supply(), demand: new files.Demand() };
  return steps.map((step) => () => {
    expectSame({ gives: {}, ...step }, 'gives', RUN[step.do](step, ends));
  });
}
