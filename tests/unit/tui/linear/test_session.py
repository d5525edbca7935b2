"""What no transcript shows well: many entries at once, being held back, time, the bell, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from chat.interface import SHORT_PASSPHRASE, BadData, DoorState, EntryState, ParlourError, Unreachable
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.linear.played import (
    OPTIONS,
    Others,
    Played,
    Recorder,
    locked_door,
    new_door,
    play,
    with_quiet,
)
from tui.linear.history import PAGE
from tui.linear.output import HELD_MAX
from tui.linear.pairing import STRANGERS_MAX
from tui.linear.program import Program
from tui.linear.wording import DELIVERY

UNLOCK = ">> correct horse"


def held(door: FakeDoor) -> FakeMessenger:
    assert door.messenger is not None
    return door.messenger


def ids(door: FakeDoor) -> list[str]:
    """The entries with the first contact, oldest first."""
    person = next(iter(held(door)._contacts))
    return [entry.id for entry in held(door)._conversations[person].entries]


async def test_an_empty_line_takes_a_short_passphrase_after_the_warning() -> None:
    door = new_door()
    said, _status = await play(iter(["> Ada", ">> abc", ">> abc", ">> ", "> /quit"]), door)
    warned = said.index(str(SHORT_PASSPHRASE))
    assert said[warned + 1 : warned + 3] == [">> ", "Opening…"]
    assert [call.arguments for call in door.calls if call.method == "create"] == [("Ada", "abc")]


def read(door: FakeDoor) -> list[object]:
    """The entries that were marked as read, those of each call."""
    return [entries for _, entries in held(door).called("mark_read")]


async def test_many_unread_entries_come_by_pages_and_later_ones_wait_behind_them() -> None:
    door = locked_door()
    arriving = [f"* Ben writes {number}" for number in range(PAGE + 5)]
    said, _status = await play(iter([UNLOCK, *arriving, "> /open Ben", "* Ben writes last", "> /next"]), door)
    told = [line for line in said if line.startswith(("Ben, ", "Ben: "))]
    assert told[:PAGE] == [f"Ben, 09:{number + 1:02}: {number}" for number in range(PAGE)]
    assert [line.split(": ")[1] for line in told[PAGE:]] == [str(n) for n in range(PAGE, PAGE + 5)] + ["last"]
    at = said.index("There is more unread: /next shows it.")
    assert said[at + 1 : at + 3] == ["* Ben writes last", "> /next"]
    assert read(door) == [tuple(ids(door)[:PAGE]), tuple(ids(door)[PAGE:])]


async def test_an_entry_is_read_when_it_was_told_and_not_before() -> None:
    door = locked_door()
    steps = [UNLOCK, "> /open Ben", "> /hold", "* Ben writes one", "* Ben writes two", "* Carla writes three"]
    await play(iter(steps), door)
    assert held(door).called("mark_read") == []
    door = locked_door()
    said, _status = await play(iter([*steps, "> "]), door)
    assert read(door) == [tuple(ids(door))]
    assert said[-4:-1] == ["1 new entry from Carla.", "Ben, 09:01: one", "Ben, 09:02: two"]


async def test_only_the_entries_that_were_told_are_read() -> None:
    door = locked_door()
    steps = [UNLOCK, *["* Ben writes x"] * (PAGE + 9), "> /open Ben", "> /last 3"]
    await play(iter(steps), door)
    assert read(door) == [tuple(ids(door)[:PAGE]), tuple(ids(door)[-3:])]
    assert held(door).unread(next(iter(held(door)._contacts))) == set(ids(door)[PAGE:-3])


async def test_what_was_told_already_is_not_told_twice_as_unread() -> None:
    door = locked_door()
    arriving = [f"* Ben writes number {number}" for number in range(PAGE + 9)]
    said, _status = await play(iter([UNLOCK, *arriving, "> /open Ben", "> /last 3", "> /next"]), door)
    after = said[said.index("> /next") :]
    assert [line.split("number ")[1] for line in after if "number " in line] == [
        str(number) for number in range(PAGE, PAGE + 6)
    ]
    assert "There is more unread: /next shows it." not in after
    assert not held(door).unread(next(iter(held(door)._contacts)))


async def test_what_is_missing_is_announced_and_read_when_its_text_comes() -> None:
    door = locked_door()
    steps = [UNLOCK, "* Ben announces", "> /open Ben", "> /last", "* Ben completes it has come"]
    said, _status = await play(iter(steps), door)
    assert not any("new entry" in line or "unread" in line for line in said)
    assert "1. Ben, 09:01: (not here yet)" in said
    assert said[-2].endswith("Ben, 09:01: it has come")
    assert read(door)[-1] == tuple(ids(door))
    door = locked_door()
    said, _status = await play(iter([UNLOCK, "* Ben announces", "* Ben completes it has come"]), door)
    assert said.count("1 new entry from Ben.") == 1


async def test_entries_that_claim_one_place_are_announced_marked_and_explained() -> None:
    door = locked_door()
    steps = [UNLOCK, "> /open Ben", "* Ben conflicts", "> /last", "> /details 1"]
    said, _status = await play(iter(steps), door)
    assert "Ben: two messages of one device conflict. Their details say more." in said
    marked = "Ben, 09:0{}, conflicts with another message: {}"
    assert "1. " + marked.format(1, "one") in said
    assert "2. " + marked.format(2, "the other") in said
    other = ids(door)[1]
    named = " ".join(other[at : at + 8] for at in range(0, len(other), 8))
    assert f"It conflicts with the entry {named}." in said
    assert any(line.startswith("Another message claims the same place") for line in said)


async def test_an_entry_of_a_removed_terminal_is_marked_and_explained() -> None:
    steps = [UNLOCK, "> /open Ben", "* Ben haunts send money", "> /last", "> /details 1"]
    said, _status = await play(iter(steps), locked_door())
    assert any(line.endswith("from a removed device: send money") for line in said)
    assert any(line.startswith("Its device was removed, and nothing shows") for line in said)


async def test_what_is_found_elsewhere_is_not_read() -> None:
    door = locked_door()
    await play(iter([UNLOCK, "* Ben writes harbour", "> /everywhere harbour"]), door)
    assert read(door) == []


async def test_what_is_held_back_is_bounded_and_what_is_lost_is_said() -> None:
    door = locked_door()
    coming = ["* Ben goes", "* Ben comes"] * HELD_MAX
    said, _status = await play(iter([UNLOCK, "> /hold", *coming, "> ", "> "]), door)
    assert said.count("Ben is online.") + said.count("Ben is offline.") == HELD_MAX
    assert "Older lines were dropped. These are the last ones." in said
    assert said[-2].startswith("No conversation is open")


async def test_what_was_held_back_is_gone_with_the_key() -> None:
    steps = [
        UNLOCK,
        "> /open Ben",
        "> /hold",
        "* Ben goes",
        "* Ben writes x",
        "> /lock",
        UNLOCK,
        "> /me",
        "> ",
    ]
    said, _status = await play(iter(steps), locked_door())
    assert "Ben is offline." not in said
    assert said.count("1 unread from Ben.") == 1
    assert not any("Ben, 09:01" in line for line in said)


async def test_that_somebody_begins_to_write_is_told_once() -> None:
    begins = ["* Ben types", "* Ben stops", "* Ben types"]
    steps = [UNLOCK, "> /open Ben", *begins, "* Ben writes x", *begins, "* Ben goes", "* Ben comes", *begins]
    said, _status = await play(iter(steps), locked_door())
    assert said.count("Ben is typing.") == 3
    said, _status = await play(iter([UNLOCK, "> /open Ben", "> /hold", "* Ben types", "> "]), locked_door())
    assert "Ben is typing." not in said  # when it is shown it would no longer be true


async def test_strangers_cannot_disturb_for_long() -> None:
    said, _status = await play(iter([UNLOCK, *(f"* Frank{n} appears" for n in range(50))]), locked_door())
    assert sum("is visible nearby" in line for line in said) == STRANGERS_MAX
    assert sum(line.startswith("More people") for line in said) == 1


async def test_an_answer_that_comes_too_soon_after_a_question_that_came_by_itself_is_none() -> None:
    """At a terminal: /yes may have been typed for something else."""
    door = locked_door()
    now = 10.0
    options = replace(with_quiet(0.8), monotonic=lambda: now)
    output = Recorder()
    steps = iter([UNLOCK, "* Frank begins", "> /yes"])
    played = Played(steps, Others(held(door)), output)
    played.at_terminal = True
    await Program(door, options, played, output).run()
    assert held(door).called("answer_pairing") == []
    assert "Too soon after the question: read it, then answer again." in played.transcript
    said, _status = await play(iter([UNLOCK, "* Frank begins", "> /yes"]), locked_door(), options)
    assert "Paired with Frank. You can write now." in said  # a pipe types when it has read


async def test_a_question_can_be_answered_while_a_text_is_written() -> None:
    steps = [UNLOCK, "> /open Ben", "> /write", "> one", "> /yes", "* Frank begins", "> /yes", "> ."]
    door = locked_door()
    said, _status = await play(iter(steps), door)
    assert "Paired with Frank. You can write now." in said
    assert [call[1] for call in held(door).called("send")] == ["one\n/yes"]


async def test_an_event_never_changes_to_whom_a_text_goes() -> None:
    door = locked_door()
    steps = [UNLOCK, "> /open Ben", "* Frank begins", "> /yes", "> to Ben"]
    said, _status = await play(iter(steps), door)
    ben = next(iter(held(door)._contacts))
    assert held(door).called("send") == [(ben, "to Ben")]
    said, _status = await play(iter([UNLOCK, "> /open Frank", "> /remove", "> /yes", "> hello?"]), door)
    assert said[-2].startswith("No conversation is open")
    assert len(held(door).called("send")) == 1


async def test_the_state_of_the_last_own_message_alone_is_told_and_only_what_is_new() -> None:
    door = locked_door()
    steps = [UNLOCK, "> /open Carla", "> first", "> second", "> /open Ben", "* Carla comes", "* Carla reads"]
    said, _status = await play(iter(steps), door)
    assert said[-5:-1] == ["Carla is online.", "Delivered to Carla.", "* Carla reads", "Read by Carla."]
    person = held(door)._contacts["".join(call[0] for call in held(door).called("send")[:1])]  # type: ignore[misc]
    assert person.name == "Carla"
    said, _status = await play(
        iter([UNLOCK, "> /quiet delivery", "> /quiet presence", "> /open Ben", "> x", "* Ben goes", "> y"]),
        locked_door(),
    )
    assert not {"Delivered.", "Ben is offline.", "Queued until Ben is online."} & set(said)


async def test_the_bell_rings_where_it_is_wanted_and_once_for_a_burst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rung: list[float] = []
    now = [100.0]

    async def ring(_output: Recorder) -> None:
        rung.append(now[0])

    monkeypatch.setattr(Recorder, "ring", ring)
    options = replace(OPTIONS, monotonic=lambda: now[0])
    await play(iter([UNLOCK, "> /open Ben", "* Ben writes x"]), locked_door(), options)
    assert rung == []
    steps = [UNLOCK, "> /settings bell on", *["* Ben writes x"] * 5, "> /open Carla", "> /mute"]
    await play(iter([*steps, "* Carla writes x"]), locked_door(), options)
    assert rung == [100.0]


async def test_a_terminal_where_nobody_types_locks_by_itself() -> None:
    door = locked_door()
    held(door)._preferences["autolock"] = "1"
    clock = count()

    class Silent(Played):
        """Opens a conversation, types half a line, and nothing more until a passphrase is asked for again."""

        async def line(self) -> str | None:
            if self.editor.text:
                await asyncio.Event().wait()
            self.editor.feed(b"half a line")
            return "/open Ben"

    output = Recorder()
    played = Silent(iter([UNLOCK]), Others(held(door)), output)
    await Program(door, replace(OPTIONS, monotonic=lambda: next(clock)), played, output, every=0.0).run()
    assert next(clock) >= 60
    assert held(door).called("lock") == [()]
    assert [value for name, value in held(door)._preferences.items() if "draft" in name] == ["half a line"]
    assert "Locked after inactivity." in [*played.transcript, *output.take()]


async def test_what_is_typed_after_the_time_to_lock_locks_and_does_nothing_else() -> None:
    """The machine may have slept, so that nothing has looked meanwhile."""
    door = locked_door()
    held(door)._preferences["autolock"] = "1"
    now = 0.0

    def steps() -> Iterator[str]:
        nonlocal now
        yield from (UNLOCK, "> /open Ben", "> in time")
        now = 60.0
        yield "> too late"

    said, _status = await play(steps(), door, replace(OPTIONS, monotonic=lambda: now))
    assert said[-2:] == ["Locked after inactivity.", "Type your passphrase. It is not shown."]
    assert [call[1] for call in held(door).called("send")] == ["in time"]


async def test_a_person_who_finds_no_one_reads_why() -> None:
    door = FakeDoor(FakeMessenger("Ada"))
    options = replace(OPTIONS, patience=0.0)
    said, _status = await play(iter([UNLOCK, "> /me"]), door, options)
    assert any(line.startswith("No one was found within five seconds.") for line in said)
    assert sum("iptables" in line for line in said) == 1
    found, _status = await play(iter([UNLOCK, "> /me"]), locked_door(), options)
    assert not any("five seconds" in line for line in found)


@pytest.mark.parametrize(
    ("steps", "failures", "status"),
    [
        ([], {}, 0),
        ([">> wrong"], {}, 77),
        ([">> wrong", UNLOCK], {}, 0),
        (["> /doctor", "> x", "> /quit"], {"state": BadData("The header is damaged: restore a backup.")}, 65),
        (["> ", UNLOCK, "> /quit"], {"state": BadData("The header is damaged: restore a backup.")}, 0),
    ],
)
async def test_the_exit_status_is_that_of_what_was_refused_last(
    steps: list[str], failures: dict[str, ParlourError], status: int
) -> None:
    door = locked_door()
    door.failures.update(failures)
    said, ended = await play(iter(steps), door)
    assert ended == status
    if failures:
        assert said[0] == "The header is damaged: restore a backup."
        assert said[1] == "An empty line tries again, /doctor diagnoses, /quit closes Parlour."


async def test_an_engine_that_runs_is_joined_or_left_as_it_is() -> None:
    messenger = FakeMessenger("Ada")
    door = FakeDoor(messenger, state=DoorState.RUNNING)
    door.failures["attach"] = Unreachable("It has ended a moment ago: try again.")
    said, status = await play(iter(["> ", "> /quit"]), door)
    assert said[0] == "Parlour already runs with this profile. Connecting to it…"
    assert said.count("It has ended a moment ago: try again.") == 1
    assert (status, messenger.called("close"), messenger.called("lock")) == (0, [()], [])
    messenger.closed = False
    messenger.failures["me"] = Unreachable("The engine does not answer.")
    said, status = await play(iter(["> /quit"]), FakeDoor(messenger, state=DoorState.RUNNING))
    assert "The engine does not answer." in said
    assert status == 69


class EndsMeanwhile(FakeDoor):
    """A door whose engine runs when one looks, and has ended when one comes."""

    async def attach(self) -> FakeMessenger:
        assert self.messenger is not None
        self.messenger.closed = True
        return await super().attach()


async def test_an_engine_that_ended_a_moment_ago_leaves_the_passphrase_to_be_asked_for() -> None:
    door = EndsMeanwhile(FakeMessenger("Ada"), state=DoorState.RUNNING)
    said, status = await play(iter([UNLOCK, "> /quit"]), door)
    assert said[1] == "Type your passphrase. It is not shown."
    assert (status, said[-1]) == (0, "Parlour is closed.")


async def test_every_command_survives_nonsense() -> None:
    said, _status = await play(iter([UNLOCK, "> /help all"]), locked_door())
    helped = said[said.index("> /help all") + 1 :]
    names = [line[1:].split()[0].rstrip(".") for line in helped if line.startswith("/")]
    assert len(names) > 30
    steps = [UNLOCK, "> /open Ben", "* Ben writes x", "> /last"]
    for name in names:
        if name not in ("quit", "lock"):
            steps += [f"> /{name} {rest}" for rest in ("", "x", "0", "99", "-1", "١", "a b c", "{name}")]
            steps += ["> /drop", "> /no"]
    said, status = await play(iter(steps), locked_door())
    assert (status, said[-1]) == (0, "Parlour is closed.")


def test_states_that_are_told_are_those_that_a_receipt_proves() -> None:
    assert set(DELIVERY) == {EntryState.DELIVERED, EntryState.READ}
