// What a terminal that is gone is told; SPEC §7.6.
import { key, removalsOf } from './log.js';

// The removals that stand.
const removals = (log) => log.kept.filter((node) => removalsOf(node).length && log.valid.has(key(node.id)));

// The first removal of a terminal, or of the one that added it, and so on; null without one.
function felling(log, standing, terminal) {
  const removes = (node) => removalsOf(node).some((one) => one.terminal.equals(terminal));
  const { author } = log.terminals.find((one) => one.terminal.equals(terminal)).introducer.op;
  return standing.find(removes) ?? (author ? felling(log, standing, author) : null);
}

// The operations, by name, that tell a terminal with this static key that it is gone.
export function farewell(log, staticKey) {
  const found = new Set();
  const standing = removals(log);
  const names = (node) => [key(node.id), ...node.past];
  for (const { terminal, introducer } of log.gone) {
    const first = introducer.op.static.equals(staticKey) && felling(log, standing, terminal);
    if (!first) continue;
    const own = [...log.nodes.values()].filter(({ op }) => op.author?.equals(terminal));
    const known = new Set([introducer, ...own].flatMap(names));
    names(first).forEach((name) => found.add(name));
    known.forEach((name) => name !== key(first.id) && found.delete(name));
  }
  return found;
}
