"""The command line as scripts use it: two profiles on one machine, real engines, JSON to the letter."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chat.assemble import door
from chat.cli.session import WAITS
from chat.interface import CannotCreate
from chat.storage import folder, profile, secure_deletion
from chat.storage.folder import ProfileLock
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.programs import (
    PATIENCE,
    Station,
    end,
    invited,
    is_event,
    is_words,
    listening,
    pair,
    wait_event,
)
from tests.support.lab.hosts import Lab
from tests.support.lab.inspection import residues
from tests.support.lab.programs import Program
from tests.support.relay.processes import eventually

pytestmark = [pytest.mark.network, pytest.mark.slow]
HOSTS = 1

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_ID = re.compile(r"[0-9a-f]{64}")


def test_init_makes_a_person_and_a_terminal(ben: Station, lab: Lab, tmp_path: Path) -> None:
    ada = Station("Ada", tmp_path, lab.hosts[0])
    addresses = [f"{host}:4747" for host in ("10.77.0.1", "[fe80::77:ff:fe00:1]")]
    with ben.start("listen") as program:
        wait_event(program, "ready", addresses=addresses)
        (made,) = ada.run("init", "--name", "Ada").objects
        end(program)
    assert list(made) == ["person", "terminal", "port"]
    assert _ID.fullmatch(made["person"])
    assert _ID.fullmatch(made["terminal"])
    assert made["port"] == 4748  # the next one that was free
    assert ada.profile.stat().st_mode & 0o777 == 0o700


def test_the_fields_are_those_of_the_manual(ada: Station, ben: Station) -> None:
    with ada.start("invite", "--yes") as inviting:
        offer = json.loads(inviting.line(PATIENCE))
        assert list(offer) == ["invitation", "expires"]
        assert _TIME.fullmatch(offer["expires"])
        assert ben.run("join", "-", typed=f"{offer['invitation']}\n").objects == [{"paired": "Ada"}]
        assert json.loads(inviting.line(PATIENCE)) == {"paired": "Ben"}
        assert inviting.wait_exit(PATIENCE) == 0
    with ben.start("listen") as program:
        ready = json.loads(program.line(PATIENCE))
        assert list(ready) == ["event", "addresses"]
        sent = ada.run("send", "Ben", "good", "morning", "--wait", "60")
        assert sent.status == 0
        assert list(sent.objects[0]) == ["id", "state", "conversation", "reply"]
        assert sent.objects[0]["state"] == "delivered"
        arrived = json.loads(program.wait_for(is_event("entry"), PATIENCE))
        entry = [
            "id",
            "contact",
            "author",
            "own",
            "time",
            "kind",
            "text",
            "reply",
            "state",
            "conflicting",
            "quarantined",
            "claimed",
            "edited",
            "deleted_by",
        ]
        assert list(arrived) == ["event", *entry, "conversation"]
        (answer,) = ben.run("send", "Ada", "and", "to", "you", "--wait", "0").objects
        assert answer["state"] in ("queued", "sent", "delivered")
        end(program)
    histories = [ada.run("history", "Ben").objects, ben.run("history", "Ada").objects]
    assert [list(line) for line in (*histories[0], histories[1][0])] == [entry] * len(histories[0]) + [entry]
    first = histories[1][0]
    assert (first["author"], first["kind"], first["text"]) == ("Ada", "text", "good morning")
    assert (histories[0][0]["state"], first["state"]) == ("delivered", "received")
    assert first["id"] == histories[0][0]["id"] == sent.objects[0]["id"]
    assert _TIME.fullmatch(first["time"])
    numbers = [ada.run("verify", "Ben").objects[0], ben.run("verify", "Ada").objects[0]]
    fields = ["safety_number", "verified", "held", "unvouched", "contested", "compared", "by", "changes"]
    assert [list(number) for number in numbers] == [fields] * 2
    assert numbers[0]["safety_number"] == numbers[1]["safety_number"]
    assert re.fullmatch(r"(\d{5} ){11}\d{5}", numbers[0]["safety_number"])
    (compared,) = ada.run("verify", "Ben", *numbers[1]["safety_number"].split()).objects
    assert (compared["verified"], compared["by"], compared["changes"]) == (True, "number", [])
    (contact,) = ada.run("contacts").objects
    last = contact.pop("last")
    assert list(last) == ["id", "time", "own", "kind", "text", "reply"]
    assert len(contact.pop("person")) == 64
    assert _TIME.fullmatch(contact.pop("seen"))
    assert contact == {
        "name": "Ben", "called": "Ben", "verified": True, "present": False, "held": False, "unvouched": False,
        "same_key": [], "unread": 0, "pinned": False, "muted": False, "bot": False, "commands": [],
    }  # fmt: skip


def test_a_deleted_entry_is_in_no_page_of_the_file_with_a_running_engine_or_without(
    ada: Station, ben: Station
) -> None:
    pair(ada, ben)
    words = ("marmalade", "periwinkle")
    sent = [ada.run("send", "Ben", word, "--wait", "0").objects[0]["id"] for word in words]
    assert [len(pages_with(ada, word)) > 0 for word in words] == [True, True]
    asked = ada.run("delete", "Ben", sent[0])
    assert "use --yes" in asked.failed(64)
    gone = {"deleted": sent[0], "conversation": "Ben", "scope": "here"}
    assert ada.run("delete", "Ben", sent[0], "--yes").objects == [gone]
    assert pages_with(ada, words[0]) == []
    with listening(ada):
        assert ada.run("delete", "Ben", "--last", "--yes").objects == [{**gone, "deleted": sent[1]}]
        assert ada.run("delete", "Ben", sent[1], "--yes").status == 0  # again, and nothing happens
    assert pages_with(ada, words[1]) == []
    left = [(line["kind"], line["text"]) for line in ada.run("history", "Ben").objects]
    assert left == [("deleted", "")] * 2
    assert ada.problems() == ()


def pages_with(station: Station, word: str) -> list[str]:
    """Where in the profile's decrypted file a word stands; that a cleaning is due is such a place."""
    with profile.unlock(station.profile, PASSPHRASE) as opened:
        with closing(opened.database()) as database:
            due = ["due"] * secure_deletion.cleaning_is_due(database)
        key = opened._open_key().reveal()
    return due + residues(station.profile / folder.DATABASE, key, word.encode())


