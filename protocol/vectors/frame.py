"""What all vector areas share: the form of bytes in a file, cases, results, and steps (SPEC §20).

Bytes are lower-case hex, long runs shortened; `expect` is `success` or one of the five error classes.
A case is one check with the vector's id; it fails by raising, and its return value has no meaning.
A step holds `do`, what is given, and in `gives` what must come of it; the steps of one test share a world.
The last step of a failing test gives nothing and raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from protocol.errors import LocalMisuse, ProtocolError

SUCCESS: Final = "success"
Json = dict[str, Any]
RUN_LEAST: Final = 1_000
"""So many equal bytes in a row are written once, with how often they come."""
_RUN: Final = re.compile(rb"(.)\1{%d,}" % (RUN_LEAST - 1), re.DOTALL)


def write_bytes(data: bytes) -> Any:
    """Bytes as written in a file: hex, or a list of hex and of {"hex", "times"} for a long run."""
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


def file_cases(file: Json, run: Callable[[Json, Json], None]) -> Iterator[Case]:
    """A case a test: `run` gets the test and its inputs, those of the group and its own over them."""
    for group in file["groups"]:
        for test in group["tests"]:
            inputs = group["inputs"] | test.get("inputs", {})
            yield Case(test["id"], partial(run, test, inputs))


W = TypeVar("W")
Action = Callable[[W, Json], Json]
"""action(world, step): what the step gives, in the form of the file."""


def run_steps(
    test: Json, actions: Mapping[str, Action[W]], world: W, trace: Callable[[], object] = lambda: None
) -> None:
    """Take all steps of a test. `trace` shows the state that a refused last step must leave as it was.

    VectorMismatch if a step gives something else, or the last one has another outcome.
    """
    *steps, last = test["steps"]
    for step in steps:
        _take(actions, world, step)
    before = trace()
    expect_outcome(test["expect"], lambda: _take(actions, world, last))
    if test["expect"] != SUCCESS and trace() != before:
        raise VectorMismatch("what was refused changed the state")


def _take(actions: Mapping[str, Action[W]], world: W, step: Json) -> None:
    gives = actions[step["do"]](world, step)
    expect_equal(step["do"], gives, step.get("gives", {}))
