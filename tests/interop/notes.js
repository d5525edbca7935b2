// A person's notes, and the registers that its terminals share; SPEC §11.10.
import { bool, bytes, decode, list, struct, text, u53, u8 } from './codec.js';
import { Rejected, must } from './errors.js';
import { areShares, ascending, comparison, isName, pairing, relay, setting } from './messages.js';
import { hash } from './primitives.js';
import { readAddress } from './relay_address.js';

const id = bytes(32);
const VALUE_MOST = 98_304;
const StateWrite = struct({ register: u8, of: id, value: bytes(0, VALUE_MOST) });
export const StateBody = struct({ writes: list(1, 64, StateWrite) });

export const CONTACT = 1;
export const PETNAME = 2;
export const BLOCKED = 3;
export const STANDING = 4;
export const PAIRING = 5;
export const RETIRED = 6;
const SETTING = 7;
const RELAY = 8;
const DELETED = 9;
export const PINNED = 10;
export const MUTED = 11;
const SWITCHES = [BLOCKED, PINNED, MUTED];
const OF_CONTACT = [CONTACT, PETNAME, STANDING, ...SWITCHES];
const VALUES = new Map([
  [CONTACT, struct({ person: id, since: u53 })],
  [PETNAME, struct({ name: text(0, 64) })],
  ...SWITCHES.map((one) => [one, struct({ on: bool })]),
  [
    STANDING,
    struct({
      verified: bool,
      held: bool,
      newest: id,
      confirmed: list(0, 1024, id),
      comparison: list(0, 1, comparison),
    }),
  ],
  [PAIRING, struct({ person: id, pairing, supersedes: list(0, 64, id) })],
  [SETTING, setting],
  [RELAY, relay],
]);

export const notesOf = (person) => hash('parlour.notes', [person]);
export const about = (what) => hash('parlour.register', [what]);

// What a value says itself that it is about, or null; and whether it has the form of its register.
const CHECKS = new Map([
  [CONTACT, ({ person }) => [person, true]],
  [PETNAME, ({ name }) => [null, name === '' || isName(name)]],
  ...SWITCHES.map((one) => [one, () => [null, true]]),
  [
    STANDING,
    (value) => [
      null,
      ascending(value.confirmed) && value.comparison.every((one) => ascending(one.terminals)),
    ],
  ],
  [
    PAIRING,
    ({ pairing: { root, theirs }, supersedes }) => [root, areShares(theirs) && ascending(supersedes)],
  ],
  [SETTING, ({ name }) => [Buffer.from(name), true]],
  [
    RELAY,
    ({ address }) => {
      readAddress(address);
      return [Buffer.from(address), true];
    },
  ],
]);

function isWritten({ register, of, value: raw }) {
  if (register === RETIRED || register === DELETED) return raw.length === 0;
  if (!VALUES.has(register)) return true;
  if (raw.length === 0 && [CONTACT, RELAY].includes(register)) return true;
  try {
    const [what, holds] = CHECKS.get(register)(decode(VALUES.get(register), raw, VALUE_MOST));
    return holds && (what === null || about(what).equals(of));
  } catch (error) {
    if (error instanceof Rejected) return false;
    throw error;
  }
}

const place = ({ register, of }) => Buffer.concat([Buffer.from([register]), of]);

export function checkState({ writes }) {
  const contacts = writes.filter(({ register }) => OF_CONTACT.includes(register));
  const holds =
    ascending(writes.map(place)) &&
    writes.every(isWritten) &&
    (writes.length === 1 || writes.every(({ register }) => register !== PAIRING)) &&
    new Set(writes.map(({ register }) => register === DELETED)).size === 1 &&
    contacts.every(({ of }) => of.equals(contacts[0].of));
  must(holds, 'malformed', 'V-ET-09');
}

// The values in force of what entries write that count, in their order: [{register, of, value}].
export function inForce(ordered) {
  const found = new Map();
  for (const { body } of ordered) {
    for (const one of body?.writes ?? []) found.set(place(one).toString('hex'), one);
  }
  return [...found.keys()].sort().map((key) => found.get(key));
}

// What a write of one of these registers says; null for an empty value.
export const valueOf = ({ register, value }) =>
  value.length ? decode(VALUES.get(register), value, VALUE_MOST) : null;
