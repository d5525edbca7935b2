"""What all vector files share: seed, file frame, cases and results (SPEC §20).

Bytes are lower-case hex, long runs shortened; `expect` is `success` or one of the five error classes.
A case is one check with the vector's id; what it raises is how it failed, what it returns says nothing.
Everything in a file derives from the public seed phrase by a label, so that it can be made again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from protocol.errors import LocalMisuse, ProtocolError
from protocol.primitives import Random

SPEC_VERSION: Final = "1.0"
SEED_RULE: Final = "SHA-256(phrase || 0x00 || area || 0x00 || label)"
SUCCESS: Final = "success"

Json = dict[str, Any]

RUN_LEAST: Final = 1_000
"""So many equal bytes in a row are written once, with how often they come."""

_RUN: Final = re.compile(rb"(.)\1{%d,}" % (RUN_LEAST - 1), re.DOTALL)


def write_bytes(data: bytes) -> Any:
    """Bytes as they stand in a file: hex, or a list of hex and of {"hex", "times"} for a long run."""
    parts: list[Any] = []
    end = 0
    for run in _RUN.finditer(data):
        parts += [data[end : run.start()].hex()] if run.start() > end else []
        parts.append({"hex": run[1].hex(), "times": len(run[0])})
        end = run.end()
    if not parts:
        return data.hex()
    return parts + ([data[end:].hex()] if end < len(data) else [])


def read_bytes(written: Any) -> bytes:
    """The bytes that `write_bytes` wrote; a run may be of several bytes."""
    if isinstance(written, list):
        return b"".join(map(read_bytes, written))
    if isinstance(written, dict):
        return bytes.fromhex(written["hex"]) * int(written["times"])
    return bytes.fromhex(written)


class VectorMismatch(Exception):
    """A vector gave other bytes, or another outcome, than it says."""


@dataclass(frozen=True)
class Case:
    """One vector: its id, and the check that raises if it does not hold."""

    id: str
    run: Callable[[], None]


@dataclass(frozen=True)
class Report:
    """The outcome of one area: how many passed, the ids that failed, the names that nothing here runs."""

    area: str
    passed: int
    failed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Area:
    """All cases of one area, and the names in it that are not ours to run."""

    name: str
    cases: tuple[Case, ...]
    unknown: tuple[str, ...] = ()

    def report(self) -> Report:
        """Run every case."""
        failed = tuple(case.id for case in self.cases if not _holds(case))
        return Report(self.name, len(self.cases) - len(failed), failed, self.unknown)


def _holds(case: Case) -> bool:
    try:
        case.run()
    except (VectorMismatch, ProtocolError, LocalMisuse):
        return False
    return True


def expect_equal(what: str, got: object, wanted: object) -> None:
    """VectorMismatch unless equal."""
    if got != wanted:
        raise VectorMismatch(f"{what} differs")


def expect_outcome(expect: str, action: Callable[[], object]) -> object:
    """The result of action, which must succeed or fail with the class that `expect` names."""
    try:
        result = action()
    except ProtocolError as error:
        if error.error_class != expect:
            raise VectorMismatch(f"{error.error_class} instead of {expect}") from error
        return None
    if expect != SUCCESS:
        raise VectorMismatch(f"success instead of {expect}")
    return result


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


def file_cases(file: Json, run: Callable[[Json, Json], None]) -> Iterator[Case]:
    """A case a test: `run` gets the test and its inputs, those of the group and its own over them."""
    for group in file["groups"]:
        for test in group["tests"]:
            inputs = group["inputs"] | test.get("inputs", {})
            yield Case(test["id"], partial(run, test, inputs))
