"""Sealing, opening and DH steps at the speed of libsodium (SPEC §9.1, §9.3, §9.4).

ratchet.py holds a plain twin of each class, which yields the same bytes. A session allocates its C memory
once, and one thread uses it: libsodium's calls release the interpreter's lock. The binding checks no sizes;
this module checks every length from outside before a call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from struct import Struct
from sys import byteorder
from typing import Any, Final, cast

from protocol import labels
from protocol.errors import AuthenticationFailed, LimitExceeded, LocalMisuse, Malformed, ProtocolError
from protocol.keys import X25519Pair
from protocol.limits import CONTENT_MAX, COUNTER_MAX, PADDED_MAX, PADDED_MIN, SEAL_BUFFER_START
from protocol.link.framing import LENGTH_SIZE, padded_size
from protocol.primitives import KEY_SIZE, Aead, Random, Sodium, check_x25519_public

HEADER_SIZE: Final = 40
COUNTERS: Final = 32
"""Where the header's two counters begin; they are the associated data, the ratchet key is not."""

_N: Final = 36
_CONTENT: Final = HEADER_SIZE + LENGTH_SIZE
"""Where the content begins in a buffer that holds an opened envelope."""
_LENGTH: Final = HEADER_SIZE // LENGTH_SIZE
"""Which of an opened envelope's fields of two bytes is the content's length."""
_STEP_SIZE: Final = 2 * KEY_SIZE
_ROOT_INPUT: Final = 3 * KEY_SIZE
_ASIDE, _ASIDE_CHAIN, _SHARED, _SENDER, _RECEIVER, _BLOCK_SIZE = 64, 96, 128, 160, 192, 224
_ZERO_TRANSIENT: Final = bytes(_SENDER - KEY_SIZE)
_ZERO_KEY: Final = bytes(KEY_SIZE)
_ZERO_STEP: Final = bytes(_STEP_SIZE)
_get_u32: Final = Struct(">I").pack
_get_counters: Final = Struct(">II").pack
_read_header: Final = Struct(">36sI").unpack_from

_put_sender: Final = Struct(">32sI").pack_into
_put_flag: Final = Struct(">IHs").pack_into
_put_keys: Final = Struct("32s32s").pack_into

_COPIED_MAX: Final = 2 * SEAL_BUFFER_START
"""Up to this size it costs less to copy an envelope into the chain's memory than to take its address."""

_TAKERS_MAX: Final = 1_024

Handles = tuple[Any, ...]
"""What a call needs, to be unpacked into locals: an attribute that is called costs as much as the call."""


# The format "s" fills up with zeros, so a content is padded as it is copied.
_struct: Final = lru_cache(maxsize=1_024)(Struct)


@lru_cache(maxsize=4_096)
def padder(length: int) -> tuple[int, Callable[..., None]]:
    """For a content's length: padded size, and what writes N and the padded content into a buffer.

    LocalMisuse for a content over CONTENT_MAX bytes.
    """
    if length > CONTENT_MAX:
        raise LocalMisuse(f"a content of {length} bytes travels in pieces of at most {CONTENT_MAX}")
    size = padded_size(length)
    return size, _struct(f">IH{size - LENGTH_SIZE}s").pack_into


Taker = tuple[int, Callable[[memoryview], tuple[bytes, bytes]], bytes]


_takers: Final[dict[int, Taker]] = {}
"""By a length field as this machine reads it: padded size, what takes content and filling, zeros."""


def _make_taker(field: int) -> Taker:
    # The contact picks the lengths: a full table starts over.
    if len(_takers) >= _TAKERS_MAX:
        _takers.clear()
    length = int.from_bytes(field.to_bytes(LENGTH_SIZE, byteorder), "big")
    size = padded_size(length)
    filling = size - LENGTH_SIZE - length
    take = cast("Callable[[memoryview], tuple[bytes, bytes]]", Struct(f"{length}s{filling}s").unpack_from)
    _takers[field] = found = size, take, bytes(filling)
    return found


def _length_and_rest(view: Any) -> tuple[memoryview, memoryview]:
    """Of memory that holds an opened envelope: its fields of two bytes up to the length, and what follows."""
    return memoryview(view)[:_CONTENT].cast("H"), memoryview(view)[_CONTENT:]


