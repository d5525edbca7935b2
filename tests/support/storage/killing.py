"""Runs a command under strace, which kills it or makes its system calls fail at a chosen moment.

Rules: the command is started directly, so that its standard output is what it said before it died.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

WRITER = (sys.executable, "-m", "tests.support.storage.writer")
ROOT = Path(__file__).parents[3]


def run(command: Sequence[str], *strace: str, trace: str = "/dev/null") -> subprocess.CompletedProcess[str]:
    """Run to its end, whatever that is. `strace` are options of strace."""
    return subprocess.run(
        ["strace", "-qq", "-o", trace, *strace, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def killed_at(command: Sequence[str], call: str, number: int) -> list[str]:
    """The lines that a command said before kill -9 at its `number`-th system call of this name."""
    ran = run(command, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}")
    assert ran.returncode < 0 or ran.returncode == 137, f"lived on: {ran.returncode}, {ran.stderr}"
    return ran.stdout.splitlines()


def calls(command: Sequence[str], names: Sequence[str], folder: Path, *strace: str) -> Counter[str]:
    """How often a command makes each of these system calls when nothing stops it."""
    trace = folder / "trace"
    ran = run(command, *strace, "-e", f"trace={','.join(names)}", trace=str(trace))
    assert ran.returncode == 0, ran.stderr
    return Counter(line.split("(")[0] for line in trace.read_text().splitlines() if "(" in line)
