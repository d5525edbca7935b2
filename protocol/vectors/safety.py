"""Checks the vectors of the safety number, which two persons compare (SPEC §7.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol import labels
from protocol.codec import low_high
from protocol.identity.safety import safety_number
from protocol.primitives import b2b
from protocol.vectors.frame import Action, Json, read_bytes, run_steps

AREA: Final = "safety"


def _number(_: None, step: Json) -> Json:
    own, their = read_bytes(step["own_person"]), read_bytes(step["their_person"])
    number = safety_number(own, their)
    digest = b2b(b"".join(low_high(own, their)), personal=labels.SAFETY, size=60)
    return {"digest": digest.hex(), "number": number}


ACTIONS: Final[Mapping[str, Action[None]]] = {"safety_number": _number}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else."""
    run_steps(test, ACTIONS, None)
