"""send, listen and history: exit codes and fields to the letter."""

from __future__ import annotations

import io
import os
import signal
import sys

import click
import pytest
from msgspec.structs import replace

from chat.errors import Phrase
from chat.interface import (
    ContactChanged,
    ContactView,
    DeletedBy,
    EntriesConflict,
    EntriesMarked,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryKind,
    EntryState,
    Event,
    HistoryMoving,
    IdentityChanged,
    InvitationUsed,
    NearbyChanged,
    Notice,
    OwnChange,
    PairingChanged,
    PairingStage,
    QuestionsChanged,
    QuestionView,
    Ready,
    RetentionView,
    TerminalState,
    VisibilityChanged,
)
from tests.support.cli.line import Line, Outcome

ENTRY_FIELDS = [
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


def ben(line: Line, *, present: bool = True) -> ContactView:
    return line.messenger.add_contact("Ben", present=present)


def test_send_says_delivered_when_it_is(line: Line) -> None:
    friend = ben(line)
    outcome = line.run("send", "Ben", "good", "morning", "--json")
    (sent,) = outcome.objects
    assert (outcome.status, outcome.err) == (0, "")
    assert list(sent) == ["id", "state", "conversation", "reply"]
    assert sent["state"] == "delivered"
    assert line.messenger.called("send") == [(friend.person, "good morning")]
    assert line.run("send", "Ben", "more").out == "To Ben: delivered\n"


@pytest.mark.parametrize(
    ("happens", "wait", "status", "state"),
    [
        ("nothing", "0.05", 75, "queued"),
        ("another is delivered", "0.05", 75, "queued"),
        ("it is sent", "0.05", 75, "sent"),
        ("the engine ends", "60", 75, "queued"),
        ("the contact comes", "60", 0, "delivered"),
    ],
)
def test_send_to_an_absent_contact_waits_and_says_no_more_than_is_known(
    line: Line, happens: str, wait: str, status: int, state: str
) -> None:
    friend, fake = ben(line, present=False), line.messenger

    def happen() -> None:
        (own,) = fake._conversations[friend.person].entries
        match happens:
            case "another is delivered":
                fake.emit(EntryChanged(friend.person, "another entry", EntryState.DELIVERED))
            case "it is sent":
                fake.set_state(friend.person, own.id, EntryState.SENT)
            case "the engine ends":
                fake._end("locked")
            case "the contact comes":
                fake.change_contact(friend.person, present=True)

    fake.after["send"] = happen
    outcome = line.run("send", "Ben", "later", "--wait", wait, "--json")
    assert (outcome.status, outcome.objects[0]["state"]) == (status, state)
    assert ("parlour listen" in outcome.err) is (status == 75)


def test_send_takes_standard_input_and_words_that_look_like_options(line: Line) -> None:
    friend = ben(line)
    assert line.run("send", "Ben", "-", typed="two\nlines\n").status == 0
    file = ["--passphrase-file", str(line.file)]
    assert line.run(*file, "send", "Ben", "--", "--json", "-x", passphrase=False).status == 0
    assert line.messenger.called("send") == [(friend.person, text) for text in ("two\nlines", "--json -x")]


@pytest.mark.parametrize(
    "arguments",
    [
        *(["send"], ["send", "Ben"], ["send", "Ben", ""], ["send", "Ben", "x" * 16_385]),
        *(["send", "Ben", "x", "--wait", "-1"], ["send", "Ben", "x", "--wait", "soon"]),
        *(["send", "Nobody", "x"], ["send", "Ben", "\udcff"]),
        *(["history"], ["history", "Ben", "--limit", "0"], ["history", "Nobody"]),
    ],
)
def test_wrong_use_is_64_in_one_line(line: Line, arguments: list[str]) -> None:
    ben(line)
    assert line.run(*arguments).failed(64)


def test_history_has_a_line_an_entry(line: Line) -> None:
    friend = ben(line)
    line.messenger.receive(friend.person, "hello")
    line.run("send", "Ben", "and you")
    objects = line.run("history", "Ben", "--json").objects
    assert [list(entry) for entry in objects] == [ENTRY_FIELDS] * 2
    assert [(entry["author"], entry["text"], entry["kind"], entry["state"]) for entry in objects] == [
        ("Ben", "hello", "text", "received"),
        ("Ann", "and you", "text", "delivered"),
    ]
    assert objects[0]["time"] == "2026-11-24T09:01:00.000Z"
    assert line.run("history", "Ben").out.splitlines()[1].endswith("Ann: and you  (delivered)")


def test_history_prints_the_newest_oldest_first_in_pages(line: Line) -> None:
    friend = ben(line)
    line.messenger.fill(friend.person, [f"number {n}" for n in range(450)])
    texts = [entry["text"] for entry in line.run("history", "Ben", "--limit", "430", "--json").objects]
    assert texts == [f"number {n}" for n in range(20, 450)]
    assert [call[1] for call in line.messenger.called("history")] == [200, 200, 30]
    assert len(line.run("history", "Ben", "--json").objects) == 100
    assert len(line.run("history", "Ben", "--limit", "1000", "--json").objects) == 450


def test_history_searches_in_one_conversation_or_in_all(line: Line) -> None:
    friend, other = ben(line), line.messenger.add_contact("Cleo")
    line.messenger.receive(friend.person, "the harbour")
    line.messenger.receive(other.person, "a harbour")
    assert len(line.run("history", "--search", "harbour", "--json").objects) == 2
    (found,) = line.run("history", "Cleo", "--search", "harbour", "--json").objects
    assert found["author"] == "Cleo"
    assert "[Cleo] Cleo: a harbour" in line.run("history", "--search", "harbour").out
    assert line.run("history", "--search", "nothing", "--json").out == ""
    assert len(line.run("history", "--search", "harb* from:Cleo", "--json").objects) == 1
    for wrong, said in (("from:Nobody x", "No contact is named Nobody"), ("before:soon", "is not a date")):
        assert said in line.run("history", "--search", wrong).failed(64)


class AtTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_what_was_found_in_reverse(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    friend = ben(line)
    line.messenger.receive(friend.person, "the *Harbour*\n\x1b[7m harbours")
    plain = line.run("history", "--search", "harb*").out
    assert "\x1b" not in plain
    for name, hits in (("xterm", 2), ("dumb", 0)):
        monkeypatch.setenv("TERM", name)
        screen = AtTerminal()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", screen)
            line.run("history", "--search", "harb*")
            line.run("history", "Ben", "--json")
        said, _json = screen.getvalue().rsplit("{", 1)
        assert said.count("\x1b[7m") == said.count("\x1b[0m") == hits
        assert click.unstyle(said) == plain


def listened(line: Line, *events: Event, options: tuple[str, ...] = ("--json",)) -> Outcome:
    """What `listen` prints of events, between its beginning and the engine's end."""

    def happen() -> None:
        for event in events:
            line.messenger.emit(event)
        line.messenger._end("locked")

    line.messenger.after["contacts"] = happen
    outcome = line.run("listen", *options)
    assert outcome.status == 0
    assert "locked" in outcome.err
    return outcome


def test_send_says_that_a_message_waits_for_a_comparison(line: Line) -> None:
    line.messenger.add_contact("Ben", present=True, held=True)
    outcome = line.run("send", "Ben", "hello", "--wait", "0")
    assert outcome.status == 75
    assert "The identity of Ben has changed" in outcome.err
    assert "online" not in outcome.err


def test_listen_begins_with_ready_and_who_is_there(line: Line) -> None:
    friend = ben(line)
    cleo = line.messenger.add_contact("Cleo", held=True)
    assert listened(line).objects == [
        {"event": "ready", "addresses": ["192.168.1.20:4747", "[fe80::1c2d]:4747"]},
        {"event": "peer", "name": "Ben", "person": friend.person, "present": True},
        {"event": "held", "name": "Cleo", "person": cleo.person, "held": True, "unvouched": False},
    ]


def test_listen_has_a_line_an_event_with_its_fields_to_the_letter(line: Line) -> None:
    friend = ben(line)
    entry = EntryAdded(line.messenger._entry(friend, "hello", own=False, time=None))
    events = (
        Ready(("10.0.0.9:4747",)),
        entry,
        EntryChanged(friend.person, "e" * 64, EntryState.READ),
        ContactChanged(replace(friend, present=False, unread=1)),
        ContactChanged(replace(friend, present=False, held=True)),
        ContactChanged(replace(friend, present=False)),
        IdentityChanged(friend.person, friend.name, Phrase("a terminal was added")),
        QuestionsChanged((QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32),)),
        QuestionsChanged(()),
    )
    ready, added, changed, peer, held, released, identity, asked, answered = listened(line, *events).objects[
        2:
    ]
    assert asked == {"event": "questions", "operations": ["a1" * 32]}
    assert answered == {"event": "questions", "operations": []}
    assert ready == {"event": "ready", "addresses": ["10.0.0.9:4747"]}
    assert list(added) == ["event", *ENTRY_FIELDS, "conversation"]
    assert (added["event"], added["conversation"], added["state"]) == ("entry", "Ben", "received")
    assert changed == {"event": "state", "id": "e" * 64, "conversation": "Ben", "state": "read"}
    named = {"name": "Ben", "person": friend.person}
    assert peer == {"event": "peer", **named, "present": False}
    assert held == {"event": "held", **named, "held": True, "unvouched": False}
    assert released == {"event": "held", **named, "held": False, "unvouched": False}
    assert identity == {"event": "identity", **named, "cause": "a terminal was added"}
    line.messenger.closed = False
    listening, present, *lines = listened(line, *events, options=()).out.splitlines()
    assert (listening, present) == ("Listening on 192.168.1.20:4747, [fe80::1c2d]:4747", "Ben is online")
    assert (lines[0], lines[2:-2]) == (
        "Listening on 10.0.0.9:4747",
        [
            "eeeeeeee is read",
            "Ben is offline",
            "The identity of Ben has changed. Until you compare it, nothing is sent to Ben.",
            "Messages to Ben are sent again.",
            "Ben: a terminal was added",
        ],
    )
    assert "Was that you? See 'parlour verify --own'." in lines[-2]
    assert lines[-1] == "You have confirmed every change of your identity."
    assert lines[1].endswith("[Ben] Ben: hello")
    assert lines[1].split()[0].startswith("2026-11-24T09:")


def test_an_entry_that_was_missing_has_a_line_again_when_its_text_comes(line: Line) -> None:
    friend = ben(line)
    missing = line.messenger.receive_alone(friend.person)
    whole = replace(missing, kind=EntryKind.TEXT, text="it has come")
    arriving = EntryFilled(whole), EntryAdded(whole)
    assert [(event["kind"], event["text"]) for event in listened(line, *arriving).objects[2:]] == [
        ("text", "it has come")
    ]
    assert line.run("history", "Ben").out.splitlines()[0].endswith("Ben: (not here yet)")
    assert line.run("history", "Ben", "--json").objects[0]["kind"] == "missing"


def test_case_97_an_entry_of_a_newer_version_has_a_line_and_a_kind(line: Line) -> None:
    friend = ben(line)
    entry = line.messenger.receive_alone(friend.person, EntryKind.UNKNOWN)
    later = EntryAdded(replace(entry, id="f" * 64))
    assert [event["kind"] for event in listened(line, later).objects[2:]] == ["unknown"]
    assert line.run("history", "Ben").out.splitlines()[0].endswith("Ben: (written by a newer Parlour)")
    assert line.run("history", "Ben", "--json").objects[0]["kind"] == "unknown"


def test_a_cut_has_a_line_that_says_what_was_removed(line: Line) -> None:
    line.messenger.cut(ben(line).person)
    assert line.run("history", "Ben").out.splitlines()[0].endswith("Ben: (removed a device)")
    assert line.run("history", "Ben", "--json").objects[0]["kind"] == "cut"


def test_entries_that_conflict_have_a_line_and_a_mark(line: Line) -> None:
    friend = ben(line)
    ids = line.messenger.conflict(friend.person)
    event = EntriesConflict(friend.person, "d" * 64, ids)
    assert listened(line, event).objects[2:] == [
        {"event": "conflict", "conversation": "Ben", "terminal": "d" * 64, "ids": list(ids)}
    ]
    assert [entry["conflicting"] for entry in line.run("history", "Ben", "--json").objects] == [True, True]
    assert (
        line.run("history", "Ben").out.splitlines()[0].endswith("Ben: one  (conflicts with another message)")
    )


def test_other_marks_than_before_have_a_line(line: Line) -> None:
    event = EntriesMarked(ben(line).person)
    assert listened(line, event).objects[2:] == [{"event": "marks", "conversation": "Ben"}]


def test_an_entry_of_a_removed_terminal_has_a_mark(line: Line) -> None:
    friend = ben(line)
    line.messenger.quarantine(friend.person, "send money")
    assert line.run("history", "Ben", "--json").objects[0]["quarantined"] is True
    assert "send money  (from a removed device" in line.run("history", "Ben").out


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("contact", "Ben: I owe you  (says that you wrote this)"),
        ("device", "I owe you  (another device of yours says that you wrote this)"),
    ],
)
def test_a_claim_says_who_claims_it_and_has_no_state(line: Line, by: str, said: str) -> None:
    friend = ben(line)
    line.messenger.claim(friend.person, "I owe you", by)
    (shown,) = line.run("history", "Ben", "--json").objects
    assert (shown["claimed"], shown["state"]) == (by, "received")
    assert said in line.run("history", "Ben").out


