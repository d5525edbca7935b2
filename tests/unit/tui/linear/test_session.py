"""What no transcript shows well: many entries at once, being held back, time, the bell, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count

import pytest
from msgspec.structs import replace

from chat.errors import Phrase
from chat.interface import (
    SHORT_PASSPHRASE,
    AddedView,
    AlertKind,
    BadData,
    DoorState,
    EntryState,
    IdentityChangeView,
    OwnChange,
    ParlourError,
    QuestionView,
    TerminalState,
    TerminalView,
    UnlockCost,
    Unreachable,
    UsageError,
    VerificationView,
)
from protocol.identity.author import recovery_words
from tests.support.fakes.messenger import NEW_WORDS, RECOVERY_ASKED, FakeDoor, FakeMessenger
from tests.support.fakes.others import alert
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
from tests.support.tui.opened import EndsMeanwhile
from tui.linear.history import PAGE
from tui.linear.output import HELD_MAX
from tui.linear.pairing import STRANGERS_MAX
from tui.linear.program import Program
from tui.linear.state import pick
from tui.linear.wording import DELIVERY
from tui.preferences import Options
from tui.text.formatting import STAYS

UNLOCK = ">> correct horse"


async def talk(*steps: str, options: Options = OPTIONS) -> tuple[list[str], FakeMessenger]:
    """All that is said once the profile with Ben and Carla is unlocked, and the engine."""
    door = locked_door()
    said, _status = await play(iter([UNLOCK, *steps]), door, options)
    assert door.messenger is not None
    return said, door.messenger


def ids(messenger: FakeMessenger) -> list[str]:
    """The entries with Ben, oldest first."""
    return [entry.id for entry in messenger._conversations[ben(messenger)].entries]


def ben(messenger: FakeMessenger) -> str:
    return next(iter(messenger._contacts))


def read(messenger: FakeMessenger) -> list[object]:
    """The entries that were marked as read, those of each call."""
    return [entries for _, entries in messenger.called("mark_read")]


async def test_an_empty_line_takes_a_short_passphrase_after_the_warning() -> None:
    door = new_door()
    said, _status = await play(iter(["> Ada", ">> abc", ">> abc", ">> ", "> /quit"]), door)
    warned = said.index(str(SHORT_PASSPHRASE))
    assert said[warned + 1 : warned + 3] == [">> ", "Opening…"]
    assert [call.arguments for call in door.calls if call.method == "create"] == [("Ada", "abc")]


async def test_the_passphrase_is_changed_line_by_line_and_an_empty_line_cancels() -> None:
    new = "another long one"
    said, messenger = await talk(
        *("> /passphrase", ">> correct horse", ">> ", "> /passphrase", ">> wrong", f">> {new}", f">> {new}"),
        *("> /passphrase", ">> correct horse", f">> {new}", ">> other", f">> {new}", f">> {new}"),
        *("> /open Ben", "> after it", "> /quit"),
    )
    assert said.count("Nothing was changed.") == 1
    assert said.count("The two passphrases differ.") == 1
    assert said.count("The passphrase was changed.") == 1
    changes = [(old, new, UnlockCost.KEPT, False) for old in ("wrong", "correct horse")]
    assert messenger.called("change_passphrase") == changes
    assert messenger.called("send")[-1][1] == "after it"


async def test_a_new_key_is_offered_after_the_change_and_asks_for_the_passphrase() -> None:
    new = "another long one"
    said, messenger = await talk(
        *("> /passphrase", ">> correct horse", f">> {new}", f">> {new}"),
        *("> /passphrase key", ">> ", "> /passphrase key", f">> {new}", "> /quit"),
    )
    assert sum(one.startswith("Type /passphrase key") for one in said) == 1
    assert said.count("The history has a new key.") == 1
    assert messenger.called("change_passphrase")[1:] == [(new, new, UnlockCost.KEPT, True)]


async def test_a_short_new_passphrase_is_confirmed_by_an_empty_line_or_replaced() -> None:
    typed = (">> correct horse", ">> abc", ">> abc")
    said, messenger = await talk("> /passphrase", *typed, ">> ", "> /quit")
    assert said.count(str(SHORT_PASSPHRASE)) == 1
    assert messenger.passphrase == "abc"
    _said, messenger = await talk(
        "> /passphrase", *typed, ">> longer than abc", ">> longer than abc", "> /quit"
    )
    assert messenger.called("change_passphrase") == [
        ("correct horse", "longer than abc", UnlockCost.KEPT, False)
    ]


async def idle(before: Sequence[str], after: str) -> tuple[list[str], FakeMessenger]:
    """What is said where a line comes after the time to lock. The machine may have slept meanwhile."""
    messenger = FakeMessenger("Ada")
    messenger.add_contact("Ben")
    messenger._preferences["autolock"] = "1"
    now = 0.0

    def steps() -> Iterator[str]:
        nonlocal now
        yield from (UNLOCK, "> /open Ben", *before)
        now = 60.0
        yield after

    said, _status = await play(steps(), FakeDoor(messenger), replace(OPTIONS, monotonic=lambda: now))
    return said, messenger


async def test_a_passphrase_that_was_begun_is_no_draft_after_a_lock() -> None:
    _said, messenger = await idle(("> /passphrase", ">> correct horse"), ">> too late")
    assert messenger.called("change_passphrase") == []
    assert not any("too late" in value for value in messenger._preferences.values())


async def test_a_typed_number_or_the_only_one_shown_verifies_and_another_does_not() -> None:
    other = "1" * 60
    said, messenger = await talk(
        "> /open Ben", "> /verify yes", f"> /verify {other}", "> /verify 1", "> /verify yes", "> /quit"
    )
    assert messenger.called("verify") == [
        (ben(messenger), other),
        (ben(messenger), "1"),
        (ben(messenger), messenger.number(ben(messenger))),
    ]
    assert sum("not the safety number" in line for line in said) == 1
    assert sum("60 digits; 1 were typed" in line for line in said) == 1
    assert said.count("Ben is verified.") == 1


async def test_of_several_numbers_one_is_typed_and_what_changed_is_said() -> None:
    def contest(fake: FakeMessenger) -> None:
        numbers = fake.number(ben(fake)), fake.number(ben(fake), "other")
        change = IdentityChangeView(Phrase("added a device"), "a1" * 32, "b2" * 32, "c3" * 32)
        fake.verifications[ben(fake)] = VerificationView(
            numbers, datetime(2026, 11, 24, 9, tzinfo=UTC), True, (change,)
        )

    door = locked_door()
    assert door.messenger is not None
    contest(door.messenger)
    other = door.messenger.number(ben(door.messenger), "other")
    steps = [UNLOCK, "> /open Ben", "> /verify", "> /verify yes", f"> /verify {other}", "> /quit"]
    said, _status = await play(iter(steps), door)
    assert door.messenger.called("verify") == [(ben(door.messenger), other)]
    assert "Ben is verified." in said
    assert sum("contradict each other" in line for line in said) == 2  # yes to several is no answer
    assert any(line.startswith("Last confirmed by pairing words: 2026-11-24") for line in said)
    changed = "Since then: Ben added a device (device b2b2b2b2…) (signed by device c3c3c3c3…)"
    assert changed in said


async def test_a_change_of_the_own_identity_is_said_listed_and_answered() -> None:
    door = locked_door()
    assert door.messenger is not None
    question = QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32)
    door.messenger.ask(question, replace(question, operation="a2" * 32, change=OwnChange.RECOVERED))
    steps = ["> /own", "> /own no", "> /own yes", "> /own yes 3", "> /own yes 2", "> /own maybe", "> /quit"]
    said, _status = await play(iter([UNLOCK, *steps]), door)
    assert "Your identity has changed, and not by this device. Was that you? Type /own." in said
    assert any(line.startswith("1. Device c3c3c3c3… added device b2b2b2b2…") for line in said)
    assert any(
        line.startswith("2. Your recovery words were used, and brought device b2b2b2b2…") for line in said
    )
    assert (
        "Then somebody has your keys. Recover your identity now with your recovery words (/recovery use)."
        in said
    )
    assert sum("Type /own, then /own yes" in line for line in said) == 3
    assert door.messenger.called("confirm_own") == [("a2" * 32,)]


async def test_an_older_copy_is_said_at_the_start_until_the_diagnosis_was_read() -> None:
    door = locked_door()
    assert door.messenger is not None
    door.messenger.alarm(alert(AlertKind.OLD_COPY))
    said, _status = await play(iter([UNLOCK, "> /doctor", "> /quit"]), door)
    assert any(line.startswith("Warning. This is an older copy of your profile") for line in said)
    assert "Type /doctor when you have read this." in said
    assert door.messenger._alerts == ()


async def test_a_removed_device_lets_nobody_begin_a_text() -> None:
    door = locked_door()
    assert door.messenger is not None
    door.messenger.add_contact("Bob")
    door.messenger.alarm(alert(AlertKind.REMOVED))
    said, _status = await play(iter([UNLOCK, "> /open Bob", "> /write", "> /quit"]), door)
    assert "This device was removed. It sends nothing." in said
    assert not any(line.startswith("Write to") for line in said)


async def test_case_84_the_place_of_a_change_is_that_in_the_list_that_was_shown() -> None:
    """A thief's operation with a lower id comes after the list was shown."""
    door = locked_door()
    messenger = door.messenger
    assert messenger is not None
    question = QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32)
    messenger.ask(question)

    def steps() -> Iterator[str]:
        yield from (UNLOCK, "> /own")
        messenger.ask(replace(question, operation="00" * 32), question)
        yield from ("> /own yes 2", "> /own yes 1", "> /quit")

    said, _status = await play(steps(), door)
    assert messenger.called("confirm_own") == [("a1" * 32,)]
    assert sum("Type /own, then /own yes" in line for line in said) == 1