class Buffer:
    """Reused C memory that grows when needed and is wiped when left."""

    __slots__ = ("_ffi", "length_and_rest", "parts", "size", "view")

    def __init__(self, ffi: Any) -> None:
        self._ffi = ffi
        self._allocate(SEAL_BUFFER_START)

    def _allocate(self, size: int) -> None:
        memory: Any = self._ffi.new("unsigned char[]", size)
        self.size, self.view = size, self._ffi.buffer(memory)
        self.parts: Handles = (self.view, memory + HEADER_SIZE, memory + COUNTERS, size)
        self.length_and_rest = _length_and_rest(self.view)

    def grow(self, size: int) -> Handles:
        """Have at least size bytes; a header at the beginning moves along. Returns the new parts."""
        header = self.view[:HEADER_SIZE]
        self.wipe()
        self._allocate(size)
        self.view[:HEADER_SIZE] = header
        return self.parts

    def wipe(self) -> None:
        """Overwrite with zeros."""
        self.view[:] = bytes(self.size)


class Workspace:
    """What all chains of one session share: libsodium's calls, the nonce, a buffer for each direction."""

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
        # Message keys serve once, so a constant nonce never repeats under a key (SPEC §9.3).
        self.nonce = sodium.ffi.new("unsigned char[]", aead.nonce_size)
        self.label, self.root_label = self._label(labels.CHAIN), self._label(labels.RATCHET)
        self.sealed, self.opened = Buffer(self.ffi), Buffer(self.ffi)

    def _label(self, label: bytes) -> Any:
        return self.ffi.new("unsigned char[]", label.ljust(labels.PERSONAL_SIZE, b"\x00"))

    def memory(self, size: int) -> tuple[Any, memoryview]:
        """New C memory, and a view to read and write it."""
        memory = self.ffi.new("unsigned char[]", size)
        return memory, memoryview(self.ffi.buffer(memory))

    def stepper(self, key: Any, out: Any) -> Callable[[], int]:
        """The chain step: from a chain key, the next one and a message key at `out`."""
        return partial(self.hash, out, _STEP_SIZE, self.null, 0, key, KEY_SIZE, self.null, self.label)

    def opener(self, memory: Any, end: int, message_key: Any) -> Callable[[], int]:
        """Opens an envelope of `end` bytes where it is in C memory; returns 0 if it is authentic."""
        null, body, counters = self.null, memory + HEADER_SIZE, memory + COUNTERS
        return partial(
            self.decrypt, body, null, null, body, end - HEADER_SIZE, counters, 8, self.nonce, message_key
        )

    def wipe(self) -> None:
        """Overwrite both buffers, which hold the last content opened."""
        self.sealed.wipe()
        self.opened.wipe()


class FastRoot:
    """The DH ratchet (Double Ratchet §3.4): root key, our ratchet pair, the peer's ratchet key.

    `receive` works on the side, and `turn` goes on from there: it follows authentication.
    One block of memory: root key, chain to send, root key on the side, its chain, DH, sender, receiver.
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
        """The chain key, 32 bytes, of the peer's chain under a new ratchet key; nothing changes yet.

        Malformed for a key that is not canonical, AuthenticationFailed for one of low order.
        """
        self.step_aside(theirs)
        return bytes(self._block[_ASIDE_CHAIN:_SHARED])

    def step_aside(self, theirs: bytes) -> None:
        """As receive; the chain key stays in C memory at `aside`."""
        check_x25519_public(theirs)
        multiply, step, root, aside, shared, secret, label, null = self._handles
        _put_keys(self._block, _SENDER, theirs, self.public)
        if multiply(shared, secret, theirs):
            raise AuthenticationFailed("low-order X25519 public key")
        step(aside, _STEP_SIZE, shared, _ROOT_INPUT, root, KEY_SIZE, null, label)

    def turn(self, theirs: bytes, fresh: bytes) -> FastSending:
        """Our chain under a new pair, of a secret of 32 bytes, and the peer's key, which is canonical.

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
        """Overwrite the root key and our secret."""
        self._block[:] = bytes(_BLOCK_SIZE)
        self._secret[:] = _ZERO_KEY


