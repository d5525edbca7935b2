// What this person does on an open link: pair, and hold one conversation. Each step is one line of output.

// Follows a pairing. This person confirms whatever is shown: whoever runs the test compares.
export class PairingTalk {
  constructor(terminal, link) {
    Object.assign(this, { terminal, link, pairing: null });
  }

  begin(pairing) {
    this.pairing = pairing;
    this.follow([]);
  }

  // What the pairing rejects is answered with Close 3, whatever it is; SPEC §15.
  take(message) {
    try {
      this.follow(this.pairing.receive(message));
    } catch (error) {
      this.link.close(3);
      throw error;
    }
  }

  follow(events) {
    for (const event of events) events.push(...this.answer(event));
    this.sendAll();
    if (this.pairing.state === 'DONE') this.link.close(0);
  }

  answer(event) {
    if (event.is === 'words') console.log(`words ${event.words.join(' ')}`);
    if (event.is === 'completed') console.log(`paired ${this.pairing.otherLog.name}`);
    if (event.is === 'words' || event.is === 'joiner') return this.pairing.confirm();
    if (event.is !== 'pending') return [];
    this.terminal.keep(this.pairing);
    return this.pairing.stored();
  }

  mustBeDone() {
    const state = this.pairing?.state ?? this.link.state;
    if (state !== 'DONE') throw new Error(`the pairing ended as ${state}`);
  }

  sendAll() {
    this.pairing.out.splice(0).forEach((message) => this.link.send(message));
  }
}

// Follows a linking on the side of the new terminal, and confirms whatever is shown.
export class LinkingTalk extends PairingTalk {
  // `make`: what a terminal is made of when the linking has given all that it needs.
  constructor(link, make) {
    super(null, link);
    this.make = make;
  }

  answer(event) {
    if (event.is === 'words') {
      console.log(`words ${event.words.join(' ')}`);
      return this.pairing.confirm();
    }
    if (event.is === 'linked') console.log('linked');
    if (event.is !== 'profile') return [];
    this.terminal = this.make(this.pairing);
    return this.pairing.stored();
  }
}

// Sends what waits, takes what comes, and closes the link when all of `due` has come.
export class Conversation {
  constructor(terminal, link, due) {
    Object.assign(this, { terminal, link, due: [...due], carried: new Set() });
  }

  begin(port) {
    this.send(this.terminal.greet(port));
    console.log('open');
  }

  // An entry goes at most once on a link.
  send(messages) {
    for (const message of messages) {
      const name = message.is === 'Entry' ? message.header.toString('hex') : null;
      if (this.carried.has(name)) continue;
      if (name) this.carried.add(name);
      this.link.send(message);
    }
  }

  take(message) {
    const { answers, events } = this.terminal.receive(message);
    this.send(answers);
    events.forEach((what) => this.tell(what));
    if (this.due.length === 0) this.link.close(0);
  }

  tell(what) {
    console.log(what);
    const place = this.due.indexOf(what.split(' ')[0]);
    if (place >= 0) this.due.splice(place, 1);
  }
}
