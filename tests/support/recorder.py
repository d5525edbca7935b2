"""A program in place of a recorder: it writes real samples into a real pipe, and needs no sound card."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Final

import pytest

A_SECOND: Final = 32_000
"""Bytes of a second of sound."""


def put_recorder(
    folder: Path,
    patch: pytest.MonkeyPatch,
    seconds: float = 2.5,
    name: str = "arecord",
    *,
    lasts: bool = True,
) -> Path:
    """Let `name` alone be installed: it gives so many seconds of sound at once, and then records silence.

    `lasts`: it goes on until it is ended. The file that is returned has its arguments, a line each.
    """
    folder.mkdir(exist_ok=True)
    told = folder / f"{name}.told"
    program = folder / name
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, signal, sys\n"
        f"pathlib.Path({str(told)!r}).write_text('\\n'.join(sys.argv[1:]))\n"
        f"sys.stdout.buffer.write(bytes(range(256)) * {int(seconds * A_SECOND) // 256})\n"
        "sys.stdout.buffer.flush()\n"
        + ("signal.pause()\n" if lasts else "sys.exit('arecord: no soundcards found...')\n")
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    patch.setenv("PATH", str(folder))
    return told
