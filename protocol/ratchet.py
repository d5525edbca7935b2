"""The Double Ratchet (Perrin and Marlinspike), with its names and its order (SPEC §9).

KDFs, AEAD and header are parameters, so that vectors of others run through the same core as our sessions.
A rejected envelope changes nothing: keys are derived on the side and committed only after authentication.
State lives in memory alone; nothing here can be written to disk or printed.
Departure: the new sending chain of a DH ratchet step is made after authentication, so a forgery costs one DH.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple, NoReturn, Self

import msgspec

from protocol import labels
from protocol.errors import LimitExceeded, LocalMisuse, Malformed, Unexpected
from protocol.hotpath import (
    COUNTERS,
    HEADER_SIZE,
    FastReceiving,
    FastRoot,
    FastSending,
    FastTurn,
    Workspace,
)
from protocol.keys import MessageKey, RootKey, X25519Pair
from protocol.limits import COUNTER_MAX, PADDED_MAX, PADDED_MIN
from protocol.link.framing import pad, unpad
from protocol.primitives import KEY_SIZE, SODIUM, Aead, Random, b2b, check_x25519_public, system_random

_COUNTER_FIELDS: Final = Struct(">II")


class Header(NamedTuple):
    """HEADER of Double Ratchet §3.1: the sender's ratchet key (32 bytes), PN and N."""

    dh: bytes
    pn: int
    n: int


class Parameters(msgspec.Struct, frozen=True):
    """The external functions of Double Ratchet §3.1.

    `kdf_rk`: root key, DH output, the sender's and the receiver's ratchet key, to root key and chain key.
    `kdf_ck`: a chain key, to the next one and a message key.
    `encrypt`, `decrypt`: message key, header bytes and plaintext or ciphertext, to the other.
    `decode_header`: an envelope, to its header and that header's size in bytes; or Malformed.
    `fast`: the AEAD whose envelopes hotpath.py makes, where these parameters are Parlour's own.
    """

    kdf_rk: Callable[[bytes, bytes, bytes, bytes], tuple[bytes, bytes]]
    kdf_ck: Callable[[bytes], tuple[bytes, bytes]]
    encrypt: Callable[[bytes, bytes, bytes], bytes]
    decrypt: Callable[[bytes, bytes, bytes], bytes]
    encode_header: Callable[[Header], bytes]
    decode_header: Callable[[bytes], tuple[Header, int]]
    fast: Aead | None = None


# --- Parlour's parameters (SPEC §9.1) ---


def _halves(output: bytes) -> tuple[bytes, bytes]:
    return output[:KEY_SIZE], output[KEY_SIZE:]


def _kdf_rk(root_key: bytes, dh_output: bytes, sender: bytes, receiver: bytes) -> tuple[bytes, bytes]:
    return _halves(b2b(dh_output + sender + receiver, personal=labels.RATCHET, key=root_key, size=64))


def _kdf_ck(chain_key: bytes) -> tuple[bytes, bytes]:
    return _halves(b2b(b"", personal=labels.CHAIN, key=chain_key, size=64))


def _encode_header(header: Header) -> bytes:
    return header.dh + _COUNTER_FIELDS.pack(header.pn, header.n)


def _header_decoder(tag_size: int) -> Callable[[bytes], tuple[Header, int]]:
    smallest, largest = (HEADER_SIZE + padded + tag_size for padded in (PADDED_MIN, PADDED_MAX))

    def decode_header(envelope: bytes) -> tuple[Header, int]:
        # The size is refused here, before a forged header could cost a DH.
        if not smallest <= len(envelope) <= largest:
            raise Malformed("envelope has an impossible size")
        return Header(envelope[:KEY_SIZE], *_COUNTER_FIELDS.unpack_from(envelope, KEY_SIZE)), HEADER_SIZE

    return decode_header


