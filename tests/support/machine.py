"""What tests need of the machine, and which of them may share it."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.architecture.imports import ROOT


def _needs_tool(name: str) -> None:
    if shutil.which(name) is None:
        _left_out(f"{name} is not installed")


def needs_root_network() -> None:
    """Network namespaces, a bridge and packet filters on this machine (Linux, as root)."""
    if reason := _network_obstacle():
        _left_out(reason)


def needs_tmux() -> None:
    """tmux, which plays the terminal, and Linux's handles on processes, which end it."""
    _needs_tool("tmux")
    if not hasattr(os, "pidfd_open"):
        _left_out("the terminal's programs are ended by Linux's process handles")


needs_nft = functools.partial(_needs_tool, "nft")
needs_dpkg = functools.partial(_needs_tool, "dpkg-deb")
needs_strace = functools.partial(_needs_tool, "strace")
needs_bash = functools.partial(_needs_tool, "bash")
needs_zsh = functools.partial(_needs_tool, "zsh")
needs_fish = functools.partial(_needs_tool, "fish")
needs_man = functools.partial(_needs_tool, "man")
needs_mandoc = functools.partial(_needs_tool, "mandoc")
needs_dbus = functools.partial(_needs_tool, "dbus-daemon")


def needs_nats() -> None:
    """nats-server, and the client library of the extra `nats`."""
    _needs_tool("nats-server")
    if importlib.util.find_spec("nats") is None:
        _left_out("the extra `nats` is not installed")


def needs_maude() -> None:
    """maude, which searches the symbolic models."""
    _needs_tool("maude")


def needs_process_memory() -> None:
    """/proc/PID/mem of a process that the test started (Linux)."""
    if not Path("/proc/self/mem").exists():
        _left_out("the memory of processes cannot be read here")


def needs_confinement() -> None:
    """What a process takes from itself for good: Landlock, limits and the like are Linux's."""
    if sys.platform != "linux":
        _left_out("a process cannot confine itself here as it can on Linux")


def needs_rtnetlink() -> None:
    """Sockets that report interfaces and routes (Linux)."""
    if not hasattr(socket, "AF_NETLINK"):
        _left_out("interfaces and routes cannot be read here")


def needs_unix_sockets() -> None:
    """Sockets with a path and a mode, which CPython does not have on Windows."""
    if not hasattr(socket, "AF_UNIX"):
        _left_out("there are no unix sockets here")


def needs_names_of_descriptors() -> None:
    """/proc/self/fd, by which a socket has a short name wherever it lies (Linux)."""
    if not Path("/proc/self/fd").is_dir():
        _left_out("a socket's path is bounded here")


def needs_pseudo_terminals() -> None:
    """Both ends of a terminal in one program: not on Windows."""
    if not hasattr(os, "openpty"):
        _left_out("there are no pseudo-terminals here")


def needs_files_of_posix() -> None:
    """Files that are removed while they are open, and folders that are synced: not on Windows."""
    if sys.platform == "win32":
        _left_out("what is open cannot be removed here")


def needs_limits() -> None:
    """Limits of a process, such as that of open descriptors: not on Windows."""
    if sys.platform == "win32":
        _left_out("a process has no limits here")


def needs_clock_steps() -> None:
    """A descriptor that tells steps of the wall clock (Linux)."""
    if sys.platform != "linux":
        _left_out("only Linux tells steps of its clock")


def needs_public_vectors() -> Path:
    """The folder of published vectors, named by PARLOUR_PUBLIC_VECTORS."""
    return _folder("PARLOUR_PUBLIC_VECTORS", "published vectors")


def needs_models() -> Path:
    """The folder of models of person log and group, named by PARLOUR_MODELS."""
    return _folder("PARLOUR_MODELS", "models")


def _folder(variable: str, contents: str) -> Path:
    named = os.environ.get(variable, "")
    if not named or not Path(named).is_dir():
        _left_out(f"{variable} does not name the folder of {contents}: {named!r}")
    return Path(named)


def needs_node_packages(folder: Path) -> None:
    """Node.js, and the packages that the lock in `folder` names: installed there when they are not yet."""
    _needs_tool("node")
    if (folder / "node_modules" / ".package-lock.json").is_file():
        return
    _needs_tool("npm")
    told = subprocess.run(_NPM_CI, cwd=folder, capture_output=True, text=True, check=False)
    if told.returncode:
        _left_out(f"the packages of Node.js cannot be installed: {told.stderr.partition(chr(10))[0]}")


# The lock alone decides what is installed. Where no registry answers, that shows within half a minute.
_NPM_CI = (
    "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
    "--fetch-timeout=10000", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=4000",
)  # fmt: skip


def make_folders_in_memory() -> None:
    """Make temporary folders in memory where that has room (Linux): a disk is what most tests wait for.

    What they ask of a sync is that it is called, and in which order, which is the same there. TMPDIR wins.
    """
    if "TMPDIR" not in os.environ and _room_in_memory() >= _ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)


def _room_in_memory() -> int:
    """Bytes that files in memory may take here, and 0 where programs cannot be started from there."""
    try:
        place = os.statvfs(_MEMORY)
        told = Path("/proc/meminfo").read_text(encoding="ascii")
    except (AttributeError, OSError):
        return 0
    available = int(told.partition("MemAvailable:")[2].split()[0]) * 1024
    return 0 if place.f_flag & os.ST_NOEXEC else min(available, place.f_bavail * place.f_frsize)


@functools.cache
def _network_obstacle() -> str:
    """Why there can be no lab here, or nothing."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "iptables", "ip6tables"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    name = f"parlour-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        return f"network namespaces cannot be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return ""


def _left_out(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true" and sys.platform == "linux":
        pytest.fail(f"on Linux nothing is left out under CI: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


_MEMORY: Final = Path("/dev/shm")
_ROOM: Final = 6 << 30
MACHINE: Final = "machine"
CRASH: Final = "tests/crash"
_PROGRAMS: Final = ("tests/e2e/", "tests/interop/")
_MARKS: Final = ("mark.network", "mark.terminal", "mark.crash")
_LONG: Final = (
    MACHINE,
    CRASH,
    "tests/tui/test_table.py",
    "tests/unit/protocol/test_planted_changes.py",
    "tests/sim/test_planted.py",
    "tests/sim/test_simulation.py",
    "tests/integration/test_stateful_engines.py",
    "tests/integration/test_event_loop.py",
)
"""The longest shares, longest first: one of them that begins last would end alone.

Of the others, those of the most tests begin first. So a share of few tests is named here if it takes long.
"""


class Shares(LoadScopeScheduling):  # type: ignore[misc]  # no types are published
    """A share for what needs the machine, one for crashes in hosts of their own, one per other file.

    The machine: namespaces, terminals, and whole programs on its own network, which find each other there.
    """

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid.partition("::")[0])

    def _assign_work_unit(self, node: Any) -> None:
        longest = next((share for share in _LONG if share in self.workqueue), None)
        if longest is not None:
            self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


@functools.cache
def share_of(file: str) -> str:
    """The share of a test file, by its path from the project's root."""
    if file.startswith(f"{CRASH}/"):
        return CRASH
    if file.startswith(_PROGRAMS):
        return MACHINE
    text = (ROOT / file).read_text(encoding="utf-8")
    return MACHINE if any(mark in text for mark in _MARKS) else file