async def test_case_84_the_number_of_a_device_is_that_in_the_list_that_was_shown() -> None:
    """The thief's device moves behind the good one before the words are typed."""
    door = locked_door()
    messenger = door.messenger
    assert messenger is not None
    thief, good = (TerminalView(digit * 64, False, TerminalState.LIVE) for digit in "fa")
    messenger.other_terminals = (thief, good)
    words = " ".join(recovery_words(bytes(range(32))))

    def steps() -> Iterator[str]:
        yield from (UNLOCK, "> /recovery use")
        messenger.other_terminals = (good, replace(thief, state=TerminalState.COPIED))
        yield from (f"> /recovery use same 1 {words}", "> /yes", "> /quit")

    said, _status = await play(steps(), door)
    ((_, removed, *_),) = messenger.called("recover")
    assert removed == (thief.terminal,)
    asked = said.index("Remove 1 device?")
    assert said[asked + 1] == "ffffffff…"


async def test_many_unread_entries_come_by_pages_and_later_ones_wait_behind_them() -> None:
    arriving = [f"* Ben writes {number}" for number in range(PAGE + 5)]
    said, messenger = await talk(*arriving, "> /open Ben", "* Ben writes last", "> /next")
    told = [line for line in said if line.startswith(("Ben, ", "Ben: "))]
    assert told[:PAGE] == [f"Ben, 09:{number + 1:02}: {number}" for number in range(PAGE)]
    assert [line.split(": ")[1] for line in told[PAGE:]] == [str(n) for n in range(PAGE, PAGE + 5)] + ["last"]
    at = said.index("There is more unread: /next shows it.")
    assert said[at + 1 : at + 3] == ["* Ben writes last", "> /next"]
    assert read(messenger) == [tuple(ids(messenger)[:PAGE]), tuple(ids(messenger)[PAGE:])]