def parlour_parameters(aead: Aead, *, fast: bool = SODIUM is not None) -> Parameters:
    """Parlour's sessions under a payload AEAD; without `fast`, the plain twins give the same bytes."""
    # Message keys serve once, so a constant nonce never repeats under a key. The associated data is the two
    # counters and nothing that an attacker picks: no AEAD is taken to be committing (SPEC §9.3).
    nonce = bytes(aead.nonce_size)

    def encrypt(message_key: bytes, header: bytes, content: bytes) -> bytes:
        return aead.seal(message_key, nonce, header[COUNTERS:], pad(content))

    def decrypt(message_key: bytes, header: bytes, ciphertext: bytes) -> bytes:
        return unpad(aead.open(message_key, nonce, header[COUNTERS:], ciphertext))

    decode_header = _header_decoder(aead.tag_size)
    return Parameters(
        _kdf_rk, _kdf_ck, encrypt, decrypt, _encode_header, decode_header, fast=aead if fast else None
    )


# --- Root and chains ---


class PlainRoot:
    """Root key and our ratchet pair under any parameters; the twin of hotpath.FastRoot."""

    def __init__(self, parameters: Parameters, root_key: bytes, pair: X25519Pair | None) -> None:
        self._parameters, self._pair = parameters, pair
        self._key = self._next = RootKey(root_key)
        self._sending: PlainSending | None = None
        self.theirs = b""

    @property
    def public(self) -> bytes:
        """Our ratchet key; empty where there is none yet."""
        return b"" if self._pair is None else self._pair.public

    def receive(self, theirs: bytes) -> bytes:
        """The chain key of the peer's chain; the root key that comes with it waits for `turn`."""
        if self._pair is None:
            raise LocalMisuse("this end of the session has no ratchet pair yet")
        self._next, chain_key = self._step(self._key, self._pair.dh(theirs), theirs, self._pair.public)
        return chain_key

    def turn(self, theirs: bytes, fresh: bytes) -> PlainSending:
        """Our chain under a new pair."""
        pair, pn = X25519Pair(fresh), self._sending.n if self._sending is not None else 0
        self._key, chain_key = self._step(self._next, pair.dh(theirs), pair.public, theirs)
        self._pair, self.theirs = pair, theirs
        self._sending = PlainSending(self._parameters, chain_key, pair.public, pn)
        return self._sending

    def _step(self, key: RootKey, shared: bytes, sender: bytes, receiver: bytes) -> tuple[RootKey, bytes]:
        root, chain_key = self._parameters.kdf_rk(key.reveal(), shared, sender, receiver)
        return RootKey(root), chain_key

    def wipe(self) -> None:
        """Drop the root key and our secret."""
        self._key = self._next = RootKey(bytes(RootKey.size))
        self._pair = None


