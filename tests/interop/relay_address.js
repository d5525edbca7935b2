// The text that names a relay, and tokens; SPEC §11.7.1, §11.7.5.
import { isIPv4, isIPv6 } from 'node:net';
import { canonical } from './discovery.js';
import { Rejected, must } from './errors.js';
import { fromBase32, toBase32 } from './invitation.js';
import { dh, hash, u32 } from './primitives.js';

const TEXT_MOST = 255;
const DAY_SECONDS = 86_400;
const DAYS_APART = 1;
const FORM = /^parlour-relay:([0-9a-z.-]+|\[[0-9a-f.:]+\]):([0-9]+)#([\x21-\x7e]*)$/;
const LABEL = /^(?!-)[0-9a-z-]{1,63}(?<!-)$/;

const isName = (host) => {
  const labels = host.split('.');
  return labels.every((label) => LABEL.test(label)) && !/^([0-9]+|0x.*)$/.test(labels.at(-1));
};

const isAddress = (host, bracketed) =>
  (bracketed ? isIPv6(host) : isIPv4(host)) && canonical(host) === host;

function readHost(written) {
  const bracketed = written.startsWith('[');
  const host = bracketed ? written.slice(1, -1) : written;
  const known = isAddress(host, bracketed) || (!bracketed && isName(host));
  must(known, 'malformed', 'V-RA-03');
  return host;
}

function readPort(written) {
  must(/^[1-9][0-9]{0,4}$/.test(written) && Number(written) <= 65_535, 'malformed', 'V-RA-04');
  return Number(written);
}

const writeKey = (key) => toBase32(key).toLowerCase();

function readKey(written) {
  must(/^[a-z2-7]*$/.test(written), 'malformed', 'V-RA-05');
  const key = fromBase32(written.toUpperCase());
  must(key.length === 32 && writeKey(key) === written, 'malformed', 'V-RA-05');
  try {
    dh(Buffer.alloc(32), key);
  } catch (error) {
    if (error instanceof Rejected) throw new Rejected('malformed', 'V-RA-06');
    throw error;
  }
  return key;
}

export function readAddress(text) {
  must([...text].length <= TEXT_MOST, 'limit', 'V-RA-01');
  const [, host, port, key] = FORM.exec(text) ?? [];
  must(host !== undefined, 'malformed', 'V-RA-02');
  const relay = { host: readHost(host), port: readPort(port), relay: readKey(key) };
  return { ...relay, is_name: !isIPv4(relay.host) && !isIPv6(relay.host) };
}

export function writeAddress({ host, port, relay }) {
  const shown = isIPv6(host) ? `[${host}]` : host;
  return `parlour-relay:${shown}:${port}#${writeKey(relay)}`;
}

export const token = (meetingKey, day, relay, fixed) =>
  hash('parlour.relaytok', [u32(day), relay, fixed], { key: meetingKey, size: 16 });

export const invitationToken = ({ secret, check, expires }, day, relay) =>
  hash('parlour.relayinv', [u32(day), relay, check, u32(expires)], { key: secret, size: 16 });

const dayOf = (time) => Math.floor(time / DAY_SECONDS);

// The day of a relay whose clock shows `time`; both in Unix seconds.
export function relayDay(time, ownTime) {
  must(Math.abs(dayOf(time) - dayOf(ownTime)) <= DAYS_APART, 'unexpected', 'V-RT-01');
  return dayOf(time);
}
