"""Checks the vectors of the codec: the one encoding of every struct, and what is refused (SPEC §3.3).

A value is written in JSON as in the table of the SPEC, bytes as {"hex"}, so that no type has to be guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from protocol import messages as m
from protocol.codec import Codec, Wire, encode
from protocol.link.agreement import CONTACT_HELLO, CONTACT_REPLY, PAIRING_FINISH, PAIRING_REPLY
from protocol.messages import (
    BOT_BODY,
    CUT_BODY,
    DELETE_BODY,
    EDIT_BODY,
    ENTRY_HEADER,
    MESSAGE,
    STATE_BODY,
    TEXT_BODY,
    TIMER_BODY,
)
from protocol.vectors.frame import Action, Json, read_bytes, run_steps, write_bytes

AREA: Final = "codec"
CODECS: Final[Mapping[str, Codec[Any]]] = {
    "ContactHello": CONTACT_HELLO,
    "ContactReply": CONTACT_REPLY,
    "PairingReply": PAIRING_REPLY,
    "PairingFinish": PAIRING_FINISH,
    "EntryHeader": ENTRY_HEADER,
    "TextBody": TEXT_BODY,
    "CutBody": CUT_BODY,
    "DeleteBody": DELETE_BODY,
    "EditBody": EDIT_BODY,
    "TimerBody": TIMER_BODY,
    "BotBody": BOT_BODY,
    "StateBody": STATE_BODY,
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
            m.CutBody,
            m.DeleteBody,
            m.EditBody,
            m.TimerBody,
            m.BotBody,
            m.StateBody,
        )
    },
}
"""What `type` may be: a message by its number, or the name of a struct."""


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


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else."""
    run_steps(test, ACTIONS, None)
