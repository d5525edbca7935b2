"""`make relay-cluster`: what it says while it starts, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from protocol.relay.rendezvous import parse_relay
from tests.architecture.imports import ROOT
from tests.support.lab.programs import Program
from tests.support.machine import needs_nats
from tests.support.relay.processes import PATIENCE, eventually


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_it_shows_how_it_starts_and_leaves_nothing(tmp_path: Path) -> None:
    needs_nats()
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.support.relay.processes"]
    with Program(command, environment=environment, folder=ROOT) as program:
        program.wait_for(lambda line: "Ctrl-C" in line, PATIENCE)
        said = program.said
        assert [line for line in said if line.startswith("Starting relay 3 of 3")]
        named = [line.partition("process ")[2] for line in said if "process " in line]
        pids = [int(text.split(",")[0].rstrip(")")) for text in named]
        addresses = [parse_relay(line.split()[0]) for line in said if line.startswith("  parlour-relay:")]
        assert len(pids) == 6
        assert len({address.key for address in addresses}) == 1
        assert all(map(alive, pids))
        os.kill(program.pid, signal.SIGINT)
        assert program.wait_exit(PATIENCE) == 0
    eventually(lambda: not any(map(alive, pids)), "none is left")
    assert list(tmp_path.iterdir()) == []
