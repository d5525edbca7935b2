"""The values of the codec's vectors: one of every struct, and those at the edges of encodings and bounds.

Rules: field values come from the seed; a long field is one byte repeated, so that the file stays short.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol import limits
from protocol import messages as m
from protocol.codec import Wire
from tests.vectors.files import Seed

Named = tuple[str, str, Wire]
"""Comment, the type's name in the file, value."""


class Drawn:
    """Bytes for fields, from the seed."""

    def __init__(self, seed: Seed) -> None:
        self._seed = seed

    def __call__(self, label: str, size: int = 32) -> bytes:
        """`size` bytes for a label; those of more than 32 bytes are one byte repeated."""
        drawn = self._seed.bytes(label)
        return drawn[:size] if size <= len(drawn) else drawn[:1] * size


def struct_values(seed: Seed) -> tuple[Iterator[Named], Iterator[Named]]:
    """One value of each struct, and the values at edges."""
    drawn = Drawn(seed)
    return _whole(drawn), _edges(drawn)


def _whole(drawn: Drawn) -> Iterator[Named]:
    for message in (*_link_and_pairing(drawn), *_of_contacts(drawn)):
        yield f"a {type(message).__name__}", "message", message
    for payload in _payloads(drawn):
        yield f"a {type(payload).__name__}", type(payload).__name__, payload
    yield "an EntryHeader", "EntryHeader", entry_header(drawn)
    yield "a TextBody", "TextBody", m.TextBody("Grüße, 小雨 ☂", drawn("reply"))


def _link_and_pairing(drawn: Drawn) -> Iterator[m.Message]:
    yield m.Confirm(drawn("session", 16))
    yield m.Ping(1)
    yield m.Pong(1)
    yield m.Close(0)
    yield m.Commit(drawn("commitment"), "Anna")
    yield m.Reveal(drawn("nonce"), "小雨")
    yield m.Open(drawn("nonce"))
    yield m.Record(
        [drawn("operation 0", 200), drawn("operation 1", 100)],
        drawn("terminal"),
        1_767_225_600,
        drawn("share"),
        [drawn("head")],
        drawn("signature", 64),
    )
    yield m.Accept(drawn("tag"))


def _of_contacts(drawn: Drawn) -> Iterator[m.Message]:
    conversation, id_ = drawn("conversation"), drawn("entry")
    yield m.LogHeads([drawn("head")])
    yield m.LogOperations([drawn("operation 0", 200)])
    yield m.Reachable(4747)
    yield m.HeadsHash(conversation, drawn("hash"))
    yield m.Heads(conversation, [m.Head(drawn("terminal"), 7, id_)])
    yield m.Entry(drawn("header", 200), drawn("salt", 16), drawn("body", 40))
    yield m.Receipt(1, [id_])
    yield m.Typing(conversation, True)


def _payloads(drawn: Drawn) -> Iterator[Wire]:
    key, ciphertext = drawn("kem key", 1_184), drawn("kem ciphertext", 1_088)
    numbers = m.ShareNumbers([3, 1], [2])
    yield m.ContactHello(drawn("person"), numbers, key, drawn("share"))
    yield m.ContactReply(ciphertext, drawn("share"), drawn("ratchet"))
    yield m.PairingReply(key, drawn("share"), drawn("ratchet"))
    yield m.PairingFinish(ciphertext, drawn("share"))


def entry_header(drawn: Drawn) -> m.EntryHeader:
    """A header with every field filled."""
    return m.EntryHeader(
        drawn("conversation"),
        drawn("author"),
        drawn("incarnation", 8),
        2,
        drawn("previous"),
        sorted((drawn("parent 0"), drawn("parent 1"))),
        [drawn("head")],
        1_767_225_600_000,
        1,
        drawn("content"),
        drawn("self tag"),
    )


def _edges(drawn: Drawn) -> Iterator[Named]:
    for number in (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1):
        yield f"the number {number}", "message", m.Ping(number)
    for sequence in (2**32, 2**53 - 1):
        head = m.Head(drawn("terminal"), sequence, drawn("entry"))
        yield f"the number {sequence}", "message", m.Heads(drawn("conversation"), [head])
    for size in (0, 255, 256, 65_535, 65_536, limits.BODY_BYTES_MAX):
        yield f"{size} bytes", "message", m.Entry(b"", b"", drawn("body")[:1] * size)
    for count in (15, 16):
        yield f"an array of {count}", "message", m.Receipt(2, [drawn(f"entry {n}") for n in range(count)])
    for size in (31, 32, limits.NAME_CHARACTERS_MAX):
        yield f"a text of {size} bytes", "message", _named(drawn, "n" * size)
    yield "64 code points of 4 bytes each", "message", _named(drawn, "\N{GRINNING FACE}" * 64)
    yield "16,384 code points", "TextBody", m.TextBody("a" * limits.TEXT_CHARACTERS_MAX, b"")
    yield "empty lists", "message", m.Heads(drawn("conversation"), [])
    yield "false", "message", m.Typing(drawn("conversation"), False)


def _named(drawn: Drawn, name: str) -> m.Reveal:
    return m.Reveal(drawn("nonce"), name)
