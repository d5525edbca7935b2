"""The profile's socket: every call and event comes through, and no client can hold the engine up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import get_args

import pytest

from chat import interface
from chat.errors import Phrase, phrase
from chat.interface import (
    AlertKind,
    AlertsChanged,
    BackupProgress,
    Cleaned,
    Cleaning,
    ClientChanged,
    Closed,
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntriesConflict,
    EntriesKept,
    EntriesMarked,
    EntriesMoved,
    EntriesTimed,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryReturned,
    EntryState,
    Event,
    FileProgress,
    FileSealing,
    FileState,
    FileSupplied,
    FileView,
    HistoryCleared,
    HistoryMoving,
    IdentityChanged,
    InvitationUsed,
    LinkingChanged,
    LinkingStage,
    LinkingView,
    NearbyChanged,
    NotesPinned,
    Notice,
    OwnChange,
    OwnLogChanged,
    PairingChanged,
    ParlourError,
    PictureView,
    QuestionsChanged,
    QuestionView,
    Ready,
    RelayChanged,
    RelayRemoved,
    Unreachable,
    UsageError,
    VisibilityChanged,
)
from chat.ipc import client as client_module
from chat.ipc import server
from chat.ipc.client import RemoteMessenger
from chat.ipc.server import ControlServer
from protocol.identity.author import recovery_words
from tests.contract.around import AroundContract
from tests.contract.calls import CALLS, CallsContract, arguments_of, ask
from tests.contract.messenger import MessengerContract
from tests.contract.subject import PATIENCE, RELAY, Subject, until
from tests.support.engines.served import Both, fake_and_client, served
from tests.support.fakes.around import FakeAround
from tests.support.fakes.messenger import NEW_WORDS, RECOVERY_ASKED, FakeMessenger
from tests.support.fakes.others import INVITATION, alert
from tests.support.machine import needs_unix_sockets


def fake() -> tuple[FakeMessenger, ContactView]:
    messenger = FakeMessenger()
    messenger.keep_seed()
    return messenger, messenger.add_contact("Ben", present=True)


def _end_with_lock(messenger: FakeMessenger, server: ControlServer) -> None:
    """As an engine does: what offers it to others ends with it."""
    lock = messenger.lock

    async def lock_and_end() -> None:
        await lock()
        await server.close()

    messenger.lock = lock_and_end  # type: ignore[method-assign]


class TestFake(MessengerContract, AroundContract, CallsContract):
    @pytest.fixture
    def subject(self) -> Subject:
        messenger, friend = fake()
        return FakeAround(messenger, friend.person).subject(messenger)


class TestRemote(MessengerContract, AroundContract, CallsContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        messenger, friend = fake()
        async with served(messenger, tmp_path / "engine.sock") as server:
            _end_with_lock(messenger, server)
            client = await RemoteMessenger.open(tmp_path / "engine.sock")
            yield FakeAround(messenger, friend.person).subject(client)
            await client.close()


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    async with fake_and_client(tmp_path / "engine.sock") as pair:
        yield pair


QUESTION = QuestionView("ab" * 32, OwnChange.ADDED, "cd" * 32, "ef" * 32)


async def test_each_call_arrives_with_its_arguments_and_brings_the_engines_answer(
    both: Both, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    direct, client = both
    direct.keep_seed()
    words = recovery_words(bytes(range(32)))
    ben = direct.add_contact("Ben", present=True)
    entry = direct.receive(ben.person, "hello")
    assert entry is not None
    arguments = {
        **arguments_of(FakeAround(direct, ben.person).subject(client), entry.id),
        "instance": direct.see_stranger("Cleo").instance,
        "host": "192.168.1.9",
        "pairing": direct.stranger_begins("Dan").id,
        "text": f"{INVITATION}9",
        "number": direct.number(ben.person),
        "operation": QUESTION.operation,
        "path": "/new",
        "answers": tuple(words[place] for place in RECOVERY_ASKED),
        "typed": words,
        "terminal": (await direct.me()).terminal,
    }
    for name, parameters in CALLS.items():
        if name == "confirm_own":
            direct.ask(QUESTION)
        if name == "recover":
            arguments["answers"] = tuple(NEW_WORDS[place] for place in RECOVERY_ASKED)
        if name == "answer_linking":
            arguments["linking"] = direct.device_begins("laptop").id
        if name == "recover":
            arguments["answers"] = tuple(NEW_WORDS[place] for place in RECOVERY_ASKED)
        if name == "export":
            arguments["path"] = "/another"
        if name.endswith("_file") or name == "show_picture":
            file = FileView("a.txt", "text/plain", 1, FileState.WHOLE, 1)
            arguments["id"] = direct.receive_file(ben.person, file, b"a").id
            arguments["path"], arguments["folder"] = str(a_file(tmp_path)), str(tmp_path)
        if name == "show_picture":
            direct.pictures[str(arguments["id"])] = PictureView(width=1, height=1, pixels=b"\xff\0\x80")
        if name == "cancel_file":
            direct.sealed.add((ben.person, "an id", ""))
        if name == "permit":
            arguments["client"] = "another-program"
        if name == "client_of":
            arguments["token"] = "token of another-program"
        if name == "edit":
            arguments["id"] = direct.say_as_me(ben.person, "mine", EntryState.DELIVERED).id
        engines, taken = getattr(direct, name), list[object]()

        async def answer(
            engines: Callable[..., Awaitable[object]] = engines,
            taken: list[object] = taken,
            **given: object,
        ) -> object:
            taken += [given, await engines(**given)]
            return taken[1]

        monkeypatch.setattr(direct, name, answer)
        given = {**arguments, "name": await direct.open_feed()} if name == "feed" else arguments
        answered = await ask(client, name, given)
        declared = list(parameters.values())[1:]
        named = {one.name for one in declared if one.default is one.empty or one.name == "contact"}
        sent = {one.name: given[one.name] if one.name in named else one.default for one in declared}
        assert taken == [sent, answered], name


def a_file(folder: Path) -> Path:
    path = folder / "a file"
    path.write_bytes(b"a file")
    return path


async def test_each_event_comes_through_whole_and_in_order(both: Both) -> None:
    direct, client = both
    ben = direct.add_contact("Ben\x1b]52;c;aGk=\x07\u202e", present=True)
    events = client.events()
    await client.me()
    entry = direct.receive(ben.person, "a line\nand \u2028 another")
    assert entry is not None
    pairing = direct.stranger_begins("Cleo")
    made: list[Event] = [
        Ready(("10.0.0.1:4747", "[fe80::1]:4747")),
        EntryAdded(entry),
        EntryChanged(ben.person, entry.id, EntryState.READ),
        EntryFilled(entry),
        EntriesConflict(ben.person, ben.person, (entry.id, entry.id)),
        EntriesMarked(ben.person),
        EntriesMoved(ben.person),
        EntriesTimed(ben.person),
        EntriesKept(ben.person),
        EntryReturned(entry),
        HistoryCleared(ben.person, 1, 2),
        EntryDeleted(ben.person, entry.id),
        EntryEdited(entry),
        FileProgress(ben.person, entry.id, FileView("a.txt", "", 9, FileState.TAKING, 5, 7)),
        FileSealing(ben.person, "an id", 5, 9),
        FileSupplied(ben.person, entry.id, 5, 9),
        Cleaning(0.25),
        Cleaned(),
        ContactChanged(ben),
        ContactRemoved(ben.person, ben.name),
        IdentityChanged(ben.person, ben.name, Phrase("a terminal was added")),
        QuestionsChanged((QUESTION,)),
        OwnLogChanged("added", "ab" * 32, Phrase("A device was added")),
        NearbyChanged((direct.see_stranger("Dan"),)),
        PairingChanged(pairing),
        LinkingChanged(LinkingView("1", LinkingStage.WORDS, "laptop", ("acorn",))),
        InvitationUsed("text", ben.person),
        VisibilityChanged(True),
        RelayChanged(direct.name_relay(RELAY)),
        RelayRemoved(RELAY),
        NotesPinned(True),
        BackupProgress(1, 2, checking=True),
        HistoryMoving("desk", 1, 2, moves=True),
        Notice(Phrase("The disk is full.")),
        AlertsChanged((alert(AlertKind.OLD_COPY),)),
        ClientChanged("echo"),
        Closed(Phrase("Parlour was locked.")),
    ]
    assert {type(event) for event in made} == set(get_args(Event))
    direct.emit(Notice(Phrase("from here")))
    for event in made:
        direct.emit(event)
    await until(events, lambda event: event == Notice(Phrase("from here")))
    async with asyncio.timeout(PATIENCE):
        assert [event async for event in events] == made


class Refined(UsageError):
    """An error that the interface does not name."""


ERRORS = [
    kind for kind in vars(interface).values() if isinstance(kind, type) and issubclass(kind, ParlourError)
]


@pytest.mark.parametrize("kind", [*ERRORS, Refined])
async def test_an_error_keeps_its_class_and_its_text(both: Both, kind: type[ParlourError]) -> None:
    direct, client = both
    direct.failures["me"] = kind("What happened: what to do.")
    with pytest.raises(ParlourError, match=r"^What happened: what to do\.$") as caught:
        await client.me()
    assert type(caught.value) is (UsageError if kind is Refined else kind)


async def test_a_phrase_keeps_what_a_catalogue_looks_up(both: Both) -> None:
    direct, client = both
    said = phrase("Port {port} is taken by {who}.", port=4747, who=phrase("another program"))
    direct.failures["me"] = UsageError(said)
    with pytest.raises(UsageError) as caught:
        await client.me()
    arrived = caught.value.phrase
    assert (arrived, arrived.template, arrived.values) == (said, said.template, said.values)
    who = arrived.values["who"]
    assert isinstance(who, Phrase)
    assert who.template == "another program"


async def test_a_fault_inside_goes_out_without_its_text(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 78: an exception's text may hold what a peer wrote."""
    direct, client = both
    reported: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    async def broken() -> None:
        raise KeyError("a secret of a peer")

    monkeypatch.setattr(direct, "me", broken)
    with pytest.raises(ParlourError) as caught:
        await client.me()
    assert "KeyError" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert [type(error) for error in reported] == [KeyError]


