"""The example of a systemd unit: what it takes from the program, which runs with that and is held as ever."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from chat.relay.quotas import Limits
from protocol.relay.states import WasAbsent
from tests.architecture.imports import ROOT
from tests.support.machine import needs_confinement, needs_strace
from tests.support.relay.in_process import token
from tests.support.relay.processes import relay
from tests.unit.relay.test_holds_nothing import joined, passes

UNIT = ROOT / "docs" / "parlour-relay.service"

# What systemd sets before the program's first line, of what a shell and Python can set as well.
AS_SYSTEMD_DOES = """
import ctypes, os, resource, sys
for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
    resource.setrlimit(limit, (0, 0))
library = ctypes.CDLL(None)
library.prctl(38, 1, 0, 0, 0)
library.prctl(65, 1, 0, 0, 0)
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.execv(sys.argv[1], sys.argv[1:])
"""


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def value(name: str) -> str:
    (only,) = settings()[name]
    return only


def test_it_takes_what_the_program_takes_from_itself_and_leaves_room_for_all_that_it_lets_in() -> None:
    assert (value("LimitFSIZE"), value("LimitCORE"), value("NoNewPrivileges")) == ("0", "0", "yes")
    assert "@sandbox" in settings()["SystemCallFilter"][0], "else Landlock itself is out of reach"
    assert value("MemorySwapMax") == "0"
    assert int(value("LimitNOFILE")) >= Limits().connections + 64


def test_the_program_runs_as_it_is_started_there(tmp_path: Path) -> None:
    needs_confinement()
    program, name, *options = value("ExecStart").split()
    assert (Path(program).name, name) == ("parlour", "relay")
    key = tmp_path / "relay.key"
    subprocess.run([sys.executable, "-m", "chat.cli", "relay", "--new-key", str(key)], cwd=ROOT, check=True)
    place = options.index("--key-file") + 1
    here = [re.sub(r":\d+$", ":0", option) for option in [*options[:place], str(key), *options[place + 1 :]]]
    with relay(*here, before=[sys.executable, "-c", AS_SYSTEMD_DOES]) as running:
        dialler, waiter = joined(running)
        assert passes(b"through", dialler, waiter)
        assert [line for line in running.said if line.startswith("LACKS") and "swap" not in line] == []
        assert running.end() == 0


def test_systemd_understands_it_and_allows_each_call_that_the_program_makes(tmp_path: Path) -> None:
    """Where systemd is; elsewhere only that the program's calls are seen at all."""
    needs_strace()
    log = tmp_path / "calls"
    with relay("--metrics", "127.0.0.1:0", before=["strace", "-D", "-f", "-qq", "-o", str(log)]) as running:
        running.terminal().welcomed().dial(token()).expect(WasAbsent)
        joined(running)
        assert running.end() == 0
    called = set(re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE))
    assert {"accept4", "landlock_restrict_self", "prlimit64"} <= called
    if shutil.which("systemd-analyze"):
        assert called - allowed() == set()
        unit = tmp_path / UNIT.name
        text = UNIT.read_text(encoding="utf-8")
        unit.write_text(text.replace("/opt/parlour/bin/parlour", sys.executable), encoding="utf-8")
        verify = ["systemd-analyze", "verify", str(unit)]
        told = subprocess.run(verify, capture_output=True, text=True, check=False)
        assert told.returncode == 0
        assert UNIT.name not in told.stderr


def allowed() -> set[str]:
    """The calls that the unit's filter lets through; each line with a tilde takes some away again."""
    told = subprocess.check_output(["systemd-analyze", "syscall-filter"], text=True)
    groups, members = dict[str, list[str]](), list[str]()
    for line in told.splitlines():
        if line.startswith("@"):
            groups[line.strip()] = members = []
        elif line.strip() and not line.strip().startswith("#"):
            members.append(line.strip())

    def calls(names: list[str]) -> set[str]:
        return {call for name in names for call in (calls(groups[name]) if name in groups else {name})}

    given, *taken = settings()["SystemCallFilter"]
    return calls(given.split()) - calls(" ".join(taken).replace("~", "").split())
