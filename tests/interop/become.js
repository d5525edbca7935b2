// Becomes another terminal of the person whose terminal adds one: node become.js PORT. It prints the words,
// confirms them, and opens a link of own terminals, on which it takes the history. Each step is one line of output;
// `same` says that all Digests of the other side are those of what is held here. Lines of standard input tell it
// what to do: `report` prints what it holds as JSON, `send TEXT` writes to the first contact, `call` takes up a link
// with that contact at the address that the linking gave, and `end` ends all links.
import { createConnection } from 'node:net';
import { createInterface } from 'node:readline';
import { historyRoot } from './backup.js';
import { ContactExchange, OwnExchange, nameOfMark } from './exchange.js';
import { Initiator } from './initiator.js';
import { BeingAdded } from './linking.js';
import * as notes from './notes.js';
import { ed25519Pair, random, x25519Pair } from './primitives.js';
import { SecondTerminal } from './second.js';
import { HOST, run } from './stream.js';
import { LinkingTalk } from './talk.js';

async function become(port) {
  const pairs = { signing: ed25519Pair(), fixed: x25519Pair() };
  const link = new Initiator('linking', {}, { fast: true });
  const talk = new LinkingTalk(link, (linking) => new SecondTerminal(pairs, linking));
  await run(link, createConnection({ host: HOST, port }), (event) => {
    if (event.is === 'open') talk.begin(new BeingAdded(link, pairs, 'node', random(32)));
    if (event.is === 'message') talk.take(event.message);
  });
  talk.mustBeDone();
  return talk.terminal;
}

// Tells of what happens on a link, and of each time at which both sides have the same after they had not.
function teller(name, exchange) {
  let same = false;
  return (line) => {
    if (line) console.log(`${name} ${line}`);
    const now = Boolean(exchange().isSame?.());
    if (now && !same) console.log('same');
    same = now;
  };
}

const LINES = {
  mark: nameOfMark,
  covered: ({ left }) => `uncovered ${left}`,
  entry: ({ text }) => (text ? `entry ${text}` : 'other entry'),
};

// Whether a link opened under the best secret that this end holds.
const isBest = ({ fitting, secrets }) => fitting === secrets.candidates[0];

// Takes up a link; `make` gives its exchange. `heard` takes each event of the link.
function take(name, link, { host = HOST, port }, make, heard = () => {}) {
  const tell = teller(name, () => exchange);
  const exchange = make((event) => tell(LINES[event.is]?.(event) ?? event.is));
  const work = (event) => {
    if (event.is === 'open') exchange.begin();
    if (event.is === 'message') exchange.take(event.message);
    heard(event);
    if (event.is === 'open') tell(isBest(link) ? 'open, best' : 'open');
    else tell(event.is === 'closed' ? 'closed' : '');
  };
  const begin = (flush) => Object.assign(exchange, { flush });
  exchange.over = run(link, createConnection({ host, port }), work, begin);
  return exchange;
}

function reportOf(terminal, contact) {
  const { person, log, book } = contact;
  const registers = [notes.PETNAME, notes.STANDING, notes.PINNED, notes.MUTED];
  const [name, standing, pinned, muted] = registers.map((one) => terminal.valueOf(one, person));
  const marks = { verified: standing.verified, pinned: pinned.on, muted: muted.on };
  const of = { person: person.toString('hex'), name: log.name, petname: name.name, ...marks };
  const held = { root: book.root().toString('hex'), entries: book.conversation.entries().length };
  return { ...of, ...held, texts: book.shown() };
}

function report(terminal) {
  const contacts = [...terminal.contacts.values()];
  const roots = contacts.map(({ book }) => ({ conversation: book.id, root: book.root() }));
  const shown = contacts.map((contact) => reportOf(terminal, contact));
  const [person, id] = [terminal.person, terminal.terminal].map((one) => one.toString('hex'));
  const own = { person, terminal: id, drawing: terminal.drawing.map((one) => one.toString('hex')) };
  console.log(JSON.stringify({ ...own, root: historyRoot(roots).toString('hex'), contacts: shown }));
}

class Course {
  constructor(terminal, port) {
    Object.assign(this, { terminal, port, links: [] });
    this.callOwn();
  }

  // A link in place of `old`, where there is one, which opened under another self key; SPEC §6.5.
  callOwn(old = null) {
    const link = this.terminal.callOwn(this.terminal.adder, old ? { replaces: old.link.sessionId } : {});
    const heard = ({ is }) => {
      if (old && is === 'open') [old, { link }].forEach((one) => one.link.ping());
      if (old && is === 'answered') this.replaced(old);
      if (old) old.flush();
    };
    const make = (tell) => new OwnExchange(this.terminal, link, (event) => this.follow(event, tell));
    this.own = take('own', link, { port: this.port }, make, heard);
    this.links.push(this.own);
  }

  replaced(old) {
    if (old.link.state !== 'CLOSED') console.log('replaced');
    old.link.close(1);
  }

  follow(event, tell) {
    tell(event);
    if (event.is === 'new self key') this.callOwn(this.own);
  }

  get contact() {
    return [...this.terminal.contacts.values()][0];
  }

  report() {
    report(this.terminal);
  }

  send(text) {
    const entry = this.terminal.write(this.contact, text);
    for (const exchange of [this.own, this.their].filter(Boolean)) {
      exchange.sendEntries([entry]);
      exchange.flush();
    }
  }

  call() {
    const [{ terminal, host, port }] = this.contact.places;
    const link = this.terminal.callContact(this.contact, terminal);
    const make = (tell) => new ContactExchange(this.terminal, link, tell, this.contact);
    this.their = take('contact', link, { host, port }, make);
    this.links.push(this.their);
  }

  end() {
    for (const { link, flush } of this.links) {
      link.close(0);
      flush();
    }
  }
}

async function main(port) {
  const terminal = await become(port);
  const course = new Course(terminal, port);
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, ...rest] = line.split(' ');
    course[what](rest.join(' '));
  }
  await Promise.all(course.links.map((one) => one.over));
  console.log('done');
}

main(Number(process.argv[2])).catch((error) => {
  console.error(`become: ${error.message}`);
  process.exit(1);
});
