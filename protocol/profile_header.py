"""The profile header: the database key, wrapped under a passphrase (SPEC §21)."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol import labels
from protocol.codec import Codec, Wire, encode
from protocol.errors import Malformed
from protocol.keys import Secret
from protocol.primitives import Random, argon2id, b2b, chacha_open, chacha_seal, equal

MAGIC: Final = "parlour-profile"
VERSION: Final = 1
HEADER_BYTES_MAX: Final = 1_024
_SALT_SIZE: Final = 16
_CHECK_SIZE: Final = 16
# Every wrapping key has its own salt and seals a single plaintext.
_NONCE: Final = bytes(12)

# Bounds in both directions, so that a modified header can neither weaken Argon2id nor exhaust the memory.
Operations = Annotated[int, Meta(ge=1, le=10)]
MemoryBytes = Annotated[int, Meta(ge=8 * 2**20, le=2**30)]
WrappedKey = Annotated[bytes, Meta(min_length=48, max_length=48)]
Bytes16 = Annotated[bytes, Meta(min_length=_SALT_SIZE, max_length=_SALT_SIZE)]
Port = Annotated[int, Meta(ge=0, le=0xFFFF)]


class DatabaseKey(Secret):
    """The raw key of the database, 32 bytes."""


class Cost(msgspec.Struct, frozen=True):
    """Cost of Argon2id with one lane (RFC 9106): 1 to 10 passes, 8 MiB to 1 GiB of memory in bytes."""

    operations: int
    memory_bytes: int


MODERATE: Final = Cost(3, 256 * 2**20)  # libsodium's moderate cost, about 0.3 s per unlocking
SENSITIVE: Final = Cost(4, 2**30)  # libsodium's sensitive cost, the highest memory that a header may have
CHEAPEST: Final = Cost(1, 8 * 2**20)  # the least cost that a header may have, for tests


class NewerHeader(Malformed):
    """A header of a later version."""


class Header(Wire, frozen=True):
    """Content of the file `header`. `port` is 0 until one is chosen.

    `wrapped` is sealed with ChaCha20-Poly1305, with the encoding of the five fields before it as associated
    data. `port` is not covered, since it changes while the passphrase is not available. `check` covers all
    fields before it and distinguishes damage from a wrong passphrase.
    """

    magic: str
    version: int
    salt: Bytes16
    operations: Operations
    memory_bytes: MemoryBytes
    wrapped: WrappedKey
    port: Port
    check: Bytes16

    def to_bytes(self) -> bytes:
        return encode(self)

    def with_port(self, port: int) -> Header:
        return checked(msgspec.structs.replace(self, port=port))

    @property
    def cost(self) -> Cost:
        return Cost(self.operations, self.memory_bytes)


_CODEC: Codec[Header] = Codec(Header, HEADER_BYTES_MAX)


def parse(data: bytes) -> Header:
    """Parse the content of a header file. NewerHeader for a later version, ProtocolError if damaged."""
    try:
        header = _CODEC.decode(data)
    except Malformed:
        if _is_newer(data):
            raise NewerHeader from None
        raise
    if header.magic != MAGIC or not equal(header.check, checked(header).check):
        raise Malformed("not the header that was written")
    if header.version > VERSION:
        raise NewerHeader
    if header.version != VERSION:
        raise Malformed("a version that never was")
    return header


def wrap(key: DatabaseKey, passphrase: str, cost: Cost, port: int, random: Random) -> Header:
    """Wrap `key` under a passphrase and a fresh salt. LocalMisuse if Argon2id fails for this cost."""
    salt = random(_SALT_SIZE)
    ad = _associated_data(salt, cost)
    wrapped = chacha_seal(wrapping_key(passphrase, salt, cost), _NONCE, ad, key.reveal())
    blank = bytes(_CHECK_SIZE)
    return checked(Header(MAGIC, VERSION, salt, cost.operations, cost.memory_bytes, wrapped, port, blank))


def unwrap(header: Header, passphrase: str) -> DatabaseKey:
    """The database key. AuthenticationFailed for a wrong passphrase, LocalMisuse as in `wrap`."""
    ad = _associated_data(header.salt, header.cost)
    key = wrapping_key(passphrase, header.salt, header.cost)
    return DatabaseKey(chacha_open(key, _NONCE, ad, header.wrapped))


def wrapping_key(passphrase: str, salt: bytes, cost: Cost) -> bytes:
    """The key, 32 bytes, that seals the database key. LocalMisuse as in `wrap`."""
    # NFC makes the passphrase independent of how a keyboard composes letters.
    plain = unicodedata.normalize("NFC", passphrase).encode()
    return argon2id(plain, salt, cost.operations, cost.memory_bytes)


def checked(header: Header) -> Header:
    """The header with a correct checksum."""
    fields = msgspec.structs.astuple(header)[:-1]
    check = b2b(encode(fields), personal=labels.PROFILE_HEADER, size=_CHECK_SIZE)
    return msgspec.structs.replace(header, check=check)


def _associated_data(salt: bytes, cost: Cost) -> bytes:
    return encode([MAGIC, VERSION, salt, cost.operations, cost.memory_bytes])


# Magic and version have this place in every version, whatever follows them.
_LATER: Final = re.compile(
    rb"[\x90-\x9f]\xaf%s(?:[\x02-\x7f]|\xcc[\x80-\xff]|\xcd[^\x00].|\xce(?!\x00\x00)....)" % MAGIC.encode(),
    re.DOTALL,
)


def _is_newer(data: bytes) -> bool:
    """Whether data of an unknown shape begins like a header of a later version."""
    return _LATER.match(data) is not None