def test_an_entry_for_somebody_absent_is_75_and_arrives_when_they_come(ada: Station, ben: Station) -> None:
    pair(ada, ben)
    kept = ada.run("send", "Ben", "for later", "--wait", "0")
    assert kept.status == 75
    assert kept.objects[0]["state"] == "queued"
    assert "waits until" in kept.err
    with ben.start("listen") as there, ada.start("listen") as here:
        arrived = json.loads(there.wait_for(is_event("entry"), PATIENCE))
        assert (arrived["id"], arrived["text"]) == (kept.objects[0]["id"], "for later")
        wait_event(here, "state", id=arrived["id"], state="delivered")
        end(there, here)


def test_two_who_run_pair_and_choose_each_other_are_paired_once(ada: Station, ben: Station) -> None:
    pairing = ("pair", "--wait", "60")
    with ada.start(*pairing, joined=True) as one, ben.start(*pairing, joined=True) as other:
        one.wait_for(lambda line: line.strip() == "1  Ben", PATIENCE)
        other.wait_for(lambda line: line.strip() == "1  Ada", PATIENCE)
        for program in (one, other):
            program.write("1\n")
        for program in (one, other):
            program.wait_for(is_words, PATIENCE)
        # One may have shown those of an attempt that gives way.
        eventually(lambda: words_of(one) == words_of(other) != [], "both show the same words", PATIENCE)
        for program in (one, other):
            program.write("y\n")
        for program, peer in ((one, "Ben"), (other, "Ada")):
            paired = program.wait_for(lambda line: line.startswith("{"), PATIENCE)
            assert json.loads(paired) == {"paired": peer}
        assert [program.wait_exit(PATIENCE) for program in (one, other)] == [0, 0]
    assert [contact["name"] for contact in ada.run("contacts").objects] == ["Ben"]
    assert [contact["verified"] for contact in ben.run("contacts").objects] == [True]


def words_of(program: Program) -> list[str]:
    """The line with the last words that it has shown."""
    return [line for line in program.said if is_words(line)][-1:]


