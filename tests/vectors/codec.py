"""Makes the vectors of the codec. Each refused encoding has one fault.

Operations of person logs, invitations and headers have their own areas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from protocol.codec import Wire, encode
from protocol.vectors.codec import ACTIONS, AREA, write_value
from protocol.vectors.frame import SUCCESS, Json, expect_equal, write_bytes
from tests.vectors.codec_values import struct_values
from tests.vectors.codec_wrong import (
    FULL,
    FULL_HEADERS,
    Row,
    Wrong,
    full_of_zeros,
    wrong_encodings,
    wrong_headers_and_forms,
)
from tests.vectors.files import Group, Seed, build_file, one_step

NOTES: Final = {
    "Value": ("BASIC", "A value and its one encoding, both ways."),
    "Boundary": ("EDGE_CASE", "Lengths and numbers at the edge of an encoding or of the field's bounds."),
    "TooLong": ("RESOURCES", "More bytes than the type may have: refused before anything is decoded."),
    "Shape": ("MALFORMED", "Not one value of the expected shape."),
    "Bounds": ("MALFORMED", "A number, length or count outside of the field's bounds."),
    "NotShortest": ("MALLEABILITY", "A second encoding of a value that has a shorter one."),
}


def _add_values(group: Group, values: Iterator[tuple[str, str, Wire]], flag: str) -> None:
    for comment, kind, value in values:
        written = write_bytes(encode(value))
        steps = one_step(ACTIONS, None, "encode", type=kind, value=write_value(value))
        steps += one_step(ACTIONS, None, "decode", type=kind, bytes=written)
        expect_equal("encoding", steps[0]["gives"]["bytes"], written)
        group.add(f"{kind}: {comment}", [flag], SUCCESS, steps)


def _add_wrong(group: Group, wrong: Wrong) -> None:
    step = {"do": "decode", "type": wrong.kind, "bytes": wrong.data}
    group.add(f"{wrong.kind}: {wrong.comment}", [wrong.flag], wrong.expect, [step], rule=wrong.rule)


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    group = Group("3.3", {})
    values, edges = struct_values(seed)
    _add_values(group, values, "Value")
    _add_values(group, edges, "Boundary")
    for wrong in wrong_encodings():
        _add_wrong(group, wrong)
    groups = [group, _bounds(FULL, full_of_zeros()), _bounds(FULL_HEADERS, wrong_headers_and_forms())]
    return build_file(seed, NOTES, groups)


def _bounds(full: Iterable[Row], refused: Iterable[Wrong]) -> Group:
    """What has just as many bytes or items as it may have, not shown as a value; and what has more."""
    group = Group("3.3", {})
    for comment, kind, data in full:
        steps = one_step(ACTIONS, None, "accept", type=kind, bytes=data)
        group.add(f"{kind}: {comment}", ["Boundary"], SUCCESS, steps)
    for wrong in refused:
        _add_wrong(group, wrong)
    return group
