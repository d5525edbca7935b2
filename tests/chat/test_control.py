"""The profile's socket: every call and event comes through, and no client can hold the engine up."""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast, get_args, get_type_hints

import msgspec
import pytest

from chat import control, control_wire, interface, remote
from chat.control import ControlServer
from chat.interface import (
    BadData,
    CannotCreate,
    Closed,
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntryAdded,
    EntryChanged,
    EntryState,
    Event,
    IdentityChanged,
    InvitationUsed,
    Messenger,
    NearbyChanged,
    Notice,
    PairingChanged,
    PairingStage,
    ParlourError,
    Ready,
    Unreachable,
    UsageError,
    VisibilityChanged,
)
from chat.remote import RemoteMessenger
from tests.contract import PATIENCE, MessengerContract, Subject, until
from tests.fakes.messenger import INVITATION, FakeMessenger

PASSPHRASE = "correct horse"


@asynccontextmanager
async def served(messenger: Messenger, path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(messenger, path)
    await server.start()
    try:
        yield server
    finally:
        await messenger.close()
        await server.close()


def fake() -> tuple[FakeMessenger, ContactView]:
    messenger = FakeMessenger()
    return messenger, messenger.add_contact("Ben", present=True)


class TestFake(MessengerContract):
    @pytest.fixture
    def subject(self) -> Subject:
        messenger, friend = fake()
        return Subject(messenger, friend.person, PASSPHRASE)


class TestRemote(MessengerContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        messenger, friend = fake()
        async with served(messenger, tmp_path / "engine.sock"):
            client = await RemoteMessenger.open(tmp_path / "engine.sock")
            yield Subject(client, friend.person, PASSPHRASE)
            await client.close()


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[FakeMessenger, RemoteMessenger]]:
    messenger = FakeMessenger()
    async with served(messenger, tmp_path / "engine.sock"):
        client = await RemoteMessenger.open(tmp_path / "engine.sock")
        yield messenger, client
        await client.close()


def test_the_socket_offers_every_call_and_the_client_has_each_with_the_same_types() -> None:
    for name, declared in vars(Messenger).items():
        if name.startswith("_"):
            continue
        offered = getattr(RemoteMessenger, name)
        assert get_type_hints(offered) == get_type_hints(declared), name
        assert inspect.signature(offered).parameters.keys() == inspect.signature(declared).parameters.keys()
        assert name in control_wire.CALLS or name in ("events", "close")


async def test_each_question_brings_the_engines_answer(both: tuple[FakeMessenger, RemoteMessenger]) -> None:
    direct, client = both
    ben = direct.add_contact("Ben", present=True)
    stranger = direct.see_stranger("Cleo")
    sent = await client.send(ben.person, "hello")
    assert sent.id == (await direct.history(ben.person))[0].id
    assert await client.me() == await direct.me()
    assert await client.contacts() == await direct.contacts()
    assert await client.nearby() == await direct.nearby()
    assert await client.safety_number(ben.person) == await direct.safety_number(ben.person)
    assert await client.history(ben.person, 5, None) == await direct.history(ben.person)
    assert await client.search("hello", None, 7) == await direct.search("hello")
    assert await client.settings() == await direct.settings()
    assert await client.diagnose() == await direct.diagnose()
    assert (await client.invite()).text.startswith(INVITATION)
    assert (await client.pair_nearby(stranger.instance)).peer == "Cleo"
    assert (await client.pair_address("192.168.1.9", 4748)).peer == "192.168.1.9"
    assert (await client.join(f"{INVITATION}9")).peer == "Inviter"
    assert direct.called("send") == [(ben.person, "hello")]
    assert direct.called("history")[1] == (ben.person, 5, None)
    assert direct.called("search")[0] == ("hello", None, 7)
    assert direct.called("pair_address") == [("192.168.1.9", 4748)]


async def test_each_order_arrives_with_its_arguments(both: tuple[FakeMessenger, RemoteMessenger]) -> None:
    direct, client = both
    ben = direct.add_contact("Ben", present=True)
    entry = direct.receive(ben.person, "hello")
    assert entry is not None
    pairing = direct.stranger_begins("Cleo")
    quiet = interface.SettingsView(read_receipts=False, typing=False)
    orders: list[tuple[str, tuple[object, ...]]] = [
        ("set_visible", (True,)),
        ("answer_pairing", (pairing.id, False)),
        ("rename", (ben.person, "Benno")),
        ("block", (ben.person, False)),
        ("set_verified", (ben.person, True)),
        ("mark_read", (ben.person, entry.id)),
        ("typing", (ben.person, True)),
        ("change_settings", (quiet,)),
        ("change_passphrase", (PASSPHRASE, "next")),
        ("remove", (ben.person,)),
        ("lock", ()),
    ]
    for name, arguments in orders:
        assert await getattr(client, name)(*arguments) is None
        assert direct.called(name) == [arguments]


async def test_each_event_comes_through_whole_and_in_order(
    both: tuple[FakeMessenger, RemoteMessenger],
) -> None:
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
        ContactChanged(ben),
        ContactRemoved(ben.person, ben.name),
        IdentityChanged(ben.person, ben.name, "a terminal was added"),
        NearbyChanged((direct.see_stranger("Dan"),)),
        PairingChanged(pairing),
        InvitationUsed("text", ben.person),
        VisibilityChanged(True),
        Notice("The disk is full."),
        Closed("Parlour was locked."),
    ]
    assert {type(event) for event in made} == set(get_args(Event))
    direct.emit(Notice("from here"))
    for event in made:
        direct.emit(event)
    await until(events, lambda event: event == Notice("from here"))
    async with asyncio.timeout(PATIENCE):
        assert [event async for event in events] == made


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(interface).values() if isinstance(kind, type) and issubclass(kind, ParlourError)],
)
async def test_an_error_keeps_its_class_and_its_text(
    both: tuple[FakeMessenger, RemoteMessenger], kind: type[ParlourError]
) -> None:
    direct, client = both
    direct.failures["me"] = kind("What happened: what to do.")
    with pytest.raises(ParlourError, match=r"^What happened: what to do\.$") as caught:
        await client.me()
    assert type(caught.value) is kind


