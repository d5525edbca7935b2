"""Sealing and opening of one envelope at the speed of libsodium (SPEC §9.3, §9.4): the only clever module.

What is clever: C memory made once a session, one BLAKE2b call a step, no object made but the result.
Everything here has a plain twin in ratchet.py (`PlainSending`, `PlainReceiving`) that gives the same bytes.
The binding checks no size: buffers are sized here, and lengths from outside are checked before a call.
A session belongs to one thread: the calls release the interpreter's lock while they use its buffers.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

from protocol import labels
from protocol.errors import AuthenticationFailed, LimitExceeded, Malformed
from protocol.limits import COUNTER_MAX, PADDED_MAX, PADDED_MIN, SEAL_BUFFER_START
from protocol.padding import pad, unpad
from protocol.primitives import KEY_SIZE, Aead, Sodium

HEADER_SIZE: Final = 40
COUNTERS: Final = 32
"""Where the header's two counters begin; they are the associated data, the ratchet key is not."""

_N: Final = 36
_STEP_SIZE: Final = 2 * KEY_SIZE
_ZERO_KEY: Final = bytes(KEY_SIZE)
_ZERO_STEP: Final = bytes(_STEP_SIZE)
_u32: Final = Struct(">I")
_put_u32: Final = _u32.pack_into
_get_u32: Final = _u32.pack


class Buffer:
    """Reused C memory that grows when needed and is wiped when left."""

    __slots__ = ("_ffi", "body", "counters", "memory", "size", "view")

    def __init__(self, ffi: Any) -> None:
        self._ffi = ffi
        self._allocate(SEAL_BUFFER_START)

    def _allocate(self, size: int) -> None:
        self.size = size
        self.memory: Any = self._ffi.new("unsigned char[]", size)
        self.view: Any = self._ffi.buffer(self.memory)
        self.counters = self.memory + COUNTERS
        self.body = self.memory + HEADER_SIZE

    def grow(self, size: int) -> None:
        """Have at least size bytes; a header at the beginning moves along."""
        header = self.view[:HEADER_SIZE]
        self.wipe()
        self._allocate(size)
        self.view[:HEADER_SIZE] = header

    def wipe(self) -> None:
        """Overwrite with zeros."""
        self.view[:] = bytes(self.size)


class Workspace:
    """What all chains of one session share: the calls of its AEAD, the nonce, a buffer for each direction."""

    __slots__ = (
        "decrypt", "encrypt", "ffi", "hash", "label", "nonce", "null", "opened", "sealed", "tag_size",
    )  # fmt: skip

    def __init__(self, sodium: Sodium, aead: Aead) -> None:
        self.ffi, self.null, self.tag_size = sodium.ffi, sodium.ffi.NULL, aead.tag_size
        self.hash = sodium.lib.crypto_generichash_blake2b_salt_personal
        self.encrypt = getattr(sodium.lib, aead.sodium_name + "_encrypt")
        self.decrypt = getattr(sodium.lib, aead.sodium_name + "_decrypt")
        # Message keys serve once, so a constant nonce never repeats under a key (SPEC §9.3).
        self.nonce = sodium.ffi.new("unsigned char[]", aead.nonce_size)
        self.label = sodium.ffi.new("unsigned char[]", labels.CHAIN.ljust(labels.PERSONAL_SIZE, b"\x00"))
        self.sealed, self.opened = Buffer(self.ffi), Buffer(self.ffi)

    def wipe(self) -> None:
        """Overwrite both buffers, which hold the last content opened."""
        self.sealed.wipe()
        self.opened.wipe()


