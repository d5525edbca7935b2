"""Answers, marks and lines of commands: `send --reply-to`, `read` and `listen --commands`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from msgspec.structs import replace

from chat.assemble import turn
from chat.cli import notices
from chat.cli.asking import _taken
from chat.cli.session import Call
from chat.interface import (
    Closed,
    ContactView,
    EntryEdited,
    EntryState,
    EntryView,
    Level,
    Phrase,
    UsageError,
    Words,
    notified,
)
from chat.platforms.turns import FileTurn
from chat.storage import folder
from tests.support.cli.line import Line, Outcome


def came(line: Line, name: str = "Ben", *texts: str) -> tuple[ContactView, list[EntryView]]:
    friend = line.messenger.add_contact(name, present=True)
    entries = [line.messenger.receive(friend.person, text) for text in texts]
    return friend, [entry for entry in entries if entry is not None]


def test_send_answers_a_message_by_its_id_or_the_begin_of_it(line: Line) -> None:
    friend, (first, second) = came(line, "Ben", "one?", "two?")
    for typed, entry in ((first.id, first), (second.id[:6].upper(), second)):
        (sent,) = line.run("send", "Ben", "yes", "--reply-to", typed, "--json").objects
        assert sent["reply"] == entry.id
    assert line.messenger.called("send")[0] == (friend.person, "yes", first.id)
    answers = [entry["reply"] for entry in line.run("history", "Ben", "--json").objects]
    assert answers == ["", "", first.id, second.id]


def test_an_id_that_names_none_or_several_sends_nothing(line: Line) -> None:
    _, entries = came(line, "Ben", *map(str, range(3)))
    for typed in ("f" * 64, "000000", entries[0].id[:5], "zz"):
        line.run("send", "Ben", "yes", "--reply-to", typed).failed(UsageError.exit_status)
    line.run("send", "Ben", "--file", __file__, "--reply-to", entries[0].id).failed(UsageError.exit_status)
    assert line.messenger.called("send") == []


def test_read_marks_all_or_those_that_are_named(line: Line) -> None:
    friend, entries = came(line, "Ben", "one", "two", "three")
    assert line.run("read", "Ben", entries[0].id, entries[1].id[:8], "--json").objects == [
        {"conversation": "Ben", "unread": 1}
    ]
    assert line.messenger.unread(friend.person) == {entries[2].id}
    assert line.run("read", "Ben").out == "Nothing of Ben is unread.\n"
    assert line.messenger.unread(friend.person) == frozenset()


def commanded(line: Line, *typed: str, options: tuple[str, ...] = ("--json",)) -> Outcome:
    return line.run("listen", "--commands", *options, typed="".join(f"{one}\n" for one in typed))


def answers(outcome: Outcome) -> list[dict[str, Any]]:
    return [one for one in outcome.objects if one["event"] in ("done", "failed")]


def test_lines_are_obeyed_in_order_and_each_gets_an_answer(line: Line) -> None:
    ben, (asked,) = came(line, "Ben", "well?")
    ann, _ = came(line, 'Ann "A" Lee')
    outcome = commanded(
        line,
        "send Ben  two  spaces; $(touch x) `id`",
        "",
        r'send "Ann \"A\" Lee" hello',
        f"reply Ben {asked.id[:8]} yes",
        "read Ben",
        "send Nobody x",
        "dance",
        "send Ben",
        "send",
        "quit",
        "send Ben not any more",
    )  # fmt: skip
    assert outcome.status == 0
    said = answers(outcome)
    assert [(one["line"], one["event"]) for one in said] == [
        *((1, "done"), (3, "done"), (4, "done"), (5, "done")),
        *((6, "failed"), (7, "failed"), (8, "failed"), (9, "failed")),
    ]
    assert said[2]["reply"] == asked.id
    assert said[3]["unread"] == 0
    sent = [call[:2] for call in line.messenger.called("send")]
    assert sent[:3] == [
        (ben.person, " two  spaces; $(touch x) `id`"), (ann.person, "hello"), (ben.person, "yes"),
    ]  # fmt: skip
    assert all(one["error"] for one in said[4:])


def test_the_end_of_the_input_is_as_quit_and_the_end_of_the_engine_ends_it_too(line: Line) -> None:
    came(line)
    assert commanded(line).status == 0
    line.messenger.after["questions"] = lambda: line.messenger.emit(Closed(Phrase("locked"), locked=True))
    outcome = line.run("listen", "--commands", typed="")
    assert outcome.status == 0


def test_a_person_sees_how_ids_begin_and_what_answers_what(line: Line) -> None:
    friend, (asked,) = came(line, "Ben", "well?")
    outcome = commanded(line, f"reply Ben {asked.id} yes", "nonsense", options=())
    assert "To Ben: " in outcome.out
    assert "Line 2: There is no such command here: send NAME TEXT" in outcome.err
    assert "\x1b" not in outcome.out
    assert outcome.out.endswith("\n")
    del friend


def test_a_house_device_takes_no_commands(line: Line, tmp_path: Path) -> None:
    line.run("listen", "--house", "--commands").failed(UsageError.exit_status)


@pytest.mark.parametrize(
    ("typed", "word", "rest"),
    [
        ("Ben hi there", "Ben", "hi there"),
        ('"A b" x', "A b", "x"),
        (r'"A \"\\ b" x', 'A "\\ b', "x"),
        ('"A', '"A', ""),
        ("'A b' x", "'A", "b' x"),
        ("Ben", "Ben", ""),
    ],
)
def test_a_name_is_a_word_or_between_quotation_marks(typed: str, word: str, rest: str) -> None:
    assert _taken(typed) == (word, rest)


def test_lists_that_are_empty_say_so_to_a_person_alone(line: Line) -> None:
    for words in (["contacts"], ["contacts", "list"], ["relays"], ["relays", "list"], ["history", "notes"]):
        said = line.run(*words)
        assert (said.status, said.out) == (0, "")
        assert said.failure
        assert line.run(*words, "--json").err == ""


@pytest.fixture
def notify(line: Line, tmp_path: Path) -> Path:
    """A program of the person that keeps what it was given, and the file it is kept in."""
    script, said, config = tmp_path / "notify", tmp_path / "said", tmp_path / "config.toml"
    script.write_text(f"#!/bin/sh\ncat >> {said}\n")
    script.chmod(0o755)
    config.write_text(f"notify = [{json.dumps(str(script))}]\n")
    line.patch.setattr(notices, "configuration", lambda: config)
    return said


@pytest.mark.parametrize("level", Level)
def test_listen_notifies_as_chosen_and_closes_what_was_read(line: Line, notify: Path, level: Level) -> None:
    friend, _ = came(line, "Ben $(id)")
    muted = line.messenger.add_contact("Cleo", muted=True)

    def happen() -> None:
        for person in (muted, friend):
            for text in ("$(touch x)\x1b]0;", "two", "@Ann three"):
                line.messenger.receive(person.person, text)
        line.messenger.say_as_me(friend.person, "mine", EntryState.SENT)
        line.messenger.change_contact(friend.person, unread=0)
        line.messenger._end("locked")

    line.messenger.after["contacts"] = happen
    outcome = line.run("listen", "--notify", level.value)
    assert outcome.status == 0
    said = [json.loads(one) for one in notify.read_text().splitlines()]
    assert [(one["event"], one.get("mention")) for one in said] == [
        ("notify", False), ("notify", level is not Level.NOTHING), ("close", None),
    ]  # fmt: skip
    assert said[0]["name"] == ("" if level is Level.NOTHING else "Ben $(id)")
    assert said[0]["text"] == ("$(touch x)]0;" if level is Level.TEXT else "")
    (tag,) = {one["tag"] for one in said}
    assert (tag == friend.person) is (level is not Level.NOTHING)


@pytest.mark.parametrize("edited", [True, False])
def test_listen_closes_what_was_edited_or_is_blocked(line: Line, notify: Path, edited: bool) -> None:
    friend, _ = came(line, "Ben")

    def happen() -> None:
        entry = line.messenger.receive(friend.person, "my PIN is 1234")
        assert entry is not None
        if edited:
            line.messenger.emit(EntryEdited(replace(entry, text="never mind")))
        else:
            line.messenger.change_contact(friend.person, blocked=True)
        line.messenger._end("locked")

    line.messenger.after["contacts"] = happen
    line.run("listen", "--notify", "text")
    said = [json.loads(one)["event"] for one in notify.read_text().splitlines()]
    assert said == ["notify", "close"]


@pytest.mark.parametrize("interface", [True, False])
def test_listen_notifies_while_no_interface_does(
    line: Line, notify: Path, tmp_path: Path, interface: bool
) -> None:
    friend, _ = came(line, "Ben")
    turn = FileTurn(tmp_path / "notifies")
    line.patch.setattr(Call, "turn", FileTurn(tmp_path / "notifies"))
    if interface:
        turn.take()

    def happen() -> None:
        line.messenger.receive(friend.person, "@Ann")
        line.messenger._end("locked")

    line.messenger.after["contacts"] = happen
    line.run("listen", "--notify", "text")
    assert notify.exists() is not interface
    turn.give_back()


def test_an_interface_that_was_killed_leaves_its_turn_and_a_wiped_profile_nothing(tmp_path: Path) -> None:
    path = tmp_path / folder.NOTIFIES
    script = (
        "import sys; from pathlib import Path; from chat.platforms.turns import FileTurn;"
        " turn = FileTurn(Path(sys.argv[1])); turn.take(); print('taken', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=PIPE, stdout=PIPE, text=True
    ) as interface:
        assert interface.stdout is not None
        assert interface.stdout.readline() == "taken\n"
        assert FileTurn(path).is_taken()
        interface.kill()
        interface.wait()
    assert not FileTurn(path).is_taken()
    turn(tmp_path).take()
    assert path.exists()
    folder.destroy(tmp_path)
    assert not path.exists()


def test_listen_says_where_nothing_can_notify(line: Line, tmp_path: Path) -> None:
    line.patch.setattr(notices, "configuration", lambda: tmp_path / "none")
    line.patch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    assert "notify = " in line.run("listen", "--notify", "who").failed(UsageError.exit_status)
    line.run("listen", "--house", "--notify", "who").failed(UsageError.exit_status)


async def test_a_terminal_in_tmux_gets_the_sequence_passed_on(line: Line, tmp_path: Path) -> None:
    line.patch.setattr(notices, "configuration", lambda: tmp_path / "none")
    written = list[str]()
    line.patch.setattr(notices, "raw", written.append)
    for name in ("TERM_PROGRAM", "DBUS_SESSION_BUS_ADDRESS"):
        line.patch.delenv(name, raising=False)
    for name, value in (("TERM", "tmux-256color"), ("TMUX", "/s,1,0"), ("KITTY_WINDOW_ID", "1")):
        line.patch.setenv(name, value)
    assert notices.outside() is None  # standard error is no terminal
    line.patch.setattr(sys.stderr, "isatty", lambda: True)
    way = notices.outside()
    assert way is not None
    way.show(notified(Level.TEXT, Words(), "b", "1", "Ben", "x\x1b\\\x07y", mention=False))
    way.close("b")
    await way.end()
    shown, closed = written
    assert shown.startswith("\x1bPtmux;\x1b\x1b]99;i=parlour:d=0:p=title;Parlour\x1b\x1b\\")
    assert "p=body;Ben: x\\y\x1b\x1b\\" in shown
    assert "\x07" not in shown
    assert closed == "\x1bPtmux;\x1b\x1b]99;i=parlour:p=close;\x1b\x1b\\\x1b\\"