async def test_an_error_of_the_engines_own_kind_arrives_as_the_one_it_refines(
    both: tuple[FakeMessenger, RemoteMessenger],
) -> None:
    class Refined(UsageError):
        pass

    direct, client = both
    direct.failures["me"] = Refined("Not so.")
    with pytest.raises(UsageError, match="Not so"):
        await client.me()


async def test_a_fault_inside_goes_out_without_its_text(
    both: tuple[FakeMessenger, RemoteMessenger], monkeypatch: pytest.MonkeyPatch
) -> None:
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


async def test_text_that_is_not_unicode_is_refused_before_it_leaves(
    both: tuple[FakeMessenger, RemoteMessenger],
) -> None:
    _, client = both
    with pytest.raises(UsageError):
        await client.search("\udcff")


async def test_an_engine_that_dies_ends_calls_and_streams(tmp_path: Path) -> None:
    direct, _ = fake()
    server = ControlServer(direct, tmp_path / "engine.sock")
    await server.start()
    client = await RemoteMessenger.open(tmp_path / "engine.sock")
    events = client.events()
    await client.me()
    begun = asyncio.Event()

    async def endless() -> tuple[interface.DiagnosisView, ...]:
        begun.set()
        await asyncio.Event().wait()
        return ()

    direct.diagnose = endless  # type: ignore[method-assign]
    asked = asyncio.create_task(client.diagnose())
    await begun.wait()
    await server.close()
    with pytest.raises(Unreachable):
        await asked
    assert isinstance(await until(events, lambda event: isinstance(event, Closed)), Closed)
    with pytest.raises(Unreachable):
        await client.me()
    late = client.events()
    assert await anext(late) == Closed(remote.GONE)
    await client.close()


