// What is answered to heads, and what receipts come to; SPEC §5.15 to §5.19, §11.4, §11.5.
import { must } from './errors.js';
import { ascending } from './messages.js';

export const STORED = 1;
export const READ = 2;

// `held` is the Conversation of the two persons of the link.
export function checkConversation({ conversation }, held, rule) {
  must(conversation.equals(held.id), 'untrusted', rule);
}

// The Heads that answer a HeadsHash, or null. `wanted`: ids of the entries whose body the other side may have.
export function answerHeadsHash(message, held, wanted = []) {
  checkConversation(message, held, 'V-HH-01');
  if (message.hash.equals(held.headsHash(wanted))) return null;
  return { is: 'Heads', conversation: held.id, heads: held.headsToName(wanted).slice(0, 256) };
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

// What may be said of an own entry, given the kinds of receipts and whether an OPEN link has carried it.
export function stateOf(kinds, carried) {
  if (kinds.includes(READ)) return 'read';
  if (kinds.includes(STORED)) return 'delivered';
  return carried ? 'sent' : 'queued';
}
