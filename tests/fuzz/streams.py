"""Targets below messages: frames, pieces, padding, envelopes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from protocol.errors import ProtocolError
from protocol.limits import HANDSHAKE_FRAME_MAX
from protocol.link.framing import (
    AEADS,
    FRAME_MAX,
    LAST,
    MORE,
    PIECE_MAX,
    Assembler,
    FrameReader,
    length_of,
    pad,
    pieces,
    unpad,
)
from protocol.primitives import SODIUM
from protocol.ratchet import RatchetSession, parlour_parameters
from tests.fuzz.target import LENGTH, Target, cut, drawn, joined
from tests.support.protocol.ratchets import pair, snapshot

# --- Frames ---

Reading = tuple[list[bytes], str, bytes]
"""Frames read, the class of the error that ended it, and what was left over."""


def _read(stream: bytes, portion: int, limit: int) -> Reading:
    reader, found = FrameReader(), []
    try:
        for start in range(0, len(stream), portion):
            reader.feed(stream[start : start + portion])
            while (frame := reader.next_frame(limit)) is not None:
                found.append(frame)
            reader.settle()
    except ProtocolError as error:
        return found, error.error_class, b""
    return found, "", reader.peek(FRAME_MAX + LENGTH)


def _frames(data: bytes) -> None:
    limit, portion, stream = (HANDSHAKE_FRAME_MAX, FRAME_MAX)[data[:1] > b"\x7f"], data[1:2], data[2:]
    whole = _read(stream, max(1, len(stream)), limit)
    assert whole == _read(stream, 1, limit) == _read(stream, 1 + int.from_bytes(portion, "big"), limit)
    frames, error, rest = whole
    told = b"".join(length_of(frame) + frame for frame in frames)
    assert stream.startswith(told)
    assert error or told + rest == stream


def _framed() -> dict[str, bytes]:
    draw = drawn("frames")
    return {
        "three": b"\x00\x06" + joined(draw(40), draw(1), draw(300)),
        "too-long": b"\x00\x02" + joined(draw(7)) + b"\x10\x01" + draw(30),
        "empty": b"\xff\x00" + joined(draw(7), b""),
        "unfinished": b"\xff\x63" + joined(draw(7), draw(90))[:-30],
    }


FULL: Final = MORE + bytes(PIECE_MAX)
"""A full piece that another follows: the empty part of a script."""


def contents(data: bytes) -> Iterator[bytes]:
    """The contents of envelopes that a script names."""
    return (part or FULL for part in cut(data))


def _pieces(data: bytes) -> list[bytes]:
    assembler, taken, messages = Assembler(), [], []
    for content in contents(data):
        message = assembler.add(content)
        taken.append(content)
        if message is not None:
            assert list(pieces(message)) == taken
            messages.append(message)
            taken.clear()
    return messages


def _cut_messages() -> dict[str, bytes]:
    return {
        "small": joined(LAST + b"one", LAST + b"another"),
        "in-pieces": joined(b"", b"", LAST + b"end", LAST + b"small again"),
        "too-large": joined(b"", b"", b"", b"", b"", LAST + b"end"),
        "not-full": joined(MORE + b"short", LAST + b"end"),
    }


def _padded() -> dict[str, bytes]:
    draw = drawn("padding")
    return {f"{size}-bytes": pad(draw(size)) for size in (0, 1, 254, 255, 700)}


ANSWERS, SKIPS, CHACHA = 1, 2, 4
"""What the first byte of a script says: the receiver answers each envelope, a gap may be, which AEAD."""


def _ends(flags: int, *, fast: bool = SODIUM is not None) -> tuple[RatchetSession, RatchetSession]:
    aead = AEADS[1 + bool(flags & CHACHA)]
    return pair(aead, allow_skip=bool(flags & SKIPS), parameters=parlour_parameters(aead, fast=fast))


def _envelopes(data: bytes, *, fast: bool) -> list[bytes | str]:
    """What each envelope of a script comes to: a content, or the class of its error."""
    flags = data[0] if data else 0
    _, session = _ends(flags, fast=fast)
    told: list[bytes | str] = []
    for envelope in cut(data[1:]):
        before = snapshot(session)
        try:
            told.append(session.decrypt(envelope))
        except ProtocolError as error:
            assert snapshot(session) == before
            told.append(error.error_class)
            continue
        if flags & ANSWERS:
            told.append(session.encrypt(b"answer"))
    return told


def _talk(flags: int, order: tuple[int, ...]) -> bytes:
    """A script in which the sender's envelopes come in an order; each is answered where the flags say so."""
    sender, receiver = _ends(flags)
    sealed = []
    for number in range(len(order)):
        sealed.append(sender.encrypt(b"envelope %d" % number))
        if flags & ANSWERS:
            receiver.decrypt(sealed[-1])
            sender.decrypt(receiver.encrypt(b"answer"))
    return bytes((flags,)) + joined(*(sealed[place] for place in order))


def _sealed() -> dict[str, bytes]:
    return {
        "one-chain": _talk(0, (0, 1)),
        "answered": _talk(ANSWERS, (0, 1)),
        "shuffled": _talk(SKIPS | CHACHA, (2, 0, 1)),
        "repeated": _talk(CHACHA, (0, 0)),
    }


def _opens(data: bytes) -> int:
    """How many envelopes of a script opened; the fast route and its plain twin say the same of each."""
    told = _envelopes(data, fast=False)
    if SODIUM is not None:
        assert _envelopes(data, fast=True) == told
    opened = [content for content in told if isinstance(content, bytes) and content.startswith(b"envelope")]
    assert len(opened) == len(set(opened))
    return len(opened)


TARGETS: Final[Mapping[str, Target]] = {
    "frames": Target(_frames, (), _framed),
    "pieces": Target(_pieces, (ProtocolError,), _cut_messages),
    "padding": Target(unpad, (ProtocolError,), _padded, pad),
    "envelope": Target(_opens, (), _sealed, slow=True),
}
