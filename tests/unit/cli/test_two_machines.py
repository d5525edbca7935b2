"""The command between real machines of the lab: what the fake door cannot show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import machine as needs
from tests.support.e2e.programs import (
    PARLOUR,
    PATIENCE,
    Station,
    created,
    invited,
    is_words,
    listening,
    wait_event,
)
from tests.support.lab.hosts import Lab, TwoNetworks
from tests.unit.cli.test_readme import lines_of

pytestmark = pytest.mark.network


@pytest.fixture
def lab() -> Iterator[Lab]:
    needs.needs_root_network()
    with Lab(2) as built:
        yield built


@pytest.fixture
def networks() -> Iterator[TwoNetworks]:
    needs.needs_root_network()
    with TwoNetworks() as built:
        yield built


def test_pair_by_words_talk_lock_and_talk_again(lab: Lab, tmp_path: Path) -> None:
    ada, ben = created(tmp_path, lab.hosts, "Ada", "Ben")
    pair = ("pair", "--wait", "60")
    with ada.start(*pair, joined=True) as choosing, ben.start(*pair, joined=True) as waiting:
        choosing.wait_for(lambda line: line.strip() == "1  Ben", PATIENCE)
        choosing.write("1\n")
        words = [program.wait_for(is_words, PATIENCE) for program in (choosing, waiting)]
        assert words[0] == words[1]
        for program in (choosing, waiting):
            program.write("y\n")
        for program, other in ((choosing, "Ben"), (waiting, "Ada")):
            result = program.wait_for(lambda line: line.startswith("{"), PATIENCE)
            assert json.loads(result) == {"paired": other}
            assert program.wait_exit(PATIENCE) == 0
    (hers,), (his,) = ada.run("verify", "Ben").objects, ben.run("verify", "Ada").objects
    assert hers | {"compared": ""} == his | {"compared": ""}

    with ben.start("listen") as there:
        wait_event(there, "ready")
        (sent,) = ada.run("send", "Ben", "good", "morning", "--wait", "60").objects
        assert sent["state"] == "delivered"
        wait_event(there, "entry", conversation="Ada", id=sent["id"], text="good morning", state="received")
        assert ben.run("contacts").objects[0]["name"] == "Ada"  # through the socket, next to the listener
        assert ben.run("lock").objects == [{"locked": True}]
        assert there.wait_exit(PATIENCE) == 0
    assert ada.run("send", "Ben", "you there?", "--wait", "0.5").status == 75
    assert ada.run("pair", "--address", f"{lab.hosts[1].address}:4747").status == 69

    with listening(ben, ada) as programs:
        wait_event(programs[0], "entry", text="you there?")
        wait_event(programs[1], "state", state="delivered")
        assert [line["text"] for line in ben.run("history", "Ada").objects] == ["good morning", "you there?"]
    assert [program.complained for program in programs] == [[], []]


def doctor(station: Station) -> tuple[bool, str, str]:
    """What the doctor says of the relay."""
    (line,) = [found for found in station.run("doctor").objects if found["check"] == "relay"]
    return line["good"], line["found"], line["fix"]


def test_the_doctor_tells_a_relay_that_is_well_gone_or_another(lab: Lab, tmp_path: Path) -> None:
    host = lab.hosts[1]
    command = (*PARLOUR, "relay", "--listen", f"{host.address}:4746")
    relay = host.start(*command)
    address = relay.wait_for(lambda line: line.startswith("parlour-relay:"))
    (ada,) = created(tmp_path, lab.hosts[:1], "Ada")
    with listening(ada):
        (added,) = ada.run("relays", "add", address).objects
        assert (added["relay"], added["invited"]) == (address, False)
        assert doctor(ada) == (True, "10.77.0.2:4746 answers", "")
        relay.kill()
        good, found, fix = doctor(ada)
        assert (good, found) == (False, "10.77.0.2:4746 is unreachable")
        assert "parlour relay" in fix
        other = host.start(*command).wait_for(lambda line: line.startswith("parlour-relay:"))
        good, found, fix = doctor(ada)
        assert (good, found) == (False, "10.77.0.2:4746 has another key than the one you added")
        assert "parlour relays add" in fix
        ada.run("relays", "add", other)
        assert [one["relay"] for one in ada.run("relays").objects] == [other]
        assert doctor(ada)[0]


def typed(line: str, folder: Path, **values: str) -> list[str]:
    """The words of a line behind `parlour`, with the words in capitals replaced and files in a folder."""
    match = re.match(r"parlour ((?:[^#\s]+ ?)+)", line)
    assert match is not None, line
    words = [values.get(word, word) for word in match[1].split()]
    return [str(folder / word) if word.endswith(".key") else word for word in words]


def test_the_lines_about_a_relay_hold(networks: TwoNetworks, tmp_path: Path) -> None:
    new_key, run, add, invite, join = lines_of("docs/relays.md", "Connect two people through a relay")
    ada, ben = created(tmp_path, (networks.ada, networks.ben), "Ada", "Ben")
    networks.between.run(*PARLOUR, *typed(new_key, tmp_path))
    relay = networks.between.start(*PARLOUR, *typed(run, tmp_path))
    address = relay.wait_for(lambda line: line.startswith("parlour-relay:"))
    ada.run(*typed(add, tmp_path, ADDRESS=address))
    with ada.start(*typed(invite, tmp_path), "--yes") as inviting:
        invitation = invited(inviting.line(PATIENCE))
        assert ben.run(*typed(join, tmp_path, INVITATION=invitation)).objects == [{"paired": "Ada"}]
        assert json.loads(inviting.line(PATIENCE)) == {"paired": "Ben"}
    assert [one["relay"] for one in ben.run("relays").objects] == [address]
    with listening(ben):
        (sent,) = ada.run("send", "Ben", "Good morning", "--wait", "60").objects
        assert sent["state"] == "delivered"
