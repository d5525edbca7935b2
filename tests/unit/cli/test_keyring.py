"""The system's keyring on the command line: saved after a check, used at a start, not after a lock."""

from __future__ import annotations

import asyncio

import pytest

from chat.cli import session, terminal
from chat.interface import DoorState, Kept, KeyringFailure, NotPermitted
from tests.support.cli.line import PASSPHRASE, Line
from tests.support.fakes.messenger import FakeMessenger

REFUSED = KeyringFailure("The keyring is locked: unlock it.")


def test_it_is_saved_shown_and_removed(line: Line) -> None:
    assert "'parlour keyring --save'" in line.run("keyring").out
    saved = line.run("keyring", "--save")
    assert (saved.status, line.door.in_keyring) == (0, Kept.YES)
    assert "Fake Keyring" in saved.out
    assert "every program that runs in it" in saved.err
    assert "'parlour keyring --remove'" in line.run("keyring").out
    line.door.in_keyring = Kept.PAUSED
    assert "was locked" in line.run("keyring").out
    assert line.run("keyring", "--remove", "--json").objects == [{"keyring": "no"}]
    assert line.door.in_keyring is Kept.NO
    assert line.run("keyring", "--save", "--json").objects == [{"keyring": "yes", "name": "Fake Keyring"}]


def test_a_passphrase_that_does_not_open_the_profile_is_not_saved(line: Line) -> None:
    line.file.write_text("another one\n")
    assert line.run("keyring", "--save").status == NotPermitted.exit_status
    assert line.door.in_keyring is Kept.NO


def test_wrong_use_is_64(line: Line) -> None:
    assert line.run("keyring", "--save", "--remove").failed(64)
    line.door._state = DoorState.NEW
    for given in ([], ["--save"], ["--remove"]):
        assert "parlour init" in line.run("keyring", *given).failed(64)


@pytest.mark.parametrize("method", ["keep", "forget"])
def test_a_keyring_that_refuses_is_said(line: Line, method: str) -> None:
    line.door.failures[method] = REFUSED
    outcome = line.run("keyring", "--save" if method == "keep" else "--remove")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1] == str(REFUSED)


def test_a_command_asks_for_no_passphrase(line: Line) -> None:
    line.door.in_keyring = Kept.YES
    assert line.run("contacts", passphrase=False).status == 0
    assert [call.method for call in line.door.calls] == ["state", "unlock_kept"]


def test_a_file_outranks_the_keyring(line: Line) -> None:
    line.door.in_keyring = Kept.YES
    assert line.run("contacts").status == 0
    assert [call.method for call in line.door.calls] == ["state", "unlock"]


def test_after_a_lock_a_command_asks(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch)
    line.door.in_keyring = Kept.YES
    assert "No engine was running" in line.run("lock", passphrase=False).err
    assert line.run("contacts", passphrase=False).status == 0
    assert asked == ["Passphrase: "]
    assert line.door.in_keyring is Kept.YES


def test_a_keyring_that_fails_is_said_and_the_passphrase_asked_for(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch)
    line.door.in_keyring = Kept.YES
    line.door.failures["unlock_kept"] = REFUSED
    line.messenger.add_contact("Ben")
    outcome = line.run("contacts", passphrase=False)
    assert (outcome.status, outcome.err) == (0, f"{REFUSED}\n")
    assert asked == ["Passphrase: "]


def test_a_keyring_that_takes_its_time_is_said(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "KEYRING_SLOW", 0)
    line.door.in_keyring = Kept.YES
    before = line.door.unlock_kept

    async def slow(offline: bool = False, **named: object) -> FakeMessenger | None:
        for _ in range(8):
            await asyncio.sleep(0)
        return await before(offline)

    monkeypatch.setattr(line.door, "unlock_kept", slow)
    assert "may ask you to unlock it" in line.run("contacts", passphrase=False).err


def test_a_change_of_the_passphrase_says_that_the_keyring_gets_it(line: Line) -> None:
    line.door.in_keyring = Kept.YES
    line.door._state = DoorState.RUNNING
    outcome = line.run("passphrase", "--new-passphrase-file", str(line.file))
    assert (outcome.status, "keyring gets the new passphrase" in outcome.err) == (0, True)
    line.messenger.failures["change_passphrase"] = REFUSED
    assert line.run("passphrase", "--new-passphrase-file", str(line.file)).status == 1


def test_a_wipe_says_what_is_left_in_the_keyring(line: Line) -> None:
    line.door.failures["wipe"] = REFUSED
    outcome = line.run("wipe", "--yes", passphrase=False)
    assert outcome.status == 1
    assert "destroyed" in outcome.out
    assert str(REFUSED) in outcome.err


def answering(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts at a terminal where the person types the passphrase."""
    asked = list[str]()

    def answer(prompt: str, *_: object) -> str:
        asked.append(prompt)
        return PASSPHRASE

    monkeypatch.setattr(terminal, "ask_secret", answer)
    return asked
