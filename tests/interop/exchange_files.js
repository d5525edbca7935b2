// Sends a file to a running terminal, and takes one from it: node exchange_files.js PORT, with an invitation on
// standard input. It pairs, calls, writes an entry that names a file and answers what is asked of it. Then it takes
// the file of the first entry that comes, checks each piece before it keeps it, and prints what the content hashes to.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { must } from './errors.js';
import { Demand, PIECE, Supply, checkPiece, countOf, openPiece, sealFile } from './files.js';
import { readInvitation } from './invitation.js';
import { random } from './primitives.js';
import { HOST, run } from './stream.js';
import { Conversation, PairingTalk } from './talk.js';
import { Terminal } from './terminal.js';

const AT_ONCE = 16;
const digest = (content) => createHash('sha256').update(content).digest('hex');

// The files of one link: one that this end sends, and one that it takes.
class FileTalk extends Conversation {
  constructor(terminal, link, sent) {
    super(terminal, link, ['taken', 'file']);
    Object.assign(this, { sent, supply: new Supply(), demand: new Demand(), taken: null, pieces: new Map() });
  }

  take(message) {
    const own = this[`take${message.is}`];
    if (own) own.call(this, message);
    else super.take(message);
    this.lookForFile();
    if (this.due.length === 0) this.link.close(0);
  }

  takeAskPieces(message) {
    this.supply.take(message);
    for (let turn = this.supply.next(1); turn; turn = this.supply.next(1)) this.answer(turn);
  }

  // Of what it may not have the other end gets the PiecesEnd alone; SPEC §12.3.
  answer({ entry, first, count }) {
    if (count === undefined) this.link.send({ is: 'PiecesEnd', entry });
    else if (entry.equals(this.sent.entry.id) && first < this.sent.pieces.length) {
      this.link.send({ is: 'Piece', entry, ...this.sent.pieces[first] });
    }
  }

  takeStopPieces({ entry }) {
    this.supply.drop(entry);
  }

  takeWholeFile({ entry }) {
    if (entry.equals(this.sent.entry.id)) this.tell('taken');
  }

  lookForFile() {
    if (this.taken) return;
    const [author] = this.terminal.contact.log.live;
    this.taken = this.terminal.entriesOf([author]).find(({ body }) => body?.root) ?? null;
    if (this.taken) this.ask();
  }

  ask() {
    const count = countOf(this.taken.body.size);
    const first = Array.from({ length: count }, (_, number) => number).find((one) => !this.pieces.has(one));
    if (first === undefined) this.whole();
    else {
      const ranges = [{ first, count: Math.min(AT_ONCE, count - first) }];
      this.link.send(this.demand.ask(this.taken.id, ranges));
    }
  }

  takePiece(piece) {
    if (!this.demand.takes(piece)) return;
    const { body } = this.taken;
    checkPiece(piece, body);
    this.pieces.set(piece.number, openPiece(body.aead, body.key, piece.number, piece.data));
  }

  takePiecesEnd(message) {
    const lacking = this.demand.ended(message);
    if (lacking.length) throw new Error(`${lacking.length} pieces are not held there`);
    this.ask();
  }

  whole() {
    const { body, id: entry } = this.taken;
    const content = Buffer.concat([...this.pieces].sort(([a], [b]) => a - b).map(([, piece]) => piece));
    must(content.length === body.size, 'malformed', 'V-PE-02');
    this.link.send({ is: 'WholeFile', entry });
    this.tell(`file ${body.name} ${body.media} ${digest(content)}`);
  }
}

async function main(port) {
  const terminal = new Terminal('Node');
  const { link: joining, pair } = terminal.join(readInvitation(readFileSync(0, 'utf8')));
  const pairing = new PairingTalk(terminal, joining);
  await run(joining, createConnection({ host: HOST, port }), (event) => {
    if (event.is === 'open') pairing.begin(pair());
    if (event.is === 'message') pairing.take(event.message);
  });
  pairing.mustBeDone();
  const content = random(5 * PIECE + 1);
  const { body, pieces } = sealFile('from node.bin', 'application/octet-stream', content);
  const sent = { entry: terminal.write(body), pieces };
  console.log(`sent ${sent.entry.id.toString('hex')} ${digest(content)}`);
  const link = terminal.call({ fast: true });
  const talk = new FileTalk(terminal, link, sent);
  await run(link, createConnection({ host: HOST, port }), (event) => {
    if (event.is === 'open') talk.begin(null);
    if (event.is === 'message') talk.take(event.message);
  });
  if (talk.due.length) throw new Error(`the link ended before: ${talk.due.join(', ')}`);
  console.log('done');
}

main(Number(process.argv[2])).catch((error) => {
  console.error(`exchange_files: ${error.message}`);
  process.exitCode = 1;
});
