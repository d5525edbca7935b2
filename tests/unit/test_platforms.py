"""One contract for every system: what differs between them shows nowhere above `chat/platforms`."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from chat.api.serve import serve_socket
from chat.cli.terminal import Lines
from chat.client import connect
from chat.interface import CannotCreate, ClientRights, Unreachable
from chat.ipc import server, wire
from chat.ipc.client import RemoteMessenger
from chat.ipc.server import ControlServer
from chat.network.transport import TcpTransport
from chat.platforms import clocks, endpoints, files, loopback, loops, peers
from chat.platforms.descriptors import may_open_descriptors
from chat.platforms.endpoint import InTheWay
from chat.relay import sandbox
from chat.relay.run import Options, serve
from chat.session_bus import Notifications
from chat.storage import folder
from chat.storage.errors import ProfileInUse
from tests.architecture.imports import ROOT
from tests.support.engines.served import served
from tests.support.fakes.messenger import FakeMessenger
from tests.support.machine import needs_limits, needs_pseudo_terminals
from tests.support.network.sockets import SECONDS, gone, read_exactly, serving
from tests.support.platforms.lacking import SYSTEMS, take_away
from tests.support.platforms.run import SLICE, command
from tui.actions import ACTIONS, keys_of
from tui.linear.input import LineInput
from tui.terminal import ENDING, Watched, has_shell, heed_signals, stop_job


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        take_away(request.param, patch)
        yield request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine.sock"


def mode_of(path: Path) -> int | None:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


async def _names(path: Path) -> str:
    client = await RemoteMessenger.open(path)
    name = (await client.me()).name
    await client.close()
    return name


async def test_programs_of_one_user_meet(system: str, path: Path) -> None:
    async with served(FakeMessenger("Ada"), path):
        assert [await _names(path) for _ in range(2)] == ["Ada", "Ada"]
        assert mode_of(path) == 0o600
    assert mode_of(path) is None
    with pytest.raises(Unreachable):
        await RemoteMessenger.open(path)


async def test_a_program_with_a_token_is_served(system: str, path: Path) -> None:
    fake, listens = FakeMessenger("Ada"), asyncio.Event()
    ben = fake.add_contact("Ben").person
    token = (await fake.permit("bot", ClientRights.READ, ben)).token
    serving = asyncio.create_task(serve_socket(fake, path, listens.set, lambda _: None))
    await listens.wait()
    async with connect("bot", token=token, socket=path) as parlour:
        assert [one.person for one in await parlour.contacts()] == [ben]
    serving.cancel()
    await asyncio.wait([serving])
    with pytest.raises(Unreachable):
        async with connect("bot", token=token, socket=path):
            pass


async def test_the_next_engine_takes_the_place_of_a_dead_one(system: str, path: Path) -> None:
    endpoints.listen(path).socket.close()  # as where it was killed: the file stays
    assert mode_of(path) == 0o600
    with pytest.raises(Unreachable):
        await RemoteMessenger.open(path)
    async with served(FakeMessenger("Next"), path):
        assert await _names(path) == "Next"


async def test_the_end_of_an_engine_leaves_the_file_of_the_next(system: str, path: Path) -> None:
    old = ControlServer(FakeMessenger(), path)
    await old.start()
    os.unlink(path)  # noqa: PTH108 - one call, and not of a thread
    async with served(FakeMessenger("Next"), path):
        await old.close()
        assert await _names(path) == "Next"


def test_what_no_engine_made_stays(system: str, path: Path) -> None:
    path.write_text("not an endpoint")
    path.chmod(0o600)
    with pytest.raises(CannotCreate, match="move it away"):
        wire.listen(path)
    assert path.read_text() == "not an endpoint"


def test_a_lock_keeps_off_a_second_engine_until_it_is_released(system: str, tmp_path: Path) -> None:
    lock = folder.ProfileLock(tmp_path)
    with pytest.raises(ProfileInUse):
        folder.ProfileLock(tmp_path)
    assert folder.is_held(tmp_path)
    lock.release()
    assert not folder.is_held(tmp_path)
    folder.ProfileLock(tmp_path).remove()
    assert not tmp_path.exists()


def test_a_private_file_keeps_each_byte_and_is_replaced(system: str, tmp_path: Path) -> None:
    data = bytes(range(256)) + b"\r\n\n"
    for _ in range(2):
        folder.replace_private(tmp_path / "header", data)
    assert (tmp_path / "header").read_bytes() == data
    assert not files.open_to_others((tmp_path / "header").stat())
    folder.make_reserve(tmp_path)
    assert folder.give_up_reserve(tmp_path)


def test_bytes_are_read_and_written_at_a_place(system: str, tmp_path: Path) -> None:
    descriptor = files.open_private(tmp_path / "pieces", os.O_RDWR | os.O_CREAT)
    try:
        files.write_at(descriptor, [b"abc", memoryview(b"def")], 4)
        files.write_at(descriptor, [b"12"], 1)
        assert files.read_at(descriptor, 3, 4) == b"abc"
        assert files.read_at(descriptor, 100, 0) == b"\x0012\x00abcdef"
        assert files.read_at(descriptor, 1, 10) == b""
    finally:
        os.close(descriptor)


def test_threads_write_and_read_one_file_at_their_places(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those that seal a file: one thread's seek would move what another one writes."""
    size, count, moved, seek = 1_000, 64, list[bool](), os.lseek

    def lseek(descriptor: int, place: int, how: int) -> int:
        moved.append(files._position_of(descriptor).acquire(blocking=False))
        return seek(descriptor, place, how)

    monkeypatch.setattr(os, "lseek", lseek)
    descriptor = files.open_private(tmp_path / "pieces", os.O_RDWR | os.O_CREAT)

    def turn(number: int) -> bytes:
        files.write_at(descriptor, [bytes([number]) * size], number * size)
        return files.read_at(descriptor, size, number * size)

    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(turn, range(count))) == [bytes([number]) * size for number in range(count)]
        whole = files.read_at(descriptor, count * size, 0)
        assert whole == b"".join(bytes([number]) * size for number in range(count))
    finally:
        os.close(descriptor)
    assert len(moved) == (2 * count + 1 if system == "windows" else 0)
    assert not any(moved), "nobody else can take the position meanwhile"


