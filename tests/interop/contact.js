// The contact secret, what comes of it, and which psk a link takes; SPEC §7.6.
import { shareName, shareOf } from './drawing.js';
import { hash } from './primitives.js';

const SHARES_NAMED = 4;
const CANDIDATES_MOST = 16;

const pairOf = (a, b) => (Buffer.compare(a.person, b.person) < 0 ? [a.share, b.share] : [b.share, a.share]);

// `own` and `their` are {person, share}.
export const contactSecret = (pairingRoot, own, their) =>
  hash('parlour.contact', pairOf(own, their), { key: pairingRoot });

export const linkPsk = (secret, initiator, responder) =>
  hash('parlour.link.psk', [initiator, responder], { key: secret });

export const discoveryKey = (secret, announcer, viewer) =>
  hash('parlour.discover', [announcer, viewer], { key: secret });

export const meetingKey = (secret, waiter, dialler) =>
  hash('parlour.relaykey', [waiter, dialler], { key: secret });

// A pairing is {root, own, theirs, firstOwn, firstTheirs, retired, fresh}. `own` and `theirs` are lists of
// {operation, share}, of each the best first; the first two of the rest name operations, `fresh` counts own shares.
export const pairingId = (root) => hash('parlour.pair.id', [], { key: root });

export const ownShare = (root, { operation, secret }) => ({ operation, share: shareOf(secret, pairingId(root)) });

const nameOf = ({ share, operation }) => shareName(share, operation);

function secretOf(pairing, own, their, persons) {
  const mine = { person: persons.own, share: own.share };
  return contactSecret(pairing.root, mine, { person: persons.their, share: their.share });
}

// The shares that message 1 names: the best, and the first of the pairing in place of the last of several.
function named(shares, first, most) {
  const best = shares.slice(0, most);
  const left = shares.slice(most).find(({ operation }) => operation.equals(first));
  return left && most > 1 ? [...best.slice(0, -1), left] : best;
}

function pairsOf(own, theirs) {
  const places = own.flatMap((mine, i) => theirs.map((their, j) => ({ own: mine, their, i, j })));
  return places.sort((a, b) => a.i + a.j - b.i - b.j || a.i - b.i);
}

// What an initiator tries, in this order; `pairings` stand newest first.
export function candidates(pairings, persons) {
  const most = Math.max(1, Math.floor(SHARES_NAMED / pairings.length));
  const tried = pairings.flatMap((pairing) => {
    const own = named(pairing.own, pairing.firstOwn, most);
    const theirs = named(pairing.theirs, pairing.firstTheirs, most);
    return pairsOf(own, theirs).map((pair) => ({ ...pair, pairing }));
  });
  return tried.slice(0, CANDIDATES_MOST).map(({ own, their, pairing }) => ({
    own: nameOf(own),
    theirs: nameOf(their),
    psk: linkPsk(secretOf(pairing, own, their, persons), persons.own, persons.their),
  }));
}

// A retired share stands for what is not held: who was linked since may have no other one yet.
function notRetired({ theirs, retired, firstTheirs }) {
  const others = theirs.filter(({ operation }) => !operation.equals(firstTheirs));
  return retired && others.length ? others : theirs;
}

// The contact secrets under which a terminal announces itself and waits.
export function announced(pairing, persons) {
  const own = pairing.own.slice(0, Math.max(1, pairing.fresh));
  return pairsOf(own, notRetired(pairing)).map((pair) => secretOf(pairing, pair.own, pair.their, persons));
}

// The contact secrets under which a terminal looks for the contact, and dials.
export function lookedFor(pairing, persons) {
  const own = named(pairing.own, pairing.firstOwn, SHARES_NAMED);
  const theirs = named(notRetired(pairing), pairing.firstTheirs, SHARES_NAMED);
  return pairsOf(own, theirs).map((pair) => secretOf(pairing, pair.own, pair.their, persons));
}

// The names that message 1 gives for these candidates.
export function namesOf(tried) {
  const ascending = (names) =>
    names.sort(Buffer.compare).filter((name, i) => i === 0 || !name.equals(names[i - 1]));
  return { own: ascending(tried.map((c) => c.own)), theirs: ascending(tried.map((c) => c.theirs)) };
}

const bestOf = (shares, names) => shares.find((share) => names.some((name) => name.equals(nameOf(share))));

// What a responder takes for the names of message 1, or null.
export function answer(pairings, names, persons) {
  for (const pairing of pairings) {
    const own = bestOf(pairing.own, names.theirs);
    const their = bestOf(pairing.theirs, names.own);
    if (own && their) {
      const psk = linkPsk(secretOf(pairing, own, their, persons), persons.their, persons.own);
      return { own: nameOf(own), theirs: nameOf(their), psk };
    }
  }
  return null;
}
