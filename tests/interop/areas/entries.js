// Vectors of entries, heads and receipts; SPEC §5.15 to §5.19, §11.
import { decode, encode, list } from '../codec.js';
import * as entries from '../entries.js';
import { must } from '../errors.js';
import { readLog } from '../log.js';
import { Head, decodeMessage, encodeMessage } from '../messages.js';
import { about, inForce, notesOf } from '../notes.js';
import { ed25519Pair } from '../primitives.js';
import {
  answerHeads,
  answerHeadsHash,
  checkConversation,
  countReceipt,
  noteState,
  openingMessages,
  outboxOf,
  pagesOf,
  stateOf,
  terminalOf,
} from '../receipts.js';
import { expectSame, hex } from './expect.js';

function written(step) {
  const previous = step.previous && { sequence: step.previous.sequence, id: hex(step.previous.id) };
  const place = entries.placeAfter(previous, step.tips.map(hex));
  const given = { conversation: hex(step.conversation), author: hex(step.author), time: step.time, timer: step.timer };
  const fields = {
    ...given,
    ...place,
    incarnation: hex(step.incarnation),
    membership: step.membership.map(hex).sort(Buffer.compare),
  };
  const text = { text: step.text, reply: hex(step.reply) };
  const { id, header, salt, body } = entries.write(hex(step.self_key), fields, text, hex(step.salt));
  const { header: read } = entries.readForm({ header, salt, body });
  const message = encodeMessage({ is: 'Entry', header, salt, body });
  return { body, content: read.content, self_tag: read.self_tag, header, entry_id: id, message };
}

const read = (raw) => entries.readForm(decodeMessage(hex(raw)));

function parsed(step) {
  const { id, header, body, hasBody } = read(step.message);
  const { author, sequence, kind, timer, until } = header;
  const shown = { entry_id: id, author, sequence, kind, has_body: hasBody, timer, until };
  shown.seconds = body?.seconds ?? null;
  const amends = body?.ids ?? (body?.entry ? [body.entry] : []);
  const said = { text_length: [...(body?.text ?? '')].length, reply: body?.reply ?? Buffer.alloc(0) };
  return { ...shown, ...said, amends, registers: (body?.writes ?? []).map(({ register }) => register) };
}

function accepted(step, inputs) {
  const knows = { ...inputs.knows, ...step.knows };
  const [self, contact, carrier] = ['own_person', 'contact', 'carrier'].map((name) => hex(knows[name]));
  const live = (person) => (person.equals(self) ? knows.own_terminals : knows.contact_terminals).map(hex);
  const former = (person) => (person.equals(self) ? knows.own_former : knows.contact_former).map(hex);
  const entry = read(step.message);
  const signing = (terminal) => (knows.signing[terminal.toString('hex')] ? hex(knows.signing[terminal.toString('hex')]) : null);
  const view = { carrier, accepted: knows.carrier_is === 'contact', self, contact, signing };
  const author = entries.checkTrust(entry, { ...view, selfKeys: knows.self_keys.map(hex), live, former });
  return { entry_id: entry.id, author };
}

function signed({ message, signer, seed }) {
  return { message: encodeMessage(entries.signEntry(read(message), hex(signer), ed25519Pair(hex(seed)))) };
}

function hold(conversation, names, inputs, given) {
  const held = new entries.Conversation(conversation, given);
  names.map((name) => read(inputs.entries[name])).forEach((entry) => held.add(entry));
  return held;
}

const nameOf =
  (inputs) =>
  ({ id }) =>
    Object.keys(inputs.entries).find((name) => read(inputs.entries[name]).id.equals(id));

function ordered(step, inputs) {
  const held = hold(hex(step.conversation), step.entries, inputs);
  const ranks = held.ranks();
  const rank = (entry) => ranks.get(entry.id.toString('hex'));
  const order = held.ordered().map((entry) => ({ entry: nameOf(inputs)(entry), rank: rank(entry) }));
  const named = (ids) => ids.map((id) => nameOf(inputs)({ id }));
  return { order, tips: named(held.tips()), evidence: held.evidence().map(named) };
}

