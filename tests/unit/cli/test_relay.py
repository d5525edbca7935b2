"""The command that runs a relay, as a process of its own: what it says, when it is silent, how it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from protocol.relay.rendezvous import parse_relay
from protocol.relay.states import RelayEnded, RelayEnding, WaitBegun, WasAbsent
from tests.architecture.imports import ROOT
from tests.support.lab.programs import Program
from tests.support.relay.in_process import token
from tests.support.relay.processes import Relay, relay
from tests.unit.relay.test_holds_nothing import joined

PATIENCE = 20
BEFORE = ("parlour-relay:", "holds  ", "LACKS  ")


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chat.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def refused(status: int, *arguments: str) -> str:
    """The one line of a relay that does not start."""
    told = ended(*arguments)
    assert (told.returncode, told.stdout) == (status, "")
    (line,) = told.stderr.splitlines()
    return line


def test_it_says_what_it_is_and_what_holds_it_before_it_takes_anybody_in() -> None:
    with relay() as running:
        assert running.address.host == "127.0.0.1"
        kinds = {line.split()[0] for line in running.said[1:]}
        assert kinds <= {"holds", "LACKS"}
        assert any(line.startswith("holds  no core file") for line in running.said)
        running.terminal().welcomed()


def test_as_json_it_is_one_object() -> None:
    line = [sys.executable, "-m", "chat.cli", "--json", "relay", "--listen", "127.0.0.1:0"]
    with Program(line, folder=ROOT) as running:
        told = json.loads(running.line(PATIENCE))
        assert list(told) == ["relay", "addresses", "metrics", "confinement"]
        assert parse_relay(told["relay"]).port > 0
        assert told["addresses"] == [told["relay"]]
        assert told["confinement"]["files"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_properly_and_who_waits_is_told(number: signal.Signals) -> None:
    with relay() as running:
        waiter = running.terminal().welcomed().wait(token())
        waiter.expect(WaitBegun)
        dialler, other = joined(running)
        running.process.send_signal(number)
        assert waiter.expect(RelayEnded).reason is RelayEnding.STOPPED
        assert (dialler.socket.recv(1), other.socket.recv(1)) == (b"", b"")
        assert running.wait_exit(PATIENCE) == 0


def test_after_its_start_it_says_nothing_whatever_happens() -> None:
    """Not of terminals, not of strangers, not of circuits: nothing, on either stream."""
    with relay() as running:
        abuse(running)
        assert running.end() == 0
        assert [line for line in running.said if not line.startswith(BEFORE)] == []
        assert [line for line in running.complained if "--new-key" not in line] == []


def abuse(running: Relay) -> None:
    """Strangers, garbage, somebody absent, a circuit that breaks, a slow and a silent one."""
    for garbage in (b"\x00\x00", b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n"):
        running.terminal("127.0.0.7").socket.sendall(garbage)
    running.terminal("127.0.0.8").welcomed().dial(token()).expect(WasAbsent)
    dialler, waiter = joined(running)
    dialler.socket.sendall(b"something")
    waiter.close()
    dialler.socket.recv(1)


def test_its_key_stays_with_a_file_and_the_file_is_never_changed(tmp_path: Path) -> None:
    key = tmp_path / "relay.key"
    made = ended("--json", "relay", "--new-key", str(key))
    told, before = json.loads(made.stdout), key.read_bytes()
    assert told["file"] == str(key)
    for _ in range(2):
        with relay("--key-file", str(key)) as running:
            assert str(running.address).endswith("#" + told["key"])
            running.end()
            assert running.complained == []
    assert key.read_bytes() == before


def test_without_a_file_its_key_is_new_each_time_and_it_says_so() -> None:
    keys = set()
    for _ in range(2):
        with relay() as running:
            keys.add(running.address.key)
            running.end()
            assert any("--new-key FILE" in line for line in running.complained)
    assert len(keys) == 2


@pytest.mark.parametrize(("option", "holds"), [(["--examinable"], False), ([], True)])
def test_examinable_is_said_at_the_start_and_in_the_metrics(option: list[str], holds: bool) -> None:
    with relay("--metrics", "127.0.0.1:0", *option) as running:
        text = fetched(counts(running))
        line = next(line for line in running.said if "memory" in line)
        assert line.startswith("holds" if holds else "LACKS")
        assert ("--examinable" in line) is not holds
        assert f'parlour_relay_confined{{means="memory"}} {int(holds)}' in text
        assert 'parlour_relay_confined{means="files"} 1' in text


def test_its_metrics_count_what_happened_and_name_no_address() -> None:
    with relay("--metrics", "127.0.0.1:0") as running:
        url = counts(running)
        abuse(running)
        text = fetched(url)
        assert "parlour_relay_joined_total 1\n" in text
        assert "parlour_relay_forwarded_bytes_total 9\n" in text
        assert re.search(r"\d+\.\d+\.\d+\.\d+", text) is None
        assert fetched(url.replace("/metrics", "/health")) == "ok\n"


def counts(running: Relay) -> str:
    """Where the relay offers its metrics."""
    return running.wait_for(lambda line: line.startswith("Metrics are at"), PATIENCE).rpartition(" ")[2]


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
        return text


@pytest.mark.parametrize(
    ("arguments", "status", "hint"),
    [
        (["relay", "--listen", "relay.example:4746"], 64, "names are not resolved"),
        (["relay", "--listen", "4746"], 64, "HOST:PORT"),
        (["relay", "--listen", "127.0.0.1:99999"], 64, "HOST:PORT"),
        (["relay", "--listen", "192.0.2.1:0"], 73, "choose another address with --listen"),
        (["relay", "--listen", "127.0.0.1:0", "--metrics", "10.0.0.1:9090"], 64, "loopback address"),
        (["relay", "--key-file", "/nowhere/relay.key"], 65, "--new-key"),
        (["relay", "--new-key", "/nowhere/relay.key"], 73, "choose another place"),
        (["--profile", "x", "relay"], 64, "has no profile"),
        (["--port", "4747", "relay"], 64, "has no profile"),
    ],
)
def test_what_it_cannot_do_is_one_line_that_says_what_to_do(
    arguments: list[str], status: int, hint: str
) -> None:
    assert hint in refused(status, *arguments)


def test_a_port_that_is_taken_is_said() -> None:
    with relay() as running:
        said = refused(73, "relay", "--listen", f"127.0.0.1:{running.address.port}")
        assert said.startswith("The relay cannot listen there (Address already in use): choose another")


def test_with_few_descriptors_it_stays_up() -> None:
    """The system lets it open 80: those who are let in are served, and nobody brings it down."""
    with relay(before=["bash", "-c", 'ulimit -n 80; exec "$@"', "bash"]) as running:
        for number in range(20):
            running.terminal(f"127.0.0.{number + 2}")
        dialler, waiter = joined(running)
        dialler.socket.sendall(b"through")
        assert waiter.socket.recv(7) == b"through"
        assert running.end() == 0
