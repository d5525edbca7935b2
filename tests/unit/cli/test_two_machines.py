"""The command between real machines of the lab: what the fake door cannot show."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.imports import ROOT
from tests.support import machine as needs
from tests.support.lab.hosts import Host, Lab, TwoNetworks
from tests.support.lab.programs import Program
from tests.unit.cli.test_readme import lines_of

pytestmark = pytest.mark.network


class Machine:
    """A host with a profile and a passphrase file."""

    def __init__(self, host: Host, folder: Path, name: str) -> None:
        self.host = host
        self.profile = folder / name
        self.file = folder / "passphrase"
        self.file.write_text("correct horse battery\n")
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.run("init", "--name", name)

    def line(self, *arguments: str) -> list[str]:
        profile = ["--profile", str(self.profile), "--passphrase-file", str(self.file)]
        return [sys.executable, "-m", "chat.cli", *arguments, "--json", *profile]

    def run(self, *arguments: str) -> list[dict[str, object]]:
        """Run a command that succeeds; its JSON lines."""
        out = self.host.run(*self.line(*arguments), seconds=60, env=self.environment)
        return [json.loads(line) for line in out.splitlines()]

    def start(self, *arguments: str) -> Program:
        return self.host.start(*self.line(*arguments), environment=self.environment)

    def ask(self, *arguments: str) -> Program:
        """Start a command whose questions the test answers: both its streams are read as one."""
        joined = ["bash", "-c", 'exec "$@" 2>&1', "line", *self.line(*arguments)]
        return self.host.start(*joined, environment=self.environment)

    def status(self, *arguments: str) -> int:
        """The exit status of a command."""
        child = self.host.popen(
            *self.line(*arguments), env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        return child.wait(60)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    needs.needs_root_network()
    with Lab(2) as lab:
        yield Machine(lab.hosts[0], tmp_path, "Ada"), Machine(lab.hosts[1], tmp_path, "Ben")


def event(program: Program, kind: str, **fields: object) -> dict[str, object]:
    """The next line of `listen` of a kind, with these fields."""

    def wanted(line: str) -> bool:
        said = json.loads(line)
        return said["event"] == kind and all(said[name] == value for name, value in fields.items())

    found: dict[str, object] = json.loads(program.wait_for(wanted, 60))
    return found


def is_words(line: str) -> bool:
    return line.startswith("    ") and len(line.split()) == 5


def is_object(line: str) -> bool:
    return line.startswith("{")


def test_pair_by_words_talk_lock_and_talk_again(machines: tuple[Machine, Machine]) -> None:
    ada, ben = machines
    choosing, waiting = ada.ask("pair", "--wait", "60"), ben.ask("pair", "--wait", "60")
    choosing.wait_for(lambda line: line.strip() == "1  Ben", 60)
    choosing.write("1\n")
    words = [program.wait_for(is_words, 60) for program in (choosing, waiting)]
    assert words[0] == words[1]
    choosing.write("y\n")
    waiting.write("y\n")
    for program, other in ((choosing, "Ben"), (waiting, "Ada")):
        assert json.loads(program.wait_for(is_object, 60)) == {"paired": other}
    assert (choosing.wait_exit(30), waiting.wait_exit(30)) == (0, 0)
    assert ada.run("verify", "Ben")[0]["safety_number"] == ben.run("verify", "Ada")[0]["safety_number"]

    listening = ben.start("listen")
    event(listening, "ready")
    (sent,) = ada.run("send", "Ben", "good", "morning", "--wait", "60")
    assert sent["state"] == "delivered"
    arrived = event(listening, "entry", conversation="Ada")
    assert (arrived["id"], arrived["text"], arrived["state"]) == (sent["id"], "good morning", "received")
    assert ben.run("contacts")[0]["name"] == "Ada"  # through the socket, beside the listener

    assert ben.run("lock") == [{"locked": True}]
    assert listening.wait_exit(30) == 0
    assert ada.status("send", "Ben", "you there?", "--wait", "0.5") == 75
    assert ada.status("pair", "--address", f"{ben.host.address}:4747") == 69

    listening, calling = ben.start("listen"), ada.start("listen")
    assert event(listening, "entry")["text"] == "you there?"
    event(calling, "state", state="delivered")
    texts = [entry["text"] for entry in ben.run("history", "Ada")]
    assert texts == ["good morning", "you there?"]
    for program in (listening, calling):
        program.process.terminate()
        assert program.wait_exit(30) == 0
        assert program.complained == []


def test_an_invitation_by_pipe_and_its_misuse(machines: tuple[Machine, Machine]) -> None:
    ada, ben = machines
    inviting = ada.start("invite", "--yes")
    invitation = json.loads(inviting.line(60))["invitation"]
    assert ben.run("join", str(invitation)) == [{"paired": "Ada"}]
    assert json.loads(inviting.line(60)) == {"paired": "Ben"}
    assert inviting.wait_exit(30) == 0
    assert ben.run("contacts") == [{"name": "Ada", "verified": False, "present": False, "same_key": []}]
    assert ben.status("join", str(invitation)) == 69  # used, and its maker is gone
    assert ben.status("join", str(invitation)[:-5]) == 65
    ben.file.write_text("wrong\n")
    assert ben.status("contacts") == 77
    assert ben.status("init", "--name", "Ben") == 73


def start_relay(ada: Machine, host: Host) -> tuple[Program, str]:
    """A relay with a new key on another host, and its address."""
    command = (sys.executable, "-m", "chat.cli", "relay", "--listen", f"{host.address}:4746")
    program = host.start(*command, environment=ada.environment)
    return program, program.wait_for(lambda line: line.startswith("parlour-relay:"))


def doctor(ada: Machine) -> tuple[bool, str, str]:
    """What the doctor says of the relay."""
    out = ada.host.popen(*ada.line("doctor"), env=ada.environment, stdout=-1).communicate(timeout=60)[0]
    (line,) = [found for found in map(json.loads, out.splitlines()) if found["check"] == "relay"]
    return line["good"], line["found"], line["fix"]


def test_the_doctor_tells_a_relay_that_is_well_gone_or_another(machines: tuple[Machine, Machine]) -> None:
    ada, other_host = machines[0], machines[1].host
    program, address = start_relay(ada, other_host)
    listener = ada.start("listen")
    listener.wait_for(lambda line: '"ready"' in line, 60)
    (added,) = ada.run("relays", "add", address)
    assert (added["relay"], added["invited"]) == (address, False)
    assert doctor(ada) == (True, "10.77.0.2:4746 answers", "")
    program.kill()
    good, found, fix = doctor(ada)
    assert (good, found) == (False, "10.77.0.2:4746 is unreachable")
    assert "parlour relay" in fix
    _other, other = start_relay(ada, other_host)
    good, found, fix = doctor(ada)
    assert (good, found) == (False, "10.77.0.2:4746 has another key than the one you added")
    assert "parlour relays add" in fix
    ada.run("relays", "add", other)
    assert [one["relay"] for one in ada.run("relays")] == [other]
    assert doctor(ada)[0]


@pytest.fixture
def networks() -> Iterator[TwoNetworks]:
    needs.needs_root_network()
    with TwoNetworks() as lab:
        yield lab


def typed(line: str, **values: str) -> list[str]:
    """The words of a line behind `parlour`, with the words in capitals replaced."""
    match = re.match(r"parlour ((?:[^#\s]+ ?)+)", line)
    assert match is not None, line
    return [values.get(word, word) for word in match[1].split()]


def test_the_lines_about_a_relay_hold(networks: TwoNetworks, tmp_path: Path) -> None:
    new_key, run, add, invite, join = lines_of("docs/relays.md", "Connect two people through a relay")
    ada, ben = Machine(networks.ada, tmp_path, "Ada"), Machine(networks.ben, tmp_path, "Ben")
    program = (sys.executable, "-m", "chat.cli")
    networks.between.run(*program, *_in(tmp_path, typed(new_key)), env=ada.environment)
    relay = networks.between.start(*program, *_in(tmp_path, typed(run)), environment=ada.environment)
    address = relay.wait_for(lambda line: line.startswith("parlour-relay:"))
    ada.run(*typed(add, ADDRESS=address))
    inviting = ada.start(*typed(invite), "--yes")
    invitation = inviting.wait_for(lambda line: '"invitation"' in line, 60).split('"')[3]
    assert ben.run(*typed(join, INVITATION=invitation)) == [{"paired": "Ada"}]
    inviting.wait_for(lambda line: '"paired"' in line, 60)
    assert [one["relay"] for one in ben.run("relays")] == [address]
    ben.start("listen").wait_for(lambda line: '"ready"' in line, 60)
    assert [sent["state"] for sent in ada.run("send", "Ben", "Good morning", "--wait", "60")] == ["delivered"]


def _in(folder: Path, words: list[str]) -> list[str]:
    """The words, with the file's place."""
    return [str(folder / word) if word.endswith(".key") else word for word in words]
