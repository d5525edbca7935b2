"""Fuzzing that coverage guides: `python -m tests.fuzz.run SECONDS [TARGET…]`; the targets share the time.

Each target runs in a process of its own under libFuzzer. Findings go to .fuzz, and the status is then 1.
"""

from __future__ import annotations

import io
import os
import re
import resource
import sys
import time
from base64 import b64encode
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tests.architecture.imports import ROOT
from tests.fuzz.mutate import mutated

if TYPE_CHECKING:
    # What is fuzzed is imported later, under instrumentation.
    from tests.fuzz.target import Target

SEEDS: Final = ROOT / "seeds" / "fuzz"
SCRATCH: Final = ROOT / ".fuzz"
BROKEN: Final = SCRATCH / "broken"
MEMORY_MB: Final = 256
"""What a target may take above what the program itself takes; an input is at most some kilobytes."""
ONE_INPUT_SECONDS: Final = 20
SLOW_WEIGHS: Final = 3
"""Shares of the time that a target gets whose runs take milliseconds."""
_GROWN: Final = re.compile(r"cov: (\d+) .*corp: (\d+)/")
_TOLD: Final = re.compile(r"^runs: (\d+)$", re.MULTILINE)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def limit_memory() -> None:
    """An input that claims much must not get it, touched or not: MemoryError is none of a target's errors."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + (MEMORY_MB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _fuzz(atheris: Any, name: str, target: Target, seconds: float) -> NoReturn:
    """Fuzz until the time is over; ends the process."""
    deadline, runs = time.monotonic() + seconds, 0

    def one(data: bytes) -> None:
        nonlocal runs
        runs += 1
        target.accepts(data)
        if time.monotonic() >= deadline:
            os.write(2, b"runs: %d\n" % runs)
            os._exit(0)

    def change(data: bytes, size: int, number: int) -> bytes:
        return mutated(data, size, Random(number), atheris.Mutate)

    limit_memory()
    options = [
        f"-artifact_prefix={BROKEN / name}/",
        f"-max_total_time={int(seconds) + 2 * ONE_INPUT_SECONDS}",
        f"-timeout={ONE_INPUT_SECONDS}",
        f"-rss_limit_mb={4 * MEMORY_MB}",
        f"-malloc_limit_mb={MEMORY_MB}",
    ]
    atheris.Setup([sys.argv[0], str(SCRATCH / name), str(SEEDS / name), *options], one, custom_mutator=change)
    atheris.Fuzz()
    os._exit(1)


@dataclass(frozen=True)
class Outcome:
    """How a target's process ended and what it wrote."""

    name: str
    status: int
    log: str

    def line(self, seconds: float) -> str:
        """The progress line."""
        edges, inputs = (_GROWN.findall(self.log) or [("0", "0")])[-1]
        runs = int((_TOLD.findall(self.log) or ["0"])[-1])
        verdict = f"{runs:>9,} runs, {inputs:>4} inputs, {edges:>4} edges" if self.status == 0 else "BROKEN"
        return f"{self.name:<24}{seconds:6.1f} s  {verdict}"

    def report(self, begun: float) -> str:
        """What was raised, and how to see it again."""
        _, raised, said = self.log.partition("=== Uncaught Python exception: ===")
        text = said.partition("\n==")[0].strip() if raised else self.log[-2_000:].strip()
        found = [path for path in (BROKEN / self.name).iterdir() if path.stat().st_mtime >= begun]
        again = [
            f"python -m tests.fuzz.again {self.name} {path.relative_to(ROOT)}\n"
            f"its bytes in Base64: {b64encode(path.read_bytes()).decode()}"
            for path in found
        ]
        return "\n".join([text, *again, f"The fuzzer's process ended with status {self.status}."])


def _outcome(atheris: Any, name: str, target: Target, seconds: float) -> Outcome:
    for folder in (SCRATCH / name, BROKEN / name):
        folder.mkdir(parents=True, exist_ok=True)
    log = SCRATCH / f"{name}.log"
    child = os.fork()
    if child == 0:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        _fuzz(atheris, name, target, seconds)
    _, status = os.waitpid(child, 0)
    text = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    return Outcome(name, os.waitstatus_to_exitcode(status), text)


def _without_atheris() -> int:
    say("make fuzz needs atheris, which does not install on this Python or machine: nothing was fuzzed.")
    return int(os.environ.get("CI") == "true")


def main(seconds: str, *chosen: str) -> int:
    try:
        import atheris
    except ImportError:
        return _without_atheris()
    with redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["protocol", "chat"]):
        from tests.fuzz.targets import TARGETS
    weights = {name: SLOW_WEIGHS if TARGETS[name].slow else 1 for name in chosen or TARGETS}
    share, broken = float(seconds) / sum(weights.values()), 0
    for name, weight in weights.items():
        begun, wall = time.monotonic(), time.time()
        outcome = _outcome(atheris, name, TARGETS[name], share * weight)
        say(outcome.line(time.monotonic() - begun))
        if outcome.status != 0:
            broken += 1
            say(outcome.report(wall - 1))
    say(f"{len(weights)} targets, {broken} broken")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
