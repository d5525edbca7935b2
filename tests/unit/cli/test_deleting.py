"""delete: asked first, waited for, called done when the file is clean."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from chat.cli import changes, output
from chat.errors import phrase
from chat.interface import ContactView, ParlourError, Unreachable
from tests.support.cli.line import Line

CLEAN = "Deleted. The profile file no longer contains it.\n"


def ben(line: Line, *said: str, present: bool = True) -> ContactView:
    friend = line.messenger.add_contact("Ben", present=present)
    for text in said:
        line.messenger.receive(friend.person, text)
    return friend


def first_id(line: Line, friend: ContactView) -> str:
    return line.messenger._conversations[friend.person].entries[0].id


def kinds(line: Line, friend: ContactView) -> list[str]:
    return [entry.kind for entry in line.messenger._conversations[friend.person].entries]


def test_an_entry_is_deleted_by_its_id_and_cleaned_away(line: Line) -> None:
    friend = ben(line, "one", "two")
    line.messenger.prompt = False
    outcome = line.run("delete", "Ben", first_id(line, friend), "--yes", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.objects == [{"deleted": first_id(line, friend), "conversation": "Ben", "scope": "here"}]
    assert list(outcome.objects[0]) == ["deleted", "conversation", "scope"]
    assert kinds(line, friend) == ["deleted", "text"]
    assert not line.messenger.uncleaned
    again = line.run("delete", "Ben", first_id(line, friend), "--yes", "--json")
    assert (again.status, again.objects) == (0, outcome.objects)
    assert line.messenger.called("clean") == [(), ()]
    assert line.run("history", "Ben").out.splitlines()[0].endswith("Ben: (deleted here)")


def test_the_last_one_is_the_newest_that_is_not_deleted(line: Line) -> None:
    line.patch.setattr(changes, "PAGE", 2)
    friend = ben(line, "one", "two", "three", "four")
    for left in (3, 2, 1, 0):
        assert line.run("delete", "Ben", "--last", "--yes").status == 0
        assert kinds(line, friend) == ["text"] * left + ["deleted"] * (4 - left)
    assert "nothing to delete" in line.run("delete", "Ben", "--last", "--yes").failed(64)


@pytest.mark.parametrize(
    "arguments",
    [
        *(["Ben", "--yes"], ["Ben", "{id}", "--last", "--yes"], ["Ben", "0" * 64, "--yes"]),
        *(["Cleo", "{id}", "--yes"], ["Nobody", "{id}", "--yes"]),
        ["Ben", "{id}"],  # nobody is there to be asked
    ],
)
def test_wrong_use_is_64_and_deletes_nothing(line: Line, arguments: list[str]) -> None:
    friend = ben(line, "one")
    line.messenger.add_contact("Cleo")
    given = [argument.format(id=first_id(line, friend)) for argument in arguments]
    assert line.run("delete", *given).failed(64)
    assert kinds(line, friend) == ["text"]
    assert line.messenger.called("delete") == []


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("", 1), ("ye\n", 1)])
def test_a_person_is_asked(line: Line, typed: str, status: int) -> None:
    friend = ben(line, "gone\x1b[2J soon")
    line.patch.setattr(changes, "is_interactive", lambda: True)
    outcome = line.run("delete", "Ben", "--last", typed=typed)
    assert outcome.status == status
    assert kinds(line, friend) == ["text" if status else "deleted"]
    assert "Ben: gone[2J soon\n" in outcome.err
    assert "Ben keeps theirs and is not notified. Delete it? [y/n]" in outcome.err


def test_the_question_says_what_becomes_of_an_entry_that_waits(line: Line) -> None:
    ben(line, present=False)
    line.run("send", "Ben", "x" * 1000, "--wait", "0")
    line.patch.setattr(changes, "is_interactive", lambda: True)
    shown = line.run("delete", "Ben", "--last", typed="n\n").err
    assert "Ben has not received it. If it still waits, Ben only learns that there was a message." in shown
    assert len(shown) < 600


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ParlourError(phrase("The disk is full.")), "The disk is full."),
        (Unreachable(phrase("The engine has stopped.")), changes.DUE),
    ],
)
def test_nothing_is_called_deleted_that_could_not_be_cleaned_away(
    line: Line, raised: ParlourError, said: str
) -> None:
    friend = ben(line, "one")
    line.messenger.failures["clean"] = raised
    assert line.run("delete", "Ben", "--last", "--yes").failed(1) == said
    assert kinds(line, friend) == ["deleted"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_person_who_stops_it_learns_that_it_stays_due(line: Line, number: signal.Signals) -> None:
    async def clean() -> None:
        os.kill(os.getpid(), number)
        await asyncio.Event().wait()

    friend = ben(line, "one")
    line.patch.setattr(line.messenger, "clean", clean)
    assert line.run("delete", "Ben", "--last", "--yes", "--json").failed(1) == changes.DUE
    assert kinds(line, friend) == ["deleted"]
    assert line.messenger.called("close") == [()]


def test_while_it_goes_on_something_is_said(line: Line) -> None:
    said = asyncio.Event()
    show = output.SignOfLife.show

    def shown(sign: output.SignOfLife, what: str, how_far: str) -> None:
        show(sign, what, how_far)
        if not how_far.startswith("1 "):
            said.set()

    ben(line, "one")
    line.patch.setattr(changes, "TICK", 0.01)
    line.patch.setattr(line.messenger, "clean", said.wait)
    line.patch.setattr(output.SignOfLife, "show", shown)
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
