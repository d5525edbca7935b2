// Vectors of the algorithms; SPEC §4.
import * as p from '../primitives.js';
import { expectSame, hex } from './expect.js';

const parts = (step) => step.input.map(([, value]) => hex(value));

function verify(step) {
  p.checkSignature(hex(step.public), hex(step.message), hex(step.signature));
}

const RUN = {
  b2b(step) {
    const output = p.hash(step.label, parts(step), { key: hex(step.key), size: step.size });
    expectSame(step.gives, 'output', output);
  },
  sign(step) {
    const message = p.join(p.ascii(step.label), ...parts(step));
    expectSame(step.gives, 'signature', p.sign(p.ed25519Pair(hex(step.seed)), message));
  },
  x25519_public: (step) => expectSame(step.gives, 'public', p.x25519Pair(hex(step.secret)).key),
  x25519: (step) => expectSame({ ...step.gives }, 'shared', p.dh(hex(step.secret), hex(step.public))),
  ed25519_public: (step) => expectSame(step.gives, 'public', p.ed25519Pair(hex(step.seed)).key),
  ed25519_check: (step) => p.checkEd25519(hex(step.public)),
  ed25519_verify: verify,
  seal(step) {
    const sealed = p.seal(step.aead, hex(step.key), hex(step.plaintext), hex(step.ad), hex(step.nonce));
    expectSame(step.gives, 'sealed', sealed);
  },
  open(step) {
    const plain = p.open(step.aead, hex(step.key), hex(step.sealed), hex(step.ad), {
      nonce: hex(step.nonce),
    });
    expectSame(step.gives, 'plaintext', plain);
  },
  kem_key: (step) => expectSame(step.gives, 'public', p.kemPair(hex(step.seed)).key),
  kem_check: (step) => p.checkKemKey(hex(step.public)),
  decapsulate(step) {
    const secret = p.decapsulate(hex(step.ciphertext), p.kemPair(hex(step.seed)).secret);
    expectSame(step.gives, 'secret', secret);
  },
  argon2id(step) {
    const key = p.argon2id(hex(step.passphrase), hex(step.salt), step.operations, step.memory_bytes);
    expectSame(step.gives, 'key', key);
  },
};

export const primitives = (inputs, steps) => steps.map((step) => () => RUN[step.do](step));
