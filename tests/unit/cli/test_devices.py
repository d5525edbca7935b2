"""terminal list, add, link, compare, remove and rename: what is asked, and what a script gets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from chat.cli import devices
from chat.interface import DoorState, LinkingStage, TerminalState, TerminalView
from tests.support.cli.line import PASSPHRASE, Line
from tests.support.fakes.others import WORDS

DESK, LAPTOP = "d1" * 32, "a2" * 32


@pytest.fixture
def line(line: Line) -> Line:
    own = line.messenger._me.terminal
    line.messenger.other_terminals = (
        TerminalView(DESK, False, TerminalState.LIVE),
        TerminalView(LAPTOP, False, TerminalState.LIVE, "laptop", own),
    )
    return line


def comes(line: Line, name: str = "laptop\x1b") -> None:
    """A new device begins as soon as this one adds."""
    line.messenger.after["add_terminal"] = lambda: line.messenger.device_begins(name)


def test_a_line_says_what_a_device_is_called_and_who_added_it(line: Line) -> None:
    own = line.messenger._me.terminal
    rows = line.run("terminal").out.splitlines()
    assert rows[1:] == [f"{DESK[:16]}  live", f"{LAPTOP[:16]}  laptop  live, added by {own[:16]}"]
    assert line.run("terminal", "list", "--json").objects[2] == {
        "terminal": LAPTOP,
        "name": "laptop",
        "this": False,
        "state": "live",
        "added_by": own,
        "removed_by": "",
        "present": False,
        "seen": None,
        "left": False,
    }


def test_a_device_that_is_gone_and_left_others_behind_says_so_and_is_removed_again(line: Line) -> None:
    gone = TerminalView(LAPTOP, False, TerminalState.REMOVED, "laptop")
    line.messenger.other_terminals = (gone,)
    assert "remove it again" not in line.run("terminal").out
    assert "terminal list" in line.run("terminal", "remove", "laptop", "--yes").failed(64)
    line.messenger.other_terminals = (replace(gone, left=True),)
    assert "Devices that it added are in use" in line.run("terminal").out.splitlines()[1]
    assert line.run("terminal", "list", "--json").objects[1]["left"]
    assert line.run("terminal", "remove", "laptop", "--yes").status == 0
    assert line.messenger.called("remove_terminal") == [(LAPTOP, True)]


def test_a_line_says_when_a_device_was_last_seen(line: Line) -> None:
    when = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    line.messenger.other_terminals = (
        TerminalView(DESK, False, TerminalState.LIVE, seen=when),
        TerminalView(LAPTOP, False, TerminalState.LIVE, "laptop", present=True, seen=when),
    )
    desk, laptop = line.run("terminal").out.splitlines()[1:]
    assert desk == f"{DESK[:16]}  live, last seen 2026-11-24T09:30:00.000Z"
    assert laptop == f"{LAPTOP[:16]}  laptop  live, online"
    fields = line.run("terminal", "list", "--json").objects[2]
    assert (fields["present"], fields["seen"]) == (True, "2026-11-24T09:30:00.000Z")


def test_a_device_is_called_otherwise_here(line: Line) -> None:
    outcome = line.run("terminal", "rename", DESK[:8], "desk", "--json")
    assert outcome.objects == [{"terminal": DESK, "name": "desk"}]
    assert f"{DESK[:16]}  desk  live" in line.run("terminal").out
    assert "removed" in line.run("terminal", "remove", "desk", "--yes").out
    assert line.messenger.called("remove_terminal") == [(DESK, True)]


def test_what_a_device_holds_is_a_line_per_conversation_and_one_for_all(line: Line) -> None:
    ada = line.messenger.add_contact("Ada")
    line.messenger.receive(ada.person, "hello")
    rows = line.run("terminal", "compare").out.splitlines()
    assert rows == [f"{'0' * 16}  1 message  Ada", f"{'ab' * 8}  1 message  in all"]
    one, whole = line.run("terminal", "compare", "--json").objects
    held = {"entries": 1, "root": f"{1:064x}", "elsewhere": 0}
    assert one == {"conversation": "Ada", "person": ada.person, **held}
    assert whole == {"entries": 1, "root": "ab" * 32, "elsewhere": 0}


def test_what_a_device_keeps_is_chosen_by_days_and_shown(line: Line) -> None:
    assert line.run("terminal", "keep").out == "This device keeps all messages.\n"
    chosen = {"days": 30, "elsewhere": 0, "keeper": ""}
    assert line.run("terminal", "keep", "30d", "--json").objects == [chosen]
    assert line.run("terminal", "keep", "--json").objects == [chosen]
    (own,) = [row for row in line.run("terminal", "list", "--json").objects if row["this"]]
    assert own["keeps"] == chosen
    assert "keeps messages for 30 days. You chose no keeper" in line.run("terminal", "list").out
    assert line.run("terminal", "keep", "all").out == "This device keeps all messages.\n"
    for wrong in ("30", "0d", "d", "36501d", "1234567d", "ever"):
        assert "30d" in line.run("terminal", "keep", wrong).failed(64)
        assert "30d" in line.run("terminal", "link", "--keep", wrong).failed(64)
    assert line.messenger.called("keep") == [(30,), (0,)]


def test_the_keeper_is_chosen_and_shown(line: Line) -> None:
    assert line.run("terminal", "keeper").out == "You chose no keeper.\n"
    assert line.run("terminal", "keeper", DESK[:8], "--json").objects == [{"keeper": DESK}]
    assert "it keeps all messages" in line.run("terminal", "keeper").out
    assert line.run("terminal", "keep", "30d").out == "This device keeps messages for 30 days.\n"
    this = line.messenger._me.terminal
    line.run("terminal", "keeper", this[:8])
    assert line.run("terminal", "keep").out == "This device keeps all messages: it is your keeper.\n"
    line.run("terminal", "keeper", DESK[:8], "--none").failed(64)
    assert line.run("terminal", "keeper", "--none").out == "You chose no keeper.\n"
    assert line.messenger.called("choose_keeper") == [(DESK,), (this,), ("",)]


@pytest.mark.parametrize("named", ["nobody", "d1d1", DESK[:7]])
def test_a_device_is_named_by_name_or_by_enough_of_its_id(line: Line, named: str) -> None:
    assert "terminal list" in line.run("terminal", "remove", named, "--yes").failed(64)


def test_nothing_is_removed_without_a_yes(line: Line) -> None:
    for typed in ("n\n", "\n", ""):
        outcome = line.run("terminal", "remove", "laptop", typed=typed)
        assert outcome.status != 0
        assert "Nothing was removed" in outcome.err
    assert line.messenger.called("remove_terminal") == []
    for typed in ("y\n", "y\nx\n"):
        assert "--stolen or --lost" in line.run("terminal", "remove", "laptop", typed=typed).err
    assert line.messenger.called("remove_terminal") == []
    (said,) = line.run("terminal", "remove", "laptop", "--json", typed="y\nl\n").objects
    assert line.messenger.called("remove_terminal") == [(LAPTOP, False)]
    assert said == {"removed": LAPTOP, "added": [], "name_signed_again": "", "held": [], "unverified": []}


def test_the_removal_of_the_first_device_names_the_next_one(line: Line) -> None:
    own = line.messenger._me.terminal
    said = line.run("terminal", "remove", own, typed="n\n").err
    assert f"{own[:16]} is your first device. {DESK[:16]} becomes the first one." in said
    assert "run 'parlour recovery use' there" in said
    assert "Your recovery words are on this device alone" not in said
    line.messenger._me = replace(line.messenger._me, keeps_seed=True)
    assert "Your recovery words are on this device alone" in line.run("terminal", "remove", own, "--yes").err
    assert "first" not in line.run("terminal", "remove", "laptop", typed="n\n").err


def test_the_list_says_what_it_means_to_have_neither_the_first_device_nor_words(line: Line) -> None:
    assert line.run("terminal").err == ""
    line.messenger._me = replace(line.messenger._me, without_words=True)
    own = line.messenger._me.terminal
    assert f"Your first device is {own[:16]}, and no other one can remove it." in line.run("terminal").err


def test_a_device_is_added_after_its_words_were_compared(line: Line) -> None:
    comes(line)
    outcome = line.run("terminal", "add", "--json", typed="y\n")
    assert outcome.status == 0
    (added,) = outcome.objects
    assert added["terminal"] == line.messenger.linking.terminal
    assert "  ".join(WORDS) in outcome.err
    assert "\x1b" not in outcome.err
    assert line.messenger._me.addresses[0] in outcome.err


@pytest.mark.parametrize("typed", ["n\n", "what\n", ""])
def test_every_other_answer_than_yes_adds_nothing(line: Line, typed: str) -> None:
    comes(line)
    outcome = line.run("terminal", "add", typed=typed)
    assert (outcome.status, outcome.out) == (1, "")
    assert line.messenger.linking.stage is LinkingStage.FAILED
    assert len(line.messenger.other_terminals) == 2


def test_a_command_that_ends_adds_no_longer(line: Line) -> None:
    def fails() -> None:
        line.messenger.move_linking(LinkingStage.FAILED, problem="No answer in time.")

    line.messenger.after["add_terminal"] = fails
    assert "No answer in time." in line.run("terminal", "add").err
    assert line.messenger.called("stop_adding")


def test_a_new_device_asks_whether_the_words_are_the_same(line: Line) -> None:
    line.door._state = DoorState.NEW
    asked = "terminal", "link", "--name", "laptop", "--address", "10.0.0.1:4747", "--keep", "30d"
    outcome = line.run(*asked, typed="y\n")
    assert (outcome.status, line.messenger._retention.days) == (0, 30)
    assert "  ".join(WORDS) in outcome.err
    assert "This is a device of Ann now." in outcome.out
    assert [call.arguments for call in line.door.calls if call.method == "link"] == [
        ("laptop", PASSPHRASE, ("10.0.0.1", 4747))
    ]


def test_a_no_makes_no_profile(line: Line) -> None:
    line.door._state = DoorState.NEW
    outcome = line.run("terminal", "link", typed="n\n")
    assert outcome.status == 77
    assert line.door._state is DoorState.NEW


def test_a_profile_that_is_there_stays(line: Line) -> None:
    assert "choose another folder" in line.run("terminal", "link").failed(73)


@pytest.mark.parametrize(
    ("host", "name"),
    [("desk.example.org", "desk"), ("", "device"), ("h" * 40, "h" * 32), (" ", "device")],
)
def test_a_device_is_called_as_its_machine(monkeypatch: pytest.MonkeyPatch, host: str, name: str) -> None:
    monkeypatch.setattr("platform.node", lambda: host)
    assert devices.machine_name() == name
