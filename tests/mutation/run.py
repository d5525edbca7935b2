"""Changes one place of the code at a time, and reports which changes no test notices.

`make mutate N=200 SEED=1` draws N places of `protocol/` (without vectors) and of the engine's storage,
network and service. README.md describes how. Status 1: the tests notice fewer than 95 % of the changes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from tests.mutation.lines import Lines, key_of
from tests.mutation.mutants import MUTATED, ROOT, Mutant, all_mutants, equivalent
from tests.mutation.plugin import CHOSEN, LINES, SOURCES

LEAST: Final = 0.95
HANG_SECONDS: Final = 120
"""The longest time of one test of a change. A change that hangs is noticed."""
RUN_SECONDS: Final = 3600
"""The longest time of all tests of a change."""

NEAR: Final = {
    "protocol/relay": ("tests/unit/protocol/", "tests/unit/relay/"),
    "protocol": ("tests/unit/protocol/",),
    "chat/storage": ("tests/unit/storage/", "tests/unit/service/"),
    "chat/network": ("tests/unit/network/",),
    "chat/service": ("tests/unit/service/", "tests/integration/"),
}
"""The tests of a folder. A change meets all that run its line, and FAR_SECONDS of other tests that do."""
FAR_SECONDS: Final = 60
READ_SOURCE: Final = ("tests/architecture/test_declarations.py", "tests/architecture/test_spec.py")
"""Tests that read the code that runs at import."""
TESTS: Final = (
    *(f"tests/unit/{area}" for area in ("protocol", "storage", "network", "service", "relay", "cli")),
    "tests/integration",
    *READ_SOURCE,
)
SERIAL: Final = "not (network or terminal or crash or slow)"
"""Tests that share no resource of the machine, so that several copies run at the same time."""


def run_tests(
    folder: Path, tests: list[str], environment: Mapping[str, str], *options: str, most: float | None = None
) -> int:
    """Pytest's status in a copy of the project; 1 after `most` seconds."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.mutation.plugin"]
    command += ["-m", SERIAL, *options, *tests]
    # Under CI, Hypothesis draws the same inputs each time.
    environment = {**os.environ, "PYTHONPATH": str(folder), "CI": "true", **environment}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        try:
            return run.wait(most)
        except subprocess.TimeoutExpired:
            return 1
        finally:
            # A test that was ended leaves its processes.
            with suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)


def lines_of(folder: Path, kept: Path, workers: int) -> Lines:
    """Which tests run which lines, recorded in a copy of the project unless `kept` has it already."""
    key = key_of(folder, (*MUTATED, "tests"))
    if not (kept / key).exists():
        say("Recording which tests run which lines.")
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        environment = {LINES: str(kept), SOURCES: ",".join(MUTATED)}
        # On a busy machine a test may last long. The end of a worker would leave the others waiting for ever.
        unlimited = ("-o", "faulthandler_timeout=0")
        run_tests(
            folder, list(TESTS), environment, f"-n{workers}", "--continue-on-collection-errors", *unlimited
        )
        (kept / key).touch()
    lines = Lines(kept)
    say(f"{len(lines.seconds)} tests are recorded.")
    return lines


def chosen_tests(mutant: Mutant, lines: Lines) -> list[str]:
    """The tests that run the changed place: near ones first, and of these the quickest."""
    near = next(tests for name, tests in NEAR.items() if mutant.path.startswith(name))
    chosen = lines.tests(mutant.path, mutant.lines)
    # A module that a test imports first runs in that test's name.
    if not mutant.lines or (not chosen and lines.runs_at_import(mutant.path, mutant.lines)):
        near = (*READ_SOURCE, *near)
        chosen = lines.within(READ_SOURCE) | (lines.tests(mutant.path) or lines.within(near))
    ordered = sorted(chosen, key=lines.seconds.__getitem__)
    far = [test for test in ordered if not test.startswith(near)]
    until = itertools.accumulate(lines.seconds[test] for test in far)
    return [test for test in ordered if test.startswith(near)] + [
        test for test, seconds in zip(far, until, strict=True) if seconds <= FAR_SECONDS
    ]


def is_noticed(mutant: Mutant, lines: Lines, folders: SimpleQueue[Path]) -> bool:
    """Whether a test notices a change, tried in one of the copies."""
    tests = chosen_tests(mutant, lines)
    if not tests:
        return False
    folder = folders.get()
    chosen = folder / "chosen"
    chosen.write_text("\n".join(tests), encoding="utf-8")
    files = sorted({test.partition("::")[0] for test in tests})
    try:
        with mutant.applied(folder):
            hang = f"faulthandler_timeout={HANG_SECONDS}"
            environment = {CHOSEN: str(chosen)}
            status = run_tests(folder, files, environment, "-x", "-n0", "-o", hang, most=RUN_SECONDS)
    finally:
        folders.put(folder)
    # Pytest's 5: the change left none of these tests, so none has noticed it.
    return status not in (0, 5)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def copy_project(into: Path) -> Path:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, into / name)
    return into


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    # A shell lets a command in the background ignore these, and tests that send them would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for one in (signal.SIGQUIT, signal.SIGHUP):
        signal.signal(one, signal.SIG_DFL)
    candidates, listed = all_mutants(), equivalent()
    # Drawn from all, so that a new line in the list does not change which are drawn.
    drawn = random.Random(options.seed).sample(candidates, min(options.number, len(candidates)))
    drawn = [mutant for mutant in drawn if mutant.listed not in listed]
    survivors = []
    with tempfile.TemporaryDirectory(prefix="parlour-mutants-") as folder:
        folders: SimpleQueue[Path] = SimpleQueue()
        copies = [copy_project(Path(folder, str(number))) for number in range(options.workers)]
        lines = lines_of(copies[0], ROOT / "build/mutation", options.workers)
        for copy in copies:
            folders.put(copy)
        with ThreadPoolExecutor(options.workers) as pool:
            outcomes = pool.map(lambda mutant: is_noticed(mutant, lines, folders), drawn)
            for number, (mutant, noticed) in enumerate(zip(drawn, outcomes, strict=True), 1):
                say(f"{number}/{len(drawn)} {'noticed ' if noticed else 'SURVIVED'} {mutant}")
                if not noticed:
                    survivors.append(mutant)
    share = 1 - len(survivors) / len(drawn)
    say(f"{len(drawn) - len(survivors)} of {len(drawn)} changes noticed, {share:.1%} (least {LEAST:.0%})")
    for mutant in survivors:
        say(f"- `{mutant.listed}`: ")
    return 0 if share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
