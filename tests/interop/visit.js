// Pairs by words with a terminal that is visible: node visit.js PORT [zh]. It prints the words, and confirms them.
// With zh it reads the Chinese ones, too.
import { createConnection } from 'node:net';
import { Initiator } from './initiator.js';
import { OFFERS, Pairing } from './pairing.js';
import { HOST, run } from './stream.js';
import { PairingTalk } from './talk.js';
import { Terminal } from './terminal.js';

async function main(port, language) {
  const terminal = new Terminal('Node');
  const link = new Initiator('XX', {}, { fast: true, features: language ? [OFFERS[language]] : [] });
  const talk = new PairingTalk(terminal, link);
  await run(link, createConnection({ host: HOST, port }), (event) => {
    if (event.is === 'open') talk.begin(new Pairing(link, terminal.introduction()));
    if (event.is === 'message') talk.take(event.message);
  });
  talk.mustBeDone();
}

main(Number(process.argv[2]), process.argv[3]).catch((error) => {
  console.error(`visit: ${error.message}`);
  process.exitCode = 1;
});
