"""Plays systemctl: keeps what it was asked in a file, and runs what a unit says as systemd reads it.

STATE/log has the lines; STATE/pid the process that runs; STATE/enabled is there while the unit is enabled.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


def words(line: str) -> list[str]:
    """The words of ExecStart: in double quotes, with backslashes, %% and $$."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
    plain = [re.sub(r"\\(.)", r"\1", one).replace("%%", "%") for one in found]
    return [plain[0], *(one.replace("$$", "$") for one in plain[1:])]


def main(state: Path, arguments: list[str]) -> int:
    with (state / "log").open("a") as log:
        log.write(" ".join(arguments) + "\n")
    pid, enabled = state / "pid", state / "enabled"
    units = Path(os.environ["XDG_CONFIG_HOME"]) / "systemd" / "user"
    match [one for one in arguments if not one.startswith("-")]:
        case ["restart", name]:
            line = re.search(r"^ExecStart=(.*)$", (units / name).read_text(), re.MULTILINE)
            assert line is not None
            null = subprocess.DEVNULL
            started = subprocess.Popen(
                words(line[1]), stdin=null, stdout=null, stderr=null, start_new_session=True
            )
            pid.write_text(str(started.pid))
        case ["enable", _]:
            enabled.touch()
        case ["disable", _]:
            enabled.unlink(missing_ok=True)
            if pid.exists():
                with suppress(ProcessLookupError):
                    os.kill(int(pid.read_text()), signal.SIGTERM)
                pid.unlink()
        case ["is-enabled", _]:
            return 0 if enabled.exists() else 1
        case ["is-active", _]:
            return 0 if pid.exists() and Path(f"/proc/{pid.read_text()}").exists() else 3
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
