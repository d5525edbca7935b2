"""Checks the vectors of padding and pieces (SPEC §9.5). One assembler per test takes the pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from protocol.link.framing import Assembler, pad, padded_size, pieces, unpad
from protocol.vectors.frame import Action, Json, read_bytes, run_steps, write_bytes

AREA: Final = "padding"


def _size(_: Assembler, step: Json) -> Json:
    return {"padded": padded_size(step["bytes"])}


def _pad(_: Assembler, step: Json) -> Json:
    return {"padded": write_bytes(pad(read_bytes(step["content"])))}


def _unpad(_: Assembler, step: Json) -> Json:
    return {"content": write_bytes(unpad(read_bytes(step["padded"])))}


def _cut(_: Assembler, step: Json) -> Json:
    return {"contents": [write_bytes(content) for content in pieces(read_bytes(step["message"]))]}


def _add(assembler: Assembler, step: Json) -> Json:
    message = assembler.add(read_bytes(step["content"]))
    return {"message": None if message is None else write_bytes(message)}


ACTIONS: Final[Mapping[str, Action[Assembler]]] = {
    "size": _size,
    "pad": _pad,
    "unpad": _unpad,
    "cut": _cut,
    "add": _add,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else, or the assembler changed when it refused."""
    assembler = Assembler()
    run_steps(test, ACTIONS, assembler, lambda: _state(assembler))


def _state(assembler: Assembler) -> Any:
    return assembler._size, list(assembler._parts)
