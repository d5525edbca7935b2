// Vectors of links; SPEC §5, §6, §8. Both ends run on a clock that the steps set.
import { pairingSecrets } from '../agreement.js';
import { linkPsk } from '../contact.js';
import { Initiator } from '../initiator.js';
import { closesOther } from '../link.js';
import { decodeMessage, encodeMessage } from '../messages.js';
import { checkKemKey, empty, x25519Pair } from '../primitives.js';
import { Responder } from '../responder.js';
import { makeGreeting } from '../wire.js';
import { expectSame, hex } from './expect.js';

const pairOf = (secret) => x25519Pair(hex(secret));

function drawOf(inputs, end) {
  const ratchets = inputs[`${end}_ratchet_keys`].map(pairOf);
  const psks = [...(inputs.missing_psks ?? []), ...(inputs.stranger_psk ? [inputs.stranger_psk] : [])].map(
    hex,
  );
  return {
    ephemeral: pairOf(inputs[`${end}_ephemeral`]),
    share: hex(inputs[`${end}_share`]),
    kemSeed: hex(inputs.kem_seed),
    ratchets: () => ratchets.shift(),
    psk: () => psks.shift(),
    encapsulate(key) {
      checkKemKey(key);
      return { ciphertext: hex(inputs.kem_ciphertext), secret: hex(inputs.kem_secret) };
    },
  };
}

function candidatesOf(pairs, persons) {
  const psk = (row) => linkPsk(hex(row.contact_secret), ...persons);
  return pairs.map((row) => ({ own: hex(row.own), theirs: hex(row.theirs), psk: psk(row) }));
}

const personsOf = (inputs) => [hex(inputs.initiator_person), hex(inputs.responder_person)];

function makeInitiator(inputs) {
  const secrets = { s: pairOf(inputs.initiator_static) };
  if (inputs.pattern === 'XXpsk0')
    Object.assign(secrets, { psk: hex(inputs.initiator_psk), expected: hex(inputs.initiator_one_time) });
  if (inputs.pattern === 'IKpsk2') {
    const candidates = candidatesOf(inputs.initiator_pairs, personsOf(inputs));
    Object.assign(secrets, {
      rs: hex(inputs.initiator_knows),
      person: hex(inputs.initiator_person),
      candidates,
    });
  }
  const replaces = hex(inputs.replaces ?? '');
  return new Initiator(inputs.pattern, secrets, {
    draw: drawOf(inputs, 'initiator'),
    fast: inputs.initiator_aes,
    replaces,
    features: inputs.initiator_features,
  });
}

const among = (names, name) => names.some((one) => one.equals(name));

function lookUpOf(inputs) {
  return (caller, hello) => {
    const known = caller.equals(hex(inputs.responder_knows));
    if (!known || !hello.person.equals(hex(inputs.responder_knows_person))) return null;
    const pairs = candidatesOf(inputs.responder_pairs, [hello.person, hex(inputs.responder_person)]);
    const { own, theirs } = hello.names;
    return pairs.find((row) => among(theirs, row.own) && among(own, row.theirs)) ?? null;
  };
}

function makeResponder(inputs) {
  const fixed = pairOf(inputs.responder_static);
  const contact = inputs.pattern === 'IKpsk2';
  const known = {
    terminal: contact ? fixed : null,
    oneTime: contact ? null : fixed,
    visible: inputs.responder_visible ?? false,
    adds: inputs.responder_adds ?? false,
    invitations: (inputs.responder_invitations ?? []).map((one) => ({
      psk: hex(one.psk),
      oneTime: pairOf(one.static),
    })),
    lookUp: contact ? lookUpOf(inputs) : () => null,
  };
  const greeting = makeGreeting(inputs.responder_aes ? 3 : 2, hex(inputs.greeting_random));
  const features = inputs.responder_features;
  return new Responder(known, { draw: drawOf(inputs, 'responder'), greeting, features });
}

const MAKE = { initiator: makeInitiator, responder: makeResponder };

function bytewise(link, stream) {
  return [...stream].flatMap((byte) => link.receive(Buffer.from([byte])));
}

const ACTS = {
  begin: () => [],
  receive: (link, step, arrived) => link.receive(arrived),
  receive_bytewise: (link, step, arrived) => bytewise(link, arrived),
  send(link, step) {
    link.send(decodeMessage(hex(step.message)));
    return [];
  },
  burned: (link) => link.burned(),
  wait(link, step) {
    link.wait(step.until);
    return [];
  },
  cut(link) {
    link.cut();
    return [];
  },
  count(link, step) {
    for (const name of ['sent', 'received']) if (name in step) link[name] = step[name];
    return [];
  },
};

function openedFacts(link, events) {
  const replaces = link.initiator ? link.replaces : events.find((event) => event.is === 'confirm').replaces;
  return { session_id: link.sessionId, ...(replaces.length ? { replaces } : {}) };
}

// What comes from h; it stands where h does.
function secretFacts(link) {
  const facts = { S: link.agreed.S, session_root: link.agreed.root };
  if (!link.pairing)
    return { ...facts, link_psk: link.fitting.psk, own: link.fitting.own, theirs: link.fitting.theirs };
  const { t, root: pairingRoot } = pairingSecrets(link.agreed);
  return { ...facts, t, pairing_root: pairingRoot };
}

// What a step gave: only what is there stands in it.
function told(link, events, wasEnded, withSecrets) {
  const of = (kind) => events.filter((event) => event.is === kind);
  const facts = { state: link.state };
  const sends = link.take();
  if (sends.length) facts.sends = sends;
  const messages = of('message').map(({ message }) => encodeMessage(message));
  if (messages.length) facts.messages = messages;
  const over = of('passed over').map(({ number }) => number);
  if (over.length) facts.passed_over = over;
  for (const { features } of of('features')) facts.features = features;
  for (const { number } of of('answered')) facts.answered = number;
  for (const { joiner, invitation } of of('held')) Object.assign(facts, { joiner, invitation });
  if (of('open').length)
    Object.assign(facts, openedFacts(link, events), withSecrets ? secretFacts(link) : {});
  if (link.versions) facts.versions = link.versions;
  if (link.ended && !wasEnded) facts.ended = link.ended;
  return facts;
}

const standing = (row) => ({ session: hex(row.session_id), began: row.began, replaces: hex(row.replaces) });

function replaced(step) {
  const higher = Buffer.compare(hex(step.own_static), hex(step.peer_static)) > 0;
  const rival = { ...standing(step.other), older: step.other_is_older };
  expectSame(step, 'gives', { closes: closesOther(standing(step.answered), rival, higher) });
}

function perform(ends, step, inputs) {
  if (step.do === 'closes') return replaced(step);
  const link = (ends[step.actor] ??= MAKE[step.actor](inputs));
  const arrived = step.sent_by ? ends[step.sent_by].lastSent : hex(step.stream ?? '');
  const wasEnded = link.ended;
  try {
    const events = ACTS[step.do](link, step, arrived);
    const facts = told(link, events, wasEnded, Boolean(step.h));
    link.lastSent = facts.sends ?? empty;
    if (step.h) expectSame(step, 'h', link.agreed.h);
    if (step.gives || step.do !== 'count') expectSame(step, 'gives', facts);
  } catch (error) {
    if (error.rule) expectSame({ gives: { state: 'CLOSED' }, ...step }, 'gives', told(link, [], wasEnded));
    throw error;
  }
  return null;
}

export function links(inputs, steps) {
  const ends = {};
  return steps.map((step) => () => perform(ends, step, inputs));
}
