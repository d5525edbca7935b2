// Joins a running terminal through a relay and talks there: node through.js, with an invitation on standard input.
// Nothing but the relay is connected to. It pairs, calls and sends an entry, then waits to be called.
import { readFileSync } from 'node:fs';
import { contactSecret, meetingKey } from './contact.js';
import { readInvitation } from './invitation.js';
import { dialAt, waitAt } from './meet.js';
import { invitationToken, readAddress, token } from './relay_address.js';
import { Responder } from './responder.js';
import { run } from './stream.js';
import { Conversation, PairingTalk } from './talk.js';
import { Terminal } from './terminal.js';

async function pair(terminal, invitation, relay) {
  const { link, pair: begin } = terminal.join(invitation);
  const talk = new PairingTalk(terminal, link);
  const socket = await dialAt(relay, (day) => invitationToken(invitation, day, relay.relay));
  await run(link, socket, (event) => {
    if (event.is === 'open') talk.begin(begin());
    if (event.is === 'message') talk.take(event.message);
  });
  talk.mustBeDone();
}

async function converse(terminal, link, socket, due) {
  const talk = new Conversation(terminal, link, due);
  await run(link, socket, (event) => {
    if (event.is === 'open') talk.begin(null);
    if (event.is === 'message') talk.take(event.message);
  });
  if (talk.due.length) throw new Error(`the link ended before: ${talk.due.join(', ')}`);
}

// The tokens on which one of the two waits for the other.
function tokens(terminal, relay) {
  const { contact, person, pairs } = terminal;
  const { root, own, theirs } = contact.pairing;
  const mine = { person, share: own[0].share };
  const secret = contactSecret(root, mine, { person: contact.person, share: theirs[0].share });
  const of = (waiter, dialler, fixed) => (day) =>
    token(meetingKey(secret, waiter, dialler), day, relay.relay, fixed);
  return {
    own: of(person, contact.person, pairs.fixed.key),
    theirs: of(contact.person, person, contact.fixed),
  };
}

function answering(terminal) {
  return new Responder({
    terminal: terminal.pairs.fixed,
    lookUp: (caller, hello) => terminal.lookUp(caller, hello),
  });
}

async function main() {
  const terminal = new Terminal('Node');
  const invitation = readInvitation(readFileSync(0, 'utf8'));
  const relay = readAddress(invitation.relays[0]);
  await pair(terminal, invitation, relay);
  const { own, theirs } = tokens(terminal, relay);
  terminal.write('Good evening through a relay');
  await converse(terminal, terminal.call({ fast: true }), await dialAt(relay, theirs), ['delivered']);
  const called = waitAt(relay, (day) => [own(day)]);
  console.log('waiting');
  await converse(terminal, answering(terminal), await called, ['entry']);
  console.log('done');
}

main().catch((error) => {
  console.error(`through: ${error.message}`);
  process.exit(1);
});
