"""`make pythons`: the tests on each Python of this machine that pyproject.toml admits, warnings as errors.

Each gets an environment of its own under that of the project. `--newest`: only the newest one, and only the
fast tests; nothing where the project's own environment has that one already.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.architecture.imports import ROOT

FAST: Final = "not (network or terminal or crash or slow)"
FEW: Final = (
    *(
        "tests/unit/protocol/test_link.py",
        "tests/unit/service/test_states.py",
        "tests/unit/cli/test_program.py",
    ),
    *(
        "tests/unit/tui/test_composer.py",
        "tests/unit/relay/test_backplane.py",
        "tests/unit/test_platforms.py",
    ),
    "tests/integration/test_two_engines.py",
)
"""What differs most from one Python to the next: event loop, terminal, program, and the libraries below."""

_ENVIRONMENTS: Final = Path(".venv/pythons")
_ASK: Final = "import ensurepip, sys, venv; print(*sys.version_info[:3])"


class Python(NamedTuple):
    version: tuple[int, int, int]
    program: str

    @property
    def minor(self) -> str:
        return "{}.{}".format(*self.version)


def bounds() -> tuple[tuple[int, int], tuple[int, int]]:
    """The first version that is admitted, and the first that is too new."""
    required = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first, end = re.findall(r"(\d+)\.(\d+)", required["requires-python"])
    return (int(first[0]), int(first[1])), (int(end[0]), int(end[1]))


def pythons(programs: Iterable[str]) -> list[Python]:
    """The newest of each minor version that is admitted, starts and can make environments; oldest first."""
    first, end = bounds()
    found = dict[tuple[int, int], Python]()
    for program in programs:
        version = _version(program)
        if version is None or not first <= version[:2] < end:
            continue
        known = found.get(version[:2])
        if known is None or version > known.version:
            found[version[:2]] = Python(version, program)
    return [found[minor] for minor in sorted(found)]


def _version(program: str) -> tuple[int, int, int] | None:
    """None for what does not start: a version manager's shim may be there and not start."""
    try:
        ran = subprocess.run([program, "-c", _ASK], capture_output=True, text=True, timeout=60, check=False)
        major, minor, micro = map(int, ran.stdout.split())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return major, minor, micro


def programs() -> Iterator[str]:
    """Every Python 3 that a path or a version manager names."""
    first, end = bounds()
    names = ["python3", *(f"python3.{minor}" for minor in range(first[1], end[1]))]
    folders = [Path(folder) for folder in os.get_exec_path()]
    yield from (str(folder / name) for folder in folders for name in names if (folder / name).exists())
    for root in (_told("pyenv", "root"), _told("uv", "python", "dir")):
        if root:
            yield from map(str, sorted(Path(root).glob("versions/*/bin/python3")))
            yield from map(str, sorted(Path(root).glob("*/bin/python3")))


def _told(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def run(python: Python, tests: Iterable[str], workers: str) -> bool:
    """Whether the tests pass on this Python, in an environment with what the locks name."""
    environment = _ENVIRONMENTS / python.minor
    make = ["make", "--no-print-directory", f"VENV={environment}", f"PYTHON={python.program}", "env"]
    if subprocess.run(make, cwd=ROOT, check=False).returncode:
        return False
    pytest = [str(environment / "bin" / "python"), "-m", "pytest", "-q", "-m", FAST]
    spread = ["--numprocesses", workers, "--dist", "worksteal"]
    return subprocess.run([*pytest, *spread, *tests], cwd=ROOT, check=False).returncode == 0


def main() -> int:
    """0 where the tests pass on every one of them."""
    parser = argparse.ArgumentParser(prog="make pythons")
    parser.add_argument("--newest", action="store_true")
    parser.add_argument("--workers", default="2")
    given = parser.parse_args()
    found = pythons(programs())
    if given.newest:
        found = [one for one in found[-1:] if one.version[:2] > sys.version_info[:2]]
    if not found:
        _say("No Python besides that of the project is here.")
    failed = []
    for one in found:
        _say(f"Python {'.'.join(map(str, one.version))}:")
        if not run(one, FEW if given.newest else (), given.workers):
            failed.append(one.minor)
    if failed:
        _say(f"The tests fail on Python {', '.join(failed)}.")
    return bool(failed)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
