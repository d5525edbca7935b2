// Reads every example of SPEC.md: node examples.js [FILE]. Each one is decoded, encoded again, and checked as far
// as it says something that can be computed. The status is 0 when all hold and none is unknown.
import { readFileSync } from 'node:fs';
import { chunkKeyOf } from './backup.js';
import { ContactHello, ContactReply, PairingFinish, PairingReply, readPayload } from './agreement.js';
import { decode, encode } from './codec.js';
import { readAnnouncement } from './discovery.js';
import { BotBody, CutBody, DeleteBody, EditBody, EntryHeader, TextBody, TimerBody, readForm } from './entries.js';
import { readInvitation, writeInvitation, Invitation } from './invitation.js';
import { receiveLog } from './log.js';
import { decodeMessage, encodeMessage } from './messages.js';
import { readFile } from './files.js';
import { StateBody, checkState } from './notes.js';
import { readOperation } from './operations.js';
import { pad, unpad } from './padding.js';
import { lists } from './pairing.js';
import { Rejected, must } from './errors.js';
import { open } from './primitives.js';
import { unwrap } from './profile.js';
import { readAddress, writeAddress } from './relay_address.js';
import { readGreeting as readRelayGreeting, readHello } from './relay_connection.js';
import { Welcome, padMessage, readMessage, writeMessage } from './relay_messages.js';
import { readChoice, readGreeting, checkRefusal } from './wire.js';

const usual = new URL('../../protocol/SPEC.md', import.meta.url);