function quarantine(step, inputs) {
  const id = read(inputs.entries[step.entries[0]]).header.conversation;
  const before = step.before.map((name) => read(inputs.entries[name]).id);
  const held = hold(id, step.entries, inputs);
  const cuts = held.cutsInForce(hex(step.author), step.live.map(hex), step.ranked.map(hex));
  const found = held.quarantined(hex(step.author), before, cuts);
  return { in_force: cuts.map(nameOf(inputs)), quarantined: found.map((one) => nameOf(inputs)({ id: one })) };
}

function registers(step, inputs) {
  const held = hold(hex(step.conversation), step.entries, inputs, { clocked: false });
  const name = nameOf(inputs);
  const order = held.ordered();
  return { order: order.map(name), in_force: inForce(order.filter((one) => !step.apart.includes(name(one)))) };
}

function lines(step, inputs) {
  const held = hold(hex(step.conversation), step.entries, inputs, { clocked: false });
  const apart = step.apart.map((name) => read(inputs.entries[name]).id);
  const found = held.noteLines(apart, step.on_all.map(hex));
  return { lines: found.map(([one, text]) => ({ entry: nameOf(inputs)(one), text })) };
}

function previousOf(step, inputs) {
  const id = hold(hex(step.conversation), step.entries, inputs).lastOf(hex(step.author));
  return { previous: id && nameOf(inputs)({ id }) };
}

function uncovered(step, inputs) {
  const id = read(inputs.entries[step.entries[0]]).header.conversation;
  const ids = (names) => names.map((name) => read(inputs.entries[name]).id);
  const held = hold(id, step.entries, inputs);
  const found = held.uncovered(ids(step.passed_on), ids(step.heads));
  const named = (some) => some.map((one) => nameOf(inputs)({ id: one }));
  return { uncovered: named(found), evidence: held.evidence(found).map(named) };
}

function claims(step, inputs) {
  const held = hold(read(inputs.entries[step.entries[0]]).header.conversation, step.entries, inputs);
  const isOf = ({ header }) => inputs.own_terminals.some((one) => hex(one).equals(header.author));
  const shown = (entry) => step.self_keys.some((one) => entries.isOwn(entry, [entry.header.author], hex(one)));
  const untagged = held.entries().filter((entry) => isOf(entry) && !shown(entry));
  const found = held.uncovered(untagged.map(({ id }) => id), []);
  const heads = held.namedWithClaims(found, step.wanting.map(hex));
  const name = nameOf(inputs);
  return { claims: found.map((id) => name({ id })), named: heads.map(name) };
}

function timer(step, inputs) {
  const held = hold(hex(step.conversation), step.entries, inputs);
  return { seconds: held.timer(step.left_out.map((name) => read(inputs.entries[name]).id)) };
}

function bot(step, inputs) {
  const held = hold(hex(step.conversation), step.entries, inputs);
  const isOwn = (entry) => entries.isOwn(entry, inputs.own_terminals.map(hex), hex(inputs.self_key));
  const leftOut = step.left_out.map((name) => read(inputs.entries[name]).id);
  const shown = (body) => body && { bot: body.bot, commands: body.commands.map((one) => [one.name, one.description]) };
  return { own: shown(held.bot(isOwn, leftOut)), contact: shown(held.bot((one) => !isOwn(one), leftOut)) };
}

function amended(step, inputs) {
  const id = read(inputs.entries[step.entries[0]]).header.conversation;
  const ids = (names) => names.map((name) => read(inputs.entries[name]).id);
  const held = hold(id, step.entries, inputs);
  const isOwn = (entry) => entries.isOwn(entry, inputs.own_terminals.map(hex), hex(inputs.self_key));
  const apart = ids(step.apart);
  const name = nameOf(inputs);
  const onAll = held.deletedOnAll(step.on_all.map(hex));
  const edits = held.edits(isOwn, apart, [...ids(step.destroyed), ...onAll.map((entry) => entry.id)]);
  return {
    deleted: held.deleted(isOwn, apart).map(name).sort(),
    deleted_on_all: onAll.map(name).sort(),
    edits: Object.fromEntries(edits.map(([one, some]) => [name(one), some.map(name)])),
  };
}

