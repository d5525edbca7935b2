// Waits to be paired with: node host.js. It prints its port and an invitation, is visible, pairs with the one
// who comes first, whether by invitation or by words, and ends.
import { createServer } from 'node:net';
import { invitationPsk, makeInvitation, writeInvitation } from './invitation.js';
import { Pairing } from './pairing.js';
import { x25519Pair } from './primitives.js';
import { Responder } from './responder.js';
import { HOST, run } from './stream.js';
import { PairingTalk } from './talk.js';
import { Terminal } from './terminal.js';

function invite({ person, pairs }, oneTime, port) {
  const inviter = { person, fixed: pairs.fixed.key, oneTime: oneTime.key, addresses: [`${HOST}:${port}`] };
  return makeInvitation(inviter, Math.floor(Date.now() / 1000));
}

async function pair(terminal, opened, socket) {
  const link = new Responder({ terminal: terminal.pairs.fixed, visible: true, invitations: [opened] });
  const talk = new PairingTalk(terminal, link);
  await run(link, socket, (event) => {
    if (event.is === 'held') link.release();
    if (event.is === 'open') talk.begin(new Pairing(link, terminal.introduction()));
    if (event.is === 'message') talk.take(event.message);
  });
  talk.mustBeDone();
}

function main() {
  const terminal = new Terminal('Node');
  const server = createServer();
  server.listen(0, HOST, () => {
    const { port } = server.address();
    const oneTime = x25519Pair();
    const invitation = invite(terminal, oneTime, port);
    server.once('connection', (socket) => {
      server.close();
      pair(terminal, { psk: invitationPsk(invitation), oneTime }, socket).catch((error) => {
        console.error(`host: ${error.message}`);
        process.exitCode = 1;
      });
    });
    console.log(`port ${port}`);
    console.log(writeInvitation(invitation));
  });
}

main();
