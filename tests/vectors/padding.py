"""Makes the vectors of padding and pieces: sizes, both directions, and what is refused.

Contents are one byte repeated, so that the largest of them stay short in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from protocol.limits import CONTENT_MAX, MESSAGE_BYTES_MAX, PADDED_MAX, PADDED_MIN
from protocol.link.framing import LAST, MORE, PIECE_MAX, Assembler, pad
from protocol.vectors.frame import SUCCESS, Json, write_bytes
from protocol.vectors.padding import ACTIONS, AREA
from tests.vectors.files import Group, Script, Seed, build_file, one_step

NOTES: Final = {
    "Sizes": ("BASIC", "Padded sizes of contents of many sizes."),
    "Padded": ("BASIC", "A content and its one padded form, both ways."),
    "Pieces": ("BASIC", "A message as the contents of one or several envelopes, both ways."),
    "WrongSize": ("MALLEABILITY", "A padded content that has another size than its content demands."),
    "Filling": ("MALLEABILITY", "Filling that is not zero could carry what nobody checks."),
    "NoPiece": ("MALFORMED", "Not a piece of a message."),
    "TooLarge": ("RESOURCES", "Pieces that together are more than a message may have."),
}
_SIZES: Final = (
    *(0, 1, 253, 254, 255, 256, 270, 271, 286, 287, 510, 511, 512, 1_000, 1_022, 1_023, 4_094, 4_095),
    *(30_000, 40_000, 59_390, 59_391, 61_437, CONTENT_MAX),
)
_PADDED: Final = (0, 1, 254, 255, 1_000, CONTENT_MAX)
_MESSAGES: Final = (1, PIECE_MAX, PIECE_MAX + 1, 2 * PIECE_MAX, MESSAGE_BYTES_MAX)


def _padding(fill: bytes) -> Group:
    group = Group("9.5", {})
    script = Script(ACTIONS, Assembler())
    for size in _SIZES:
        script.take("size", bytes=size)
    group.add("sizes", ["Sizes"], SUCCESS, script.steps)
    for size in _PADDED:
        content = write_bytes(fill * size)
        steps = one_step(ACTIONS, Assembler(), "pad", content=content)
        steps += one_step(ACTIONS, Assembler(), "unpad", padded=steps[0]["gives"]["padded"])
        group.add(f"a content of {size} bytes", ["Padded"], SUCCESS, steps)
    for comment, flag, padded, rule in _wrong_paddings(fill):
        step = {"do": "unpad", "padded": write_bytes(padded)}
        group.add(comment, [flag], "malformed", [step], rule=rule)
    return group


def _padded(length: int, content: bytes, size: int) -> bytes:
    return (length.to_bytes(2, "big") + content).ljust(size, b"\x00")


def _wrong_paddings(fill: bytes) -> Iterator[tuple[str, str, bytes, str]]:
    for size in (0, 1, PADDED_MIN - 1, PADDED_MAX + 1):
        yield f"{size} bytes", "WrongSize", _padded(0, b"", size)[:size], "V-PD-01"
    sizes = (
        ("a length beyond the bytes", 255, PADDED_MIN),
        ("the next larger size", 1, 272),
        ("the largest size for nothing", 0, PADDED_MAX),
        ("one byte more than 256", 1, PADDED_MIN + 1),
        ("a size that Padmé does not give", 256, 258),
        ("a content larger than any", CONTENT_MAX + 1, PADDED_MAX),
    )
    for comment, length, size in sizes:
        yield comment, "WrongSize", _padded(length, b"", size), "V-PD-02"
    small, large = pad(fill), pad(fill * 30_000)
    for name, padded, content in (("small", small, 1), ("large", large, 30_000)):
        for place in (2 + content, len(padded) - 1):
            changed = padded[:place] + b"\x01" + padded[place + 1 :]
            yield f"a {name} content with byte {place} not zero", "Filling", changed, "V-PD-03"


def _assembly(fill: bytes) -> Group:
    group = Group("9.5", {})
    for size in _MESSAGES:
        script = Script(ACTIONS, Assembler())
        for content in script.take("cut", message=write_bytes(fill * size))["contents"]:
            script.take("add", content=content)
        group.add(f"a message of {size} bytes", ["Pieces"], SUCCESS, script.steps)
    script = Script(ACTIONS, Assembler())
    for content in (MORE + fill * PIECE_MAX, LAST + fill, LAST + fill * 2):
        script.take("add", content=write_bytes(content))
    group.add("another message after one in pieces", ["Pieces"], SUCCESS, script.steps)
    _add_wrong_pieces(group, fill, _wrong_pieces(fill))
    return group


WrongPiece = tuple[str, str, int, bytes, str]
"""Comment, flag, full pieces before it, the content, the rule."""


def _add_wrong_pieces(group: Group, fill: bytes, rows: Iterable[WrongPiece]) -> None:
    for comment, flag, before, content, rule in rows:
        script = Script(ACTIONS, Assembler())
        for _ in range(before):
            script.take("add", content=write_bytes(MORE + fill * PIECE_MAX))
        expect = "limit" if rule == "V-PC-03" else "malformed"
        steps = script.refused("add", content=write_bytes(content))
        group.add(comment, [flag], expect, steps, rule=rule)


def _wrong_pieces(fill: bytes) -> Iterator[WrongPiece]:
    full = MORE + fill * PIECE_MAX
    yield "an empty content", "NoPiece", 0, b"", "V-PC-01"
    yield "a last piece of nothing", "NoPiece", 0, LAST, "V-PC-01"
    yield "a piece of nothing that another follows", "NoPiece", 0, MORE, "V-PC-01"
    yield "an unknown flag", "NoPiece", 0, b"\x02" + fill, "V-PC-01"
    yield "an unknown flag after a piece", "NoPiece", 1, b"\xff" + fill, "V-PC-01"
    yield "a last piece of nothing after a piece", "NoPiece", 1, LAST, "V-PC-01"
    yield "a short piece that another follows", "NoPiece", 0, MORE + fill, "V-PC-02"
    yield "a piece without its last byte", "NoPiece", 0, full[:-1], "V-PC-02"
    yield "a short piece after a full one", "NoPiece", 1, full[:-1], "V-PC-02"
    yield "a fifth full piece", "TooLarge", 4, full, "V-PC-03"
    yield "one byte more than a message", "TooLarge", 4, LAST + fill * _TOO_MUCH, "V-PC-03"


def _unknown_flags(fill: bytes) -> Group:
    """Flags that are not known before a piece that is full, as one that another follows is."""
    group = Group("9.5", {})
    rows = [
        ("flag 0x02 before a full piece", "NoPiece", 0, b"\x02" + fill * PIECE_MAX, "V-PC-01"),
        ("flag 0x81 before a full piece", "NoPiece", 1, b"\x81" + fill * PIECE_MAX, "V-PC-01"),
    ]
    _add_wrong_pieces(group, fill, rows)
    return group


_TOO_MUCH: Final = MESSAGE_BYTES_MAX - 4 * PIECE_MAX + 1


def build(phrase: str) -> Json:
    """The whole file of this area."""
    fill = Seed(phrase, AREA).bytes("content")[:1]
    return build_file(Seed(phrase, AREA), NOTES, [_padding(fill), _assembly(fill), _unknown_flags(fill)])