async def test_an_entry_is_read_when_it_was_told_and_not_before() -> None:
    steps = ["> /open Ben", "> /hold", "* Ben writes one", "* Ben writes two", "* Carla writes three"]
    _said, messenger = await talk(*steps)
    assert read(messenger) == []
    said, messenger = await talk(*steps, "> ")
    assert read(messenger) == [tuple(ids(messenger))]
    assert said[-4:-1] == ["1 new message from Carla.", "Ben, 09:01: one", "Ben, 09:02: two"]


async def test_only_the_entries_that_were_told_are_read_and_not_told_twice_as_unread() -> None:
    steps = [*(f"* Ben writes number {number}" for number in range(PAGE + 9)), "> /open Ben", "> /last 3"]
    _said, messenger = await talk(*steps)
    assert read(messenger) == [tuple(ids(messenger)[:PAGE]), tuple(ids(messenger)[-3:])]
    assert messenger.unread(ben(messenger)) == set(ids(messenger)[PAGE:-3])
    said, messenger = await talk(*steps, "> /next")
    after = said[said.index("> /next") :]
    told = [line.split("number ")[1] for line in after if "number " in line]
    assert told == [str(number) for number in range(PAGE, PAGE + 6)]
    assert "There is more unread: /next shows it." not in after
    assert not messenger.unread(ben(messenger))


async def test_case_97_an_entry_of_a_newer_version_is_said_and_rings_nobody() -> None:
    said, messenger = await talk("* Ben surpasses", "> /open Ben", "> /last", "* Ben surpasses")
    assert not any("new message" in line or "unread" in line for line in said)
    assert "1. Ben, 09:01: (written by a newer Parlour)" in said
    assert said[-2].endswith("Ben, 09:02: (written by a newer Parlour)")
    assert not messenger.unread(ben(messenger))


async def test_what_is_missing_is_announced_and_read_when_its_text_comes() -> None:
    said, messenger = await talk("* Ben announces", "> /open Ben", "> /last", "* Ben completes it has come")
    assert not any("new message" in line or "unread" in line for line in said)
    assert "1. Ben, 09:01: (not here yet)" in said
    assert said[-2].endswith("Ben, 09:01: it has come")
    assert read(messenger)[-1] == tuple(ids(messenger))
    door = locked_door()
    said, _status = await play(iter([UNLOCK, "* Ben announces", "* Ben completes it has come"]), door)
    assert said.count("1 new message from Ben.") == 1


async def test_case_88_it_is_said_when_other_entries_are_marked() -> None:
    said, _ = await talk("* Ben writes hello", "> /open Ben", "* Ben is-left-out", "> /last")
    assert "Ben: other messages than before have a mark, which their details explain." in said
    assert any(line.endswith("from a removed device: hello") for line in said)


async def test_entries_that_claim_one_place_are_announced_marked_and_explained() -> None:
    said, messenger = await talk("> /open Ben", "* Ben conflicts", "> /last", "> /details 1")
    assert "Ben: two messages of one device conflict. Their details say more." in said
    marked = "Ben, 09:0{}, conflicts with another message: {}"
    assert "1. " + marked.format(1, "one") in said
    assert "2. " + marked.format(2, "the other") in said
    other = ids(messenger)[1]
    named = " ".join(other[at : at + 8] for at in range(0, len(other), 8))
    assert f"It conflicts with the message {named}." in said
    assert any(line.startswith("Another message claims the same place") for line in said)


async def test_an_entry_of_a_removed_terminal_is_marked_and_explained() -> None:
    steps = [UNLOCK, "> /open Ben", "* Ben haunts send money", "> /last", "> /details 1"]
    said, _status = await play(iter(steps), locked_door())
    assert any(line.endswith("from a removed device: send money") for line in said)
    assert any(line.startswith("Its device was removed, and nothing shows") for line in said)


async def test_case_99_the_details_say_that_an_entry_came_from_another_device_of_ones_own() -> None:
    steps = [UNLOCK, "> /open Ben", "* Ben relates send money", "> /last", "> /details 1"]
    said, _status = await play(iter(steps), locked_door())
    assert any(line.startswith("Another device of yours passed this message on") for line in said)


