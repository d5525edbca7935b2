"""Makes the vectors of the safety number, each computed from both sides.

Nothing here can be refused, since nothing is received.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, pairwise
from typing import Final

from protocol.identity.safety import safety_number
from protocol.vectors.frame import SUCCESS, Json, expect_equal
from protocol.vectors.safety import ACTIONS, AREA
from tests.vectors.files import Group, Script, Seed, build_file

NOTES: Final = {
    "BothSides": ("BASIC", "The same number whoever computes it."),
    "LeadingZeros": ("EDGE_CASE", "A group below 10,000 keeps its zeros."),
    "Alike": ("EDGE_CASE", "Ids that differ in one bit alone."),
}


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
