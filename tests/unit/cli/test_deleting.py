"""delete: asked first, waited for, called done when the file is clean."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from chat.cli import messages, output
from chat.errors import phrase
from chat.interface import ContactView, ParlourError, Unreachable
from tests.support.cli.line import Line, Outcome

CLEAN = "Deleted. The profile file no longer contains it.\n"


def ben(line: Line, *said: str, present: bool = True) -> ContactView:
    friend = line.messenger.add_contact("Ben", present=present)
    for text in said:
        line.messenger.receive(friend.person, text)
    return friend


def ids(line: Line, friend: ContactView) -> list[str]:
    return [entry.id for entry in line.messenger._conversations[friend.person].entries]


def kinds(line: Line, friend: ContactView) -> list[str]:
    return [entry.kind for entry in line.messenger._conversations[friend.person].entries]


def failure(outcome: Outcome, status: int) -> str:
    assert (outcome.status, outcome.out) == (status, ""), outcome
    return outcome.failure


def test_an_entry_is_deleted_by_its_id_and_cleaned_away(line: Line) -> None:
    friend = ben(line, "one", "two")
    line.messenger.prompt = False
    outcome = line.run("delete", "Ben", ids(line, friend)[0], "--yes", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.objects == [{"deleted": ids(line, friend)[0], "conversation": "Ben"}]
    assert list(outcome.objects[0]) == ["deleted", "conversation"]
    assert kinds(line, friend) == ["deleted", "text"]
    assert line.messenger.called("clean") == [()]
    assert not line.messenger.uncleaned
    assert line.run("history", "Ben").out.splitlines()[0].endswith("Ben: (deleted)")


def test_it_can_be_read_by_people(line: Line) -> None:
    ben(line, "one")
    assert line.run("delete", "Ben", "--last", "--yes").out == CLEAN


def test_the_last_one_is_the_newest_that_is_not_deleted(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "PAGE", 2)
    friend = ben(line, "one", "two", "three", "four")
    for left in (3, 2, 1, 0):
        assert line.run("delete", "Ben", "--last", "--yes").status == 0
        assert kinds(line, friend) == ["text"] * left + ["deleted"] * (4 - left)
    assert "nothing to delete" in failure(line.run("delete", "Ben", "--last", "--yes"), 64)


def test_deleting_again_waits_for_the_same(line: Line) -> None:
    friend = ben(line, "one")
    first = line.run("delete", "Ben", ids(line, friend)[0], "--yes", "--json")
    again = line.run("delete", "Ben", ids(line, friend)[0], "--yes", "--json")
    assert (again.status, again.objects) == (0, first.objects)
    assert line.messenger.called("clean") == [(), ()]


@pytest.mark.parametrize(
    "arguments",
    [
        ["Ben", "--yes"],
        ["Ben", "{id}", "--last", "--yes"],
        ["Ben", "0" * 64, "--yes"],
        ["Ben", "{id}"],  # nobody is there to be asked
        ["Cleo", "{id}", "--yes"],
        ["Nobody", "{id}", "--yes"],
    ],
)
def test_wrong_use_is_64_and_deletes_nothing(line: Line, arguments: list[str]) -> None:
    friend = ben(line, "one")
    line.messenger.add_contact("Cleo")
    given = [argument.format(id=ids(line, friend)[0]) for argument in arguments]
    assert failure(line.run("delete", *given), 64)
    assert kinds(line, friend) == ["text"]
    assert line.messenger.called("delete") == []


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("", 1), ("ye\n", 1)])
def test_a_person_is_asked(line: Line, monkeypatch: pytest.MonkeyPatch, typed: str, status: int) -> None:
    friend = ben(line, "gone\x1b[2J soon")
    monkeypatch.setattr(messages, "is_interactive", lambda: True)
    outcome = line.run("delete", "Ben", "--last", typed=typed)
    assert outcome.status == status
    assert kinds(line, friend) == ["text" if status else "deleted"]
    assert "Ben: gone[2J soon\n" in outcome.err
    assert "Ben keeps theirs and is not notified. Delete it? [y/n]" in outcome.err


def test_the_question_says_what_becomes_of_an_entry_that_waits(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    ben(line, present=False)
    line.run("send", "Ben", "x" * 1000, "--wait", "0")
    monkeypatch.setattr(messages, "is_interactive", lambda: True)
    shown = line.run("delete", "Ben", "--last", typed="n\n").err
    assert "Ben has not received it" in shown
    assert len(shown) < 600


def test_nothing_is_called_deleted_that_could_not_be_cleaned_away(line: Line) -> None:
    friend = ben(line, "one")
    line.messenger.failures["clean"] = ParlourError(phrase("The disk is full."))
    assert failure(line.run("delete", "Ben", "--last", "--yes"), 1) == "The disk is full."
    assert kinds(line, friend) == ["deleted"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_is_told_that_it_stays_due(
    line: Line, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    async def clean() -> None:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()

    friend = ben(line, "one")
    monkeypatch.setattr(line.messenger, "clean", clean)
    assert failure(line.run("delete", "Ben", "--last", "--yes", "--json"), 1) == messages.DUE
    assert kinds(line, friend) == ["deleted"]
    assert line.messenger.called("close") == [()]


def test_an_engine_that_ends_meanwhile_leaves_it_due(line: Line) -> None:
    ben(line, "one")
    line.messenger.failures["clean"] = Unreachable(phrase("The engine has stopped."))
    assert failure(line.run("delete", "Ben", "--last", "--yes"), 1) == messages.DUE


def test_while_it_goes_on_something_is_said(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    said = asyncio.Event()
    show = output.SignOfLife.show

    def shown(sign: output.SignOfLife, what: str, how_far: str) -> None:
        show(sign, what, how_far)
        if not how_far.startswith("1 "):
            said.set()

    ben(line, "one")
    monkeypatch.setattr(messages, "TICK", 0.01)
    monkeypatch.setattr(line.messenger, "clean", said.wait)
    monkeypatch.setattr(output.SignOfLife, "show", shown)
    outcome = line.run("delete", "Ben", "--last", "--yes")
    assert (outcome.status, outcome.out) == (0, CLEAN)
    assert outcome.err == "Erasing it from the profile file…\n"


def test_at_a_terminal_it_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    sign = output.SignOfLife()
    sign.end()
    sign.show("Cleaning…", "1 s")
    sign.show("Cleaning…", "2 s")
    sign.end()
    assert capsys.readouterr().err == "\rCleaning… 1 s\rCleaning… 2 s\n"


def test_where_no_engine_runs_it_is_done_without_the_network(line: Line) -> None:
    ben(line, "one")
    assert line.run("delete", "Ben", "--last", "--yes").status == 0
    (unlocked,) = [call.arguments for call in line.door.calls if call.method == "unlock"]
    assert "offline" in unlocked