class FastSending:
    """A sending chain: the chain key, and N, the number of its next envelope. A session has one at most."""

    __slots__ = ("_key_view", "_message_key", "_state", "_view", "_work", "n")

    def __init__(self, work: Workspace, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        self._work, self.n = work, n
        work.sealed.view[:_N] = dh + _get_u32(pn)
        self._state = work.ffi.new("unsigned char[]", _STEP_SIZE)
        self._view = memoryview(work.ffi.buffer(self._state))
        self._view[:KEY_SIZE] = chain_key
        self._message_key = self._state + KEY_SIZE
        self._key_view = self._view[KEY_SIZE:]

    def seal(self, content: bytes) -> bytes:
        """The next envelope. LimitExceeded when the counter is used up, LocalMisuse for too much content."""
        n, work, state, out = self.n, self._work, self._state, self._work.sealed
        if n >= COUNTER_MAX:
            raise LimitExceeded("envelope counter is used up")
        padded = pad(content)
        size = len(padded)
        end = HEADER_SIZE + size + work.tag_size
        if end > out.size:
            out.grow(end)
        _put_u32(out.view, _N, n)
        null = work.null
        work.hash(state, _STEP_SIZE, null, 0, state, KEY_SIZE, null, work.label)
        work.encrypt(out.body, null, padded, size, out.counters, 8, null, work.nonce, self._message_key)
        self._key_view[:] = _ZERO_KEY
        self.n = n + 1
        envelope: bytes = out.view[:end]
        return envelope

    def wipe(self) -> None:
        """Overwrite the chain key."""
        self._view[:] = _ZERO_STEP


class FastReceiving:
    """A receiving chain: the chain key, and the counters that its next envelope must bear."""

    __slots__ = (
        "_chain", "_chain_view", "_dh", "_expected", "_message_key", "_next_chain", "_overhead",
        "_pn_bytes", "_step", "_step_view", "_work", "n", "pn",
    )  # fmt: skip

    def __init__(self, work: Workspace, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        self._work, self._dh, self.pn, self.n = work, dh, pn, n
        self._pn_bytes = _get_u32(pn)
        self._expected = self._pn_bytes + _get_u32(n)
        self._overhead = HEADER_SIZE + work.tag_size
        self._chain = work.ffi.new("unsigned char[]", KEY_SIZE)
        self._chain_view = memoryview(work.ffi.buffer(self._chain))
        self._chain_view[:] = chain_key
        self._step = work.ffi.new("unsigned char[]", _STEP_SIZE)
        self._step_view = memoryview(work.ffi.buffer(self._step))
        self._next_chain = self._step_view[:KEY_SIZE]
        self._message_key = self._step + KEY_SIZE

    @property
    def chain_key(self) -> bytes:
        """A copy of the chain key, 32 bytes, to step it outside the hot path."""
        return bytes(self._chain_view)

    def open_next(self, envelope: bytes) -> bytes | None:
        """The content if envelope is this chain's next one, else None.

        Malformed for an impossible size or padding, AuthenticationFailed if it does not open; the chain then
        stays as it was.
        """
        counters = envelope[COUNTERS:HEADER_SIZE]
        if counters != self._expected or not envelope.startswith(self._dh):
            return None
        n, work = self.n, self._work
        size = len(envelope) - self._overhead
        if not PADDED_MIN <= size <= PADDED_MAX:
            raise Malformed("envelope has an impossible size")
        if n >= COUNTER_MAX:
            raise LimitExceeded("envelope counter is used up")
        null, out, step, sealed = work.null, work.opened, self._step, envelope[HEADER_SIZE:]
        if size > out.size:
            out.grow(size)
        work.hash(step, _STEP_SIZE, null, 0, self._chain, KEY_SIZE, null, work.label)
        key = self._message_key
        if work.decrypt(out.memory, null, null, sealed, len(sealed), counters, 8, work.nonce, key):
            raise AuthenticationFailed("envelope does not open")
        content = unpad(out.view[:size])
        self._chain_view[:] = self._next_chain
        self._step_view[:] = _ZERO_STEP
        self.n = n = n + 1
        self._expected = self._pn_bytes + _get_u32(n)
        return content

    def wipe(self) -> None:
        """Overwrite the chain key."""
        self._chain_view[:] = _ZERO_KEY
        self._step_view[:] = _ZERO_STEP
