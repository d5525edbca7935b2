// Vectors of announcements; SPEC §13.
import { announce, dayOf, readAnnouncement, recognise, slot, writeText } from '../discovery.js';
import { expectSame, hex } from './expect.js';

const placeOf = ({ instance, port, addresses }) => ({ instance, port, addresses });

function announced(step) {
  const place = { ...placeOf(step), day: step.day, static: hex(step.static) };
  const keys = step.discovery_keys.map(hex);
  const there = announce(keys, place).map((one) => one.toString('hex'));
  const own = keys.map((key) => slot(key, place)).filter((one) => there.includes(one.toString('hex')));
  expectSame(step.gives, 'count', there.length);
  expectSame(step.gives, 'contacts_with_a_slot', own);
}

const RUN = {
  day: (step) => expectSame(step.gives, 'day', dayOf(step.unix_ms)),
  slot(step) {
    const place = { ...placeOf(step), day: step.day, static: hex(step.static) };
    expectSame(step.gives, 'slot', slot(hex(step.discovery_key), place));
  },
  recognise(step) {
    const known = step.known.map((one) => ({
      static: hex(one.static),
      discovery_key: hex(one.discovery_key),
    }));
    expectSame(step.gives, 'known', recognise(hex(step.slots), known, step.day, placeOf(step)));
  },
  announce: announced,
  read(step) {
    const told = readAnnouncement({ ...placeOf(step), text: hex(step.text) });
    expectSame(step, 'gives', told);
  },
  write: (step) => expectSame(step.gives, 'text', writeText(hex(step.slots), step.name)),
};

export const discovery = (inputs, steps) => steps.map((step) => () => RUN[step.do](step));