@pytest.mark.parametrize(
    ("verb", "head", "cause"),
    [
        (
            "claims",
            "1. Ben, 09:01, says that you wrote this: I owe you",
            "The contact says that you wrote this",
        ),
        (
            "vouches",
            "1. Ada, 09:01, another device of yours says that you wrote this: I owe you",
            "Another device of yours passed this on",
        ),
    ],
)
async def test_a_claim_says_who_claims_it_and_is_announced_elsewhere_by_nothing(
    verb: str, head: str, cause: str
) -> None:
    steps = [UNLOCK, f"* Ben {verb} I owe you", "> /open Ben", "> /last", "> /details 1"]
    said, _status = await play(iter(steps), locked_door())
    assert not any("new message" in line for line in said)
    assert head in said
    assert any(line.startswith(cause) for line in said)
    assert any(line.startswith("Claimed by ") for line in said)
    assert not any("Not confirmed by any device" in line for line in said)


async def test_what_is_found_elsewhere_is_not_read() -> None:
    _said, messenger = await talk("* Ben writes harbour", "> /everywhere harbour")
    assert read(messenger) == []


async def test_what_is_held_back_is_bounded_and_what_is_lost_is_said() -> None:
    said, _ = await talk("> /hold", *["* Ben goes", "* Ben comes"] * HELD_MAX, "> ", "> ")
    assert said.count("Ben is online.") + said.count("Ben is offline.") == HELD_MAX
    assert "Older lines were dropped. These are the last ones." in said
    assert said[-2].startswith("No conversation is open")


async def test_what_was_held_back_is_gone_with_the_key() -> None:
    held = ("> /open Ben", "> /hold", "* Ben goes", "* Ben writes x")
    said, _ = await talk(*held, "> /lock", UNLOCK, "> /me", "> ")
    assert "Ben is offline." not in said
    assert said.count("1 unread from Ben.") == 1
    assert not any("Ben, 09:01" in line for line in said)


async def test_that_somebody_begins_to_write_is_told_once() -> None:
    begins = ["* Ben types", "* Ben stops", "* Ben types"]
    steps = ["> /open Ben", *begins, "* Ben writes x", *begins, "* Ben goes", "* Ben comes", *begins]
    said, _ = await talk(*steps)
    assert said.count("Ben is typing.") == 3
    said, _ = await talk("> /open Ben", "> /hold", "* Ben types", "> ")
    assert "Ben is typing." not in said  # when it is shown it would no longer be true


async def test_strangers_cannot_disturb_for_long() -> None:
    said, _ = await talk(*(f"* Frank{n} appears" for n in range(50)))
    assert sum("is visible nearby" in line for line in said) == STRANGERS_MAX
    assert sum(line.startswith("More people") for line in said) == 1


async def test_an_answer_that_comes_too_soon_after_a_question_that_came_by_itself_is_none() -> None:
    """At a terminal: /yes may have been typed for something else."""
    messenger = FakeMessenger("Ada")
    options = replace(with_quiet(0.8), monotonic=lambda: 10.0)
    output = Recorder()
    played = Played(iter([UNLOCK, "* Frank begins", "> /yes"]), Others(messenger), output)
    played.at_terminal = True
    await Program(FakeDoor(messenger), options, played, output).run()
    assert messenger.called("answer_pairing") == []
    assert "Too soon after the question: read it, then answer again." in played.transcript
    said, _ = await talk("* Frank begins", "> /yes", options=options)
    assert "Paired with Frank. You can write now." in said  # a pipe types when it has read


@pytest.mark.parametrize("meant", ["y", "Yes", " n", "no", "是", "否"])
async def test_an_answer_without_its_slash_goes_to_no_contact(meant: str) -> None:
    said, messenger = await talk("> /open Ben", "> /block", f"> {meant}", "> /no", f"> {meant}", "> /quit")
    assert f"“{meant.strip()}” was not sent, because a question is open: type /yes or /no." in said
    assert said.count("Nothing was changed.") == 1, "the question waited for its answer"
    assert len(messenger.called("send")) == 1, "where nothing is asked it is a text"


async def test_a_question_can_be_answered_while_a_text_is_written() -> None:
    writing = ("> /write", "> one", "> /yes", "* Frank begins", "> /yes", "> .")
    said, messenger = await talk("> /open Ben", *writing)
    assert "Paired with Frank. You can write now." in said
    assert [call[1] for call in messenger.called("send")] == ["one\n/yes"]


async def test_an_event_never_changes_to_whom_a_text_goes() -> None:
    steps = ("> /open Ben", "* Frank begins", "> /yes", "> to Ben", "> /open Frank", "> /remove", "> /yes")
    said, messenger = await talk(*steps, "> hello?")
    assert said[-2].startswith("No conversation is open")
    assert messenger.called("send") == [(ben(messenger), "to Ben")]


async def test_the_state_of_the_last_own_message_alone_is_told_and_only_what_is_new() -> None:
    texts = ("> /open Carla", "> first", "> second", "> /open Ben")
    said, _ = await talk(*texts, "* Carla comes", "* Carla reads")
    assert said[-5:-1] == ["Carla is online.", "Delivered to Carla.", "* Carla reads", "Read by Carla."]
    quiet = ("> /quiet delivery", "> /quiet presence", "> /open Ben")
    said, _ = await talk(*quiet, "> x", "* Ben goes", "> y")
    assert not {"Delivered.", "Ben is offline.", "Queued until Ben is online."} & set(said)


