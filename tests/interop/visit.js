// Pairs by words with a terminal that is visible: node visit.js PORT. It prints the words, and confirms them.
import { createConnection } from 'node:net';
import { Initiator } from './initiator.js';
import { Pairing } from './pairing.js';
import { HOST, run } from './stream.js';
import { PairingTalk } from './talk.js';
import { Terminal } from './terminal.js';

async function main(port) {
  const terminal = new Terminal('Node');
  const link = new Initiator('XX', {}, { fast: true });
  const talk = new PairingTalk(terminal, link);
  await run(link, createConnection({ host: HOST, port }), (event) => {
    if (event.is === 'open') talk.begin(new Pairing(link, terminal.introduction()));
    if (event.is === 'message') talk.take(event.message);
  });
  talk.mustBeDone();
}

main(Number(process.argv[2])).catch((error) => {
  console.error(`visit: ${error.message}`);
  process.exitCode = 1;
});
