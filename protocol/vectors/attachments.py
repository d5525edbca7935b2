"""Checks the vectors of attachments: bodies, pieces, their tree, and what a link carries (SPEC §12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from protocol.attachments import (
    AEADS,
    Shape,
    check_piece,
    leaf_hash,
    levels,
    neighbours,
    open_piece,
    read_file,
    root_of,
    seal_piece,
)
from protocol.codec import encode
from protocol.limits import PIECE_BYTES
from protocol.messages import MESSAGE, AskPieces, Message, Piece, PieceRange, PiecesEnd
from protocol.pieces import Demand, Supply, Turn
from protocol.vectors.frame import Action, Json, VectorMismatch, read_bytes, run_steps, write_bytes

AREA: Final = "attachments"


class World:
    """The two ends of what one side of a link asks and is asked."""

    def __init__(self) -> None:
        self.supply, self.demand = Supply(), Demand()


def _body(_: World, step: Json) -> Json:
    body = read_file(read_bytes(step["body"]))
    return {
        "name": body.name,
        "media": body.media,
        "size": body.size,
        "aead": body.aead,
        "folder": body.folder,
    }


def _seal(_: World, step: Json) -> Json:
    """The leaves and the root of a whole file, and its last sealed piece."""
    content, aead, key = read_bytes(step["content"]), AEADS[step["aead"]], bytes.fromhex(step["key"])
    shape = Shape(len(content), aead)
    sealed = [
        seal_piece(aead, key, number, content[number * PIECE_BYTES : (number + 1) * PIECE_BYTES])
        for number in range(shape.count)
    ]
    leaves = [leaf_hash(piece) for piece in sealed]
    return {
        "leaves": [leaf.hex() for leaf in leaves],
        "root": root_of(leaves).hex(),
        "sealed": shape.sealed,
        "last": write_bytes(sealed[-1]),
    }


def _open(_: World, step: Json) -> Json:
    key = bytes.fromhex(step["key"])
    opened = open_piece(AEADS[step["aead"]], key, step["number"], read_bytes(step["sealed"]))
    return {"piece": write_bytes(opened)}


def _tree(_: World, step: Json) -> Json:
    """The root, and level and place of each hash that proves a piece."""
    count = len(step["leaves"])
    return {
        "root": root_of([bytes.fromhex(leaf) for leaf in step["leaves"]]).hex(),
        "levels": list(levels(count)),
        "proofs": [[list(one) for one in neighbours(count, number)] for number in range(count)],
    }


def _message(step: Json) -> Message:
    return MESSAGE.decode(read_bytes(step["message"]))


def _check(_: World, step: Json) -> Json:
    """A piece of a file of this size and root arrives."""
    message = _message(step)
    if not isinstance(message, Piece):
        raise VectorMismatch("another message than the step is about")
    check_piece(message, Shape(step["size"], AEADS[step["aead"]]), bytes.fromhex(step["root"]))
    return {"number": message.number}


def _asked(world: World, step: Json) -> Json:
    message = _message(step)
    if not isinstance(message, AskPieces):
        raise VectorMismatch("another message than the step is about")
    world.supply.take(message, step.get("pieces", 2**32 + 256))
    return {"unanswered": len(world.supply)}


def _stopped(world: World, step: Json) -> Json:
    world.supply.drop(bytes.fromhex(step["entry"]))
    return {"unanswered": len(world.supply)}


def _next(world: World, step: Json) -> Json:
    """What is due: pieces, the message that ends an ask, or nothing."""
    due = world.supply.next(step["most"])
    if isinstance(due, Turn):
        return {"entry": due.entry.hex(), "first": due.first, "count": due.count}
    return {"message": None if due is None else encode(due).hex()}


def _ask(world: World, step: Json) -> Json:
    ranges = [PieceRange(*one) for one in step["ranges"]]
    return {"message": encode(world.demand.ask(bytes.fromhex(step["entry"]), ranges)).hex()}


def _takes(world: World, step: Json) -> Json:
    message = _message(step)
    if not isinstance(message, Piece):
        raise VectorMismatch("another message than the step is about")
    return {"wanted": world.demand.takes(message)}


def _ended(world: World, step: Json) -> Json:
    message = _message(step)
    if not isinstance(message, PiecesEnd):
        raise VectorMismatch("another message than the step is about")
    return {"left": sorted(world.demand.ended(message))}


ACTIONS: Final[Mapping[str, Action[World]]] = {
    "body": _body,
    "seal": _seal,
    "open": _open,
    "tree": _tree,
    "check": _check,
    "asked": _asked,
    "stopped": _stopped,
    "next": _next,
    "ask": _ask,
    "takes": _takes,
    "ended": _ended,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else, or what was refused changed an end."""
    world = World()
    run_steps(test, ACTIONS, world, lambda: _state(world))


def _state(world: World) -> Any:
    asks = {entry: [list(ask) for ask in some] for entry, some in world.supply._asks.items()}
    wanted = {entry: [set(ask) for ask in some] for entry, some in world.demand._asks.items()}
    return asks, wanted, set(world.demand.entries)