async def test_the_bell_rings_where_it_is_wanted_and_once_for_a_burst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rung: list[Recorder] = []

    async def ring(output: Recorder) -> None:
        rung.append(output)

    monkeypatch.setattr(Recorder, "ring", ring)
    options = replace(OPTIONS, monotonic=lambda: 100.0)
    await talk("> /open Ben", "* Ben writes x", options=options)
    await talk("> /settings bell on", "* Ben surpasses", options=options)
    assert rung == []
    burst = ["* Ben writes x"] * 5
    steps = ("> /settings bell on", *burst, "> /open Carla", "> /mute", "* Carla writes x")
    await talk(*steps, options=options)
    assert len(rung) == 1


async def test_a_number_with_too_many_digits_is_refused_and_ends_nothing() -> None:
    said, _status = await play(iter([UNLOCK, f"> /settings autolock {'9' * 5000}", "> /quit"]), locked_door())
    assert "Type a number of minutes between 0 and 1440." in said
    assert said[-1] == "Parlour is closed."


async def test_a_terminal_where_nobody_types_locks_by_itself() -> None:
    messenger = FakeMessenger("Ada")
    messenger.add_contact("Ben")
    messenger._preferences["autolock"] = "1"
    clock = count()

    class Silent(Played):
        """Opens a conversation, types half a line, and nothing more until a passphrase is asked for again."""

        async def line(self) -> str | None:
            if self.editor.text:
                await asyncio.Event().wait()
            self.editor.feed(b"half a line")
            return "/open Ben"

    output = Recorder()
    played = Silent(iter([UNLOCK]), Others(messenger), output)
    options = replace(OPTIONS, monotonic=lambda: next(clock))
    await Program(FakeDoor(messenger), options, played, output, every=0.0).run()
    assert next(clock) >= 60
    assert messenger.called("lock") == [()]
    assert messenger._preferences[f"draft.{ben(messenger)}"] == "half a line"
    assert "Locked after inactivity." in [*played.transcript, *output.take()]


async def test_a_text_that_could_not_be_sent_goes_again_with_its_id_until_it_is_changed() -> None:
    fails = "* send fails The disk is full."
    again = await talk("> /open Ben", fails, "> hello", "> /write", "> .", "> hello")
    refused, repeated, another = again[1].send_ids
    assert refused == repeated != another
    assert not [name for name in again[1]._preferences if name.startswith("sending")]
    changed = await talk("> /open Ben", fails, "> hello", "> /write", "> more", "> .")
    refused, another = changed[1].send_ids
    assert refused != another


async def test_what_is_typed_after_the_time_to_lock_locks_and_does_nothing_else() -> None:
    said, messenger = await idle(("> in time",), "> too late")
    assert said[-2:] == ["Locked after inactivity.", "Type your passphrase. It is not shown."]
    assert messenger.called("send") == [(ben(messenger), "in time")]


async def test_a_person_who_finds_no_one_reads_why() -> None:
    options = replace(OPTIONS, patience=0.0)
    said, _status = await play(iter([UNLOCK, "> /me"]), FakeDoor(FakeMessenger("Ada")), options)
    assert any(line.startswith("No one was found within five seconds.") for line in said)
    assert sum("iptables" in line for line in said) == 1
    found, _ = await talk("> /me", options=options)
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


async def test_an_engine_that_ended_a_moment_ago_leaves_the_passphrase_to_be_asked_for() -> None:
    said, status = await play(iter([UNLOCK, "> /quit"]), EndsMeanwhile())
    assert said[1] == "Type your passphrase. It is not shown."
    assert (status, said[-1]) == (0, "Parlour is closed.")


async def test_every_command_survives_nonsense() -> None:
    said, _ = await talk("> /help all")
    names = [line[1:].split()[0].rstrip(".") for line in said if line.startswith("/")]
    assert len(names) > 30
    steps = ["> /open Ben", "* Ben writes x", "> /last"]
    for name in names:
        if name not in ("quit", "lock"):
            steps += [f"> /{name}", *([">> x", ">> "] if name == "passphrase" else [])]
            steps += ["> no"] if name == "wipe" else []
            for rest in ("x", "0", "99", "-1", "١", "a b c", "{name}"):
                # A backup asks for its passphrase, and the end of a profile for a word.
                answers = {"backup": [">> "], "wipe": ["> no"]}.get(name, [])
                steps += [f"> /{name} {rest}", *answers]
            steps += ["> /drop", "> /no"]
    said, _ = await talk(*steps)
    assert said[-1] == "Parlour is closed."


def test_states_that_are_told_are_those_that_a_receipt_proves() -> None:
    assert set(DELIVERY) == {EntryState.DELIVERED, EntryState.READ}


async def recovering(*steps: str) -> tuple[list[str], FakeMessenger]:
    """The same where the recovery words were not written down yet."""
    door = locked_door()
    assert door.messenger is not None
    door.messenger.keep_seed()
    said, _status = await play(iter([UNLOCK, *steps]), door, OPTIONS)
    return said, door.messenger


async def test_the_recovery_words_are_shown_asked_for_and_erased() -> None:
    words = recovery_words(bytes(range(32)))
    typed = " ".join(words[place] for place in RECOVERY_ASKED)
    said, messenger = await recovering("> /recovery", f"> /recovery {typed}", "> /recovery", "> /quit")
    assert any("Write down your recovery words (" in line for line in said)
    assert [line for line in said if line.strip().startswith("34 ")] == [f"34 {words[33]}"]
    assert any("numbers 3, 8, 21, 34" in line for line in said)
    assert any("only your paper has them" in line for line in said)
    assert not messenger._me.keeps_seed
    assert any("were erased." in line for line in said)