async def test_locking_from_inside_a_call_reaches_every_client(tmp_path: Path) -> None:
    """The engine ends its socket while it still answers the call that asked for it."""
    direct, _ = fake()
    server = ControlServer(direct, tmp_path / "engine.sock")
    lock = direct.lock

    async def lock_and_end() -> None:
        await lock()
        await server.close()

    direct.lock = lock_and_end  # type: ignore[method-assign]
    await server.start()
    one = await RemoteMessenger.open(tmp_path / "engine.sock")
    other = await RemoteMessenger.open(tmp_path / "engine.sock")
    events = other.events()
    await other.me()
    async with asyncio.timeout(PATIENCE):
        await one.lock()
    assert await until(events, lambda event: isinstance(event, Closed)) == Closed("Parlour was locked.")
    assert not (tmp_path / "engine.sock").exists()
    await one.close()
    await other.close()


async def test_a_client_that_does_not_read_is_dropped_and_nobody_else_waits(
    both: tuple[FakeMessenger, RemoteMessenger], tmp_path: Path
) -> None:
    direct, client = both
    events = client.events()
    await client.me()
    deaf = socket.socket(socket.AF_UNIX)
    deaf.connect(str(tmp_path / "engine.sock"))
    deaf.sendall(b'{"id":1,"call":"events"}\n{"id":2,"call":"me"}\n')
    await asyncio.get_running_loop().run_in_executor(None, _read_until, deaf, b'"id":2')
    text = "x" * 100_000
    for _ in range(control.WAITING_BYTES_MAX // len(text) + 10):
        direct.notice(text)
        await until(events, lambda event: event == Notice(text))
    direct.notice("the end")
    await until(events, lambda event: event == Notice("the end"))
    taken = await asyncio.get_running_loop().run_in_executor(None, _read_all, deaf)
    deaf.close()
    assert len(taken) < control.WAITING_BYTES_MAX
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
    both: tuple[FakeMessenger, RemoteMessenger], monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, client = both
    monkeypatch.setattr(remote, "EVENTS_WAITING_MAX", 10)
    events = client.events()
    await client.me()
    for number in range(12):
        direct.notice(str(number))
    with pytest.raises(Unreachable):
        while True:
            await client.me()
    assert await until(events, lambda event: isinstance(event, Closed)) == Closed(remote.BEHIND)


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[]\n",
        b'{"id":1}\n',
        b'{"id":1,"call":"close"}\n',
        b'{"id":1,"call":"__init__"}\n',
        b'{"id":1,"call":"me","more":1}\n',
        b'{"id":1,"call":"me","arguments":{"x":1}}\n',
        b'{"id":1,"call":"send","arguments":{"contact":"a"}}\n',
        b'{"id":1,"call":"block","arguments":{"contact":"a","on":"yes"}}\n',
    ],
)
async def test_a_request_that_is_not_of_the_interface_is_refused(
    both: tuple[FakeMessenger, RemoteMessenger], tmp_path: Path, line: bytes
) -> None:
    direct, client = both
    answer = await _ask_raw(tmp_path, line)
    assert msgspec.json.decode(answer)["error"] == "BadData"
    assert not direct.calls
    await client.me()


async def _ask_raw(folder: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(folder / "engine.sock"))
    await reader.readline()
    writer.write(line)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.readline()
    writer.close()
    return answer


async def test_a_line_without_end_is_not_kept(
    both: tuple[FakeMessenger, RemoteMessenger], tmp_path: Path
) -> None:
    _, client = both
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "engine.sock"))
    await reader.readline()
    writer.write(b"x" * (2 * control_wire.REQUEST_BYTES_MAX))
    async with asyncio.timeout(PATIENCE):
        assert await _rest(reader) == b""
    writer.close()
    await client.me()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_clients_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CLIENTS_MAX", 2)
    async with served(FakeMessenger(), tmp_path / "engine.sock"):
        clients = [await RemoteMessenger.open(tmp_path / "engine.sock") for _ in range(2)]
        with pytest.raises(Unreachable):
            await RemoteMessenger.open(tmp_path / "engine.sock")
        for client in clients:
            await client.me()
            await client.close()


