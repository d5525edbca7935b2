// A terminal at a relay, over TCP: it dials or waits until its circuit begins; SPEC §11.7.
import { createConnection } from 'node:net';
import { x25519Pair } from './primitives.js';
import { relayDay } from './relay_address.js';
import { RelayTerminal } from './relay_connection.js';

const AGAIN = 200;

const now = () => Math.floor(Date.now() / 1000);

// The socket once it is a circuit. `welcomed` gets the end and the relay's day, `absent` the end.
function meet({ host, port, relay }, welcomed, absent) {
  const end = new RelayTerminal(relay, x25519Pair());
  const socket = createConnection({ host, port });
  const flush = () => socket.write(end.take());
  return new Promise((resolve, fail) => {
    const take = (data) => {
      end.told = {};
      end.receive(data);
      if ('time' in end.told) welcomed(end, relayDay(end.told.time, now()));
      if (end.told.absent) setTimeout(() => flush(absent(end)), AGAIN);
      flush();
      if (end.state !== 'JOINED') return;
      socket.off('data', onData).off('close', onClose).pause();
      if (end.told.circuit.length) socket.unshift(end.told.circuit);
      resolve(socket);
    };
    const onData = (data) => {
      try {
        take(data);
      } catch (error) {
        fail(error);
      }
    };
    const onClose = () => fail(new Error(`the relay ended the connection: ${end.ended}`));
    socket.on('data', onData).on('close', onClose).on('error', fail);
  });
}

// Asks for whoever waits on a token, again and again while nobody does. `tokenOf` gives the token of a day.
export function dialAt(relay, tokenOf) {
  let wanted = null;
  const dial = (end) => end.dial(wanted, 0);
  const welcomed = (end, day) => {
    wanted = tokenOf(day);
    dial(end);
  };
  return meet(relay, welcomed, dial);
}

// Waits on the tokens of a day.
export const waitAt = (relay, tokensOf) => meet(relay, (end, day) => end.waitOn(tokensOf(day)));