async def test_a_wrong_recovery_word_erases_nothing() -> None:
    said, messenger = await recovering("> /recovery", "> /recovery a b c d", "> /quit")
    assert any("Word 3 is another one." in line for line in said)
    assert messenger._me.keeps_seed


async def test_who_wrote_the_recovery_words_down_is_not_reminded() -> None:
    said, _messenger = await talk("> /quit")
    assert not any("take over your identity" in line for line in said)


async def test_a_move_of_history_is_said_at_each_tenth_and_at_its_end() -> None:
    numbers = 40, 41, 1_999, 2_000, 3_999, 12_340, 12_400
    said, _messenger = await talk(
        *(f"* desk moves {number}" for number in numbers),
        "* desk breaks-off 12400",
        "* desk moves 12400",
        "* desk breaks-off 20000",
        "> /quit",
    )
    assert [line for line in said if "istory" in line and not line.startswith("*")] == [
        "History from desk: 40 of 20,000",
        "History from desk: 2,000 of 20,000",
        "History from desk: 12,340 of 20,000",
        "The link ended. The rest of the history from desk comes with the next one.",
        "History from desk: 12,400 of 20,000",
        "The history from desk is here.",
    ]


async def test_the_recovery_words_are_used_after_a_confirmation() -> None:
    door = locked_door()
    assert door.messenger is not None
    door.messenger.other_terminals = (TerminalView("b" * 64, False, TerminalState.COPIED),)
    words = " ".join(recovery_words(bytes(range(32))))
    steps = ["> /recovery use", f"> /recovery use 3 {words}", f"> /recovery use 1 {words} acorn"]
    steps += [f"> /recovery use 1 {words}", "> /no", f"> /recovery use lost 1 1 {words}", "> /yes"]
    answers = tuple(NEW_WORDS[place] for place in RECOVERY_ASKED)
    steps += ["> /recovery new a b c d", f"> /recovery new {' '.join(answers)}", "> /recovery new", "> /quit"]
    said, _status = await play(iter([UNLOCK, *steps]), door, OPTIONS)
    assert "1. bbbbbbbb…, which may have been copied" in said
    assert any("These are not numbers of the devices." in line for line in said)
    assert any("These are not the recovery words" in line for line in said)
    assert said.count("Remove 1 device?") == said.count("bbbbbbbb…, which may have been copied") == 2
    assert said.count(f"34 {NEW_WORDS[33]}") == 2, "again after a wrong one"
    assert any(line.endswith("and the same with lost before the numbers.") for line in said)
    assert any("Word 3 is another one." in line for line in said)
    done = said.index("Your recovery words were used. Your contacts are warned.")
    assert said[done + 1] == "The old words open nothing any more."
    assert any("Type /recovery use first" in line for line in said[done:])
    wrong, used = door.messenger.called("recover")
    assert wrong[2] == ("a", "b", "c", "d")
    assert used == (tuple(words.split()), ("b" * 64,), answers, False, False, False)


async def test_nothing_is_signed_before_new_recovery_words_were_typed_back() -> None:
    door = locked_door()
    assert door.messenger is not None
    words = " ".join(recovery_words(bytes(range(32))))
    steps = [f"> /recovery use {words}", "> /yes", "> /quit"]
    said, _status = await play(iter([UNLOCK, *steps]), door, OPTIONS)
    assert any("Nothing is signed before you have typed some of them back" in line for line in said)
    assert door.messenger.called("recover") == []


async def test_the_same_recovery_words_are_kept_if_asked_for() -> None:
    door = locked_door()
    assert door.messenger is not None
    words = " ".join(recovery_words(bytes(range(32))))
    steps = [f"> /recovery use same {words}", "> /yes", "> /quit"]
    said, _status = await play(iter([UNLOCK, *steps]), door, OPTIONS)
    assert "The old words open nothing any more." not in said
    assert door.messenger.called("recover") == [(tuple(words.split()), (), (), True, False, True)]


async def test_words_that_somebody_elses_recovery_has_replaced_are_used_as_its_rival() -> None:
    door = locked_door()
    assert door.messenger is not None
    door.messenger.words_replaced = True
    words = " ".join(recovery_words(bytes(range(32))))
    steps = [f"> /recovery use {words}", f"> /recovery use same not-mine {words}", "> /yes", "> /quit"]
    said, _status = await play(iter([UNLOCK, *steps]), door, OPTIONS)
    assert any("type /recovery use not-mine" in line for line in said)
    assert any("This contradicts the recovery that you confirmed here" in line for line in said)
    assert door.messenger.called("recover") == [(tuple(words.split()), (), (), True, True, True)]


