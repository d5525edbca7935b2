// Vectors of contact secrets; SPEC §7.6. Every step is a computation.
import { answer, candidates, contactSecret, discoveryKey, linkPsk } from '../contact.js';
import { expectSame, hex } from './expect.js';

const shares = (rows) => rows.map(({ number, share }) => ({ number, share: hex(share) }));
const pairing = (row) => ({
  root: hex(row.pairing_root),
  own: shares(row.own_shares),
  theirs: shares(row.their_shares),
});
const persons = (step) => ({ own: hex(step.own_person), their: hex(step.their_person) });

const COMPUTE = {
  contact_secret(step) {
    const own = { person: hex(step.own_person), share: hex(step.own_share) };
    const their = { person: hex(step.their_person), share: hex(step.their_share) };
    return contactSecret(hex(step.pairing_root), own, their);
  },
  link_psk: (step) => linkPsk(hex(step.contact_secret), hex(step.initiator), hex(step.responder)),
  discovery_key: (step) => discoveryKey(hex(step.contact_secret), hex(step.announcer), hex(step.viewer)),
  candidates: (step) => candidates([pairing(step.pairing)], persons(step)),
  answer: (step) => answer(step.pairings.map(pairing), step.numbers, persons(step)),
};

export function secrets(inputs, steps) {
  return steps.map((step) => () => expectSame(step.gives, step.do, COMPUTE[step.do](step)));
}