def test_listen_prints_edits_and_deletions(line: Line) -> None:
    friend = ben(line)
    entry = line.messenger.receive(friend.person, "hello")
    assert entry is not None
    edited = replace(entry, text="hello!", edited=True)
    events = EntryEdited(edited), EntryDeleted(friend.person, entry.id, deleted_by=DeletedBy.AUTHOR)
    changed, deleted = listened(line, *events).objects[2:]
    assert list(changed) == ["event", *ENTRY_FIELDS, "conversation"]
    assert (changed["event"], changed["text"], changed["edited"]) == ("edited", "hello!", True)
    assert deleted == {
        "event": "deleted",
        "id": entry.id,
        "conversation": "Ben",
        "deleted_by": "author",
    }


def test_listen_calls_no_entry_deleted_that_has_expired(line: Line) -> None:
    friend = ben(line)
    entry = line.messenger.receive(friend.person, "hello")
    assert entry is not None
    ended = EntryDeleted(friend.person, entry.id, expired=True)
    expired = {"event": "expired", "id": entry.id, "conversation": "Ben"}
    assert listened(line, ended).objects[2:] == [expired]


def test_listen_prints_how_far_a_move_of_history_is_for_a_person_a_line_each_tenth(line: Line) -> None:
    ben(line)
    held = 10, 20, 1_000, 1_001, 5_000
    moves = [HistoryMoving("desk\x1b", number, 5_000, moves=number < 5_000) for number in held]
    fields = {"event": "history", "source": "desk\x1b", "total": 5_000}
    assert listened(line, *moves).objects[2:] == [
        {**fields, "held": number, "moves": number < 5_000} for number in held
    ]
    said = [one for one in listened(line, *moves, options=()).out.splitlines() if one.startswith("History")]
    assert said == [
        "History from desk: 10 of 5,000",
        "History from desk: 1,000 of 5,000",
        "History from desk: 5,000 of 5,000",
    ]
    stopped = listened(line, HistoryMoving("desk", 10, 5_000, moves=False), options=()).out
    assert "History from desk: 10 of 5,000, and the rest with the next link\n" in stopped


