// Vectors of contact secrets; SPEC §7.6. Every step is a computation.
import * as contact from '../contact.js';
import { shareName } from '../drawing.js';
import { expectSame, hex } from './expect.js';

const shares = (rows) => rows.map(({ operation, share }) => ({ operation: hex(operation), share: hex(share) }));
const pairing = (row) => ({
  root: hex(row.pairing_root),
  own: shares(row.own_shares),
  theirs: shares(row.their_shares),
  firstOwn: hex(row.first_own),
  firstTheirs: hex(row.first_theirs),
  retired: row.retired,
  fresh: row.fresh,
});
const persons = (step) => ({ own: hex(step.own_person), their: hex(step.their_person) });

const COMPUTE = {
  contact_secret(step) {
    const own = { person: hex(step.own_person), share: hex(step.own_share) };
    const their = { person: hex(step.their_person), share: hex(step.their_share) };
    return { contact_secret: contact.contactSecret(hex(step.pairing_root), own, their) };
  },
  link_psk(step) {
    const [secret, initiator, responder] = [step.contact_secret, step.initiator, step.responder].map(hex);
    return { link_psk: contact.linkPsk(secret, initiator, responder) };
  },
  discovery_key(step) {
    const [secret, announcer, viewer] = [step.contact_secret, step.announcer, step.viewer].map(hex);
    return { discovery_key: contact.discoveryKey(secret, announcer, viewer) };
  },
  share(step) {
    const [root, operation, secret] = [step.pairing_root, step.operation, step.secret].map(hex);
    const { share } = contact.ownShare(root, { operation, secret });
    return { pairing_id: contact.pairingId(root), share, name: shareName(share, operation) };
  },
  found(step) {
    const given = [pairing(step.pairing), persons(step)];
    return { announced: contact.announced(...given), looked_for: contact.lookedFor(...given) };
  },
  candidates: (step) => ({ candidates: contact.candidates([pairing(step.pairing)], persons(step)) }),
  answer(step) {
    const names = { own: step.names.own.map(hex), theirs: step.names.theirs.map(hex) };
    return { answer: contact.answer(step.pairings.map(pairing), names, persons(step)) };
  },
};

export function secrets(inputs, steps) {
  return steps.map((step) => () => expectSame(step, 'gives', COMPUTE[step.do](step)));
}
