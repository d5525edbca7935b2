// Replays the stored conversation of version 1 at each end of its links: node replay.js [FILE]. SPEC §17.
//
// Each end gets its recorded draws and bytes, and must read the recorded messages. What it sends is not compared.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Initiator } from './initiator.js';
import { decodeMessage, encodeMessage } from './messages.js';
import { empty, x25519Pair } from './primitives.js';
import { Responder } from './responder.js';
import { makeGreeting } from './wire.js';

const usual = path.join(path.dirname(fileURLToPath(import.meta.url)), 'version_1.json');
const hex = (value) => Buffer.from(value, 'hex');
const PATTERNS = { XX: 'XX', IKPSK2: 'IKpsk2' };

// The draws by their use, from their order. Where a pairing draws its nonce, no link does.
const ORDER = {
  'XX INITIATOR': ['static', 'ephemeral', 'share', 'ratchet', 'nonce'],
  'XX RESPONDER': ['greeting', 'static', 'kem', 'ratchet', 'share', 'ephemeral', 'ratchet', 'nonce'],
  'IKPSK2 INITIATOR': ['kem', 'share', 'ephemeral', 'ratchet'],
  'IKPSK2 RESPONDER': ['greeting', 'psk', 'ratchet', 'share', 'ephemeral'],
};

function drawnBy(link, end) {
  const names = ORDER[`${link.pattern} ${end.role}`];
  const of = (name) => end.draws.filter((_, i) => (names[i] ?? 'ratchet') === name).map(hex);
  const [ratchets, psks] = [of('ratchet').map(x25519Pair), of('psk')];
  const kem = { secret: hex(link.kem_secret), ciphertext: hex(link.kem_ciphertext) };
  const draw = { ephemeral: x25519Pair(of('ephemeral')[0]), share: of('share')[0], kemSeed: of('kem')[0] };
  Object.assign(draw, { psk: () => psks.shift(), ratchets: () => ratchets.shift(), encapsulate: () => kem });
  return { draw, oneTime: of('static')[0], greeting: of('greeting')[0] };
}

const personOf = ({ person }) => hex(person);

function makeEnd(link, end, own, other) {
  const { draw, oneTime, greeting } = drawnBy(link, end);
  const [pattern, contact] = [PATTERNS[link.pattern], link.pattern === 'IKPSK2'];
  const terminal = x25519Pair(hex(own.static_secret));
  const psk = contact ? hex(link.psk) : empty;
  if (end.role === 'INITIATOR') {
    const [mine, theirs] = (link.shares ?? []).map(hex);
    const call = {
      s: terminal,
      rs: x25519Pair(hex(other.static_secret)).key,
      person: personOf(own),
      candidates: [{ own: mine, theirs, psk }],
    };
    return new Initiator(pattern, contact ? call : { s: x25519Pair(oneTime) }, { draw });
  }
  const known = { terminal: contact ? terminal : null, visible: !contact, lookUp: () => ({ psk }) };
  known.oneTime = contact ? null : x25519Pair(oneTime);
  return new Responder(known, { draw, greeting: makeGreeting(2, greeting) });
}

const REASONS = ['done', 'replaced', 'locked', 'refused', 'twice'];

function told(link, events) {
  const lines = [];
  for (const { is, ...event } of events) {
    if (is === 'open') lines.push(`open ${link.sessionId.toString('hex')}`);
    if (is === 'message') lines.push(`message ${encodeMessage(event.message).toString('hex')}`);
    if (is === 'answered') lines.push(`answered ${event.number}`);
    if (is === 'closed') lines.push(`closed ${REASONS[event.reason]}`);
  }
  return lines;
}

function expected(events = []) {
  const lines = [];
  for (const event of events)
    for (const name of ['open', 'message', 'answered', 'closed'])
      if (name in event) lines.push(`${name} ${event[name]}`);
  return lines;
}

const ACTS = {
  receive: (link, step) => link.receive(hex(step.stream)),
  ping: (link) => link.ping() ?? [],
  close(link) {
    link.close(0);
    return [{ is: 'closed', reason: 0 }];
  },
};

function replay(transcript) {
  let [steps, wrong] = [0, 0];
  for (const link of transcript.links)
    for (const [name, end] of Object.entries(link.ends)) {
      const [other] = Object.keys(link.ends).filter((one) => one !== name);
      const here = makeEnd(link, end, transcript.persons[name], transcript.persons[other]);
      for (const step of end.steps) {
        const events = ACTS[step.do]?.(here, step) ?? [];
        for (const message of step.sends ?? []) here.send(decodeMessage(hex(message)));
        here.take();
        steps += 1;
        const same = told(here, events).join() === expected(step.events).join();
        if (!same) console.log(`${name}, ${link.pattern}, step ${steps}: ${told(here, events)}`);
        wrong += same ? 0 : 1;
      }
    }
  console.log(`${steps} steps, ${wrong} wrong`);
  return wrong;
}

process.exitCode = replay(JSON.parse(readFileSync(process.argv[2] ?? usual, 'utf8'))) ? 1 : 0;
