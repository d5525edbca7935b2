"""Own vectors of what two people compare: the safety number of two persons (SPEC §7.7).

Rules: each number is computed from both sides; nothing here can be refused, since nothing is received.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, pairwise
from typing import Final

from protocol import labels
from protocol.codec import low_high
from protocol.primitives import b2b
from protocol.safety import safety_number
from protocol.vectors.frame import SUCCESS, Group, Json, Seed, build_file, expect_equal, read_bytes
from protocol.vectors.script import Action, Script, run_steps

AREA: Final = "safety"
NOTES: Final = {
    "BothSides": ("BASIC", "The same number whoever computes it."),
    "LeadingZeros": ("EDGE_CASE", "A group below 10,000 keeps its zeros."),
    "Alike": ("EDGE_CASE", "Ids that differ in one bit alone."),
}


def _number(_: None, step: Json) -> Json:
    own, their = read_bytes(step["own_person"]), read_bytes(step["their_person"])
    number = safety_number(own, their)
    digest = b2b(b"".join(low_high(own, their)), personal=labels.SAFETY, size=60)
    return {"digest": digest.hex(), "number": number}


ACTIONS: Final[Mapping[str, Action[None]]] = {"safety_number": _number}


def _steps(a: bytes, b: bytes) -> list[Json]:
    script = Script(ACTIONS, None)
    numbers = [
        script.take("safety_number", own_person=own.hex(), their_person=their.hex())["number"]
        for own, their in ((a, b), (b, a))
    ]
    expect_equal("the number of the other side", *numbers)
    return script.steps


def _persons(seed: Seed) -> Iterator[bytes]:
    return (seed.bytes(f"person/{n}") for n in count())


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    group = Group("7.7", {})
    first, second = seed.bytes("first"), seed.bytes("second")
    group.add("two persons", ["BothSides"], SUCCESS, _steps(first, second))
    zeros = next(pair for pair in pairwise(_persons(seed)) if safety_number(*pair).startswith("000"))
    group.add("a number that begins with zeros", ["LeadingZeros"], SUCCESS, _steps(*zeros))
    for place in (0, 31):
        changed = first[:place] + bytes([first[place] ^ 1]) + first[place + 1 :]
        group.add(f"one bit of byte {place}", ["Alike"], SUCCESS, _steps(first, changed))
    return build_file(seed, NOTES, [group])


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else."""
    run_steps(test, ACTIONS, None)
