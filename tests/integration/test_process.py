"""What a process of Parlour leaves behind: nothing that others can read, no core file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHOW = """
import os, resource, sys
from pathlib import Path
from chat.assemble import door
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
if sys.argv[2] == "door":
    door(Path(sys.argv[1]) / "profile")
Path(sys.argv[1], "made").write_text("x")
print(resource.getrlimit(resource.RLIMIT_CORE)[0], oct(Path(sys.argv[1], "made").stat().st_mode & 0o777))
"""


def _shown(folder: Path, way: str) -> list[str]:
    command = [sys.executable, "-c", SHOW, str(folder), way]
    done = subprocess.run(command, capture_output=True, text=True, check=True, umask=0o022)
    return done.stdout.split()


def test_attack_78_no_core_file_is_written_and_no_file_is_open_to_others(tmp_path: Path) -> None:
    assert _shown(tmp_path, "door") == ["0", "0o600"]


def test_without_it_files_would_be_open_to_others(tmp_path: Path) -> None:
    assert _shown(tmp_path, "no door")[1] == "0o644"
