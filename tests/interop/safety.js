// The safety number of two persons, its branches, and what a terminal asks its person first; SPEC §7.7.
import { readLog } from './log.js';
import { hash, join, u32 } from './primitives.js';

// Of each side: the person, its newest recovery, and the pairs of keys of its live terminals.
function sideOf(log) {
  const pairs = log.live.map(({ introducer }) => join(introducer.op.signing, introducer.op.static));
  return join(log.person, log.newest, u32(pairs.length), ...pairs.sort(Buffer.compare));
}

export function safetyDigest(one, other) {
  const sides = [one, other].sort((a, b) => Buffer.compare(a.person, b.person));
  return hash('parlour.safety', sides.map(sideOf), { size: 60 });
}

export function safetyNumber(one, other) {
  const digest = safetyDigest(one, other);
  const groups = Array.from({ length: 12 }, (_, n) => digest.readUIntBE(5 * n, 5) % 100_000);
  return groups.map((group) => String(group).padStart(5, '0')).join(' ');
}

// The ids, ascending, of the operations of the own log that its person has to answer for.
export function openQuestions(log, confirmed) {
  const asked = [
    log.newest,
    ...log.live.map(({ introducer }) => introducer.id),
    ...log.contest.map((node) => node.id),
  ].filter((id) => !id.equals(log.person) && !confirmed.some((one) => one.equals(id)));
  const distinct = new Map(asked.map((id) => [id.toString('hex'), id]));
  return [...distinct.values()].sort(Buffer.compare);
}

// What a log comes to with each choice of its contests confirmed; the one in force first.
export function branchesOf(raws, { seen = [], confirmed = [] }) {
  const start = readLog(raws, { seen, confirmed });
  const inForce = (log) => (log.newest.equals(start.newest) ? 0 : 1);
  const found = [];
  const open = [confirmed];
  while (open.length) {
    const pinned = open.shift();
    const log = readLog(raws, { seen, confirmed: pinned });
    if (!log.contested) found.push(log);
    open.push(...log.contest.map((node) => [...pinned, node.id.toString('hex')]));
  }
  return found.sort((a, b) => inForce(a) - inForce(b) || Buffer.compare(a.newest, b.newest));
}
