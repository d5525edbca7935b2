"""`make platforms`: the tests that need only Python, as if this machine ran macOS and Windows."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from tests.architecture.imports import ROOT

FAST: Final = "not (network or terminal or crash or slow)"
_STORED: Final = (
    *("amending", "bursts", "claims", "damage", "database", "deletion", "entries", "erasing", "expiry"),
    *("header", "new_file", "pieces", "pieces_attacked", "unused_space", "vault"),
)
_FLOWS: Final = (
    *("control", "control_socket", "door", "engine_contract", "file_deletion", "file_names", "files"),
    "two_engines",
)
PORTABLE: Final = (
    "tests/unit/test_outgoing.py",
    *(f"tests/unit/storage/test_{name}.py" for name in _STORED),
    *(f"tests/integration/test_{name}.py" for name in _FLOWS),
)
"""What stores, locks, renames, connects or waits. What computes alone is the same on each system."""

SLICE: Final = (
    *("tests/integration/test_control_socket.py", "tests/unit/storage/test_header.py"),
    *("tests/unit/storage/test_new_file.py", "tests/unit/storage/test_vault.py"),
)
"""What differs most, in a few seconds."""


def command(system: str, *tests: str) -> list[str]:
    """The tests on a simulated system, in one process."""
    plugin = ("-p", "no:xdist", "-p", "tests.support.platforms.plugin", "--system", system)
    return [sys.executable, "-m", "pytest", "-q", "-m", FAST, *plugin, *tests]


def main() -> int:
    """0 where they pass. Two systems at once: each keeps one core busy. `--here`: as on this one alone."""
    systems = ("linux",) if sys.argv[1:] == ["--here"] else ("macos", "windows")
    running = {name: subprocess.Popen(command(name, *PORTABLE), cwd=ROOT) for name in systems}
    failed = [name for name, process in running.items() if process.wait()]
    if failed:
        sys.stdout.write(f"The tests fail as on {' and '.join(failed)}.\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
