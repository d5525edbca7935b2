"""What a command does when the engine that it uses ends: it goes on with the next one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from chat.interface import (
    AnswerLost,
    ContactView,
    DoorState,
    EngineEnded,
    EntryState,
    NotPermitted,
    OutcomeUnknown,
    ParlourError,
    TerminalState,
    UsageError,
)
from tests.support.cli.line import PASSPHRASE, Line
from tests.support.fakes.messenger import FakeDoor, FakeMessenger


def running(line: Line, happens: Callable[[], object] = lambda: None) -> ContactView:
    """Another command has the engine; `happens` at the next one, before this command hears of it."""
    line.door = FakeDoor(line.messenger, state=DoorState.RUNNING, passphrase=PASSPHRASE)
    unlock = line.door.unlock

    async def unlocking(*given: Any, **named: Any) -> FakeMessenger:
        opened = await unlock(*given, **named)
        happens()
        return opened

    line.patch.setattr(line.door, "unlock", unlocking)
    return line.messenger.add_contact("Ben")


def stops(line: Line) -> Callable[[], None]:
    return lambda: line.messenger._end("stopped", locked=False)


def unlocked(line: Line) -> int:
    return [call.method for call in line.door.calls].count("unlock")


def test_a_call_that_an_ended_engine_did_not_begin_goes_to_the_next(line: Line) -> None:
    ben = running(line)
    line.messenger.failures["send"] = EngineEnded("The engine has stopped.")
    assert line.run("send", "Ben", "once", "--wait", "0").status == 75
    assert unlocked(line)
    assert [entry.text for entry in line.messenger._conversations[ben.person].entries] == ["once"]


@pytest.mark.parametrize(
    ("failure", "status"), [(AnswerLost, 69), (OutcomeUnknown, 1), (NotPermitted, 77), (UsageError, 64)]
)
def test_a_send_that_may_have_been_done_says_its_id_for_a_repeat(
    line: Line, failure: type[ParlourError], status: int
) -> None:
    running(line)
    line.messenger.failures["send"] = failure("Look whether it was done.")
    outcome = line.run("send", "Ben", "once", "--wait", "0")
    assert (outcome.status, outcome.out) == (status, "")
    (drawn,) = line.messenger.send_ids
    hint = f" Add --id {drawn} to send it again, but not twice." if failure is not UsageError else ""
    assert outcome.failure == f"Look whether it was done.{hint}"
    sent = [line.run("send", "Ben", "once", "--wait", "0", "--id", drawn, "--json") for _ in range(2)]
    assert [outcome.status for outcome in sent] == [75, 75]
    assert len({outcome.objects[0]["id"] for outcome in sent}) == 1
    assert line.messenger.send_ids == [drawn] * 3


def test_a_removed_device_is_told_no_id_for_a_repeat(line: Line) -> None:
    running(line)
    line.messenger.failures["send"] = NotPermitted("This device was removed.")
    (this,) = line.messenger._terminals()
    line.patch.setattr(line.messenger, "_terminals", lambda: (replace(this, state=TerminalState.REMOVED),))
    outcome = line.run("send", "Ben", "once", "--wait", "0")
    assert (outcome.status, outcome.failure) == (77, "This device was removed.")


def test_send_goes_on_waiting_and_asks_what_it_missed(line: Line) -> None:
    def arrives() -> None:
        (entry,) = line.messenger._conversations[ben.person].entries
        line.messenger.set_state(ben.person, entry.id, EntryState.DELIVERED)

    ben = running(line, arrives)
    line.messenger.after["send"] = stops(line)
    outcome = line.run("send", "Ben", "x", "--wait", "60", "--json")
    assert (outcome.status, outcome.objects[0]["state"]) == (0, "delivered")
    assert len(line.messenger.called("send")) == 1


def test_listen_goes_on_with_another_engine_and_prints_what_it_missed_once(line: Line) -> None:
    def missed() -> None:
        line.messenger.receive(ben.person, "missed")
        line.messenger.after["history"] = last

    def last() -> None:
        line.messenger.receive(ben.person, "heard")
        line.messenger._end("locked")

    def ends() -> None:
        line.messenger.receive(ben.person, "before")
        line.messenger._end("stopped", locked=False)

    ben = running(line, missed)
    line.messenger.receive(ben.person, "old")
    line.messenger.after["contacts"] = ends
    outcome = line.run("listen", "--json")
    assert outcome.status == 0
    said = [(event["event"], event.get("text")) for event in outcome.objects]
    assert said == [("ready", None), *(("entry", text) for text in ("before", "missed", "heard"))]
    assert unlocked(line) == 1


def test_a_passphrase_on_standard_input_is_no_text_of_an_entry(line: Line) -> None:
    ben = running(line)
    outcome = line.run(
        "--passphrase-file", "-", "send", "Ben", "-", "--wait", "0", typed="secret\nhello\n", passphrase=False
    )
    assert outcome.status == 75
    assert line.messenger.called("send") == [(ben.person, "hello")]


def refuses() -> None:
    raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(
    ("passphrase", "said", "status"), [(False, "--passphrase-file", 77), (True, "Input/output error", 1)]
)
def test_where_no_engine_follows_listen_fails_and_send_says_what_it_kept(
    line: Line, passphrase: bool, said: str, status: int
) -> None:
    running(line, refuses)
    line.messenger.after["send"] = stops(line)
    outcome = line.run("send", "Ben", "x", "--wait", "60", "--json", passphrase=passphrase)
    assert (outcome.status, outcome.objects[0]["state"]) == (75, "queued")
    assert said in outcome.err
    line.messenger.closed = False
    running(line, refuses)
    line.messenger.after["contacts"] = stops(line)
    outcome = line.run("listen", passphrase=passphrase)
    assert (outcome.status, said in outcome.failure) == (status, True)
