"""`python -m tests.crash.run`: faults at the system calls of real programs, and what holds afterwards.

Every flow runs once unharmed, then once for each point at which a fault strikes it. Each failure has the
command that repeats it. Exits with 1 if a law is broken that `EXPECTED` does not name, or one that it names
holds at every point.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, Self

from tests.crash.flows.every import FLOWS, prepare
from tests.crash.flows.scene import Scene, judge
from tests.crash.points import (
    FAULTS,
    KILLED,
    Call,
    Point,
    calls,
    chosen,
    has_struck,
    points,
    struck,
    traced,
    unsettled,
)
from tests.support.lab.hosts import Lab

if TYPE_CHECKING:
    # The violations load the whole engine, which this process does without.
    from tests.crash.planted import Plant

EXPECTED: Final[dict[tuple[str, str, str], str]] = {}
"""(flow, fault, law) that is known to be broken at some point, with the reason.

Any other is a failure, and so is one of these that holds at every point."""


PLANTED_TRIALS: Final = 20
"""Points at most, evenly taken, at which a planted violation is looked for."""


@dataclass(frozen=True)
class Trial:
    """A flow that is struck at a point, or nowhere."""

    flow: str
    fault: str = ""
    point: Point | None = None
    planted: str = ""

    def command(self) -> str:
        """What repeats it."""
        parts = [f"python -m tests.crash.run --flow '{self.flow}'"]
        parts += [f"--fault '{self.fault}' --point '{self.point}'"] if self.point is not None else []
        return " ".join(parts + ([f"--planted '{self.planted}'"] if self.planted else []))


@dataclass(frozen=True)
class Result:
    """What a trial showed: whether the fault struck, and each broken law with how."""

    trial: Trial
    struck: bool
    broken: tuple[tuple[str, str], ...]
    calls: tuple[Call, ...] = ()

    @property
    def laws(self) -> set[tuple[str, str, str]]:
        return {(self.trial.flow, self.trial.fault, law) for law, _ in self.broken}


class Stage:
    """A lab of two hosts for each trial at a time, and the profiles that flows begin with."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self._folder = folder.resolve()
        self._workers = workers
        self._labs: SimpleQueue[Lab] = SimpleQueue()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for _ in range(self._workers):
                self._labs.put(stack.enter_context(Lab(2)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def prepare(self, flows: Iterable[str]) -> None:
        """Make the profiles with which these flows begin."""
        lab = self._labs.get()
        for need in sorted({FLOWS[flow].needs for flow in flows}):
            prepare(need, self._folder / f"prepared {need}", lab.hosts)
        self._labs.put(lab)

    def play(self, trial: Trial) -> Result:
        """Play a trial, or a planted violation, with copies of the profiles that its flow begins with."""
        lab = self._labs.get()
        place = Path(tempfile.mkdtemp(prefix="trial-", dir=self._folder))
        try:
            return self._play(trial, place, lab)
        finally:
            shutil.rmtree(place)
            self._labs.put(lab)

    def _play(self, trial: Trial, place: Path, lab: Lab) -> Result:
        flow = FLOWS[trial.flow]()
        folder, log = place / "profiles", place / "log"
        shutil.copytree(self._folder / f"prepared {flow.needs}", folder)
        victim = folder / flow.victim
        if trial.point is None:
            under = traced(log)
        else:
            under = struck(FAULTS[trial.fault], trial.point, victim, log)
        program = flow.program
        if trial.planted:
            program = (sys.executable, "-m", "tests.crash.planted", trial.planted)
        lasting = trial.point is not None and FAULTS[trial.fault].lasting
        scene = Scene(folder, lab.hosts, under, program, lasting)
        how = judge(flow, scene)
        if trial.point is not None:
            return Result(trial, how.struck or how.status == KILLED or has_struck(log), tuple(scene.broken))
        made = calls(log, victim)
        if not flow.serves:
            scene.broken += [("durable", line) for line in unsettled(made)]
        return Result(trial, True, tuple(scene.broken), tuple(made))

    def play_all(self, trials: Iterable[Trial]) -> Iterator[Result]:
        """The results as they come."""
        with ThreadPoolExecutor(self._workers) as pool:  # mostly they wait
            tasks = [pool.submit(self.play, trial) for trial in trials]
            try:
                for task in as_completed(tasks):
                    yield task.result()
            finally:
                for task in tasks:
                    task.cancel()


def trials(unharmed: Result, faults: Iterable[str], number: int, seed: str) -> list[Trial]:
    """Where the faults strike the flow of an unharmed run."""
    flow = unharmed.trial.flow
    return [
        Trial(flow, fault, point)
        for fault in faults
        for point in chosen(FAULTS[fault], unharmed.calls, number, f"{seed} {flow}")
    ]


def table(results: Sequence[Result]) -> str:
    """Flow by fault: points tried, and of these how many the program did not come to, and broke a law."""
    rows = []
    for flow in dict.fromkeys(result.trial.flow for result in results):
        cells = [flow.ljust(18)]
        for fault in ("", *FAULTS):
            those = [one for one in results if (one.trial.flow, one.trial.fault) == (flow, fault)]
            missed, broken = sum(not one.struck for one in those), sum(bool(one.broken) for one in those)
            cell = f"{len(those)}" + (f" -{missed}" if missed else "") + (f" !{broken}" if broken else "")
            cells.append(f"{cell if those else '-':>10}")
        rows.append("".join(cells))
    head = "".join([" " * 18, *(f"{name:>10}" for name in ("unharmed", *FAULTS))])
    legend = "points tried; -N: not reached in that run; !N: a law was broken"
    return "\n".join([head, *rows, legend])


def find(stage: Stage, violation: str, plant: Plant) -> Result | None:
    """The first trial that shows a planted violation by its law. At an unharmed run, or at a point."""
    unharmed = stage.play(Trial(plant.flow, planted=violation))
    trials = [
        Trial(plant.flow, plant.fault, point, violation)
        for point in points(unharmed.calls)[plant.call]
        if point.file == plant.file
    ]
    apart = 1 + len(trials) // PLANTED_TRIALS
    tried = (stage.play(trial) for trial in trials[::apart]) if plant.fault else [unharmed]
    return next((one for one in tried if plant.law in {law for law, _ in one.broken}), None)


def find_all(stage: Stage) -> int:
    """Look for every planted violation, and print where each was found. Returns the exit status."""
    from tests.crash.planted import PLANTED

    missed = 0
    for violation, plant in PLANTED.items():
        found = find(stage, violation, plant)
        where = f"found by {plant.law}: {found.trial.command()}" if found is not None else "NOT FOUND"
        missed += found is None
        say(f"planted: {violation}: {where}")
    return 1 if missed else 0


def report(results: Sequence[Result], *, whole: bool) -> int:
    """Print the table, and what is broken. Returns the exit status."""
    say(table(results))
    broken: set[tuple[str, str, str]] = set().union(*(result.laws for result in results))
    for known in sorted(broken & EXPECTED.keys()):
        say(f"known: {known[0]}, {known[1]}, {known[2]}: {EXPECTED[known]}")
    kept = sorted(EXPECTED.keys() - broken) if whole else []
    for known in kept:
        say(f"no longer broken, so take it out of EXPECTED: {known}")
    return 1 if kept or broken - EXPECTED.keys() else 0


def tell(result: Result) -> None:
    """Print what a trial broke, and how to repeat it."""
    for law, how in result.broken:
        known = (result.trial.flow, result.trial.fault, law) in EXPECTED
        say(f"{'known' if known else 'BROKEN'}: {law}: {how}")
    if result.broken:
        say(f"  {result.trial.command()}")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make crash")
    parser.add_argument("--seed", type=int, default=1, help="draws the sampled points")
    parser.add_argument("--number", type=int, default=4, help="sampled points per flow and fault")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--flow", action="append", choices=list(FLOWS))
    parser.add_argument("--fault", action="append", choices=list(FAULTS))
    parser.add_argument("--point", type=Point.parse, help="CALL:FILE:NUMBER, with one flow and one fault")
    parser.add_argument("--planted", default="", help="a violation of tests/crash/planted.py, for one point")
    parser.add_argument("--plants", action="store_true", help="look for every planted violation, too")
    given = parser.parse_args(arguments)
    if os.geteuid() != 0 or shutil.which("strace") is None:
        say("make crash needs strace, and root for its network namespaces: nothing was tried.")
        return 1
    os.environ.update(LANG="C.UTF-8", LC_ALL="C.UTF-8")
    began = time.monotonic()
    flows, faults = given.flow or list(FLOWS), given.fault or list(FAULTS)
    chosen_some = bool(given.flow or given.fault)
    with tempfile.TemporaryDirectory(prefix="crash-") as folder, Stage(Path(folder), given.workers) as stage:
        stage.prepare(FLOWS if given.plants else flows)
        if given.point is not None or given.planted:
            fault = faults[0] if given.point is not None else ""
            first = [Trial(flows[0], fault, given.point, given.planted)]
        else:
            first = [Trial(flow) for flow in flows]
        results = _told(stage.play_all(first))
        if given.point is None and not given.planted:
            seed = str(given.seed)
            later = [trial for one in results for trial in trials(one, faults, given.number, seed)]
            say(f"{len(later)} points, seed {seed}")
            results += _told(stage.play_all(later))
        status = report(results, whole=not chosen_some)
        say(f"{len(results)} runs in {time.monotonic() - began:.0f} s")
        return max(status, find_all(stage) if given.plants else 0)


def _told(results: Iterator[Result]) -> list[Result]:
    """The results, each printed as it came."""
    come = []
    for result in results:
        tell(result)
        come.append(result)
    return come


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