class FastSending:
    """A sending chain: the chain key, and N, the number of its next envelope. A session has one at most."""

    __slots__ = ("_handles", "_view", "_work", "n")

    def __init__(self, work: Workspace, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        self._work = work
        state, self._view = work.memory(_STEP_SIZE)
        message_key = state + KEY_SIZE, self._view[KEY_SIZE:]
        kept = work.nonce, work.null, HEADER_SIZE + work.tag_size
        self._handles: Handles = (work.sealed, work.stepper(state, state), work.encrypt, *message_key, *kept)
        self.start(chain_key, dh, pn, n)

    def start(self, chain_key: bytes | memoryview, dh: bytes, pn: int, n: int = 0) -> None:
        """Be a new chain, in the memory of the one before."""
        self._view[:KEY_SIZE] = chain_key
        _put_sender(self._work.sealed.view, 0, dh, pn)
        self.n = n

    def seal(self, content: bytes | memoryview, flag: bytes = b"") -> bytes:
        """The next envelope, of content after a flag of one byte, if any.

        LimitExceeded when the counter is used up, LocalMisuse for too much content.
        """
        n = self.n
        if n >= COUNTER_MAX:
            raise LimitExceeded("envelope counter is used up")
        out, step, encrypt, message_key, message_key_view, nonce, null, overhead = self._handles
        length = len(content) + 1 if flag else len(content)
        size, put = padder(length)
        end = size + overhead
        view, body, counters, room = out.parts
        if end > room:
            view, body, counters, room = out.grow(end)
        if flag:
            start, filled = _CONTENT + 1, _CONTENT + length
            _put_flag(view, _N, n, length, flag)
            view[start:filled] = content
            view[filled : HEADER_SIZE + size] = bytes(HEADER_SIZE + size - filled)
        else:
            put(view, _N, n, length, content)
        step()
        encrypt(body, null, body, size, counters, 8, null, nonce, message_key)
        message_key_view[:] = _ZERO_KEY
        self.n = n + 1
        envelope: bytes = view[:end]
        return envelope

    def wipe(self) -> None:
        """Overwrite the chain key."""
        self._view[:] = _ZERO_STEP


class FastReceiving:
    """A receiving chain: the chain key, and the header that its next envelope must bear."""

    __slots__ = (
        "_chain_view", "_dh_pn", "_handles", "_memory", "_message_key", "_overhead", "_state", "_step_view",
        "_view", "_work", "n", "pn",
    )  # fmt: skip

    def __init__(self, work: Workspace, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        # Zeros, the next chain key, a message key, the chain key: the first half copied over the second one
        # moves the chain on and wipes the message key.
        keys, view = work.memory(2 * _STEP_SIZE)
        self._step_view, self._chain_view = view[KEY_SIZE:-KEY_SIZE], view[-KEY_SIZE:]
        self._state, self._message_key, chain = (keys + place * KEY_SIZE for place in (1, 2, 3))
        self._memory, self._view = work.memory(_COPIED_MAX)
        self._work, self._overhead = work, HEADER_SIZE + work.tag_size
        self._handles: Handles = (
            {},
            work.stepper(chain, self._state),
            self._view,
            *_length_and_rest(self._view),
            self._overhead,
            view[_STEP_SIZE:],
            view[:_STEP_SIZE],
        )
        self.start(chain_key, dh, pn, n)

    def start(self, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        """Be a new chain, in the memory of one that was wiped."""
        self.pn, self.n = pn, n
        self._dh_pn = dh + _get_u32(pn)
        self._chain_view[:] = chain_key

    @property
    def chain_key(self) -> bytes:
        """A copy of the chain key, 32 bytes, to step it outside the hot path."""
        return bytes(self._chain_view)

    def open_next(self, envelope: bytes | memoryview) -> bytes | None:
        """The content if envelope is this chain's next one, else None.

        Malformed for an impossible size or padding, AuthenticationFailed if it does not open; the chain then
        stays as it was.
        """
        openers, step, view, fields, rest, overhead, keys, stepped = self._handles
        end = len(envelope)
        try:
            opener = openers[end]
        except KeyError:
            opener = self._make_opener(end)
        dh_pn, n = _read_header(envelope)
        if n != self.n or dh_pn != self._dh_pn:
            return None
        if n >= COUNTER_MAX:
            raise LimitExceeded("envelope counter is used up")
        if opener is None:
            step()
            failed, fields, rest = self._open_large(envelope)
        else:
            view[:end] = envelope
            step()
            failed = opener()
        if failed:
            raise self._refused(AuthenticationFailed("envelope does not open"))
        field = fields[_LENGTH]
        try:
            size, take, zeros = _takers[field]
        except KeyError:
            size, take, zeros = _make_taker(field)
        if size + overhead != end:
            raise self._refused(Malformed("padded payload has another size than its content demands"))
        content, filling = take(rest)
        if filling != zeros:
            raise self._refused(Malformed("padding is not zero"))
        keys[:] = stepped
        self.n = n + 1
        return content

    def stepper_from(self, chain_key: Any) -> Callable[[], int]:
        """The step that opens the first envelope of a chain, whose key is elsewhere in C memory."""
        return self._work.stepper(chain_key, self._state)

    def open_first(self, envelope: bytes, root: FastRoot, step: Callable[[], int]) -> bytes:
        """The content of the first envelope of the peer's next chain; `follow` then makes this that chain.

        `step` is from the key that `root` puts aside. Errors as open_next and FastRoot.receive.
        """
        openers, _, view, fields, rest, overhead, _, _ = self._handles
        end = len(envelope)
        try:
            opener = openers[end]
        except KeyError:
            opener = self._make_opener(end)
        root.step_aside(envelope[:KEY_SIZE])
        step()
        if opener is None:
            failed, fields, rest = self._open_large(envelope)
        else:
            view[:end] = envelope
            failed = opener()
        if failed:
            raise self._refused(AuthenticationFailed("envelope does not open"))
        field = fields[_LENGTH]
        try:
            size, take, zeros = _takers[field]
        except KeyError:
            size, take, zeros = _make_taker(field)
        if size + overhead != end:
            raise self._refused(Malformed("padded payload has another size than its content demands"))
        content, filling = take(rest)
        if filling != zeros:
            raise self._refused(Malformed("padding is not zero"))
        return content

    def _make_opener(self, end: int) -> Callable[[], int] | None:
        """What opens envelopes of this size in the chain's own memory; None for a large one."""
        if not PADDED_MIN <= end - self._overhead <= PADDED_MAX:
            raise Malformed("envelope has an impossible size")
        if end > _COPIED_MAX:
            return None
        self._handles[0][end] = opener = self._work.opener(self._memory, end, self._message_key)
        return opener

    def _open_large(self, envelope: bytes | memoryview) -> tuple[int, memoryview, memoryview]:
        """Open an envelope from where it is: 0 if it is authentic, and its length and the rest."""
        work, end = self._work, len(envelope)
        out = work.opened
        _, body, _, room = out.parts
        if end > room:
            _, body, _, _ = out.grow(end)
        null, memory = work.null, work.ffi.from_buffer(envelope)
        sealed, counters = memory + HEADER_SIZE, memory + COUNTERS
        failed: int = work.decrypt(
            body, null, null, sealed, end - HEADER_SIZE, counters, 8, work.nonce, self._message_key
        )
        return failed, *out.length_and_rest

    def _refused(self, error: ProtocolError) -> ProtocolError:
        """An error to raise, once the keys of the step that led to it are wiped."""
        self._step_view[:] = _ZERO_STEP
        return error

    def follow(self, envelope: bytes) -> None:
        """Go on behind the envelope that open_first opened."""
        *_, keys, stepped = self._handles
        keys[:] = stepped
        self.pn, self.n = self.n, 1
        self._dh_pn = envelope[:_N]

    def wipe(self) -> None:
        """Overwrite the chain key, and the last content opened."""
        self._chain_view[:] = _ZERO_KEY
        self._step_view[:] = _ZERO_STEP
        self._view[:] = bytes(_COPIED_MAX)


class FastTurn:
    """A DH ratchet step without a gap, the common one, in the memory of a session's root and chain."""

    __slots__ = ("_receiving", "_root", "_step")

    def __init__(self, root: FastRoot, receiving: FastReceiving) -> None:
        self._root, self._receiving, self._step = root, receiving, receiving.stepper_from(root.aside)

    def open_next(self, envelope: bytes, random: Random) -> bytes | None:
        """The content if envelope begins the peer's next chain and none is missing before it, else None.

        Errors as FastReceiving.open_first; root and chain then stay as they were.
        """
        root, receiving, theirs = self._root, self._receiving, envelope[:KEY_SIZE]
        received = receiving.n
        if envelope[COUNTERS:HEADER_SIZE] != _get_counters(received, 0):
            return None
        if theirs == root.theirs or theirs == root.public or received >= COUNTER_MAX:
            return None
        content = receiving.open_first(envelope, root, self._step)
        fresh = random(KEY_SIZE)
        receiving.follow(envelope)
        root.turn(theirs, fresh)
        return content
