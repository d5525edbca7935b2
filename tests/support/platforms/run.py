"""`make platforms`: the tests that need only Python, as if this machine ran macOS and Windows."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from tests.architecture.imports import ROOT

FAST: Final = "not (network or terminal or crash or slow)"
_FLOWS: Final = (
    *("control", "control_socket", "door", "engine_contract", "two_engines", "backup", "salvage"),
    *("damaged_profiles", "file_deletion", "files", "keyring_of_a_profile", "stopping"),
)
PORTABLE: Final = (
    *("tests/unit/service", "tests/unit/storage", "tests/unit/test_outgoing.py"),
    *(
        "tests/unit/tui/test_preferences.py",
        "tests/unit/cli/test_output.py",
        "tests/unit/network/test_watch.py",
    ),
    *(f"tests/integration/test_{name}.py" for name in _FLOWS),
)
SLICE: Final = (
    *("tests/integration/test_control_socket.py", "tests/unit/storage/test_header.py"),
    *("tests/unit/storage/test_new_file.py", "tests/unit/storage/test_vault.py"),
)
"""What differs most, in a few seconds."""


_OF_POSIX: Final = ("tests/unit/storage/test_crash.py", "tests/unit/storage/test_faults.py")
"""They end programs by signals, and fill disks by limits of a process."""


def command(system: str, *tests: str) -> list[str]:
    """The tests on a simulated system, in one process."""
    plugin = ("-p", "no:xdist", "-p", "tests.support.platforms.plugin", "--system", system)
    windows = system == "windows" or sys.platform == "win32"
    left_out = [f"--ignore={path}" for path in _OF_POSIX if windows]
    return [sys.executable, "-m", "pytest", "-q", "-m", FAST, *plugin, *left_out, *tests]


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
