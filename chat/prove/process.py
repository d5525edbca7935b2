"""What another process has open and has written, as the kernel tells (Linux, /proc).

Rules: only what the kernel counts is said; what it means is said beside it, in the experiment.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_KINDS: Final = (
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISCHR, "terminal or device"),
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "folder"),
    (stat.S_ISBLK, "disk"),
)
_KEPT: Final = {"file", "disk"}
_LISTENING: Final = "0A"  # TCP_LISTEN of the kernel
_ADDRESS: Final = re.compile(rb"parlour-relay:[0-9a-z.:\[\]-]{1,100}:[0-9]{1,5}#[a-z2-7]{52}(?![a-z2-7])")
"""What a relay's address looks like in memory."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """One open descriptor: its number, what it leads to and of what kind that is."""

    number: int
    target: str
    kind: str
    writable: bool

    @property
    def keeps(self) -> bool:
        """Whether what is written to it would stay."""
        return self.writable and self.kind in _KEPT


@dataclass(frozen=True, slots=True)
class Written:
    """Bytes so far: `calls` by write and its like, but for sockets; `disk`: of those that reached a disk."""

    calls: int
    disk: int


def open_files(pid: int) -> list[OpenFile]:
    """Every descriptor that the process has open. Raises OSError where that cannot be seen."""
    return list(_open_files(Path(f"/proc/{pid}")))


def _open_files(place: Path) -> Iterator[OpenFile]:
    for link in sorted((place / "fd").iterdir(), key=lambda each: int(each.name)):
        with suppress(FileNotFoundError):  # it was closed meanwhile
            mode = link.stat().st_mode
            kind = next((name for test, name in _KINDS if test(mode)), "the kernel's own")
            told = (place / "fdinfo" / link.name).read_text()
            flags = int(re.findall(r"^flags:\s*([0-7]+)", told, re.MULTILINE)[0], 8)
            yield OpenFile(int(link.name), str(link.readlink()), kind, flags & os.O_ACCMODE != os.O_RDONLY)


def written(pid: int) -> Written:
    """What it has written so far. Raises OSError where that cannot be seen."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    told = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return Written(told["wchar"], told["write_bytes"])


def listening_ports(pid: int) -> set[int]:
    """The TCP ports at which it listens. Raises OSError."""
    sockets = {one.target for one in open_files(pid) if one.kind == "socket"}
    ports = set[int]()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def shared_files(pid: int) -> list[str]:
    """Files into which it could write as into memory. Raises OSError."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        _, mode, _, _, inode, *path = line.split(maxsplit=5)
        if "w" in mode and "s" in mode and inode != "0" and not path[0].startswith("/dev/zero"):
            found.append(path[0])
    return found


def file_size_limit(pid: int) -> int | None:
    """The most bytes of a file to which it writes, None where there is no limit. Raises OSError."""
    told = Path(f"/proc/{pid}/limits").read_text()
    found = re.findall(r"^Max file size\s+\d+\s+(\d+)", told, re.MULTILINE)
    return int(found[0]) if found else None


def swapped(pid: int) -> int:
    """Bytes of its memory that are on a disk now. Raises OSError."""
    found = re.findall(r"^VmSwap:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[0]) * 1024 if found else 0


def addresses_in(content: bytes) -> list[str]:
    """Addresses of relays that stand in a piece of memory."""
    return [found.decode("ascii") for found in _ADDRESS.findall(content)]
