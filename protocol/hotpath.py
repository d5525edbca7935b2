"""Fast implementation of the ratchet's chains and DH steps (SPEC §9.1, §9.3, §9.4).

It allocates C memory once per session, makes one BLAKE2b call per step and creates no object but the result.
The plain classes of ratchet.py produce the same bytes. The binding checks no size, so every length from
outside is checked before a call. A session belongs to one thread, since calls release the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Any, Final, cast

from protocol import labels
from protocol.errors import AuthenticationFailed, LimitExceeded, LocalMisuse, Malformed
from protocol.keys import X25519Pair
from protocol.limits import CONTENT_MAX, COUNTER_MAX, PADDED_MAX, PADDED_MIN, SEAL_BUFFER_START
from protocol.link.framing import LENGTH_SIZE, padded_size
from protocol.primitives import KEY_SIZE, Aead, Random, Sodium, check_x25519_public

HEADER_SIZE: Final = 40
COUNTERS: Final = 32
"""Offset of the header's two counters, which are the associated data. The ratchet key is not."""

_N: Final = 36
_CONTENT: Final = HEADER_SIZE + LENGTH_SIZE  # offset of the content in a buffer with an opened envelope
_STEP_SIZE: Final = 2 * KEY_SIZE
_ROOT_INPUT: Final = 3 * KEY_SIZE
_ASIDE, _ASIDE_CHAIN, _SHARED, _SENDER, _RECEIVER, _BLOCK_SIZE = 64, 96, 128, 160, 192, 224
_ZERO_TRANSIENT: Final = bytes(_SENDER - KEY_SIZE)
_ZERO_KEY: Final = bytes(KEY_SIZE)
_ZERO_STEP: Final = bytes(_STEP_SIZE)
_get_u32: Final = Struct(">I").pack
_get_counters: Final = Struct(">II").pack
_get_length: Final = Struct(">H").unpack_from
_get_header: Final = Struct(">36sI").pack
_ONE: Final = _get_u32(1)

_put_sender: Final = Struct(">32sI").pack_into
_put_keys: Final = Struct("32s32s").pack_into
_ZEROS: Final = bytes(PADDED_MAX)

Handles = tuple[Any, ...]
"""Arguments of a call, to unpack into locals, since looking up an attribute costs as much as the call."""


# The format "s" fills up with zeros, so copying a content also pads it.
_struct: Final = lru_cache(maxsize=1_024)(Struct)


@lru_cache(maxsize=4_096)
def padder(length: int) -> tuple[int, Callable[..., None]]:
    """Padded size for a content's length, and a function that writes N and the padded content into a buffer.

    LocalMisuse for a content over CONTENT_MAX bytes.
    """
    if length > CONTENT_MAX:
        raise LocalMisuse(f"a content of {length} bytes travels in pieces of at most {CONTENT_MAX}")
    size = padded_size(length)
    return size, _struct(f">IH{size - LENGTH_SIZE}s").pack_into


@lru_cache(maxsize=4_096)
def _taker(length: int) -> tuple[int, Callable[..., tuple[bytes, bytes]]]:
    """Padded size for a content's length, and a function that reads content and padding from a buffer."""
    size = padded_size(length)
    take = _struct(f"{length}s{size - LENGTH_SIZE - length}s").unpack_from
    return size, cast("Callable[..., tuple[bytes, bytes]]", take)


class Buffer:
    """Reused C memory. It grows when needed, and old memory is wiped."""

    __slots__ = ("_ffi", "parts", "size", "view")

    def __init__(self, ffi: Any) -> None:
        self._ffi = ffi
        self._allocate(SEAL_BUFFER_START)

    def _allocate(self, size: int) -> None:
        memory: Any = self._ffi.new("unsigned char[]", size)
        self.size, self.view = size, self._ffi.buffer(memory)
        self.parts: Handles = (self.view, memory + HEADER_SIZE, memory + COUNTERS, size)

    def grow(self, size: int) -> Handles:
        """Reallocate with `size` bytes, keeping the header at the beginning. Returns the new parts."""
        header = self.view[:HEADER_SIZE]
        self.wipe()
        self._allocate(size)
        self.view[:HEADER_SIZE] = header
        return self.parts

    def wipe(self) -> None:
        self.view[:] = bytes(self.size)


