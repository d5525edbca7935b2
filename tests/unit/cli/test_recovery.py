"""The commands `recovery` and `recovery use`."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from chat.cli import output, recovery
from chat.interface import RECOVERY_WORDS, AddedView, TerminalState, TerminalView
from protocol.identity.author import RECOVERY_WORDS as COUNT
from protocol.identity.author import recovery_words
from tests.support.cli.line import Line
from tests.support.cli.terminals import heard_until, python_at, terminal
from tests.support.fakes.messenger import NEW_WORDS, RECOVERY_ASKED
from tests.support.fakes.others import identity

WORDS = recovery_words(bytes(range(32)))
ASKED = "".join(f"{WORDS[place]}\n" for place in RECOVERY_ASKED)
ANSWERS = tuple(NEW_WORDS[place] for place in RECOVERY_ASKED)
TYPED_BACK = "".join(f"{word}\n" for word in ANSWERS)


def replaced(removed: tuple[str, ...] = (), *, stolen: bool = True) -> tuple[object, ...]:
    """The arguments of a recovery to new words, all of which were typed back."""
    return WORDS, removed, ANSWERS, False, False, stolen


def test_the_words_are_shown_asked_for_and_erased(line: Line) -> None:
    line.messenger.keep_seed()
    outcome = line.run("recovery", "--json", typed=ASKED)
    shown, erased = outcome.objects
    assert shown == {"words": list(WORDS), "asked": [place + 1 for place in RECOVERY_ASKED]}
    assert erased == {"erased": True}
    assert "Word 3: Word 8: Word 21: Word 34:" in outcome.err
    assert "thief" in outcome.err
    assert line.run("recovery").failed(77)


@pytest.mark.parametrize("typed", ["", WORDS[2], "\n" * 4, f"{WORDS[7]}\n" * 4])
def test_nothing_is_erased_where_the_words_are_not_typed(line: Line, typed: str) -> None:
    line.messenger.keep_seed()
    assert line.run("recovery", typed=typed).status != 0
    assert line.messenger._me.keeps_seed


def test_at_a_terminal_the_words_are_on_a_screen_that_is_cleared(line: Line) -> None:
    for module in (recovery, output):
        line.patch.setattr(f"{module.__name__}.is_interactive", lambda: True, raising=False)
    line.patch.setattr("sys.stdout.isatty", lambda: True)
    line.messenger.keep_seed()
    outcome = line.run("recovery", typed=f"\n{ASKED}")
    assert outcome.status == 0
    before, shown, after = outcome.out.replace("\x1b[?1049l", "\x1b[?1049h").split("\x1b[?1049h")
    assert (before, after) == ("", "The recovery words were erased here: only your paper has them.\n")
    assert all(word in shown for word in WORDS)
    assert shown.rindex(WORDS[-1]) < shown.index("\x1b[2J", 8)
    assert shown.count("\x1b[2J\x1b[H") == 3  # before, when some are asked for, and after those
    assert shown.endswith("\x1b[2J\x1b[H")
    assert not any(word in outcome.err.split() for word in WORDS)


AT_TERMINAL = """
import sys
from chat.cli.__main__ import run, show
from chat.cli.session import Call
from chat.interface import DoorState
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
messenger = FakeMessenger("Ann")
messenger.keep_seed()
door = FakeDoor(messenger, state=DoorState.RUNNING)
sys.exit(run(sys.argv[1:], Call(lambda *_: door, show)))
"""


@pytest.mark.terminal
@pytest.mark.parametrize("leaving", [b"\x03", signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize(
    ("command", "asked", "typed"),
    [
        (("recovery",), b"press Enter", ()),
        (("recovery",), b"press Enter", ((b"\n", b"Word "), (b"acorn", b"acorn"))),
        (("recovery", "use"), b"as many lines", ((b"acorn", b"acorn"),)),
    ],
)
def test_every_way_out_takes_the_words_off_the_screen(
    command: tuple[str, ...],
    asked: bytes,
    typed: tuple[tuple[bytes, bytes], ...],
    leaving: bytes | signal.Signals,
) -> None:
    """A hang-up of the program alone, as by tmux or screen, leaves its screen to others."""
    with terminal() as (person, program):
        process = python_at(program, "-c", AT_TERMINAL, *command)
        heard = heard_until(person, asked)
        for keys, shown_then in typed:
            os.write(person, keys)
            heard += heard_until(person, shown_then)
        if isinstance(leaving, bytes):
            os.write(person, leaving)
        else:
            process.send_signal(leaving)
        heard = heard_until(person, b"\x1b[?1049l", heard)
        assert process.wait(60) == 1
    shown, _, _ = heard.partition(b"\x1b[?1049l")
    assert shown.endswith(b"\x1b[2J\x1b[H")


def test_the_words_are_read_in_lines_and_devices_removed_by_id(line: Line) -> None:
    other = identity("terminal of a thief")
    views = *line.messenger._terminals(), TerminalView(other, False, TerminalState.LIVE)
    line.patch.setattr(line.messenger, "_terminals", lambda: views)
    typed = "\n".join(" ".join(WORDS[at : at + 6]) for at in range(0, len(WORDS), 6)) + "\n"
    names = "--remove", other[:12].upper(), "--remove", other
    shown, used = line.run("recovery", "use", *names, "--json", typed=typed + TYPED_BACK).objects
    assert shown == {"words": list(NEW_WORDS), "asked": [place + 1 for place in RECOVERY_ASKED]}
    assert used == {
        "recovered": True,
        "removed": [other],
        "new_keys": False,
        "same_words": False,
        "added": [],
        "name_signed_again": "",
        "held": [],
        "unverified": [],
    }
    assert line.messenger.called("recover") == [replaced((other,))]
    line.messenger.words_replaced = False
    said = line.run("recovery", "use", *names, typed=typed + TYPED_BACK).out
    assert "1 device removed" in said
    assert "The old words open nothing any more" in said


def test_a_device_that_is_chosen_twice_counts_once(line: Line) -> None:
    other = identity("terminal of a thief")
    views = *line.messenger._terminals(), TerminalView(other, False, TerminalState.LIVE)
    line.patch.setattr(line.messenger, "_terminals", lambda: views)
    line.patch.setattr(recovery, "is_interactive", lambda: True)
    outcome = line.run("recovery", "use", typed=" ".join(WORDS) + f"\n1 1\ny\ns\n\n{TYPED_BACK}")
    assert "remove 1 device?" in outcome.err
    assert line.messenger.called("recover") == [replaced((other,))]


def test_wrong_words_are_refused_before_anything_is_asked(line: Line) -> None:
    line.patch.setattr(recovery, "is_interactive", lambda: True)
    outcome = line.run("recovery", "use", typed=" ".join((*WORDS[1:], WORDS[0])) + "\n\ny\n")
    assert outcome.status == 64
    assert "[y/n]" not in outcome.err
    assert "not the recovery words" in outcome.err
    assert line.messenger.called("recover") == []


def test_a_device_that_gets_new_keys_says_what_to_do(line: Line) -> None:
    async def recover(*_: object) -> None:
        line.messenger._me = replace(line.messenger._me, terminal=identity("new keys"))

    line.patch.setattr(line.messenger, "recover", recover)
    outcome = line.run("recovery", "use", "--same-words", typed=" ".join(WORDS))
    assert "pair again" in outcome.out
    assert "stay the same" in outcome.out


@pytest.mark.parametrize("name", ["", "f", "0" * 7, "0" * 64])
def test_a_device_that_is_not_there_is_not_removed(line: Line, name: str) -> None:
    outcome = line.run("recovery", "use", "--remove", name, typed=" ".join(WORDS))
    assert "No single device" in outcome.failed(64)
    assert "Type the" not in outcome.err, "before any word is typed"
    assert line.messenger.called("recover") == []


@pytest.mark.parametrize(
    ("answer", "used"), [("y\ns", True), ("y\nL", True), ("y\nx", False), ("n", False), ("", False)]
)
def test_a_person_chooses_devices_by_number_and_confirms(line: Line, answer: str, used: bool) -> None:
    line.patch.setattr(recovery, "is_interactive", lambda: True)
    other = identity("terminal of a thief")
    views = *line.messenger._terminals(), TerminalView(other, False, TerminalState.COPIED)
    line.patch.setattr(line.messenger, "_terminals", lambda: views)
    first, rest = " ".join(WORDS[:9]), " ".join(WORDS[9:])
    outcome = line.run("recovery", "use", typed=f"{first}\n{rest}\n1\n{answer}\n\n{TYPED_BACK}")
    assert f"1  {other[:16]}  live, may have been copied" in outcome.err
    assert line.messenger.called("recover") == ([replaced((other,), stolen="s" in answer)] if used else [])
    assert (outcome.status == 0) is used


@pytest.mark.parametrize("typed", ["", ANSWERS[0], f"{ANSWERS[1]}\n" * 4])
def test_nothing_is_signed_where_the_new_words_are_not_typed_back(line: Line, typed: str) -> None:
    outcome = line.run("recovery", "use", typed=" ".join(WORDS) + f"\n{typed}")
    assert outcome.status != 0
    assert not line.messenger.words_replaced
    assert not any(word in outcome.err.split() for word in NEW_WORDS)


def test_a_person_who_mistypes_a_new_word_sees_them_again(line: Line) -> None:
    for module in (recovery, output):
        line.patch.setattr(f"{module.__name__}.is_interactive", lambda: True, raising=False)
    line.patch.setattr("sys.stdout.isatty", lambda: True)
    wrong = "\n" + f"{ANSWERS[1]}\n" * 4
    outcome = line.run("recovery", "use", typed=" ".join(WORDS) + f"\n\ny\n{wrong}\n{TYPED_BACK}")
    assert outcome.status == 0
    assert "Word 3 is another one" in outcome.err
    assert outcome.out.count(" 1 " + NEW_WORDS[0]) == 2
    screens = outcome.out.replace("\x1b[?1049l", "\x1b[?1049h").split("\x1b[?1049h")
    for left in screens[::2]:
        assert not any(word in left.split() for word in NEW_WORDS)
    assert line.messenger.called("recover")[-1] == replaced()


def test_the_same_words_are_kept_where_nobody_else_has_them(line: Line) -> None:
    (used,) = line.run("recovery", "use", "--same-words", "--json", typed=" ".join(WORDS)).objects
    assert used["same_words"]
    assert line.messenger.called("recover") == [(WORDS, (), (), True, False, True)]
    assert not line.messenger.words_replaced


def test_words_that_were_replaced_recover_where_that_was_not_this_person(line: Line) -> None:
    line.messenger.words_replaced = True
    refused = line.run("recovery", "use", typed=" ".join(WORDS))
    assert (refused.status, refused.out) == (64, "")
    assert "--not-mine" in refused.err
    outcome = line.run("recovery", "use", "--not-mine", typed=" ".join(WORDS) + f"\n{TYPED_BACK}")
    assert outcome.status == 0
    assert "contradicts" in outcome.err
    assert line.messenger.called("recover") == [(WORDS, (), ANSWERS, False, True, True)]


KEPT, FALLEN = (identity(name) for name in ("kept", "fallen"))


@pytest.mark.parametrize("command", ["recovery", "terminal"])
def test_what_removed_devices_added_is_listed_before_anything_is_signed(line: Line, command: str) -> None:
    other, since = identity("phone"), datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
    line.messenger.other_terminals = (
        TerminalView(other, False, TerminalState.LIVE, "phone"),
        TerminalView(FALLEN, False, TerminalState.LIVE, "tablet\x1b[2J", other),
    )
    line.messenger.added = (
        AddedView(FALLEN, "tablet\x1b[2J", other, since, False, False),
        AddedView(KEPT, "", other, None, True, True),
    )
    ben, cleo = (line.messenger.add_contact(name) for name in ("Ben", "Cleo"))
    line.messenger.paired_by_others = ((ben.person,), (cleo.person,))
    if command == "recovery":
        typed = " ".join(WORDS) + "\n"
        outcome = line.run("recovery", "use", "--remove", other, "--same-words", "--json", typed=typed)
    else:
        outcome = line.run("terminal", "remove", "phone", "--yes", "--json")
    (said,) = outcome.objects
    assert [(one["terminal"], one["stays"], one["confirmed"]) for one in said["added"]] == [
        (FALLEN, False, False),
        (KEPT, True, True),
    ]
    assert [one["since"] for one in said["added"]] == ["2026-11-25T09:30:00.000Z", None]
    assert said["name_signed_again"] == "Ann"
    told = outcome.err
    falls = f"is removed  {FALLEN[:16]}  tablet[2J  added by {other[:16]}, known here since"
    assert f"{falls} 2026-11-25T09:30:00.000Z, not confirmed" in told
    assert f"stays  {KEPT[:16]}  added by {other[:16]}, confirmed" in told
    assert "link it again" in told
    assert "Your name stays Ann: this device signs it again." in told
    assert (said["held"], said["unverified"]) == ([ben.person], [cleo.person])
    assert "has paired with Ben: Parlour sends nothing there until you compare" in told
    assert "has compared with Cleo: compare again" in told


def test_no_word_is_an_argument(line: Line) -> None:
    assert line.run("recovery", "use", *WORDS).status == 64


def test_the_interface_has_the_count_of_the_protocol() -> None:
    assert RECOVERY_WORDS == COUNT