def test_the_room_of_a_disk_is_what_is_free(system: str, tmp_path: Path) -> None:
    descriptor = files.open_private(tmp_path / "pieces", os.O_RDWR | os.O_CREAT)
    try:
        assert 0 < files.free_bytes(descriptor, tmp_path) <= shutil.disk_usage(tmp_path).total
    finally:
        os.close(descriptor)


def test_a_link_that_is_not_followed_is_refused_where_users_can_make_one(system: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"theirs")
    (tmp_path / "name").symlink_to(tmp_path / "other")
    if system == "windows":
        return  # there only an administrator can make one
    with pytest.raises(OSError, match="symbolic"):
        files.open_private(tmp_path / "name", os.O_RDWR, follow=False)


def test_what_is_read_for_this_person_is_opened_without_waiting(system: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"a\r\n")
    os.close(source := files.open_source(tmp_path / "source"))
    assert source > 2
    for path in ("/a\0b", f"/{'x' * 300}"):
        with pytest.raises((OSError, ValueError)):
            files.open_source(Path(path))
    if system == "windows":
        with pytest.raises(IsADirectoryError):
            files.open_source(tmp_path)
    else:
        os.close(files.open_source(tmp_path))
        os.mkfifo(tmp_path / "pipe")
        os.close(files.open_source(tmp_path / "pipe"))


def test_a_lost_sector_is_known_by_what_the_system_says(system: str) -> None:
    assert files.is_bad_sector(OSError(errno.EIO, ""))
    assert files.is_bad_sector(OSError(errno.EACCES, "")) is (system == "windows")
    assert not files.is_bad_sector(OSError(errno.ENOSPC, ""))