class Workspace:
    """Shared by all chains of a session: libsodium's calls, the nonce, and one buffer per direction."""

    __slots__ = (
        "base", "decrypt", "encrypt", "ffi", "hash", "label", "multiply", "nonce", "null", "opened",
        "root_label", "sealed", "tag_size",
    )  # fmt: skip

    def __init__(self, sodium: Sodium, aead: Aead) -> None:
        self.ffi, self.null, self.tag_size = sodium.ffi, sodium.ffi.NULL, aead.tag_size
        self.base, self.multiply = sodium.lib.crypto_scalarmult_base, sodium.lib.crypto_scalarmult
        self.hash = sodium.lib.crypto_generichash_blake2b_salt_personal
        self.encrypt = getattr(sodium.lib, aead.sodium_name + "_encrypt")
        self.decrypt = getattr(sodium.lib, aead.sodium_name + "_decrypt")
        # A message key seals a single envelope, so the constant nonce never repeats under a key (SPEC §9.3).
        self.nonce = sodium.ffi.new("unsigned char[]", aead.nonce_size)
        self.label, self.root_label = self._label(labels.CHAIN), self._label(labels.RATCHET)
        self.sealed, self.opened = Buffer(self.ffi), Buffer(self.ffi)

    def _label(self, label: bytes) -> Any:
        return self.ffi.new("unsigned char[]", label.ljust(labels.PERSONAL_SIZE, b"\x00"))

    def memory(self, size: int) -> tuple[Any, memoryview]:
        memory = self.ffi.new("unsigned char[]", size)
        return memory, memoryview(self.ffi.buffer(memory))

    def wipe(self) -> None:
        """Overwrite both buffers, which contain the last opened content."""
        self.sealed.wipe()
        self.opened.wipe()


class FastRoot:
    """The DH ratchet (Double Ratchet §3.4): root key, our ratchet pair, and the peer's ratchet key.

    `receive` leaves the root key unchanged, and `turn` follows after authentication. One block of memory
    contains root key, sending chain, next root key, receiving chain, DH result, sender's and receiver's key.
    """

    __slots__ = (
        "_base", "_block", "_chain", "_handles", "_secret", "_sender", "_sending", "_transient", "_work",
        "aside", "public", "theirs",
    )  # fmt: skip

    def __init__(self, work: Workspace, root_key: bytes, pair: X25519Pair | None) -> None:
        root, self._block = work.memory(_BLOCK_SIZE)
        secret, self._secret = work.memory(KEY_SIZE)
        self.aside = root + _ASIDE_CHAIN
        self._chain, self._sender = self._block[KEY_SIZE:_ASIDE], self._block[_SENDER:_RECEIVER]
        self._transient = self._block[KEY_SIZE:_SENDER]
        self._base: Handles = (work.base, root + _SENDER)
        places = root, root + _ASIDE, root + _SHARED, secret
        self._handles: Handles = (work.multiply, work.hash, *places, work.root_label, work.null)
        self._block[:KEY_SIZE] = self._block[_ASIDE:_ASIDE_CHAIN] = root_key
        self._work, self.public, self.theirs = work, b"", b""
        self._sending: FastSending | None = None
        if pair is not None:
            self._secret[:], self.public = pair.reveal(), pair.public

    def receive(self, theirs: bytes) -> bytes:
        """The chain key, 32 bytes, of the peer's chain with a new ratchet key.

        Malformed if that key is not canonical, AuthenticationFailed if it is of low order.
        """
        self.step_aside(theirs)
        return bytes(self._block[_ASIDE_CHAIN:_SHARED])

    def step_aside(self, theirs: bytes) -> None:
        """As `receive`, but the chain key stays in C memory at `aside`."""
        check_x25519_public(theirs)
        multiply, step, root, aside, shared, secret, label, null = self._handles
        _put_keys(self._block, _SENDER, theirs, self.public)
        if multiply(shared, secret, theirs):
            raise AuthenticationFailed("low-order X25519 public key")
        step(aside, _STEP_SIZE, shared, _ROOT_INPUT, root, KEY_SIZE, null, label)

    def turn(self, theirs: bytes, fresh: bytes) -> FastSending:
        """Our sending chain with a new pair of the secret `fresh` (32 bytes) and the peer's canonical key.

        AuthenticationFailed for a key of low order, which `receive` has refused before.
        """
        multiply, step, root, aside, shared, secret, label, null = self._handles
        base, sender = self._base
        block, sending = self._block, self._sending or FastSending(self._work, _ZERO_KEY, _ZERO_KEY, 0)
        self._secret[:] = fresh
        base(sender, secret)
        public = bytes(self._sender)
        block[_RECEIVER:] = theirs
        if multiply(shared, secret, theirs):
            raise AuthenticationFailed("low-order X25519 public key")
        step(root, _STEP_SIZE, shared, _ROOT_INPUT, aside, KEY_SIZE, null, label)
        sending.start(self._chain, public, sending.n)
        self._transient[:] = _ZERO_TRANSIENT
        self.public, self.theirs, self._sending = public, theirs, sending
        return sending

    def wipe(self) -> None:
        self._block[:] = bytes(_BLOCK_SIZE)
        self._secret[:] = _ZERO_KEY