function read(file) {
  const spec = readFileSync(file, 'utf8');
  const short = [...spec.matchAll(/^Example `([\w-]+)`: `([0-9a-f]+)`$/gm)];
  const long = [...spec.matchAll(/^```hex ([\w-]+)\n([0-9a-f\n]+)```$/gm)];
  const texts = [...spec.matchAll(/^```text ([\w-]+)\n([^`]+)```$/gm)];
  const bytes = [...short, ...long].map(([, name, hex]) => [
    name,
    Buffer.from(hex.replaceAll('\n', ''), 'hex'),
  ]);
  return new Map([...bytes, ...texts.map(([, name, text]) => [`text ${name}`, text])]);
}

const same = (again, raw) => must(again.equals(raw), 'malformed', 'another encoding');
const message = (raw) => same(encodeMessage(decodeMessage(raw)), raw);
const struct = (type) => (raw) => same(encode(type, decode(type, raw)), raw);
const payload = (type) => (raw) => same(encode(type, readPayload(type, pad(raw))), raw);

function envelope(raw, examples) {
  const key = examples.get('message-key');
  const content = unpad(open('AEGIS-256', key, raw.subarray(40), raw.subarray(32, 40), { rule: 'V-EN-10' }));
  must(decodeMessage(content.subarray(1)).is === 'Confirm', 'malformed', 'not a Confirm');
}

function announcement(text) {
  const addresses = ['192.168.1.20', 'fe80::1'];
  const { name } = readAnnouncement({ instance: '0123456789abcdef', port: 4747, addresses, text });
  must(name.length > 0, 'malformed', 'no name');
}

function wordList(language) {
  return (text) => {
    const listed = text.trim().split(/\s+/);
    const same = listed.every((word, i) => word === lists[language][i]);
    must(listed.length === 256 && same, 'malformed', 'other words');
  };
}

function refusal(raw) {
  try {
    checkRefusal(raw.subarray(2));
  } catch (error) {
    if (error.rule !== 'V-RF-03') throw error;
  }
}

// A message that this end sends, in its padding.
const relayMessage = (sender) => (raw) => {
  const padded = padMessage(raw);
  same(writeMessage(sender, readMessage(sender, padded)), padded);
};

const MESSAGES = [
  'Confirm',
  'Ping',
  'Pong',
  'Close',
  'Features',
  'Commit',
  'Reveal',
  'Open',
  'Accept',
  'LogHeads',
  'Reachable',
];
const MORE = ['Digests', 'PassedReceipt', 'RenewedShare', 'SignedEntry', 'HeadsHash', 'Heads', 'Receipt', 'Typing', 'LogOperations'];
MORE.push('AskPieces', 'Piece', 'PiecesEnd', 'StopPieces', 'WholeFile');
const LINKING = ['NewTerminal', 'SharedPairing', 'LinkState', 'Addition', 'Consent'];
const OPERATIONS = ['Genesis', 'Add', 'Rename'];

const CHECKS = {
  ...Object.fromEntries([...MESSAGES, ...MORE, ...LINKING].map((name) => [name, message])),
  ...Object.fromEntries(OPERATIONS.map((name) => [name, readOperation])),
  Record(raw) {
    message(raw);
    const record = decodeMessage(raw);
    const log = receiveLog([], record.operations);
    must(log.live[0].terminal.equals(record.terminal), 'untrusted', 'another terminal');
  },
  Entry(raw) {
    message(raw);
    readForm(decodeMessage(raw));
  },
  EntryHeader: struct(EntryHeader),
  TextBody: struct(TextBody),
  CutBody: struct(CutBody),
  DeleteBody: struct(DeleteBody),
  EditBody: struct(EditBody),
  TimerBody: struct(TimerBody),
  BotBody: struct(BotBody),
  FileBody: (raw) => readFile(raw),
  StateBody(raw) {
    struct(StateBody)(raw);
    checkState(decode(StateBody, raw));
  },
  ContactHello: payload(ContactHello),
  ContactReply: payload(ContactReply),
  PairingReply: payload(PairingReply),
  PairingFinish: payload(PairingFinish),
  Invitation: struct(Invitation),
  'text invitation': (text) =>
    must(writeInvitation(readInvitation(text)) === text.replace(/\n/g, ''), 'malformed', 'text'),
  'text words': wordList('en'),
  'text words-zh': wordList('zh'),
  greeting: readGreeting,
  choice: (raw) => readChoice(raw, 3),
  refusal,
  envelope,
  'message-key': (raw) => must(raw.length === 32, 'malformed', 'size'),
  padded: (raw) => same(pad(unpad(raw)), raw),
  announcement,
  Header: (raw) => unwrap(raw, 'a passphrase'),
  BackupHeader: (raw) => chunkKeyOf(raw, 'a passphrase'),
  'text relay-address': (text) =>
    must(writeAddress(readAddress(text.trim())) === text.trim(), 'malformed', 'text'),
  'relay-greeting': readRelayGreeting,
  'relay-hello': relayHello,
  Welcome: struct(Welcome),
  Wait: relayMessage('terminal'),
  Dial: relayMessage('terminal'),
  Called: relayMessage('relay'),
  Joined: relayMessage('relay'),
  End: relayMessage('relay'),
  'relay-padded': (raw) => same(writeMessage('terminal', readMessage('terminal', raw)), raw),
};

function relayHello(raw, examples) {
  const { relay } = readAddress(examples.get('text relay-address').trim());
  readHello(raw.subarray(2), relay, examples.get('relay-greeting'));
}

function fault(name, value, examples) {
  if (!CHECKS[name]) return 'this example is not known here';
  try {
    CHECKS[name](value, examples);
    return null;
  } catch (error) {
    if (error instanceof Rejected) return error.message;
    throw error;
  }
}

function main(file = usual) {
  const examples = read(file);
  const faults = [...examples]
    .map(([name, value]) => [name, fault(name, value, examples)])
    .filter(([, why]) => why);
  faults.forEach(([name, why]) => console.log(`${name}: ${why}`));
  console.log(`${examples.size - faults.length} examples hold, ${faults.length} do not`);
  process.exitCode = faults.length || !examples.size ? 1 : 0;
}

main(...process.argv.slice(2));