def test_the_clock_of_sleep_goes_on(system: str) -> None:
    clock = {"linux": "CLOCK_BOOTTIME", "macos": "CLOCK_MONOTONIC", "windows": ""}[system]
    read = partial(time.clock_gettime_ns, getattr(time, clock)) if clock else time.monotonic_ns
    assert read() <= clocks.since_boot_ns() <= read()


def test_modes_tell_who_reads_where_the_system_has_them(system: str, tmp_path: Path) -> None:
    for mode, open_to_others in ((0o600, False), (0o644, True), (0o602, True)):
        path = tmp_path / str(mode)
        path.touch(mode)
        path.chmod(mode)
        assert files.open_to_others(path.stat()) is (open_to_others and system != "windows")
        assert files.is_own(path.stat())


async def test_connections_are_taken_where_the_loop_waits_for_no_socket(system: str) -> None:
    transport = TcpTransport()
    async with serving(transport) as server:
        ours = await transport.connect("127.0.0.1", server.port, SECONDS)
        theirs = await server.take()
        await ours.write(b"question")
        assert await read_exactly(theirs, 8) == b"question"
        theirs.close()
        await gone([ours])


@pytest.mark.parametrize("kind", [Lines, LineInput])
async def test_lines_are_read_where_the_loop_waits_for_no_pipe(
    system: str, kind: type[Lines] | type[LineInput]
) -> None:
    given, typed = os.pipe()
    lines = kind(given)
    next_line = lines.line if isinstance(lines, LineInput) else lines.next_line
    os.write(typed, b"one\n")
    assert await next_line() == "one"
    waiting = asyncio.create_task(next_line())
    os.write(typed, b"two")
    os.close(typed)
    assert [await waiting, await next_line()] == ["two", None]
    os.close(given)


async def test_signals_are_heeded_where_the_system_has_them(system: str) -> None:
    left = asyncio.Event()
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    heed_signals(left.set)
    if system == "windows":
        assert signal.getsignal(signal.SIGTERM) is before, "the interpreter ends the program"
        return
    signal.raise_signal(signal.SIGTERM)
    await left.wait()
    for name in ENDING:
        loop.remove_signal_handler(getattr(signal, name))


async def test_without_unix_sockets_no_desktop_is_told(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        take_away("windows", patch)
        assert await Notifications(f"unix:path={tmp_path}/bus").show("Parlour", "A line.") == 0


def test_what_only_unix_bounds_is_left_alone_elsewhere() -> None:
    with pytest.MonkeyPatch.context() as patch:
        take_away("windows", patch)
        assert may_open_descriptors() == 0
        assert not sandbox.writing_will_be_forbidden().holds
        assert sandbox.landlock_abi() == 0
        assert not folder.hide_memory()
        assert not has_shell()
        stop_job()


def test_as_many_descriptors_as_the_system_allows() -> None:
    needs_limits()
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[0]), before[1]))
    try:
        most = may_open_descriptors()
        assert most == resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= before[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_no_key_that_macos_shows_needs_alt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert [one.id for one in ACTIONS if "Alt" in one.key] == []
    assert [one.id for one in ACTIONS if bool(one.key) is not bool(keys_of(one.id))] == []


async def test_a_relay_runs_where_the_loop_waits_for_sockets_and_else_says_so(system: str) -> None:
    waits = loops.waits_for_sockets(asyncio.get_running_loop())
    assert waits is (system != "windows")
    if not waits:
        with pytest.raises(CannotCreate, match="does not run on Windows"):
            await serve(Options("127.0.0.1", 0), lambda _: None, lambda _: None)


def test_a_terminal_is_gone_only_when_it_is() -> None:
    needs_pseudo_terminals()
    shown, programs = os.openpty()
    with pytest.MonkeyPatch.context() as patch:
        take_away("macos", patch)
        watched = Watched(programs)
        assert not watched.gone(), "POLLNVAL alone"
        os.close(shown)
        assert watched.gone()
    os.close(programs)


def test_another_user_is_told_by_the_kernel(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if system == "windows":
        return  # there a secret tells
    mine, theirs = socket.socketpair()
    with mine, theirs:
        assert peers.user_of(mine) == os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: 2_000_000_000)
        assert not peers.same_user(mine)
    assert peers.user_of(mine) == -1, "a closed one is nobody's"


class Loopback:
    """An engine on loopback, and what connects to it without the profile's file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def place(self) -> loopback._Place:
        found = loopback._parsed(self.path.read_bytes())
        assert found is not None
        return found

    def dial(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.place.port), 5)

    async def answer(self, *lines: bytes) -> bytes:
        """All that the engine says to a connection that sends these lines and nothing more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.place.port)
        writer.write(b"".join(lines))
        writer.write_eof()
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def on_loopback(path: Path) -> AsyncIterator[Loopback]:
    with pytest.MonkeyPatch.context() as patch:
        take_away("windows", patch)
        async with served(FakeMessenger("Ada"), path):
            yield Loopback(path)


