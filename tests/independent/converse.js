// One conversation with a running terminal: node converse.js PORT, with an invitation on standard input.
// It joins, sends an entry, waits for one, and for both receipts. Each step is one line on standard output.
import { createConnection } from 'node:net';
import { readFileSync } from 'node:fs';
import { readInvitation } from './invitation.js';
import { Terminal } from './terminal.js';

const HOST = '127.0.0.1';
const TICK = 250;
const TEXT = 'Good evening from another program';
const DUE = ['delivered', 'entry', 'read'];

// Connects a link with its socket. `work` is told each event; the promise ends with the stream.
function run(link, port, work) {
  const socket = createConnection({ host: HOST, port });
  const flush = () => {
    const bytes = link.take();
    if (bytes.length) socket.write(bytes);
    if (link.state === 'CLOSED') socket.end();
  };
  const begun = performance.now();
  const look = () => link.wait((performance.now() - begun) / 1000);
  const clock = setInterval(() => { look(); flush(); }, TICK);
  return new Promise((resolve, fail) => {
    socket.on('data', (data) => {
      try {
        look();
        link.receive(data).forEach((event) => work(event, flush));
        flush();
      } catch (error) {
        socket.destroy();
        fail(error);
      }
    });
    socket.on('error', fail);
    socket.on('close', resolve);
  }).finally(() => clearInterval(clock));
}

// Does what a pairing asks for; this person has agreed by joining.
function followPairing(terminal, link, pairing, events) {
  for (const event of events) {
    if (event.is === 'pending') {
      terminal.keep(pairing);
      events.push(...pairing.stored());
    }
    if (event.is === 'completed') {
      pairing.out.splice(0).forEach((message) => link.send(message));
      link.close(0);
      console.log(`paired ${pairing.otherLog.name}`);
    }
  }
  pairing.out.splice(0).forEach((message) => link.send(message));
}

async function pair(terminal, invitation, port) {
  const { link, pair: begin } = terminal.join(invitation);
  let pairing = null;
  await run(link, port, (event) => {
    if (event.is === 'open') pairing = begin();
    const events = event.is === 'message' ? pairing.receive(event.message) : [];
    followPairing(terminal, link, pairing, events);
  });
  if (pairing?.state !== 'DONE') throw new Error(`the pairing ended as ${pairing?.state ?? link.state}`);
}

async function talk(terminal, port) {
  const link = terminal.call();
  const due = new Set(DUE);
  const sendAll = (messages) => messages.forEach((message) => link.send(message));
  await run(link, port, (event, flush) => {
    if (event.is === 'open') {
      sendAll([...terminal.greet(), terminal.write(TEXT)]);
      console.log('open');
    }
    if (event.is !== 'message') return;
    const { answers, events } = terminal.receive(event.message);
    sendAll(answers);
    flush();
    for (const what of events) {
      console.log(what);
      due.delete(what.split(' ')[0]);
    }
    if (due.size === 0) link.close(0);
  });
  if (due.size) throw new Error(`the link ended before: ${[...due].join(', ')}`);
}

async function main(port) {
  const terminal = new Terminal('Node');
  await pair(terminal, readInvitation(readFileSync(0, 'utf8')), port);
  await talk(terminal, port);
  console.log('done');
}

main(Number(process.argv[2])).catch((error) => {
  console.error(`converse: ${error.message}`);
  process.exitCode = 1;
});
