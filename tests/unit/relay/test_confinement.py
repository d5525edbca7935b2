"""Each means of confinement, by what a confined process tries in vain and a free one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from chat.relay import sandbox
from chat.relay.run import listen, port_of
from tests.architecture.imports import ROOT
from tests.support.machine import needs_confinement

needs_confinement()

ABI = sandbox.landlock_abi()
ALWAYS = {
    *("write_into_what_is_open", "write_into_memory_that_is_a_file", "write_a_core"),
    *("be_dumped", "gain_privileges"),
}
# By version of Landlock: what it holds off from then on.
SINCE = {
    1: {
        *("write_a_file", "append_to_a_file", "make_a_folder", "rename_a_file", "link_a_file"),
        *("remove_a_file", "make_a_socket_file", "run_a_program"),
    },
    3: {"truncate_a_file"},
    4: {"connect", "bind"},
    6: {"signal_another"},
}


def run(folder: Path, how: str) -> subprocess.CompletedProcess[str]:
    (server,) = listen("127.0.0.1", 0)
    with server:
        return subprocess.run(
            [sys.executable, "-m", "tests.support.relay.attempts", str(folder), str(port_of(server)), how],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def attempted(folder: Path, how: str) -> dict[str, Any]:
    told = run(folder, how)
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


def held_off(result: dict[str, Any]) -> set[str]:
    return {name for name, done in result["done"].items() if not done}


EXPECTED = ALWAYS.union(*(names for since, names in SINCE.items() if since <= ABI))


def test_attack_59_a_free_process_does_what_a_confined_one_cannot(tmp_path: Path) -> None:
    for how in ("free", "confined"):
        (tmp_path / how).mkdir()
    free, confined = attempted(tmp_path / "free", "free"), attempted(tmp_path / "confined", "confined")
    assert held_off(free) == set(), "each attempt succeeds where nothing holds it off"
    assert held_off(confined) == EXPECTED
    assert {path.name for path in (tmp_path / "confined").iterdir()} == {"kept", "open"}
    assert (tmp_path / "confined" / "kept").read_bytes() == b"as it was"
    assert (tmp_path / "confined" / "open").read_bytes() == b""
    assert confined["means"] == {
        **dict.fromkeys(("privileges", "core", "memory", "files"), True),
        "landlock": ABI >= 1,
        "connections": ABI >= 4,
        "swap": len(Path("/proc/swaps").read_text(encoding="ascii").splitlines()) < 2,
    }


@pytest.mark.parametrize(
    ("how", "may", "means"), [("examinable", "be_dumped", "memory"), ("connecting", "connect", "connections")]
)
def test_what_is_left_open_is_that_and_nothing_else(tmp_path: Path, how: str, may: str, means: str) -> None:
    """A relay with a backplane can connect, and still not listen on another port."""
    result = attempted(tmp_path, how)
    assert held_off(result) == EXPECTED - {may}
    assert result["means"][means] is False


def test_other_threads_would_stay_free_and_so_it_refuses(tmp_path: Path) -> None:
    told = run(tmp_path, "threads")
    assert told.returncode == 1
    assert "Unconfined: Threads already run" in told.stderr


def test_what_the_kernel_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_syscall", lambda *_: -1)
    files, connections = sandbox._landlock(sandbox.landlock_abi(), False)
    assert not files.holds
    assert not connections.holds
    assert files.said == "this system lacks Landlock: a fault could still write files"
    assert connections.said == "this system lacks Landlock: a fault could still open connections"


@pytest.mark.parametrize(
    ("abi", "connecting", "size", "network"),
    [*((abi, False, 8, 0) for abi in (1, 2, 3)), (4, False, 16, 3), (5, True, 16, 1), (7, False, 24, 3)],
)
def test_each_version_is_asked_for_what_it_knows(abi: int, connecting: bool, size: int, network: int) -> None:
    with mock.patch.object(sandbox, "_syscall", return_value=-1) as asked:
        sandbox._landlock(abi, connecting)
    (_, attributes, length, flags) = asked.call_args_list[0].args
    assert (len(attributes), length, flags) == (size, size, 0)
    files = int.from_bytes(attributes[:8], sys.byteorder)
    assert files >> 13 == {1: 0, 2: 1}.get(abi, 3)
    assert int.from_bytes(attributes[8:16], sys.byteorder) == network


def test_swap_is_seen_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "Path", lambda _: tmp_path / "swaps")
    (tmp_path / "swaps").write_text("Filename Type\n", encoding="ascii")
    assert sandbox._no_swap().holds
    (tmp_path / "swaps").write_text("Filename Type\n/swap file\n", encoding="ascii")
    assert not sandbox._no_swap().holds
    assert "turn it off" in sandbox._no_swap().said