@pytest.mark.parametrize("proof", [b"", bytes(32), b'{"id":1,"call":"me"}\n' * 2])
async def test_loopback_tells_nothing_to_who_does_not_know_the_secret(path: Path, proof: bytes) -> None:
    async with on_loopback(path) as engine:
        answer = await engine.answer(bytes(32), proof)
        assert b"version" not in answer
        assert len(answer) in (0, 64)
        assert engine.place.secret not in answer
        assert await _names(path) == "Ada"


async def test_what_the_engine_proves_does_not_prove_the_other_side(path: Path) -> None:
    """A reflection: the engine's own proof, sent back."""
    async with on_loopback(path) as engine:
        reader, writer = await asyncio.open_connection("127.0.0.1", engine.place.port)
        writer.write(bytes(32))
        said = await reader.readexactly(64)
        writer.write(said[32:])
        writer.write_eof()
        assert b"version" not in await reader.read()
        writer.close()


async def test_strangers_on_loopback_take_no_place_of_a_client(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UNPROVEN_MAX", 2)
    async with on_loopback(path) as engine:
        silent = [engine.dial() for _ in range(2)]
        for one in silent:
            one.sendall(bytes(32))
            assert len(await asyncio.to_thread(one.recv, 64)) > 0, "the engine waits for its proof"
        assert await engine.answer(bytes(32)) == b"", "more than the bound are refused"
        for one in silent:
            one.close()
    assert mode_of(path) is None


async def test_a_program_that_took_over_the_port_learns_nothing(path: Path) -> None:
    """The engine was killed, and another program of the machine listens where it did."""
    heard = asyncio.get_running_loop().create_future()

    async def steal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(64))
        heard.set_result(await reader.read())
        writer.close()

    with pytest.MonkeyPatch.context() as patch:
        take_away("windows", patch)
        thief = await asyncio.start_server(steal, sock=endpoints.listen(path).socket)
        with pytest.raises(Unreachable, match="another user"):
            await RemoteMessenger.open(path)
        assert len(await heard) == 32, "random bytes and no proof"
        thief.close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"parlour-engine:",
        *(b"parlour-engine:%s:%s" % (port, b"0" * 64) for port in (b"0", b"70000", b"\xb2", b"-1")),
        *(b"parlour-engine:1:" + secret for secret in (b"0" * 62, b"z" * 64, b"")),
    ],
)
def test_a_file_that_names_no_place_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        take_away("windows", patch)
        for call in (endpoints.listen, endpoints.connect):
            with pytest.raises(InTheWay):
                call(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["macos", "windows"])
def test_a_slice_of_the_suite_passes_on_each_system(name: str) -> None:
    ran = subprocess.run(command(name, *SLICE), cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-4_000:] + ran.stderr[-2_000:]
