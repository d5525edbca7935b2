"""A real relay, named while an engine runs: it waits there, and the doctor tells what becomes of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import machine as needs
from tests.support.lab.hosts import Lab
from tests.support.lab.programs import Program
from tests.unit.cli.test_two_machines import Machine

pytestmark = pytest.mark.network


@pytest.fixture
def lab() -> Iterator[Lab]:
    needs.needs_root_network()
    with Lab(2) as lab:
        yield lab


def relay(ada: Machine, lab: Lab) -> tuple[Program, str]:
    """A relay with a new key on the other host, and its address."""
    command = (sys.executable, "-m", "chat.cli", "relay", "--listen", f"{lab.hosts[1].address}:4746")
    program = lab.hosts[1].start(*command, environment=ada.environment)
    return program, program.wait_for(lambda line: line.startswith("parlour-relay:"))


def doctor(ada: Machine) -> tuple[bool, str, str]:
    """What the doctor says of the relay."""
    out = ada.host.popen(*ada.line("doctor"), env=ada.environment, stdout=-1).communicate(timeout=60)[0]
    (line,) = [found for found in map(_read, out.splitlines()) if found["check"] == "relay"]
    return bool(line["good"]), str(line["found"]), str(line["fix"])


def _read(line: str | bytes) -> dict[str, object]:
    read: dict[str, object] = json.loads(line)
    return read


def test_the_doctor_tells_a_relay_that_is_well_gone_or_another(lab: Lab, tmp_path: Path) -> None:
    ada = Machine(lab.hosts[0], tmp_path, "Ada")
    program, address = relay(ada, lab)
    listener = ada.start("listen")
    listener.wait_for(lambda line: '"ready"' in line, 60)
    (added,) = ada.run("relays", "add", address)
    assert (added["relay"], added["invited"]) == (address, False)
    assert doctor(ada) == (True, "10.77.0.2:4746 answers", "")
    program.kill()
    good, found, fix = doctor(ada)
    assert (good, found) == (False, "10.77.0.2:4746 cannot be reached")
    assert "parlour relay" in fix
    _other, other = relay(ada, lab)
    good, found, fix = doctor(ada)
    assert (good, found) == (False, "10.77.0.2:4746 has another key than the one that was named")
    assert "parlour relays add" in fix
    ada.run("relays", "add", other)
    assert [one["relay"] for one in ada.run("relays")] == [other]
    assert doctor(ada)[0]