class PlainSending:
    """A sending chain under any parameters; the twin of hotpath.FastSending."""

    def __init__(self, parameters: Parameters, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        self._parameters, self._chain_key, self._dh, self._pn, self.n = parameters, chain_key, dh, pn, n

    def seal(self, content: bytes | memoryview, flag: bytes = b"") -> bytes:
        """The next envelope, of content after a flag. LimitExceeded when the counter is used up."""
        if self.n >= COUNTER_MAX:
            raise LimitExceeded("envelope counter is used up")
        chain_key, message_key = self._parameters.kdf_ck(self._chain_key)
        header = self._parameters.encode_header(Header(self._dh, self._pn, self.n))
        envelope = header + self._parameters.encrypt(message_key, header, b"".join((flag, content)))
        self._chain_key, self.n = chain_key, self.n + 1
        return envelope

    def wipe(self) -> None:
        """Drop the chain key."""
        self._chain_key = bytes(len(self._chain_key))


class PlainReceiving:
    """A receiving chain under any parameters; the twin of hotpath.FastReceiving."""

    def __init__(self, parameters: Parameters, chain_key: bytes, dh: bytes, pn: int, n: int = 0) -> None:
        self._parameters, self.chain_key, self._dh, self.pn, self.n = parameters, chain_key, dh, pn, n

    def open_next(self, envelope: bytes | memoryview) -> bytes | None:
        """The content if envelope is this chain's next one, else None; errors leave the chain as it was."""
        envelope = bytes(envelope)
        header, size = self._parameters.decode_header(envelope)
        if header != (self._dh, self.pn, self.n):
            return None
        if self.n >= COUNTER_MAX:
            raise LimitExceeded("envelope counter is used up")
        chain_key, message_key = self._parameters.kdf_ck(self.chain_key)
        content = self._parameters.decrypt(message_key, envelope[:size], envelope[size:])
        self.chain_key, self.n = chain_key, self.n + 1
        return content

    def wipe(self) -> None:
        """Drop the chain key."""
        self.chain_key = bytes(len(self.chain_key))


# --- Skipped keys: an option outside of Parlour's profile (SPEC §22) ---


class _Skipped(msgspec.Struct, frozen=True):
    key: MessageKey
    stored_at: int


class SkippedKeys:
    """MKSKIPPED of Double Ratchet §3.2 with its bounds. A link has none: there, a gap is an attack.

    `per_chain`: envelopes that one step of a chain may skip. `stored`: keys kept. `age`: envelopes that open
    before a key is erased.
    """

    def __init__(self, *, per_chain: int = 1_000, stored: int = 2_000, age: int = 2_000) -> None:
        self._per_chain, self._stored, self._age = per_chain, stored, age
        self._kept: dict[tuple[bytes, int], _Skipped] = {}
        self._opened = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, header: Header) -> MessageKey | None:
        """The key of a skipped envelope."""
        kept = self._kept.get((header.dh, header.n))
        return kept.key if kept is not None else None

    def check(self, missing: int) -> None:
        """LimitExceeded for a gap over the bound, before a key of it is derived."""
        if missing > self._per_chain:
            raise LimitExceeded(f"{missing} envelopes are missing")

    def keep(self, keys: dict[tuple[bytes, int], bytes]) -> None:
        """Keep message keys by (ratchet key, N); those kept first make room."""
        for place, key in keys.items():
            self._kept[place] = _Skipped(MessageKey(key), self._opened)
        while len(self._kept) > self._stored:
            del self._kept[next(iter(self._kept))]

    def opened(self, used: Header | None) -> None:
        """An envelope opened, by a skipped key where `used` is its header. Old keys are erased."""
        if used is not None:
            del self._kept[used.dh, used.n]
        self._opened += 1
        expired = self._opened - self._age
        while self._kept:
            place = next(iter(self._kept))
            if self._kept[place].stored_at > expired:
                return
            del self._kept[place]

    def erase(self) -> None:
        self._kept.clear()

    def __repr__(self) -> str:
        return f"SkippedKeys({len(self._kept)} of them)"


# --- The session ---


