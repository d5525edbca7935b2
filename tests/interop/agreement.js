// Handshake payloads and what both ends agree on when a handshake is finished; SPEC §6.3, §7.4, §8.
import { bytes, decode, encode, list, struct } from './codec.js';
import { checkKemKey, checkX25519, hash } from './primitives.js';
import { pad, unpad } from './padding.js';
import { Rejected } from './errors.js';

const PAYLOAD_MOST = 2048;
const id = bytes(32);
const kemKey = bytes(1184);
const kemCiphertext = bytes(1088);
const names = list(1, 4, bytes(16));

export const ContactHello = struct({
  person: id,
  names: struct({ own: names, theirs: names }),
  kem_key: kemKey,
  share: id,
});
export const ContactReply = struct({ kem_ciphertext: kemCiphertext, share: id, ratchet_key: id });
export const PairingReply = struct({ kem_key: kemKey, share: id, ratchet_key: id });
export const PairingFinish = struct({ kem_ciphertext: kemCiphertext, share: id });

export const writePayload = (type, value) => pad(encode(type, value));

function unpadPayload(raw) {
  try {
    return unpad(raw);
  } catch (error) {
    if (error instanceof Rejected) throw new Rejected('malformed', 'V-HS-05');
    throw error;
  }
}

export function readPayload(type, raw) {
  const value = decode(type, unpadPayload(raw), PAYLOAD_MOST);
  if (value.kem_key) checkKemKey(value.kem_key);
  if (value.ratchet_key) checkX25519(value.ratchet_key);
  return value;
}

// From {h, kemSecret, shareI, shareR, staticI, staticR}.
export function sessionSecrets({ h, kemSecret, shareI, shareR, staticI, staticR }) {
  const S = hash('parlour.linkroot', [shareI, shareR, h], { key: kemSecret });
  const sessionId = hash('parlour.sess.id', [h], { key: S, size: 16 });
  const root = hash('parlour.sessroot', [staticI, staticR, sessionId], { key: S });
  return { S, sessionId, root };
}

// What a pairing binds: t and the pairing root.
export function pairingSecrets({ S, h, shareI, shareR, kemKey, kemCiphertext, ratchetKey }) {
  const t = hash('parlour.pair.t', [h, shareI, shareR, kemKey, kemCiphertext, ratchetKey]);
  return { t, root: hash('parlour.pairroot', [t], { key: S }) };
}