async def test_calls_of_one_client_are_bounded_and_all_answered(
    both: tuple[FakeMessenger, RemoteMessenger], monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, client = both
    running = most = 0
    me = await direct.me()

    async def slow() -> interface.SelfView:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return me

    monkeypatch.setattr(direct, "me", slow)
    await asyncio.gather(*(client.me() for _ in range(5 * control.CALLS_MAX)))
    assert most <= control.CALLS_MAX


async def test_the_socket_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    async with served(FakeMessenger(), path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="this system does not tell the peer's user")
async def test_another_user_is_refused_on_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        assert control_wire.same_user(mine)
        monkeypatch.setattr(os, "geteuid", lambda: 4_000_000_000 % 2**31)
        assert not control_wire.same_user(mine)
    monkeypatch.undo()
    async with served(FakeMessenger(), tmp_path / "engine.sock"):
        monkeypatch.setattr(control, "same_user", lambda _: False)
        with pytest.raises(Unreachable):
            await RemoteMessenger.open(tmp_path / "engine.sock")
        monkeypatch.setattr(control_wire, "same_user", lambda _: False)
        with pytest.raises(Unreachable, match="another user"):
            await RemoteMessenger.open(tmp_path / "engine.sock")


def test_the_credentials_are_read_as_linux_gives_them() -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        raw = mine.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    assert struct.unpack("3i", raw) == (os.getpid(), os.geteuid(), os.getegid())


def open_descriptors() -> int:
    """How many files this process has open, or 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def test_a_path_of_any_length_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    path = deep / "engine.sock"
    before = open_descriptors()
    async with served(FakeMessenger("Long"), path):
        client = await RemoteMessenger.open(path)
        assert (await client.me()).name == "Long"
        await client.close()
    assert not path.exists()
    assert open_descriptors() <= before


async def test_a_path_of_any_length_works_without_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr(Path, "is_dir", lambda self: False)
    with pytest.raises(CannotCreate, match="shorter"):
        control_wire.listen(deep / "engine.sock")
    monkeypatch.chdir(deep)
    async with served(FakeMessenger(), deep / "engine.sock"):
        client = await RemoteMessenger.open(deep / "engine.sock")
        await client.close()


async def test_a_socket_that_a_dead_engine_left_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(Unreachable):
        await RemoteMessenger.open(path)
    async with served(FakeMessenger(), path):
        await (await RemoteMessenger.open(path)).close()
    path.write_text("not a socket")
    with pytest.raises(CannotCreate):
        await ControlServer(FakeMessenger(), path).start()
    assert path.read_text() == "not a socket"


async def test_the_end_of_one_engine_leaves_the_socket_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    old = ControlServer(FakeMessenger(), path)
    await old.start()
    path.unlink()
    async with served(FakeMessenger("Next"), path):
        await old.close()
        client = await RemoteMessenger.open(path)
        assert (await client.me()).name == "Next"
        await client.close()


async def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable):
        await RemoteMessenger.open(tmp_path / "engine.sock")


@pytest.mark.parametrize(
    ("hello", "raises"), [(b'{"version":999}\n', BadData), (b"SSH-2.0\n", Unreachable), (b"", Unreachable)]
)
async def test_an_engine_of_another_version_is_told_apart(
    tmp_path: Path, hello: bytes, raises: type[ParlourError]
) -> None:
    async def other(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(hello)
        writer.close()

    server = await asyncio.start_unix_server(other, sock=control_wire.listen(tmp_path / "engine.sock"))
    with pytest.raises(raises):
        await RemoteMessenger.open(tmp_path / "engine.sock")
    server.close()


async def test_a_pairing_can_be_followed_through_the_socket(
    both: tuple[FakeMessenger, RemoteMessenger],
) -> None:
    direct, client = both
    events = client.events()
    await client.me()
    begun = direct.stranger_begins("Cleo")
    stages = cast(PairingChanged, await until(events, lambda event: event == PairingChanged(begun)))
    await client.answer_pairing(stages.pairing.id, True)
    done = await until(
        events, lambda event: isinstance(event, PairingChanged) and event.pairing.stage is PairingStage.DONE
    )
    assert [view.person for view in await client.contacts()] == [cast(PairingChanged, done).pairing.contact]
