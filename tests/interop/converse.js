// Joins a running terminal and talks: node converse.js PORT, with an invitation on standard input.
// It calls, sends an entry, waits for one and for both receipts; then it waits to be called, and sends what it
// wrote meanwhile; then it calls again, replaces that link by another one, and waits for an entry there.
import { readFileSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { readInvitation } from './invitation.js';
import { Responder } from './responder.js';
import { HOST, run } from './stream.js';
import { Conversation, PairingTalk } from './talk.js';
import { Terminal } from './terminal.js';

// 16,384 characters of 4 bytes: a message of two pieces.
const LONGEST = '\u{1f388}'.repeat(16_384);

async function pair(terminal, invitation, port) {
  const { link, pair: begin } = terminal.join(invitation);
  const talk = new PairingTalk(terminal, link);
  await run(link, createConnection({ host: HOST, port }), (event) => {
    if (event.is === 'open') talk.begin(begin());
    if (event.is === 'message') talk.take(event.message);
  });
  talk.mustBeDone();
}

async function converse(terminal, link, socket, due, ownPort) {
  const talk = new Conversation(terminal, link, due);
  await run(link, socket, (event) => {
    if (event.is === 'open') talk.begin(ownPort);
    if (event.is === 'message') talk.take(event.message);
  });
  if (talk.due.length) throw new Error(`the link ended before: ${talk.due.join(', ')}`);
}

// Calls twice, the second link in place of the first (SPEC §6.5), and takes an entry on the second.
async function replace(terminal, port, ownPort) {
  const old = terminal.call();
  let taking = null;
  await run(old, createConnection({ host: HOST, port }), (event) => {
    if (event.is !== 'open') return;
    taking = takeOver(terminal, old, terminal.call({ replaces: old.sessionId }), port, ownPort);
  });
  await taking;
}

async function takeOver(terminal, old, next, port, ownPort) {
  const talk = new Conversation(terminal, next, ['entry']);
  await run(next, createConnection({ host: HOST, port }), (event) => {
    if (event.is === 'open') {
      talk.begin(ownPort);
      [old, next].forEach((link) => link.ping());
    }
    if (event.is === 'answered') {
      old.close(1);
      console.log('replaced');
    }
    if (event.is === 'message') talk.take(event.message);
  });
  if (talk.due.length) throw new Error(`the new link ended before: ${talk.due.join(', ')}`);
}

const listening = (server) =>
  new Promise((resolve) => {
    server.listen(0, HOST, resolve);
  });
const called = (server) =>
  new Promise((resolve) => {
    server.once('connection', resolve);
  });

function answering(terminal) {
  return new Responder({
    terminal: terminal.pairs.fixed,
    lookUp: (caller, hello) => terminal.lookUp(caller, hello),
  });
}

async function main(port) {
  const terminal = new Terminal('Node');
  const server = createServer();
  await listening(server);
  const own = server.address().port;
  await pair(terminal, readInvitation(readFileSync(0, 'utf8')), port);
  terminal.write('Good evening from another program');
  const call = called(server);
  const socket = createConnection({ host: HOST, port });
  await converse(terminal, terminal.call({ fast: true }), socket, ['delivered', 'entry', 'read'], own);
  terminal.write(LONGEST);
  terminal.write('That was the longest there is');
  console.log('waiting');
  await converse(terminal, answering(terminal), await call, ['delivered', 'delivered', 'entry'], own);
  server.close();
  await replace(terminal, port, own);
  console.log('done');
}

main(Number(process.argv[2])).catch((error) => {
  console.error(`converse: ${error.message}`);
  process.exit(1);
});
