"""`python -m tests.sim.run --runs N --seed S`: so many runs from a seed on, and what they found.

A failing run prints its options, and the first of each law its smallest plan as a test case. Exits with 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.sim.plan import FAULTS, FLOW, Plan, draw

HASHES: Final = "PYTHONHASHSEED"
HASH_SEED: Final = "0"
_planted: Final[list[str]] = []
PORTION: Final = 10
"""Runs after which a process says what it found."""

TASKS_PER_PROCESS: Final = 20
"""Portions of a process, which keeps some memory of each. The pool's own bound left it without processes."""

SAID_EVERY: Final = 100
SHRUNK_MOST: Final = 3
"""Failing runs that are shrunk, one per law first."""


@dataclass
class Found:
    """What a portion of runs found: (seed, law, how) of each failing run, and the processor's seconds."""

    failures: list[tuple[int, str, str]]
    cells: Counter[tuple[str, str]]
    counts: Counter[str]
    busy: float
    runs: int


def portion(first: int, runs: int, planted: str = "") -> Found:
    """In a process of its own, whose hashes are repeatable."""
    from tests.sim.runner import run

    _plant(planted)
    began = time.process_time()
    found = Found([], Counter(), Counter(), 0.0, runs)
    for seed in range(first, first + runs):
        try:
            outcome = run(draw(seed))
        except Exception as error:
            raise RuntimeError(f"the simulation itself fails at seed {seed}") from error
        found.cells += outcome.cells
        found.counts += outcome.counts
        found.counts["virtual seconds"] += int(outcome.seconds)
        if outcome.law:
            found.failures.append((seed, outcome.law, outcome.how))
    found.busy = time.process_time() - began
    return found


def outcome(plan: Plan) -> tuple[str, str, str]:
    """In such a process: the law that a plan breaks, how, and the digest of its run."""
    from tests.sim.runner import run

    ended = run(plan)
    return ended.law, ended.how, ended.digest


def first_failure(
    seeds: Iterable[int], planted: str, *, several: bool = False, thieves: bool = False
) -> tuple[int, str]:
    """In such a process: the first of the seeds that finds a planted bug, and the law; 0 and nothing in vain.

    `several`: only where somebody has several terminals can the bug show, and only these are run. `thieves`:
    only where somebody has a thief, and else only where nobody has one.
    """
    from tests.sim.runner import run

    _plant(planted)
    for plan in map(draw, seeds):
        meets = thieves == any(step.kind == "steal" for step in plan.steps)
        if meets and (plan.devices or not several) and (law := run(plan).law):
            return plan.seed, law
    return 0, ""


def smallest(seed: int, law: str, planted: str = "") -> str:
    """In such a process: the plan of a seed, shrunk as long as this law fails, as Python."""
    from tests.sim.runner import run
    from tests.sim.shrink import shrink

    _plant(planted)
    return str(shrink(draw(seed), lambda plan: run(plan).law == law))


def _plant(name: str) -> None:
    """Once per process: a bug is planted for good."""
    if name and name not in _planted:
        from tests.sim.planted import PLANTED

        _planted.append(name)
        PLANTED[name]()


def portions(runs: int, seed: int, workers: int, planted: str = "") -> Iterator[Found]:
    """Found of each portion, in the order of their seeds."""
    firsts = range(seed, seed + runs, PORTION)
    sizes = [min(PORTION, seed + runs - first) for first in firsts]
    together = workers * TASKS_PER_PROCESS
    for start in range(0, len(sizes), together):
        some = slice(start, start + together)
        with pool(workers) as processes:
            yield from processes.map(portion, firsts[some], sizes[some], [planted] * len(sizes[some]))


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes whose hashes are the same in every run."""
    before = os.environ.get(HASHES)
    os.environ[HASHES] = HASH_SEED
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, context) as processes:
            yield processes
    finally:
        if before is None:
            del os.environ[HASHES]
        else:
            os.environ[HASHES] = before


def table(cells: Counter[tuple[str, str]]) -> str:
    """Faults by steps of the flow: how often one struck while the other went on."""
    lines = [f"{'':12}" + "".join(f"{step:>9}" for step in FLOW)]
    for fault in FAULTS:
        lines += [f"{fault:12}" + "".join(f"{cells[fault, step] or '-':>9}" for step in FLOW)]
    return "\n".join(lines)


def empty(cells: Counter[tuple[str, str]]) -> list[str]:
    """The cells in which nothing was seen."""
    return [f"{fault} × {step}" for fault in FAULTS for step in FLOW if not cells[fault, step]]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make sim")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--planted", default="", help="a bug of tests/sim/planted.py")
    parser.add_argument("--no-shrink", action="store_true")
    chosen = parser.parse_args(arguments)
    began, total = time.monotonic(), Found([], Counter(), Counter(), 0.0, 0)
    for found in portions(chosen.runs, chosen.seed, chosen.workers, chosen.planted):
        for seed, law, how in found.failures:
            say(f"seed {seed}: {law}: {how.splitlines()[0]}\n  drawn: {draw(seed).options()}")
        total.failures += found.failures
        total.cells += found.cells
        total.counts += found.counts
        total.busy += found.busy
        total.runs += found.runs
        if total.runs % SAID_EVERY == 0:
            say(f"{total.runs} runs, {len(total.failures)} failed")
    report(total, time.monotonic() - began)
    if total.failures and not chosen.no_shrink:
        _shrink(total.failures, chosen.planted)
    return 1 if total.failures else 0


def report(total: Found, seconds: float) -> None:
    say(table(total.cells))
    say(f"empty cells: {', '.join(empty(total.cells)) or 'none'}")
    say("counts: " + ", ".join(f"{name} {number}" for name, number in sorted(total.counts.items())))
    rate = total.runs / total.busy if total.busy else 0.0
    say(
        f"{total.runs} runs, {len(total.failures)} failed, in {seconds:.0f} s;"
        f" {rate:.1f} runs per second of one core"
    )


def _shrink(failures: Sequence[tuple[int, str, str]], planted: str) -> None:
    """One failure per law, the first, as a test case."""
    by_law: dict[str, int] = {}
    for seed, law, _ in failures:
        by_law.setdefault(law, seed)
    with pool(1) as processes:
        for law, seed in list(by_law.items())[:SHRUNK_MOST]:
            plan = processes.submit(smallest, seed, law, planted).result()
            say(f"seed {seed}, the law {law!r}, shrunk, for tests/sim/test_found.py:\n{plan}")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
