"""The sealed file of a backup: a header that commits to its key, and a stream of chunks (SPEC §21.1).

The chunks are STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, 2015): the nonce of a chunk is its index and whether it is the last one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from protocol import labels
from protocol.codec import Codec, Wire, encode
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed
from protocol.keys import Secret
from protocol.limits import BACKUP_CHUNK_BYTES
from protocol.messages import B16, B32
from protocol.primitives import CHACHA20POLY1305, Random, argon2id, b2b, equal
from protocol.profile_header import Cost, MemoryBytes, Operations

MAGIC: Final = "parlour-backup"
VERSION: Final = 1
HEADER_SIZE: Final = 75
SEALED_CHUNK_SIZE: Final = BACKUP_CHUNK_BYTES + CHACHA20POLY1305.tag_size
_SALT_SIZE: Final = 16
_INDEX_SIZE: Final = CHACHA20POLY1305.nonce_size - 1
_EMPTY: Final = b""


class NewerBackup(Malformed):
    """A backup of a later version."""


class ChunkKey(Secret):
    """The key of all chunks of one file, 32 bytes."""


class BackupHeader(Wire, frozen=True):
    """The first 75 bytes of a backup. `mac` covers the fields before it, under the passphrase's key."""

    magic: str
    version: int
    salt: B16
    operations: Operations
    memory_bytes: MemoryBytes
    mac: B32


_CODEC: Codec[BackupHeader] = Codec(BackupHeader, HEADER_SIZE)

# Magic and version have this place in every version, whatever follows them.
_LATER: Final = re.compile(
    rb"[\x90-\x9f]\xae%s(?:[\x02-\x7f]|\xcc[\x80-\xff]|\xcd[^\x00].|\xce(?!\x00\x00)....)" % MAGIC.encode(),
    re.DOTALL,
)


def begin(passphrase: str, cost: Cost, random: Random) -> tuple[bytes, Sealer]:
    """The header, 75 bytes, of a new file under a fresh salt, and what seals its chunks.

    Takes the time of Argon2id. A file that is begun again needs another header: under one salt a chunk would
    be sealed twice with one nonce. LocalMisuse if Argon2id fails for this cost.
    """
    salt = random(_SALT_SIZE)
    mac, key = _derive(passphrase, salt, cost)
    header = BackupHeader(MAGIC, VERSION, salt, cost.operations, cost.memory_bytes, mac)
    return encode(header), Sealer(key)


def parse(data: bytes) -> BackupHeader:
    """The header of a file, from its first 75 bytes. Errors: NewerBackup, Malformed."""
    try:
        header = _CODEC.decode(data[:HEADER_SIZE])
    except Malformed:
        if _LATER.match(data):
            raise NewerBackup("a later version") from None
        raise
    if header.magic != MAGIC:
        raise Malformed("not a backup")
    if header.version != VERSION:
        raise NewerBackup("a later version") if header.version > VERSION else Malformed("no such version")
    return header


def unlock(header: BackupHeader, passphrase: str) -> ChunkKey:
    """The key of the chunks. AuthenticationFailed unless passphrase and header belong together.

    The MAC is checked before any chunk is opened. It commits to the key: no file opens under two passphrases,
    so an answer about a file tells of one guess alone. Takes the time of Argon2id. LocalMisuse as in `begin`.
    """
    mac, key = _derive(passphrase, header.salt, Cost(header.operations, header.memory_bytes))
    if not equal(mac, header.mac):
        raise AuthenticationFailed("a wrong passphrase, or a changed header")
    return key


def _derive(passphrase: str, salt: bytes, cost: Cost) -> tuple[bytes, ChunkKey]:
    """The MAC of the header that these make, and the key of the chunks after it."""
    plain = unicodedata.normalize("NFC", passphrase).encode()
    key = argon2id(plain, salt, cost.operations, cost.memory_bytes)
    fields = encode([MAGIC, VERSION, salt, cost.operations, cost.memory_bytes])
    mac_key = b2b(_EMPTY, personal=labels.BACKUP_MAC_KEY, key=key)
    mac = b2b(fields, personal=labels.BACKUP_MAC, key=mac_key)
    return mac, ChunkKey(b2b(mac, personal=labels.BACKUP_CHUNKS, key=key))


def _nonce(index: int, last: bool) -> bytes:
    return index.to_bytes(_INDEX_SIZE) + bytes([last])


class Sealer:
    """Seals the chunks of one file in their order. LocalMisuse for another size, or after the last one."""

    def __init__(self, key: ChunkKey) -> None:
        self._key, self._index, self._ended = key, 0, False

    def seal(self, chunk: bytes, *, last: bool) -> bytes:
        """The next chunk, sealed: 16 bytes more. All but the last have BACKUP_CHUNK_BYTES."""
        if self._ended or len(chunk) > BACKUP_CHUNK_BYTES or (not last and len(chunk) < BACKUP_CHUNK_BYTES):
            raise LocalMisuse("not the next chunk")
        nonce, self._ended = _nonce(self._index, last), last
        self._index += 1
        return CHACHA20POLY1305.seal(self._key.reveal(), nonce, _EMPTY, chunk)


class Opener:
    """Opens the chunks of one file in their order."""

    def __init__(self, key: ChunkKey) -> None:
        self._key, self._index, self.ended = key, 0, False

    def open(self, sealed: bytes, *, last: bool) -> bytes:
        """The next chunk. `last`: the file ends with it.

        Errors: Malformed (a size that no chunk has), AuthenticationFailed (another chunk than that of this
        place in this file). LocalMisuse for a short one that is not the last.
        """
        shortest = CHACHA20POLY1305.tag_size + (self._index > 0)
        if self.ended or not shortest <= len(sealed) <= SEALED_CHUNK_SIZE:
            raise Malformed("no chunk has this size")
        if not last and len(sealed) < SEALED_CHUNK_SIZE:
            raise LocalMisuse("a short chunk that is not the last")
        chunk = CHACHA20POLY1305.open(self._key.reveal(), _nonce(self._index, last), _EMPTY, sealed)
        self._index += 1
        self.ended = last
        return chunk