class FastSending:
    """A sending chain: the chain key, and N of its next envelope. A session has at most one."""

    __slots__ = ("_handles", "_view", "_work", "n")

    def __init__(self, work: Workspace, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        self._work = work
        state, self._view = work.memory(_STEP_SIZE)
        message_key = state + KEY_SIZE, self._view[KEY_SIZE:]
        kept = work.label, work.nonce, work.null, HEADER_SIZE + work.tag_size
        self._handles: Handles = (work.sealed, work.hash, work.encrypt, state, *message_key, *kept)
        self.start(chain_key, dh, pn, n)

    def start(self, chain_key: bytes | memoryview, dh: bytes, pn: int, n: int = 0) -> None:
        """Become a new chain, in the memory of the previous one."""
        self._view[:KEY_SIZE] = chain_key
        _put_sender(self._work.sealed.view, 0, dh, pn)
        self.n = n

    def seal(self, content: bytes) -> bytes:
        """The next envelope. LimitExceeded when the counter is used up, LocalMisuse if too large."""
        n = self.n
        if n >= COUNTER_MAX:
            raise LimitExceeded("envelope counter is used up")
        out, step, encrypt, state, message_key, message_key_view, label, nonce, null, overhead = self._handles
        length = len(content)
        size, put = padder(length)
        end = size + overhead
        view, body, counters, room = out.parts
        if end > room:
            view, body, counters, room = out.grow(end)
        put(view, _N, n, length, content)
        step(state, _STEP_SIZE, null, 0, state, KEY_SIZE, null, label)
        encrypt(body, null, body, size, counters, 8, null, nonce, message_key)
        message_key_view[:] = _ZERO_KEY
        self.n = n + 1
        envelope: bytes = view[:end]
        return envelope

    def wipe(self) -> None:
        self._view[:] = _ZERO_STEP


class FastReceiving:
    """A receiving chain: the chain key, and the header expected in its next envelope."""

    __slots__ = (
        "_chain_view", "_dh_pn", "_expected", "_handles", "_next_chain", "_step_view", "_work", "n", "pn",
    )  # fmt: skip

    def __init__(self, work: Workspace, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        self._work = work
        chain, self._chain_view = work.memory(KEY_SIZE)
        state, self._step_view = work.memory(_STEP_SIZE)
        self._next_chain = self._step_view[:KEY_SIZE]
        kept = work.label, work.nonce, work.null, HEADER_SIZE + work.tag_size
        self._handles: Handles = (work.opened, work.hash, work.decrypt, chain, state, state + KEY_SIZE, *kept)
        self.start(chain_key, dh, pn, n)

    def start(self, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        """Become a new chain, in wiped memory."""
        self.pn, self.n = pn, n
        self._dh_pn = dh_pn = dh + _get_u32(pn)
        self._expected = _get_header(dh_pn, n)
        self._chain_view[:] = chain_key

    @property
    def chain_key(self) -> bytes:
        """A copy of the chain key, 32 bytes, for ratchet.py."""
        return bytes(self._chain_view)

    def open_next(self, envelope: bytes) -> bytes | None:
        """The content if `envelope` is the next one of this chain, else None. Errors change nothing.

        Malformed for an impossible size or padding, AuthenticationFailed if it does not open.
        """
        if not envelope.startswith(self._expected):
            return None
        n = self.n
        out, step, decrypt, chain, state, message_key, label, nonce, null, overhead = self._handles
        end = len(envelope)
        size = end - overhead
        if not PADDED_MIN <= size <= PADDED_MAX:
            raise Malformed("envelope has an impossible size")
        if n >= COUNTER_MAX:
            raise LimitExceeded("envelope counter is used up")
        view, body, counters, room = out.parts
        if end > room:
            view, body, counters, room = out.grow(end)
        view[:end] = envelope
        step(state, _STEP_SIZE, null, 0, chain, KEY_SIZE, null, label)
        if decrypt(body, null, null, body, end - HEADER_SIZE, counters, 8, nonce, message_key):
            self._step_view[:] = _ZERO_STEP
            raise AuthenticationFailed("envelope does not open")
        (length,) = _get_length(view, HEADER_SIZE)
        padded, take = _taker(length)
        if padded != size:
            raise Malformed("padded payload has another size than its content demands")
        content, filling = take(view, _CONTENT)
        if not _ZEROS.startswith(filling):
            raise Malformed("padding is not zero")
        self._chain_view[:] = self._next_chain
        self._step_view[:] = _ZERO_STEP
        self.n = n = n + 1
        self._expected = _get_header(self._dh_pn, n)
        return content

    def open_first(self, envelope: bytes, root: FastRoot) -> bytes:
        """The content of the first envelope of the peer's next chain, before `follow` adopts that chain.

        Errors as in `open_next` and FastRoot.receive.
        """
        out, step, decrypt, _, state, message_key, label, nonce, null, overhead = self._handles
        end = len(envelope)
        size = end - overhead
        if not PADDED_MIN <= size <= PADDED_MAX:
            raise Malformed("envelope has an impossible size")
        root.step_aside(envelope[:KEY_SIZE])
        view, body, counters, room = out.parts
        if end > room:
            view, body, counters, room = out.grow(end)
        view[:end] = envelope
        step(state, _STEP_SIZE, null, 0, root.aside, KEY_SIZE, null, label)
        if decrypt(body, null, null, body, end - HEADER_SIZE, counters, 8, nonce, message_key):
            self._step_view[:] = _ZERO_STEP
            raise AuthenticationFailed("envelope does not open")
        (length,) = _get_length(view, HEADER_SIZE)
        padded, take = _taker(length)
        if padded != size:
            raise Malformed("padded payload has another size than its content demands")
        content, filling = take(view, _CONTENT)
        if not _ZEROS.startswith(filling):
            raise Malformed("padding is not zero")
        return content

    def follow(self, envelope: bytes) -> None:
        """Become the chain of the envelope that `open_first` opened."""
        self._chain_view[:] = self._next_chain
        self._step_view[:] = _ZERO_STEP
        self.pn, self.n = self.n, 1
        self._dh_pn = dh_pn = envelope[:_N]
        self._expected = dh_pn + _ONE

    def wipe(self) -> None:
        self._chain_view[:] = _ZERO_KEY
        self._step_view[:] = _ZERO_STEP


class FastTurn:
    """A DH ratchet step without missing envelopes, in the memory of the session's root and chain."""

    __slots__ = ("_receiving", "_root")

    def __init__(self, root: FastRoot, receiving: FastReceiving) -> None:
        self._root, self._receiving = root, receiving

    def open_next(self, envelope: bytes, random: Random) -> bytes | None:
        """The content if `envelope` begins the peer's next chain and none is missing before it, else None.

        Errors as in FastReceiving.open_first. They leave root and chain unchanged.
        """
        root, receiving, theirs = self._root, self._receiving, envelope[:KEY_SIZE]
        received = receiving.n
        if envelope[COUNTERS:HEADER_SIZE] != _get_counters(received, 0):
            return None
        if theirs == root.theirs or theirs == root.public or received >= COUNTER_MAX:
            return None
        content = receiving.open_first(envelope, root)
        fresh = random(KEY_SIZE)
        receiving.follow(envelope)
        root.turn(theirs, fresh)
        return content