async def test_what_a_device_added_is_said_before_it_is_removed() -> None:
    door = locked_door()
    assert door.messenger is not None
    phone, tablet, desk = ("b" * 64, "c" * 64, "d" * 64)
    door.messenger.other_terminals = (
        TerminalView(phone, False, TerminalState.LIVE, "phone"),
        TerminalView(tablet, False, TerminalState.LIVE, "tablet", phone),
    )
    door.messenger.added = (
        AddedView(tablet, "tablet", phone, datetime(2026, 11, 25, 9, 30, tzinfo=UTC), False, False),
        AddedView(desk, "", "", None, True, True),
    )
    door.messenger.paired_by_others = ((next(iter(door.messenger._contacts)),), ())
    words = " ".join(recovery_words(bytes(range(32))))
    steps = [
        "> /devices",
        "> /devices remove 2 lost",
        "> /no",
        "> /recovery use",
        f"> /recovery use 1 {words}",
        "> /no",
    ]
    said, _status = await play(iter([UNLOCK, *steps, "> /quit"]), door, OPTIONS)
    falls = (
        "“tablet” (cccccccc…) is removed, too: added by “phone” (bbbbbbbb…),"
        " known here since 2026-11-25 09:30, not confirmed."
    )
    for line in (
        *("Devices that came in through what you remove:", falls),
        "dddddddd… stays: brought in by a recovery, confirmed.",
        "If one that is removed is yours, link it again as a new device.",
        "Only what you remove has paired with Ben: Parlour sends nothing there until you compare the safety"
        " number.",
        "Your name stays Ada: this device signs it again.",
    ):
        assert said.count(line) == 2, line


async def test_the_own_name_is_changed() -> None:
    door = locked_door()
    assert door.messenger is not None
    steps = ["> /name", "> /name Anna", "> /me", "> /quit"]
    said, _status = await play(iter([UNLOCK, *steps]), door, OPTIONS)
    assert any("Type /name and the new name." in line for line in said)
    assert "Your contacts see Anna now." in said
    assert door.messenger.called("rename_self") == [("Anna",)]


async def test_a_device_is_added_by_words_and_removed() -> None:
    door = locked_door()
    assert door.messenger is not None
    fake = door.messenger

    def steps() -> Iterator[str]:
        yield from [UNLOCK, "> /devices more", "> /devices add"]
        fake.device_begins("laptop\x1b[2J")
        yield from [
            "> /where",
            "> /yes",
            "> /devices",
            "> /devices remove 9",
            "> /devices remove 2 lost",
            "> /yes",
            "> /devices",
        ]
        yield from ["> /devices add", "> /devices stop", "> /quit"]

    said, _status = await play(steps(), door, OPTIONS)
    assert any("Type /devices, /devices add" in line for line in said)
    assert any("give it one of these addresses" in line for line in said)
    assert any("laptop" in line and "wants to be added" in line for line in said)
    assert not any("\x1b[2J" in line for line in said)
    assert any("was added. Your contacts see that." in line for line in said)
    assert any("These are not numbers of the devices." in line for line in said)
    assert "The device was removed. Your contacts shut it out, and the keys that it knew are renewed." in said
    (added,) = fake.other_terminals
    assert fake.called("remove_terminal") == [(added.terminal, False)]
    assert any(line.startswith(f"2. {added.terminal[:8]}…") and "removed" in line for line in said)
    assert "Adding a device was stopped. No device was added." in said


async def test_the_removal_of_the_first_device_names_the_next_one() -> None:
    door = locked_door()
    assert door.messenger is not None
    door.messenger.other_terminals = (TerminalView("b" * 64, False, TerminalState.LIVE, "desk"),)
    door.messenger._me = replace(door.messenger._me, without_words=True)
    steps = ("> /devices", "> /devices remove 1", "> /no", "> /devices remove 2 lost", "> /no", "> /quit")
    said, _status = await play(iter([UNLOCK, *steps]), door, OPTIONS)
    assert sum("desk becomes the first one." in line for line in said) == 1
    assert sum("To make another one first" in line for line in said) == 1
    assert sum("Your first device is " in line for line in said) == 1
    said, _status = await play(
        iter([UNLOCK, "> /devices", "> /devices remove 1", "> /yes", "> /quit"]), door, OPTIONS
    )
    elsewhere = "This device was removed. Open Parlour on another device of yours, which renews the keys."
    assert said.count(elsewhere) == 1


async def test_the_keeper_is_chosen_and_the_setting_says_that_nothing_leaves_without_one() -> None:
    door = locked_door()
    assert door.messenger is not None
    door.messenger.other_terminals = (TerminalView("b" * 64, False, TerminalState.LIVE, "desk"),)
    steps = (
        *("> /settings keep 30", "> /devices", "> /devices keeper 2", "> /settings keep", "> /devices"),
        *("> /devices keeper none", "> /settings keep 0", "> /devices keeper 7", "> /quit"),
    )
    said, _status = await play(iter([UNLOCK, *steps]), door, OPTIONS)
    kept = [line for line in said if line.startswith("keep is ")]
    assert [line.endswith(STAYS) for line in kept] == [True, False, False]
    assert said.count("desk is your keeper: it holds all messages for your other devices.") == 2
    assert said.count("You chose no keeper: nothing leaves any of your devices.") == 1
    assert door.messenger.called("choose_keeper") == [("b" * 64,), ("",)]


