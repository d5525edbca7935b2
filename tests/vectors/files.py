"""What makes every vector file: secrets from the seed phrase, groups of tests, the one text form (SPEC §20).

Everything in a file derives from the public seed phrase by a label: the same phrase gives the same file.
The table of actions that checks a test also makes its steps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic

from protocol.primitives import Random
from protocol.vectors.frame import Action, Json, W

SPEC_VERSION: Final = "1.0"
SEED_RULE: Final = "SHA-256(phrase || 0x00 || area || 0x00 || label)"


@dataclass(frozen=True)
class Seed:
    """Derivation of one area's secrets from the public phrase."""

    phrase: str
    area: str

    def bytes(self, label: str) -> bytes:
        """32 bytes for a label."""
        parts = (self.phrase, self.area, label)
        return hashlib.sha256(b"\x00".join(part.encode() for part in parts)).digest()

    def random(self, label: str) -> Random:
        """A source for code that draws: its n-th draw of up to 32 bytes has the label `label/n`, n from 0."""
        drawn = 0

        def draw(size: int) -> bytes:
            nonlocal drawn
            drawn += 1
            return self.bytes(f"{label}/{drawn - 1}")[:size]

        return draw


@dataclass
class Group:
    """Tests of one section of the SPEC with common inputs."""

    section: str
    inputs: Json
    tests: list[Json] = field(default_factory=list)

    def add(
        self, comment: str, flags: list[str], expect: str, steps: list[Json], *, rule: str = "", **inputs: Any
    ) -> None:
        """One more test; `rule` is the rule that it breaks, `inputs` replace those of the group."""
        test: Json = {"comment": comment, "flags": flags, "expect": expect}
        broken: Json = {"rule": rule} if rule else {}
        self.tests.append(test | broken | ({"inputs": inputs} if inputs else {}) | {"steps": steps})

    def numbered(self, numbers: Iterator[int], area: str) -> Json:
        """The group as it stands in the file, its tests with their ids."""
        tests = [{"id": f"{area}-{next(numbers):04d}"} | test for test in self.tests]
        return {"section": self.section, "inputs": self.inputs, "tests": tests}


def build_file(seed: Seed, notes: Mapping[str, tuple[str, str]], groups: Iterable[Group]) -> Json:
    """The whole file of an area; `notes` are flag to kind of bug and text."""
    numbers = iter(range(1, 10_000))
    made = [group.numbered(numbers, seed.area) for group in groups]
    return {
        "schema": "schema.json",
        "area": seed.area,
        "spec_version": SPEC_VERSION,
        "count": sum(len(group["tests"]) for group in made),
        "seed": {"phrase": seed.phrase, "rule": SEED_RULE},
        "notes": {flag: {"kind": kind, "text": text} for flag, (kind, text) in notes.items()},
        "groups": made,
    }


def to_text(file: Json) -> str:
    """The file's one text form: what is committed is compared with it byte by byte."""
    return json.dumps(file, indent=1, ensure_ascii=False) + "\n"


def read_phrase(text: str) -> str:
    """The phrase in seeds/vectors.txt: its one line that is no comment."""
    (phrase,) = [line for line in text.splitlines() if line and not line.startswith("#")]
    return phrase


class Script(Generic[W]):
    """Steps of one test, written down as they are taken."""

    def __init__(self, actions: Mapping[str, Action[W]], world: W) -> None:
        self._actions, self.world = actions, world
        self.steps: list[Json] = []

    def take(self, do: str, **given: Any) -> Json:
        """Take a step that must succeed; returns what it gives."""
        gives = self._actions[do](self.world, given)
        self.steps.append({"do": do} | given | ({"gives": gives} if gives else {}))
        return gives

    def refused(self, do: str, **given: Any) -> list[Json]:
        """All steps so far, and the last one, which must fail."""
        return [*self.steps, {"do": do} | given]


def one_step(actions: Mapping[str, Action[W]], world: W, do: str, **given: Any) -> list[Json]:
    """The steps of a test that has one, which succeeds."""
    script = Script(actions, world)
    script.take(do, **given)
    return script.steps
