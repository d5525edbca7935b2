// Vectors of pairing and of invitations; SPEC §5.7 to §5.11, §7.4, §7.5.
import { pairingSecrets } from '../agreement.js';
import * as invitations from '../invitation.js';
import { readLog } from '../log.js';
import { decodeMessage, encodeMessage } from '../messages.js';
import { Pairing, acceptTag, commitmentOf, fiveDigits, fiveWords, goesOn, isForgotten, shownList } from '../pairing.js';
import { ed25519Pair, hash, x25519Pair } from '../primitives.js';
import { expectSame, hex } from './expect.js';

const PATTERNS = { nearby: 'XX', joiner: 'XXpsk0', inviter: 'XXpsk0' };

export const agreedOf = (facts) => ({
  S: hex(facts.link_secret),
  h: hex(facts.handshake_hash),
  shareI: hex(facts.share_initiator),
  shareR: hex(facts.share_responder),
  kemKey: hex(facts.kem_key),
  kemCiphertext: hex(facts.kem_ciphertext),
  ratchetKey: hex(facts.ratchet_key),
});

export function oneTimeKeys(facts, actor) {
  const other = actor === 'initiator' ? 'responder' : 'initiator';
  const pair = (end) => x25519Pair(hex(facts[`${end}_one_time`]));
  return { oneTime: pair(actor), peerKey: pair(other).key };
}

function introduce(end) {
  const operations = end.operations.map(hex);
  const log = readLog(operations);
  const fields = { operations, terminal: hex(end.terminal) };
  const drawn = { operation: hex(end.drawn.operation), secret: hex(end.drawn.secret) };
  const keys = { signing: ed25519Pair(hex(end.signing_seed)), fixed: x25519Pair(hex(end.static_secret)) };
  return { person: log.person, name: log.name, fields, drawn, ...keys, log };
}

function start(inputs, actor) {
  const end = inputs[actor];
  const link = {
    initiator: actor === 'initiator',
    pattern: PATTERNS[end.course],
    agreed: agreedOf(inputs.facts),
    ...oneTimeKeys(inputs.facts, actor),
  };
  const contacts = end.held ? [readLog(end.held.map(hex))] : [];
  const nonce = end.nonce && hex(end.nonce);
  return new Pairing(link, introduce(end), { expected: end.check ? hex(end.check) : null, contacts, nonce });
}

const FAILED = { is: 'failed', by: 'refused' };
const CLOSE = { is: 'Close', reason: 3 };

// What the link does around a pairing: Close ends it.
function receive(pairing, raw) {
  const message = decodeMessage(raw);
  if (message.is !== 'Close') return pairing.receive(message);
  pairing.state = 'FAILED';
  return [FAILED];
}

function refuse(pairing) {
  pairing.state = 'FAILED';
  pairing.out.push(CLOSE);
  return [];
}

const ACTS = {
  start: () => [],
  receive: (pairing, step) => receive(pairing, hex(step.message)),
  confirm: (pairing) => pairing.confirm(),
  stored: (pairing) => pairing.stored(),
  refuse,
};

function act(ends, inputs, step) {
  const pairing = (ends[step.actor] ??= start(inputs, step.actor));
  const events = ACTS[step.do](pairing, step).map(({ is, ...rest }) => ({ event: is, ...rest }));
  const send = pairing.out.splice(0).map(encodeMessage);
  expectSame(step, 'gives', { send, events, state: pairing.state });
}

const FORMULAS = {
  transcript(step, inputs) {
    const { t, root } = pairingSecrets(agreedOf(inputs.facts));
    expectSame(step, 'gives', { t, pairing_root: root });
  },
  words(step) {
    const [t, nonceI, nonceR] = [hex(step.t), hex(step.nonce_I), hex(step.nonce_R)];
    const five = hash('parlour.saswords', [t, nonceI, nonceR], { size: 5 });
    expectSame(step, 'gives', {
      commitment: commitmentOf(t, nonceI),
      five,
      words: fiveWords(t, nonceI, nonceR),
      words_zh: fiveWords(t, nonceI, nonceR, 'zh'),
      digits: fiveDigits(t, nonceI, nonceR),
    });
  },
  shown_list(step) {
    expectSame(step, 'gives', { list: shownList(step.initiator_features, step.responder_features) });
  },
  accept_tag(step) {
    const records = [hex(step.own_record), hex(step.other_record)].map(decodeMessage);
    const tag = acceptTag(hex(step.pairing_root), hex(step.t), step.role === 0, ...records);
    expectSame(step, 'gives', { accept_tag: tag });
  },
  check: (step) =>
    expectSame(step, 'gives', { check: invitations.checkOf(hex(step.person), hex(step.static)) }),
  one_time: (step) => expectSame(step, 'gives', { one_time: invitations.oneTimeOf(hex(step.one_time_key)) }),
  write(step) {
    const { expires, addresses, relays } = step;
    const fields = {
      version: 1,
      secret: hex(step.secret),
      expires,
      check: hex(step.check),
      one_time: hex(step.one_time),
      addresses,
      relays,
    };
    expectSame(step, 'gives', { text: invitations.writeInvitation(fields) });
  },
  make(step) {
    const inviter = {
      ...step,
      person: hex(step.person),
      fixed: hex(step.static),
      oneTime: hex(step.one_time_key),
    };
    const invitation = invitations.makeInvitation(inviter, step.now, hex(step.secret));
    expectSame(step, 'gives', { expires: invitation.expires, text: invitations.writeInvitation(invitation) });
  },
  read(step) {
    const invitation = invitations.readInvitation(step.text);
    const { version, ...fields } = invitation;
    expectSame(step, 'gives', { ...fields, psk: invitations.invitationPsk(invitation) });
  },
  expired: (step) =>
    expectSame(step, 'gives', {
      expired: invitations.isExpired(invitations.readInvitation(step.text), step.now),
    }),
  both_began: (step) => expectSame(step, 'gives', { goes_on: goesOn(hex(step.h), hex(step.other_h)) }),
  forgotten: (step) => expectSame(step, 'gives', { forgotten: isForgotten(step.stored, step.now) }),
  use(step) {
    const burnedBy = step.burned_by === null ? null : hex(step.burned_by);
    expectSame(step, 'gives', { burned_by: invitations.burn(burnedBy, hex(step.static)) });
  },
};

export function pairing(inputs, steps) {
  const ends = {};
  return steps.map((step) => () => (FORMULAS[step.do] ?? ((one) => act(ends, inputs, one)))(step, inputs));
}