def test_the_exit_statuses_tell_what_happened(ada: Station, ben: Station, tmp_path: Path) -> None:
    assert "--help" in ada.run("nonsense").failed(64)
    assert "no contacts yet" in ada.run("send", "Ben", "hello").failed(64)
    assert "PARLOUR:" in ada.run("join", "PARLOUR:NONSENSE").failed(65)
    nobody = ada.run("pair", "--wait", "0")
    assert (nobody.status, nobody.out) == (69, "")
    with ben.start("invite") as inviting:
        invitation = invited(inviting.line(PATIENCE))
        inviting.kill()
    ada.run("join", invitation).failed(69)
    assert str(ada.profile) in ada.run("init", "--name", "Ada").failed(73)
    nowhere = Station("Cy", tmp_path, ada.host)
    nowhere.profile = tmp_path / "passphrase" / "cy"
    nowhere.run("init", "--name", "Cy").failed(73)
    (tmp_path / "passphrase").touch(0o600)
    (tmp_path / "passphrase").write_text("another\n")
    assert "Wrong passphrase" in ada.run("contacts").failed(77)
    unasked = Station("Ada", tmp_path, ada.host)
    unasked.options = ()
    assert "--passphrase-file" in unasked.run("contacts", "--profile", str(ada.profile)).failed(77)


def test_a_passphrase_is_changed_and_may_come_from_a_pipe(ada: Station, tmp_path: Path) -> None:
    (tmp_path / "new").touch(0o600)
    (tmp_path / "new").write_text("other words\n")
    changed = ada.run("passphrase", "--new-passphrase-file", str(tmp_path / "new"))
    assert changed.objects == [{"changed": True}]
    assert "Wrong passphrase" in ada.run("contacts").failed(77)
    assert ada.run("contacts", "--passphrase-file", "-", typed="other words\n").status == 0
    assert "Wrong passphrase" in ada.run("contacts", "--passphrase-file", "-", typed=PASSPHRASE).failed(77)


def test_lock_ends_the_engine_of_another_command(ada: Station) -> None:
    with listening(ada) as (program,):
        assert ada.run("lock").objects == [{"locked": True}]
        assert program.wait_exit(PATIENCE) == 0
    assert ada.run("lock").objects == [{"locked": True}]


def damaged(profile: Path) -> None:
    data = bytearray((profile / "history.db").read_bytes())
    data[2_000] ^= 1
    (profile / "history.db").write_bytes(data)


# What shows before the passphrase, and what shows after it.
FAULTS: dict[str, Callable[[Path], object]] = {
    "header: missing": lambda profile: (profile / "header").unlink(),
    "history.db: damaged": damaged,
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_profile_with_a_fault_says_which_and_is_not_touched(ada: Station, text: str) -> None:
    FAULTS[text](ada.profile)
    before = contents(ada.profile)
    for line in (["contacts"], ["listen"], ["invite"]):
        assert text in ada.run(*line).failed(65)
    again = ada.run("init", "--name", "Ada")
    assert again.status in (65, 73)
    assert again.out == ""
    assert contents(ada.profile) == before


@pytest.fixture
def lock(ada: Station) -> Iterator[ProfileLock]:
    """Ada's profile is held by another engine until this is released."""
    held = ProfileLock(ada.profile)
    yield held
    held.release()


@pytest.mark.parametrize("command", ["contacts", "listen"])
def test_attack_72_a_second_engine_waits(ada: Station, lock: ProfileLock, command: str) -> None:
    before = contents(ada.profile)
    with ada.start(command, joined=True) as waiting:
        waiting.wait_for(lambda said: said == WAITS, PATIENCE)
        assert contents(ada.profile) == before
        lock.release()
        if command == "listen":
            wait_event(waiting, "ready")
            end(waiting)
        else:
            assert waiting.wait_exit(PATIENCE) == 0


async def test_attack_72_a_command_that_waited_in_vain_says_who_has_the_profile(
    ada: Station, lock: ProfileLock
) -> None:
    before = contents(ada.profile)
    with pytest.raises(CannotCreate, match="another Parlour has this profile open") as refused:
        await door(ada.profile).unlock(PASSPHRASE, patience=0)
    assert refused.value.exit_status == 73
    assert contents(ada.profile) == before


def contents(profile: Path) -> dict[str, str]:
    """A digest of every file of the profile that is data; locks hold none."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(profile.iterdir())
        if path.is_file() and path.name != "lock"
    }