async def test_text_that_is_not_unicode_is_refused_before_it_leaves(both: Both) -> None:
    _, client = both
    with pytest.raises(UsageError):
        await client.search("\udcff")


async def test_locking_from_inside_a_call_reaches_every_client(tmp_path: Path) -> None:
    """The engine ends its socket while it still answers the call that asked for it."""
    path, (direct, _) = tmp_path / "engine.sock", fake()
    async with served(direct, path) as server:
        _end_with_lock(direct, server)
        one, other = [await RemoteMessenger.open(path) for _ in range(2)]
        events = other.events()
        await other.me()
        async with asyncio.timeout(PATIENCE):
            await one.lock()
        closed = await until(events, lambda event: isinstance(event, Closed))
        assert closed == Closed(Phrase("Parlour was locked."), locked=True)
        assert not path.exists()
        await one.close()
        await other.close()


async def test_a_client_that_does_not_read_is_dropped_and_nobody_else_waits(
    both: Both, tmp_path: Path
) -> None:
    needs_unix_sockets()
    direct, client = both
    events = client.events()
    await client.me()
    deaf = socket.socket(socket.AF_UNIX)
    deaf.connect(str(tmp_path / "engine.sock"))
    deaf.sendall(b'{"id":1,"call":"events"}\n{"id":2,"call":"me"}\n')
    await asyncio.get_running_loop().run_in_executor(None, _read_until, deaf, b'"id":2')
    text = "x" * 100_000
    for _ in range(server.WAITING_BYTES_MAX // len(text) + 10):
        direct.notice(text)
        await until(events, lambda event: event == Notice(Phrase(text)))
    direct.notice("the end")
    await until(events, lambda event: event == Notice(Phrase("the end")))
    taken = await asyncio.get_running_loop().run_in_executor(None, _read_all, deaf)
    deaf.close()
    assert len(taken) < server.WAITING_BYTES_MAX
    assert b"the end" not in taken


def _read_until(connection: socket.socket, wanted: bytes) -> None:
    taken = b""
    while wanted not in taken:
        taken += connection.recv(4096)


def _read_all(connection: socket.socket) -> bytes:
    taken = bytearray()
    try:
        while data := connection.recv(65536):
            taken += data
    except ConnectionResetError:
        pass
    return bytes(taken)


async def test_a_client_that_leaves_its_events_unread_is_told_so(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, client = both
    monkeypatch.setattr(client_module, "EVENTS_WAITING_MAX", 10)
    events = client.events()
    await client.me()
    for number in range(12):
        direct.notice(str(number))
    with pytest.raises(Unreachable):
        while True:
            await client.me()
    assert await until(events, lambda event: isinstance(event, Closed)) == Closed(client_module.BEHIND)
