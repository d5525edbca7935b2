// What this person does on an open link: pair, and hold one conversation. Each step is one line of output.

const TEXT = 'Good evening from another program';

// Follows a pairing. This person confirms whatever is shown: whoever runs the test compares.
export class PairingTalk {
  constructor(terminal, link) {
    Object.assign(this, { terminal, link, pairing: null });
  }

  begin(pairing) {
    this.pairing = pairing;
    this.follow([]);
  }

  take(message) {
    this.follow(this.pairing.receive(message));
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

// Sends one entry, takes what comes, and closes the link when all of `due` has come.
export class Conversation {
  constructor(terminal, link, due) {
    Object.assign(this, { terminal, link, due: new Set(due) });
  }

  begin(port) {
    this.send([...this.terminal.greet(port), this.terminal.write(TEXT)]);
    console.log('open');
  }

  send(messages) {
    messages.forEach((message) => this.link.send(message));
  }

  take(message) {
    const { answers, events } = this.terminal.receive(message);
    this.send(answers);
    for (const what of events) {
      console.log(what);
      this.due.delete(what.split(' ')[0]);
    }
    if (this.due.size === 0) this.link.close(0);
  }
}
