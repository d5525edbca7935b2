"""Checks the vectors of the safety number, which two persons compare (SPEC §7.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol.identity.reduction import PersonState, Pins, reduce
from protocol.identity.safety import branches, open_questions, safety_digest, safety_number
from protocol.vectors.frame import Action, Json, run_steps

AREA: Final = "safety"


def _ids(step: Json, name: str) -> frozenset[bytes]:
    return frozenset(map(bytes.fromhex, step.get(name, ())))


def _operations(inputs: Json, step: Json, whose: str) -> list[bytes]:
    return [bytes.fromhex(inputs["operations"][name]) for name in step[whose]]


def _safety_number(inputs: Json, step: Json) -> Json:
    """What a terminal asks its person, and the numbers that it shows, that of the branch in force first."""
    own_pins = Pins(_ids(step, "own_seen"), _ids(step, "own_confirmed"))
    own = reduce(_operations(inputs, step, "own"), own_pins)
    questions = open_questions(own, own_pins.confirmed)
    shows = not questions and bytes.fromhex(step["terminal"]) in own.live
    pins = Pins(_ids(step, "seen"), _ids(step, "confirmed"))
    found = branches(_operations(inputs, step, "theirs"), pins)
    return {
        "questions": [question.hex() for question in questions],
        "numbers": [_number(own, theirs) for theirs in found] if shows else [],
    }


def _number(own: PersonState, theirs: PersonState) -> Json:
    return {
        "newest": theirs.newest.hex(),
        "digest": safety_digest(own, theirs).hex(),
        "number": safety_number(own, theirs),
    }


ACTIONS: Final[Mapping[str, Action[Json]]] = {"safety_number": _safety_number}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else."""
    run_steps(test, ACTIONS, inputs)
