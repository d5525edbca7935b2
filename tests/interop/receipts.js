// What is answered to heads, and what receipts come to; SPEC §5.15 to §5.19, §11.4, §11.5.
import { byAuthor, compareHeads } from './entries.js';
import { must } from './errors.js';
import { ascending } from './messages.js';

export const STORED = 1;
export const READ = 2;

// `held` is the Conversation of the two persons of the link.
export function checkConversation({ conversation }, held, rule) {
  must(conversation.equals(held.id), 'untrusted', rule);
}

// The Heads that answer a HeadsHash. `wanted`: ids of the entries whose body the other side may have.
export function answerHeadsHash(message, held, wanted = []) {
  checkConversation(message, held, 'V-HH-01');
  return message.hash.equals(held.headsHash(wanted)) ? [] : pagesOf(held.id, held.namedHeads(wanted));
}

const PAGE_MOST = 256;

// Messages that name these heads, which are ascending and at most four of each author.
export function pagesOf(conversation, heads) {
  const filled = [[]];
  for (const author of byAuthor(heads)) {
    if (filled.at(-1).length + author.length > PAGE_MOST) filled.push([]);
    filled.at(-1).push(...author);
  }
  return filled.map((page, i) => {
    const after = i ? filled[i - 1].at(-1).author : Buffer.alloc(0);
    return { is: 'Heads', conversation, after, heads: page, more: i + 1 < filled.length };
  });
}

// The entries that are sent for a page of Heads.
export function answerHeads(message, held) {
  checkConversation(message, held, 'V-HD-01');
  const { after, heads, more } = message;
  must([0, 32].includes(after.length) && (heads.length || !more), 'malformed', 'V-HD-02');
  const rises = heads.every((head, i) => i === 0 || compareHeads(heads[i - 1], head) < 0);
  const behind = heads.every(({ author }) => Buffer.compare(author, after) > 0);
  const few = byAuthor(heads).every((author) => author.length <= 4);
  must(rises && behind && few, 'malformed', 'V-HD-03');
  const covers = (author) =>
    Buffer.compare(author, after) > 0 && (!more || Buffer.compare(author, heads.at(-1).author) <= 0);
  return held.missing(heads, covers);
}

// The live terminal with this static key, or null.
export function terminalOf(log, fixed) {
  return log.live.find(({ introducer }) => introducer.op.static.equals(fixed))?.terminal ?? null;
}

// The own entries that a receipt counts for. `terminals` are the own ones.
export function countReceipt({ ids }, held, terminals) {
  must(ascending(ids), 'malformed', 'V-RP-02');
  const named = ids.map((id) => held.held.get(id.toString('hex')));
  const isOwn = (entry) => terminals.some((terminal) => terminal.equals(entry.header.author));
  return named.filter((entry) => entry && isOwn(entry));
}

// What may be said of an own entry, given the kinds of receipts, whether an OPEN link has carried it and
// whether its body is destroyed here.
export function stateOf(kinds, carried, destroyed = false) {
  if (kinds.includes(READ)) return 'read';
  if (kinds.includes(STORED)) return 'delivered';
  if (carried) return 'sent';
  return destroyed ? 'withdrawn' : 'queued';
}

// The same of an entry of the notes. `others` are the live terminals of the person but the own one.
export function noteState(author, stored, others) {
  const isOther = (one) => others.some((other) => other.equals(one));
  return [author, ...stored].some(isOther) ? 'delivered' : 'kept';
}

// The messages that a side sends first when a link is OPEN, in their order; entries follow them.
export function openingMessages(held, { logs, port, read }) {
  const first = [
    ...logs.map(({ person, heads }) => ({ is: 'LogHeads', person, heads })),
    { is: 'HeadsHash', conversation: held.id, hash: held.headsHash([]) },
  ];
  if (port) first.push({ is: 'Reachable', port });
  if (read.length) first.push({ is: 'Receipt', kind: READ, ids: [...read].sort(Buffer.compare) });
  return first;
}

// The entries of this terminal that no terminal of the contact has acknowledged, by their sequence.
export function outboxOf(held, terminal, acknowledged) {
  const waits = ({ id, header }) =>
    header.author.equals(terminal) && !acknowledged.some((one) => one.equals(id));
  return [...held.held.values()].filter(waits).sort((a, b) => a.header.sequence - b.header.sequence);
}
