"""Own vectors of the codec: every struct in its one encoding, and what a decoder must refuse (SPEC §3.3).

Rules: a value stands in JSON as SPEC's table has it, bytes as {"hex"}, so that no type has to be guessed;
each refused encoding has one fault. Operations of person logs, invitations and headers have their own areas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from protocol import messages as m
from protocol.agreement import CONTACT_HELLO, CONTACT_REPLY, PAIRING_FINISH, PAIRING_REPLY
from protocol.codec import Codec, Wire, encode
from protocol.messages import ENTRY_HEADER, MESSAGE, TEXT_BODY
from protocol.vectors.codec_values import struct_values
from protocol.vectors.codec_wrong import (
    FULL,
    FULL_HEADERS,
    Row,
    Wrong,
    full_of_zeros,
    wrong_encodings,
    wrong_headers_and_forms,
)
from protocol.vectors.frame import (
    SUCCESS,
    Group,
    Json,
    Seed,
    build_file,
    expect_equal,
    read_bytes,
    write_bytes,
)
from protocol.vectors.script import Action, one_step, run_steps

AREA: Final = "codec"
NOTES: Final = {
    "Value": ("BASIC", "A value and its one encoding, both ways."),
    "Boundary": ("EDGE_CASE", "Lengths and numbers at the edge of an encoding or of the field's bounds."),
    "TooLong": ("RESOURCES", "More bytes than the type may have: refused before anything is decoded."),
    "Shape": ("MALFORMED", "Not one value of the expected shape."),
    "Bounds": ("MALFORMED", "A number, length or count outside of the field's bounds."),
    "NotShortest": ("MALLEABILITY", "A second encoding of a value that has a shorter one."),
}
CODECS: Final[Mapping[str, Codec[Any]]] = {
    "ContactHello": CONTACT_HELLO,
    "ContactReply": CONTACT_REPLY,
    "PairingReply": PAIRING_REPLY,
    "PairingFinish": PAIRING_FINISH,
    "EntryHeader": ENTRY_HEADER,
    "TextBody": TEXT_BODY,
    "message": MESSAGE,
}
KINDS: Final[Mapping[str, Any]] = {
    "message": m.Message,
    **{
        kind.__name__: kind
        for kind in (
            m.ContactHello,
            m.ContactReply,
            m.PairingReply,
            m.PairingFinish,
            m.EntryHeader,
            m.TextBody,
        )
    },
}
"""What `type` may be: a message by its number, or the name of a struct."""


# --- Values as they stand in a file ---


def write_value(value: Any) -> Any:
    """A struct in JSON: an array of its fields, the number first where it has one."""
    if isinstance(value, bytes):
        return _written(value)
    if isinstance(value, Wire):
        return write_value(msgspec.to_builtins(value, builtin_types=(bytes,)))
    return [write_value(item) for item in value] if isinstance(value, list) else value


def _written(value: bytes) -> Json:
    written = write_bytes(value)
    if isinstance(written, str):
        return {"hex": written}
    (run,) = written
    return dict(run)


def read_value(value: Any) -> Any:
    """The lists, numbers, texts and bytes that `write_value` wrote."""
    if isinstance(value, dict):
        return read_bytes({"times": 1} | value)
    return [read_value(item) for item in value] if isinstance(value, list) else value


# --- Actions ---


def _encode(_: None, step: Json) -> Json:
    kind = KINDS[step["type"]]
    value = msgspec.convert(read_value(step["value"]), kind, builtin_types=(bytes,))
    return {"bytes": write_bytes(encode(value))}


def _decode(_: None, step: Json) -> Json:
    return {"value": write_value(CODECS[step["type"]].decode(read_bytes(step["bytes"])))}


def _accept(_: None, step: Json) -> Json:
    CODECS[step["type"]].decode(read_bytes(step["bytes"]))
    return {}


ACTIONS: Final[Mapping[str, Action[None]]] = {"encode": _encode, "decode": _decode, "accept": _accept}


# --- Making the file ---


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


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else."""
    run_steps(test, ACTIONS, None)