def test_listen_prints_nothing_that_it_has_no_line_for_and_notices_as_errors(line: Line) -> None:
    friend = ben(line)
    pairing = line.messenger.stranger_begins("Cleo")
    outcome = listened(
        line,
        ContactChanged(replace(friend, verified=True, typing=True, unread=3)),  # present, as before
        ContactChanged(friend),
        NearbyChanged(()),
        PairingChanged(pairing),
        InvitationUsed("text", friend.person),
        VisibilityChanged(False),
        Ready(("192.168.1.20:4747", "[fe80::1c2d]:4747")),
        Notice(Phrase("The disk is full: make room.")),
    )
    assert "The disk is full: make room.\n" in outcome.err
    assert [event["event"] for event in outcome.objects] == ["ready", "peer"]


def test_listen_says_who_waits_for_an_answer_and_where_it_is_given(line: Line) -> None:
    """An invitation stays open when the command that made it ends, and its user waits."""
    pairing = line.messenger.stranger_begins("Cleo")
    stages = PairingStage.JOINER, PairingStage.WAITING, PairingStage.WORDS
    shown = [PairingChanged(replace(pairing, stage=stage)) for stage in stages]
    said = listened(line, *shown).err
    assert "Cleo used your invitation and waits for a yes: 'parlour invite' asks for it." in said
    assert "Cleo wants to pair: run 'parlour pair' here" in said
    assert said.count("Cleo") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listen_ends_cleanly_when_it_is_stopped(line: Line, number: signal.Signals) -> None:
    ben(line)
    line.messenger.after["contacts"] = lambda: os.kill(os.getpid(), number)
    outcome = line.run("listen", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert line.messenger.called("close") == [()]


@pytest.mark.parametrize(
    ("arguments", "offline"),
    [
        (["history", "Cleo"], True),
        (["history", "--search", "x"], True),
        (["contacts"], True),
        (["contacts", "rename", "Cleo", "Clea"], False),
        (["send", "Cleo", "hello"], False),
        (["delete", "Cleo", "--last", "--yes"], True),
    ],
)
def test_commands_that_only_read_do_without_the_network(
    line: Line, arguments: list[str], offline: bool
) -> None:
    line.messenger.receive(line.messenger.add_contact("Cleo", present=True).person, "x")
    assert line.run(*arguments).status == 0
    (unlocked,) = [call.arguments for call in line.door.calls if call.method == "unlock"]
    assert ("offline" in unlocked) == offline


def test_a_device_that_was_shut_out_says_so_instead_of_waiting_for_the_contact(line: Line) -> None:
    friend = ben(line, present=False)
    shut_out = replace(line.messenger._terminals()[0], state=TerminalState.REMOVED)
    line.patch.setattr(line.messenger, "_terminals", lambda: (shut_out,))
    outcome = line.run("send", "Ben", "hello", "--wait", "0")
    assert outcome.status == 75
    assert "recovery use" in outcome.err
    assert "until Ben is online" not in outcome.err
    assert line.messenger.called("send") == [(friend.person, "hello")]


def test_what_another_device_keeps_is_shown_with_its_name_and_not_searched(line: Line) -> None:
    ben = line.messenger.add_contact("Ben")
    line.messenger.receive_alone(ben.person, EntryKind.ELSEWHERE)
    (row,) = line.run("history", "Ben", "--json").objects
    assert (row["kind"], row["kept_on"], row["text"]) == ("elsewhere", "", "")
    assert line.run("history", "Ben").out.endswith("Ben: (on no device of yours)\n")
    line.messenger._retention = RetentionView(30, elsewhere=1)
    found = line.run("history", "--search", "anything")
    assert (found.out, "not searched: 1" in found.err) == ("", True)
