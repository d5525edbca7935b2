// Vectors of relays; SPEC §11.7. Connections run on a clock that the steps set.
import { meetingKey } from '../contact.js';
import { empty, join, x25519Pair } from '../primitives.js';
import { invitationToken, readAddress, relayDay, token, writeAddress } from '../relay_address.js';
import { RelayEnd, RelayTerminal } from '../relay_connection.js';
import { expectSame, hex } from './expect.js';

const COMPUTE = {
  parse_address: (step) => readAddress(step.text),
  format_address: (step) => ({ text: writeAddress({ ...step, relay: hex(step.relay) }) }),
  meeting_key: (step) => ({
    meeting_key: meetingKey(hex(step.contact_secret), hex(step.waiter), hex(step.dialler)),
  }),
  token: (step) => ({ token: token(hex(step.meeting_key), step.day, hex(step.relay), hex(step.static)) }),
  invitation_token({ secret, check, expires, day, relay }) {
    const invitation = { secret: hex(secret), check: hex(check), expires };
    return { token: invitationToken(invitation, day, hex(relay)) };
  },
  day: (step) => ({ day: relayDay(step.time, step.own_time) }),
};

const ACTS = {
  begin() {},
  receive: (end, step, arrived) => end.receive(arrived),
  receive_bytewise(end, step, arrived) {
    for (const byte of arrived) end.receive(Buffer.from([byte]));
  },
  wait_on: (end, step) => end.waitOn(step.tokens.map(hex)),
  dial: (end, step) => end.dial(hex(step.token), step.place),
  waiting: (end) => end.waiting(),
  absent: (end) => end.absent(),
  call: (end, step) => end.call(hex(step.token)),
  join: (end, step) => end.joinDialler(step.others),
  end: (end, step) => end.stop(step.reason),
  close: (end) => end.close(),
  cut: (end) => end.cut(),
  wait: (end, step) => end.wait(step.until),
};

function makeEnd(inputs, connection, actor, now) {
  const pair = x25519Pair(hex(inputs.relay_static));
  const drawn = inputs.connections[connection];
  const ephemeral = x25519Pair(hex(drawn[`${actor}_ephemeral`]));
  if (actor === 'terminal') return new RelayTerminal(pair.key, ephemeral, now);
  const draw = { greetingRandom: hex(drawn.greeting_random), ephemeral };
  return new RelayEnd(pair, inputs.relay_time, draw, now);
}

// What a step gave: only what is there stands in it.
function told(end, wasEnded) {
  const facts = { state: end.state, ...end.told };
  end.told = {};
  const sends = end.take();
  if (sends.length) facts.sends = sends;
  if (end.ended && !wasEnded) facts.ended = end.ended;
  return facts;
}

function perform(world, step) {
  const connection = step.connection ?? 'one';
  const key = (actor) => `${connection} ${actor}`;
  const end = (world.ends[key(step.actor)] ??= makeEnd(world.inputs, connection, step.actor, world.now));
  const sent = step.sent_by ? world.sent[key(step.sent_by)] : empty;
  if (step.do === 'wait') world.now = step.until;
  end.now = world.now;
  const wasEnded = end.ended;
  try {
    ACTS[step.do](end, step, join(sent, hex(step.stream ?? '')));
  } catch (error) {
    if (error.rule) expectSame({ gives: { state: 'CLOSED' }, ...step }, 'gives', told(end, wasEnded));
    throw error;
  }
  const facts = told(end, wasEnded);
  world.sent[key(step.actor)] = facts.sends ?? empty;
  expectSame(step, 'gives', facts);
}

export function relays(inputs, steps) {
  const world = { inputs, ends: {}, sent: {}, now: 0 };
  return steps.map((step) => () => {
    if (COMPUTE[step.do]) expectSame(step, 'gives', COMPUTE[step.do](step));
    else perform(world, step);
  });
}