class RatchetSession:
    """One end of a session: the state variables of Double Ratchet §3.2, and its encrypt and decrypt.

    Without `skipped`, as on every link, no envelope may be missing: any gap is Unexpected.
    """

    def __init__(
        self,
        parameters: Parameters,
        dhs: X25519Pair | None,
        root_key: bytes,
        *,
        skipped: SkippedKeys | None = None,
        random: Random = system_random,
    ) -> None:
        """The state before any chain; use init_alice or init_bob."""
        self._parameters, self._skipped, self._random = parameters, skipped, random
        fast = parameters.fast
        self._work = Workspace(SODIUM, fast) if SODIUM is not None and fast is not None else None
        self._root: FastRoot | PlainRoot | None = (
            FastRoot(self._work, root_key, dhs) if self._work else PlainRoot(parameters, root_key, dhs)
        )
        self._fast_turn: FastTurn | None = None
        self._sending: FastSending | PlainSending | None = None
        self._receiving: FastReceiving | PlainReceiving | None = None

    @classmethod
    def init_alice(
        cls,
        sk: bytes,
        bob_ratchet_public: bytes,
        random: Random = system_random,
        *,
        parameters: Parameters,
        skipped: SkippedKeys | None = None,
    ) -> Self:
        """RatchetInitAlice: who sends first. sk is 32 bytes agreed before, and used for this session alone.

        Malformed or AuthenticationFailed for a ratchet key that is not canonical or of low order.
        """
        check_x25519_public(bob_ratchet_public)
        session = cls(parameters, None, sk, skipped=skipped, random=random)
        session._sending = session._live_root().turn(bob_ratchet_public, random(KEY_SIZE))
        return session

    @classmethod
    def init_bob(
        cls,
        sk: bytes,
        ratchet_pair: X25519Pair,
        random: Random = system_random,
        *,
        parameters: Parameters,
        skipped: SkippedKeys | None = None,
    ) -> Self:
        """RatchetInitBob: who receives first, and cannot send before. sk as in init_alice."""
        return cls(parameters, ratchet_pair, sk, skipped=skipped, random=random)

    def encrypt(self, plaintext: bytes | memoryview, flag: bytes = b"") -> bytes:
        """RatchetEncrypt: the next envelope, a header of 40 bytes and the sealed padded content.

        The content is plaintext, after a flag of one byte if there is one: so a large piece is copied once.

        LocalMisuse before Bob has received, after erase, or for over 61,438 bytes; LimitExceeded when N is
        used up.
        """
        if self._sending is None:
            raise LocalMisuse("this end of the session cannot send yet, or no longer")
        return self._sending.seal(plaintext, flag)

    def decrypt(self, envelope: bytes | memoryview) -> bytes:
        """RatchetDecrypt: the content of an envelope. Every error leaves the session as it was.

        AuthenticationFailed if it does not open or its ratchet key is of low order; Malformed for a ratchet
        key that is not canonical and an impossible size or padding; Unexpected for a repeat, our own ratchet
        key, or a gap where none may be; LimitExceeded for a gap over the bounds or a counter of 2^32-1.
        """
        receiving = self._receiving
        content = receiving.open_next(envelope) if receiving is not None else None
        if content is None:
            envelope, turn = bytes(envelope), self._fast_turn
            if turn is not None:
                content = turn.open_next(envelope, self._random)
            if content is None:
                return self._decrypt_out_of_line(envelope)
        if self._skipped is not None:
            self._skipped.opened(None)
        return content

    def erase(self) -> None:
        """Wipe what can be wiped and drop the rest; the session is over."""
        for part in (self._sending, self._receiving, self._root, self._work):
            if part is not None:
                part.wipe()
        self._sending = self._receiving = self._root = self._fast_turn = None
        if self._skipped is not None:
            self._skipped.erase()

    def _live_root(self) -> FastRoot | PlainRoot:
        if self._root is None:
            raise LocalMisuse("the session is erased")
        return self._root

    def _decrypt_out_of_line(self, envelope: bytes) -> bytes:
        """Whatever is not the next envelope of the receiving chain, nor begins a chain on the fast route."""
        header, size = self._parameters.decode_header(envelope)
        if COUNTER_MAX in (header.pn, header.n):
            raise LimitExceeded("envelope counter is used up")
        skipped = self._skipped
        if skipped is not None and (key := skipped.find(header)) is not None:
            content = self._parameters.decrypt(key.reveal(), envelope[:size], envelope[size:])
            skipped.opened(header)
            return content
        root = self._live_root()
        if header.dh == root.public:
            raise Unexpected("our own ratchet key came back")
        if header.dh == root.theirs and self._receiving is not None:
            content = self._decrypt_ahead(self._receiving, header, envelope)
        else:
            content = self._decrypt_new_ratchet_key(root, header, envelope)
        if skipped is not None:
            skipped.opened(None)
        return content

    def _decrypt_ahead(self, chain: FastReceiving | PlainReceiving, header: Header, envelope: bytes) -> bytes:
        """An envelope of the current receiving chain, but not its next."""
        if header.pn != chain.pn:
            raise Unexpected("PN changed within a chain")
        self._require_gap(header.n - chain.n)
        keys, chain_key = self._message_keys(chain.chain_key, header.dh, chain.n, header.n)
        ahead = self._receiving_chain(chain_key, header)
        content = self._open_first(ahead, envelope)
        self._commit_receiving(ahead, keys)
        return content

    def _decrypt_new_ratchet_key(self, root: FastRoot | PlainRoot, header: Header, envelope: bytes) -> bytes:
        """An envelope of a new receiving chain: DHRatchet of Double Ratchet §3.4."""
        self._require_gap(header.n)
        keys = self._rest_of_chain(header.pn)
        chain_key = root.receive(header.dh)
        keys_of_new, chain_key = self._message_keys(chain_key, header.dh, 0, header.n)
        receiving = self._receiving_chain(chain_key, header)
        content = self._open_first(receiving, envelope)
        fresh = self._random(KEY_SIZE)
        self._commit_receiving(receiving, keys | keys_of_new)
        self._sending = root.turn(header.dh, fresh)
        self._shorten()
        return content

    def _rest_of_chain(self, pn: int) -> dict[tuple[bytes, int], bytes]:
        """The keys of envelopes missing in the old receiving chain, of which the peer says it sent pn."""
        received = self._receiving.n if self._receiving is not None else 0
        # The document takes a PN below what was received for no gap; on a link it is a lie.
        self._require_gap(pn - received if self._skipped is None else max(pn - received, 0))
        if self._receiving is None:
            return {}
        return self._message_keys(self._receiving.chain_key, self._live_root().theirs, received, pn)[0]

    def _require_gap(self, missing: int) -> None:
        """Refuse a gap before a single key of it is derived."""
        if missing < 0:
            raise Unexpected("envelope was received before")
        if self._skipped is not None:
            self._skipped.check(missing)
        elif missing:
            raise Unexpected("an envelope is missing")

    def _message_keys(
        self, chain_key: bytes, dh: bytes, start: int, until: int
    ) -> tuple[dict[tuple[bytes, int], bytes], bytes]:
        """SkipMessageKeys on the side: the message keys from start to until, and the chain key at until."""
        keys: dict[tuple[bytes, int], bytes] = {}
        for n in range(start, until):
            chain_key, keys[dh, n] = self._parameters.kdf_ck(chain_key)
        return keys, chain_key

    def _receiving_chain(self, chain_key: bytes, header: Header) -> FastReceiving | PlainReceiving:
        if self._work is not None:
            return FastReceiving(self._work, chain_key, *header)
        return PlainReceiving(self._parameters, chain_key, *header)

    def _open_first(self, chain: FastReceiving | PlainReceiving, envelope: bytes) -> bytes:
        """Open by a chain made for this envelope, which is wiped again if that fails."""
        try:
            content = chain.open_next(envelope)
        except BaseException:
            chain.wipe()
            raise
        if content is None:
            raise LocalMisuse("a chain was not made for this envelope")
        return content

    def _commit_receiving(
        self, chain: FastReceiving | PlainReceiving, keys: dict[tuple[bytes, int], bytes]
    ) -> None:
        before, self._receiving = self._receiving, chain
        if before is not None:
            before.wipe()
        if self._skipped is not None:
            self._skipped.keep(keys)

    def _shorten(self) -> None:
        """Let the next DH ratchet step take the fast route, which knows no skipped keys."""
        root, receiving = self._root, self._receiving
        if self._skipped is None and isinstance(root, FastRoot) and isinstance(receiving, FastReceiving):
            self._fast_turn = FastTurn(root, receiving)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session lives in memory alone and is written nowhere")

    def __repr__(self) -> str:
        return "RatchetSession(keys=<redacted>)"
