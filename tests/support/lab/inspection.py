"""Inspection of a process from outside: system calls by strace, memory, and SQLCipher pages."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from chat.tools.prove.search import (
    _SALT,
    NEEDLE_MIN,
    PAGE,
    Stored,
    _PageCipher,
    _read,
    _regions,
    search_memory,
)
from tests.architecture.imports import ROOT


def which_are_held(pid: int, needles: Iterable[bytes]) -> set[bytes]:
    """Those of many needles, each random and of 16 bytes or more, that are in memory the process can write.

    Raises OSError as `copies` does.
    """
    return set(search_memory(pid, needles).held)


def copies(pid: int, needle: bytes) -> int:
    """How often `needle` occurs in readable memory of the process.

    Raises OSError when the process is gone or does not let itself be read, ValueError for a short needle.
    """
    if len(needle) < NEEDLE_MIN:
        raise ValueError("a needle under 16 bytes may be anywhere by chance")
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        return sum(_in_region(memory, start, end, needle) for start, end in _regions(pid))


def _in_region(memory: BinaryIO, start: int, end: int, needle: bytes) -> int:
    """Read in steps that overlap by less than a needle, so that none is missed and none counted twice."""
    found, before = 0, b""
    for block in _read(memory, start, end):
        found += (before + block).count(needle)
        before = (before + block)[1 - len(needle) :]
    return found


_TRACED: Final = "%file,%desc,accept4,connect,memfd_create,mq_open,open_by_handle_at,io_uring_setup"
_FLAGS: Final = "O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE"
_OPENS: Final = r"open|openat|openat2|open_by_handle_at|mq_open"
# Names of files made, changed or removed; memory that is a file; and a queue of calls that strace cannot see.
_ALWAYS: Final = (
    r"creat|mkdir\w*|rename\w*|link\w*|symlink\w*|unlink\w*|rmdir|mknod\w*|f?truncate\w*|fallocate|memfd_create"
    r"|io_uring_setup|connect"
)
_WRITING: Final = re.compile(rf"\b(?:(?:{_OPENS})\(.*(?:{_FLAGS})|(?:{_ALWAYS})\()")


def traced(log: Path) -> list[str]:
    """The command before a program's own that writes its calls into a file."""
    return ["strace", "-D", "-f", "-qq", "-o", str(log), "-e", f"trace={_TRACED}"]


def writing(log: Path) -> list[str]:
    """The calls that open a file for writing, make, change or remove one, or connect anywhere."""
    return [line for line in log.read_text(errors="replace").splitlines() if _WRITING.search(line)]


def residues(database: Path, key: bytes, needle: bytes) -> list[str]:
    """The places where `needle` stands: pages and frames by number, and files that hold it in clear.

    `key` is the raw 32-byte key, not a passphrase. Raises Unreadable. SQLite's FTS5 compresses terms by
    their common beginning, so the tail of a word must be searched for too.
    """
    stored = Stored.read(database)
    cipher, pages = _PageCipher(key, stored.data[:_SALT]), len(stored.data) // PAGE
    places = [
        place
        for place, number, page in stored.sealed()
        if needle in _plain(cipher, place, [number, *range(1, pages + 1)], page)
    ]
    raw = {database.name: stored.data, f"{database.name}-wal": stored.wal}
    return places + [f"{name} in clear" for name, content in raw.items() if needle in content]


def _plain(cipher: _PageCipher, place: str, numbers: Iterable[int], page: bytes) -> bytes:
    """A page by the first number that fits: a program that died may have written the header of a frame alone,
    in front of an older page or of none."""
    if len(page) < PAGE:
        return b""
    number = next((number for number in numbers if cipher.fits(number, page)), 0)
    return cipher.open(number, page, place)


WRITER = (sys.executable, "-m", "tests.support.storage.writer")


def run(command: Sequence[str], *strace: str, trace: str = "/dev/null") -> subprocess.CompletedProcess[str]:
    """Run to its end, whatever that is. `strace` are options of strace."""
    line = ["strace", "-qq", "-o", trace, *strace, *command]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


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
