// The contact secret, what comes of it, and which psk a link takes; SPEC §7.6.
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

// A pairing is {root, own, theirs}, the last two lists of {number, share}, of each the newest first.
function secretOf(pairing, own, their, persons) {
  const mine = { person: persons.own, share: own.share };
  return contactSecret(pairing.root, mine, { person: persons.their, share: their.share });
}

function pairsOf(pairing) {
  const places = [];
  pairing.own.forEach((own, i) => {
    pairing.theirs.forEach((their, j) => places.push({ own, their, i, j, pairing }));
  });
  return places.sort((a, b) => a.i + a.j - b.i - b.j || a.i - b.i);
}

// At most `SHARES_NAMED` numbers of each side may be named in all.
function nameable(pairs) {
  const named = { own: new Set(), their: new Set() };
  const room = (set, number) => set.has(number) || set.size < SHARES_NAMED;
  return pairs.filter(({ own, their }) => {
    if (!room(named.own, own.number) || !room(named.their, their.number)) return false;
    named.own.add(own.number);
    named.their.add(their.number);
    return true;
  });
}

// What an initiator tries, in this order; `pairings` stand newest first.
export function candidates(pairings, persons) {
  const pairs = nameable(pairings.flatMap(pairsOf)).slice(0, CANDIDATES_MOST);
  return pairs.map(({ own, their, pairing }) => ({
    own: own.number,
    theirs: their.number,
    psk: linkPsk(secretOf(pairing, own, their, persons), persons.own, persons.their),
  }));
}

// The numbers that message 1 names for these candidates.
export function numbersOf(tried) {
  const descending = (values) => [...new Set(values)].sort((a, b) => b - a);
  return { own: descending(tried.map((c) => c.own)), theirs: descending(tried.map((c) => c.theirs)) };
}

const newestOf = (shares, numbers) => shares.find((share) => numbers.includes(share.number));

// What a responder takes for the numbers of message 1, or null.
export function answer(pairings, numbers, persons) {
  for (const pairing of pairings) {
    const own = newestOf(pairing.own, numbers.theirs);
    const their = newestOf(pairing.theirs, numbers.own);
    if (own && their) {
      const psk = linkPsk(secretOf(pairing, own, their, persons), persons.their, persons.own);
      return { own: own.number, theirs: their.number, psk };
    }
  }
  return null;
}