const RUN = {
  amend: amended,
  previous: previousOf,
  conversation: (step) => ({
    conversation: entries.conversationId(hex(step.own_person), hex(step.their_person)),
  }),
  write: written,
  parse: parsed,
  header: (step) => entries.readHeader(hex(step.header)),
  accept: accepted,
  sign: signed,
  order: ordered,
  notes: (step) => ({ notes: notesOf(hex(step.person)), of: about(hex(step.what)) }),
  registers,
  lines,
  quarantine,
  uncovered,
  claims,
  timer,
  bot,
  ends: (step, inputs) => entries.ends(read(inputs.entries[step.entry]), step),
};

const run = (table) => (inputs, steps) =>
  steps.map((step) => () => expectSame({ gives: {}, ...step }, 'gives', table[step.do](step, inputs)));

export const entriesArea = run(RUN);

function own(step, inputs) {
  const id = entries.conversationId(hex(inputs.own_person), hex(inputs.contact));
  return hold(id, step.held ?? [], inputs);
}

const wantedOf = (step, inputs) => (step.wanted ?? []).map((name) => read(inputs.entries[name]).id);

function arrive(step, inputs) {
  const bodies = {};
  const acknowledged = [];
  for (const { message, delete: deleted } of step.what) {
    if (deleted) bodies[deleted] = 'deleted';
    if (deleted) continue;
    const entry = read(message);
    const name = nameOf(inputs)(entry);
    bodies[name] = entries.bodyAfter(bodies[name], entry.hasBody);
    if (entry.hasBody) acknowledged.push(name);
  }
  return { bodies, acknowledged };
}

function heads(step, inputs) {
  const held = own(step, inputs);
  const found = held.namedHeads(wantedOf(step, inputs));
  const common = { conversation: held.id };
  return {
    heads: found.map(nameOf(inputs)),
    encoded_heads: encode(list(0, Infinity, Head), found),
    hash: held.headsHash(wantedOf(step, inputs)),
    heads_hash_message: encodeMessage({ is: 'HeadsHash', ...common, hash: held.headsHash(wantedOf(step, inputs)) }),
    heads_messages: pagesOf(held.id, found).map(encodeMessage),
  };
}

function takeHeadsHash(step, inputs) {
  const wanted = wantedOf(step, inputs);
  const answers = answerHeadsHash(decodeMessage(hex(step.message)), own(step, inputs), wanted);
  return { answers: answers.map(encodeMessage) };
}

function pages(step, inputs) {
  const heads = decode(list(0, Infinity, Head), hex(step.encoded_heads)).sort(entries.compareHeads);
  return { messages: pagesOf(own(step, inputs).id, entries.namedOf(heads)).map(encodeMessage) };
}

function takeHeads(step, inputs) {
  const found = answerHeads(decodeMessage(hex(step.message)), own(step, inputs));
  return { entries: found.map(nameOf(inputs)) };
}

function takeTyping(step, inputs) {
  const message = decodeMessage(hex(step.message));
  checkConversation(message, own(step, inputs), 'V-TY-01');
  return { on: message.on };
}

function takeReceipt(step, inputs) {
  const terminal = terminalOf(readLog(inputs.contact_log.map(hex)), hex(step.static));
  must(terminal, 'untrusted', 'V-RP-01');
  const message = decodeMessage(hex(step.message));
  const counted = countReceipt(message, own(step, inputs), inputs.own_terminals.map(hex));
  return { terminal, kind: message.kind, entries: counted.map(nameOf(inputs)) };
}

function opened(step, inputs) {
  const held = own(step, inputs);
  const named = (names) => names.map((name) => read(inputs.entries[name]).id);
  const first = openingMessages(held, {
    logs: [
      { person: hex(inputs.contact), heads: step.log_heads.map(hex) },
      { person: hex(inputs.own_person), heads: step.own_log_heads.map(hex) },
    ],
    port: step.port,
    read: named(step.read),
  });
  const waiting = outboxOf(held, hex(inputs.own_terminal), named(step.acknowledged));
  return { messages: first.map(encodeMessage), entries: waiting.map(nameOf(inputs)) };
}

export const receipts = run({
  open: opened,
  heads,
  pages,
  receive_heads_hash: takeHeadsHash,
  receive_heads: takeHeads,
  arrive,
  receive_typing: takeTyping,
  receive_receipt: takeReceipt,
  state: ({ kinds, carried, destroyed }) => ({ state: stateOf(kinds, carried, destroyed) }),
  note_state: ({ author, stored, others }) => ({
    state: noteState(hex(author), stored.map(hex), others.map(hex)),
  }),
});