async def test_notes_to_oneself_are_a_conversation_like_others() -> None:
    said, messenger = await talk(
        *("> /people", "> /open notes", "> buy milk", "> /last", "> /search milk", "> /edit 1 oat milk"),
        *("> /verify", "> /timer 1h", "> /block", "> /delete 1 everyone", "> /yes", "> /quit"),
    )
    own = messenger._me.person
    assert "3. Notes, on your devices only" in said, "after the contacts, as long as nothing is in them"
    assert "You are writing to yourself: your notes are on your devices only." in said
    assert messenger.called("send") == [(own, "buy milk")]
    assert [call[:3] for call in messenger.called("edit")] == [
        (own, messenger._conversations[own].entries[0].id, "oat milk")
    ]
    assert said.count("These are your own notes: only conversations with contacts have that.") == 3
    assert [entry.deleted_by for entry in messenger._conversations[own].entries] == ["mine"]
    assert not [line for line in said if "Queued" in line]


async def test_a_contact_called_notes_gets_nothing_that_is_meant_for_the_notes() -> None:
    door = locked_door()
    assert door.messenger is not None
    door.messenger.add_contact("NOTES")
    said, _status = await play(iter([UNLOCK, "> /open notes", "> a secret", "> /quit"]), door, OPTIONS)
    assert door.messenger.called("send") == [(door.messenger._me.person, "a secret")]
    assert not [line for line in said if "NOTES," in line]


async def test_pinned_ones_are_listed_first_and_say_so_and_muted_ones_are_not_announced() -> None:
    said, messenger = await talk(
        *("> /open Carla", "> /pin", "> /mute on", "> /open notes", "> /pin", "> /mute", "> /people"),
        *("> /open Ben", "* Carla writes x", "* Carla writes y", "> /people", "> /open Carla", "> /pin off"),
        *("> /mute off", "> /open notes", "> /pin off", "> /pin maybe", "> /people", "> /quit"),
    )
    own, carla = messenger._me.person, list(messenger._contacts)[1]
    assert "Carla is pinned: /people lists it first." in said
    assert "Carla is muted." in said
    assert "Notes is pinned: /people lists it first." in said
    assert "These are your own notes: only conversations with contacts have that." in said
    listed = [line for line in said if line[:3] in ("1. ", "2. ", "3. ")]
    first, second, last = listed[:3], listed[3:6], listed[-3:]
    assert first[0].startswith("1. Carla, offline, not verified, pinned, muted")
    assert first[1].startswith("2. Notes, on your devices only, pinned")
    assert "2 unread, pinned, muted" in second[0]
    assert not [line for line in said if "new entr" in line and "Carla" in line]
    assert not [line for line in last if "pinned" in line or "muted" in line]
    assert messenger.called("pin") == [(carla, True), (own, True), (carla, False), (own, False)]
    assert messenger.called("mute") == [(carla, True), (carla, False)]


async def test_earlier_messages_are_taken_after_a_yes_and_only_where_there_are_some() -> None:
    said, messenger = await talk(
        *(
            "> /open Ben",
            "> /take",
            "> /yes",
            "* Ben remembers one",
            "* Ben remembers two",
            "> /take",
            "> /no",
        ),
        *("> /take", "> /yes", "> /take", "> /quit"),
    )
    nothing = "Nothing to take here. What another device of yours wrote is taken on that device."
    assert said.count(nothing) == 2
    assert said.count("Take 2 earlier messages, as Ben has them, as yours?") == 2
    assert said.count("2 messages count as yours now.") == 1
    assert len(messenger.called("take_earlier")) == 1


async def test_the_passphrase_is_sent_to_nobody_where_it_was_not_asked_for() -> None:
    for begin in ("> correct horse", "> /write|> correct horse  |> and more|> .", "> /edit 1 correct horse"):
        messenger = FakeMessenger("Ada")
        ben = messenger.add_contact("Ben", present=True)
        await messenger.send(ben.person, "first")
        messenger.calls.clear()
        door = FakeDoor(messenger, state=DoorState.RUNNING)
        steps = ["> /last", *begin.split("|"), "> /no", *begin.split("|"), "> /yes", "> /quit"]
        said, _status = await play(iter(steps), door, replace(OPTIONS, quiet=0.0))
        asked = [line for line in said if "contains the passphrase of your profile" in line]
        assert len(asked) == 2, said
        assert len([*messenger.called("send"), *messenger.called("edit")]) == 1


async def test_a_passphrase_is_compared_as_it_was_typed_with_both_of_its_slashes() -> None:
    messenger = FakeMessenger("Ada")
    messenger.add_contact("Ben", present=True)
    door = FakeDoor(messenger, state=DoorState.RUNNING, passphrase="//correct horse")
    said, _status = await play(iter(["> //correct horse", "> /no", "> /quit"]), door)
    assert "contains the passphrase of your profile" in "\n".join(said)
    assert not messenger.called("send")


@pytest.mark.parametrize("typed", ["Ben", "ben", " BEN "])
def test_a_name_that_two_had_means_not_the_one_who_is_left(typed: str) -> None:
    names = ["Ben~ab12", "Cleo"]
    with pytest.raises(UsageError, match="This matches Ben~ab12: type more of the name"):
        pick(typed, names)
    assert [pick(more, names) for more in ("Ben~", "ben~ab12", "Be", "1", "cl")] == [0, 0, 0, 0, 1]


async def test_a_script_in_linear_mode_sends_as_before() -> None:
    messenger = FakeMessenger("Ada")
    messenger.add_contact("Ben", present=True)
    door = FakeDoor(messenger, state=DoorState.RUNNING)
    await play(iter(["> hello", "> correct horse", "> /quit"]), door)
    assert [arguments[1] for arguments in messenger.called("send")] == ["hello", "correct horse"]
