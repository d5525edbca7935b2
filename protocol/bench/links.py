"""The rows link.transport and codec: what travels after the handshake, and its encoding alone.

Rules: a transport's content is sealed, framed, read back from the stream and opened; 61,440 is the largest
payload of an envelope, of which 2 bytes are the content's length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocol.agreement import NOISE_NAMES
from protocol.bench import peers
from protocol.bench.baseline import Bare
from protocol.bench.measure import Subject
from protocol.bench.row import Row
from protocol.bench.sessions import OURS, entry, session_pair
from protocol.codec import encode
from protocol.frames import FRAME_MAX, FrameReader, length_of, padded_size
from protocol.greeting import Pattern
from protocol.limits import CONTENT_MAX
from protocol.messages import MESSAGE
from protocol.primitives import AEGIS256, SODIUM, Aead

SIZES: Final = (64, 1_024, 61_440)
CODEC_SIZE: Final = 300
_MEBIBYTE: Final = 1 << 20


def content_of(size: int | None) -> bytes:
    """A content of this size, or the largest there is."""
    return b"x" * min(size or 0, CONTENT_MAX)


def transport(aead: Aead, content: bytes) -> Callable[[], object]:
    """One frame, from Alice to Bob."""
    alice, bob = session_pair(aead)
    reader = FrameReader()

    def work() -> object:
        envelope = alice.encrypt(content)
        reader.feed(b"".join((length_of(envelope), envelope)))
        frame = reader.next_frame(FRAME_MAX)
        reader.settle()
        return bob.decrypt(frame or b"")

    return work


def codec(size: int) -> Callable[[], object]:
    """One entry whose encoding has this size, encoded and decoded."""
    message = entry(size - len(encode(entry(0))))
    decode = MESSAGE.decode
    return lambda: decode(encode(message))


def _transport_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    content = content_of(size)
    padded = padded_size(len(content))
    note = f"framed envelopes, KDF and padding to {padded} bytes"
    found = [Subject(name, transport(aead, content), f"{aead.name}, {note}") for name, aead in OURS.items()]
    if SODIUM is not None:
        bare = Bare(SODIUM, AEGIS256, [padded]).one_way()
        found.append(Subject("libsodium", bare, f"{AEGIS256.name}, KDF and AEAD alone over {padded} bytes"))
    module = peers.load("noise.connection") if with_peers else None
    if module is not None:
        work = peers.noise_transport(module, NOISE_NAMES[Pattern.XX], content)
        found.append(Subject("noiseprotocol", work, peers.NOISE_NOTE))
    return found


def _codec_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    note = "an entry encoded, decoded and compared with its one encoding"
    return [Subject("parlour", codec(size or 0), note)]


ROWS: Final = (
    Row(
        "link.transport",
        SIZES,
        "MiB/s",
        _transport_subjects,
        lambda size: len(content_of(size)) / _MEBIBYTE,
    ),
    Row("codec", (CODEC_SIZE,), "messages/s", _codec_subjects),
)
