// The table of messages and the rules that need their bytes alone; SPEC §5.2 to §5.19.
import { bool, bytes, decode, encode, int, list, numberAtStart, numbered } from './codec.js';
import { struct, text, u16, u32, u53, u8 } from './codec.js';
import { must } from './errors.js';

const MESSAGE_MOST = 300_000;
const id = bytes(32);
export const Head = struct({ author: id, sequence: u53, id });
const Digest = struct({ conversation: id, heads: id, marks: id, entries: u53, gaps: u53, answered: bool });
export const operations = list(1, 256, bytes(0, 8192));
const heads = list(0, 16, id);

const manyIds = list(0, 1024, id);
export const drawn = struct({ operation: id, secret: id });
const shares = list(1, 9, struct({ operation: id, share: id }));
export const pairing = struct({ root: id, first: id, retired: bool, theirs: shares });
export const voucher = struct({ terminal: id, compared: bool });
export const comparison = struct({ by_words: bool, time: u53, newest: id, terminals: manyIds });
const place = struct({ terminal: id, host: text(1, 64), port: int(1, 65535) });
export const setting = struct({ name: text(1, 128), value: text(0, 256) });
export const relay = struct({ address: text(1, 255), invited: bool, since: u53 });
const pins = { seen: manyIds, confirmed: manyIds };

const PieceRange = struct({ first: u32, count: int(1, 256) });

export const MESSAGES = {
  Confirm: [1, { replaces: bytes(0, 16), features: list(0, 32, u16) }],
  Ping: [2, { number: u32 }],
  Pong: [3, { number: u32 }],
  Close: [4, { reason: u8 }],
  Features: [5, { features: list(1, 32, u16) }],
  Commit: [16, { commitment: id, name: text(1, 64) }],
  Reveal: [17, { nonce: id, name: text(1, 64) }],
  Open: [18, { nonce: id }],
  Record: [19, { operations, terminal: id, drawn: id, share: id, proof: id, signature: bytes(64) }],
  Accept: [20, { tag: id }],
  NewTerminal: [21, { signing: id, static: id, name: text(1, 32), proof: id, signature: bytes(64) }],
  SharedPairing: [
    22,
    {
      person: id,
      ...pins,
      petname: text(0, 64),
      verified: bool,
      blocked: bool,
      held: bool,
      since: u53,
      timer: int(0, 31_536_000),
      pinned: bool,
      muted: bool,
      comparison: list(0, 1, comparison),
      vouchers: list(0, 64, voucher),
      pairings: list(0, 4, pairing),
      proven: manyIds,
      places: list(0, 64, place),
    },
  ],
  LinkState: [
    23,
    {
      person: id,
      terminal: id,
      ...pins,
      drawn: list(1, 256, drawn),
      settings: list(0, 16, setting),
      relays: list(0, 8, relay),
      contacts: int(0, 4096),
    },
  ],
  Addition: [24, { operation: bytes(0, 1024) }],
  Consent: [25, { signature: bytes(64) }],
  LogHeads: [32, { person: id, heads }],
  LogOperations: [33, { operations }],
  Reachable: [34, { port: int(1, 65535) }],
  Digests: [35, { digests: list(1, 256, Digest) }],
  PassedReceipt: [36, { conversation: id, terminal: id, kind: int(1, 4), ids: list(1, 1024, id) }],
  RenewedShare: [38, { pairing: id, operation: id, share: id }],
  SignedEntry: [
    39,
    { header: bytes(0, 2048), salt: bytes(0, 16), body: bytes(0, 131072), signer: id, signature: bytes(64) },
  ],
  HeadsHash: [48, { conversation: id, hash: id }],
  Heads: [49, { conversation: id, after: bytes(0, 32), heads: list(0, 256, Head), more: bool }],
  Entry: [50, { header: bytes(0, 2048), salt: bytes(0, 16), body: bytes(0, 131072) }],
  Receipt: [51, { kind: int(1, 2), ids: list(1, 1024, id) }],
  Typing: [52, { conversation: id, on: bool }],
  AskPieces: [96, { entry: id, ranges: list(1, 16, PieceRange) }],
  Piece: [97, { entry: id, number: u32, path: list(0, 25, id), data: bytes(0, 59_424) }],
  PiecesEnd: [98, { entry: id }],
  StopPieces: [99, { entry: id }],
  WholeFile: [100, { entry: id }],
};
export const Message = numbered(MESSAGES, 'V-MS-01');

export const LINK_OWN = ['Confirm', 'Ping', 'Pong', 'Close', 'Features'];
export const PAIRING = ['Commit', 'Reveal', 'Open', 'Record', 'Accept', 'NewTerminal', 'SharedPairing'];
PAIRING.push('LinkState', 'Addition', 'Consent');

const CONTROL = /^ | $|[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u;

export const isLine = (text) => !CONTROL.test(text);
export const isName = (name) => [...name].length >= 1 && [...name].length <= 64 && !CONTROL.test(name);

// What tells a person's terminals apart.
export const isTerminalName = (name) => isName(name) && [...name].length <= 32;

const rising = (numbers) => numbers.every((one, i) => i === 0 || numbers[i - 1] < one);

const FORM = {
  Confirm({ replaces, features }) {
    must([0, 16].includes(replaces.length), 'malformed', 'V-CF-01');
    must(rising(features), 'malformed', 'V-CF-05');
  },
  Features: ({ features }) => must(rising(features), 'malformed', 'V-FE-01'),
  Close: ({ reason }) => must(reason <= 4, 'malformed', 'V-CL-01'),
  Commit: ({ name }) => must(isName(name), 'malformed', 'V-CM-01'),
  Reveal: ({ name }) => must(isName(name), 'malformed', 'V-RV-01'),
};

export function decodeMessage(raw) {
  const message = decode(Message, raw, MESSAGE_MOST);
  FORM[message.is]?.(message);
  return message;
}

const NUMBERS = Object.values(MESSAGES).map(([number]) => number);

// The number of a message that a later version defines; null for all other bytes.
export function laterNumber(raw) {
  const { number } = numberAtStart(raw);
  return number >= 1 && number <= 65_535 && !NUMBERS.includes(number) ? number : null;
}

export const encodeMessage = (message) => encode(Message, message);

// Whether no two shares of one person are of one operation.
export const areShares = (held) =>
  new Set(held.map(({ operation }) => operation.toString('hex'))).size === held.length;

export const ascending = (ids) => ids.every((one, i) => i === 0 || Buffer.compare(ids[i - 1], one) < 0);
