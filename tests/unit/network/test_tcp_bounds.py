"""Who gets in, over real sockets: shares, a flood, faults of ours, and a machine out of descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from chat.network import transport
from chat.network.transport import TcpListener, TcpTransport
from chat.ports import Connection
from tests.support.lab.programs import Program
from tests.support.network import sockets
from tests.support.network.sockets import SECONDS, gone, read_all, read_exactly, serving, until

ANYONE = TcpTransport()
Faults = list[dict[str, Any]]


async def test_one_address_gets_its_share() -> None:
    async with serving(TcpTransport(an_address=2)) as server:
        with await sockets.knock(server.port) as first, await sockets.knock(server.port):
            taken = await server.take_from(first)
            assert await sockets.is_reset(await sockets.knock(server.port))
            with await sockets.knock(server.port, "127.0.0.2") as other:
                assert (await server.take_from(other)).peer == "127.0.0.2"
            first.close()
            assert await read_all(taken) == b""
            await until(lambda: taken._transport is None)
            with await sockets.knock(server.port) as next_one:
                await server.take_from(next_one)


@pytest.mark.parametrize("host", ["8.8.8.8", "2001:db8::1", "224.0.0.251"])
async def test_a_caller_from_outside_the_local_networks_is_refused_with_a_reset(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with an orderly end, which would leave this machine with a socket in TIME_WAIT."""
    async with serving(ANYONE) as server:
        with monkeypatch.context() as patched:
            patched.setattr(transport, "peer_host", lambda _address: host)
            loop = asyncio.get_running_loop()
            with socket.socket() as stranger, pytest.raises(ConnectionResetError):  # perhaps as it connects
                stranger.setblocking(False)
                await loop.sock_connect(stranger, ("127.0.0.1", server.port))
                await asyncio.wait_for(loop.sock_recv(stranger, 1), SECONDS)
        assert len(server.listener._gate) == 0
        with await sockets.knock(server.port) as local:
            assert (await server.take_from(local)).peer == "127.0.0.1"


async def test_a_caller_that_is_gone_before_it_is_served_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone_meanwhile(_: socket.socket) -> None:
        raise OSError(errno.EINVAL, "the peer has reset the connection")

    async with serving(TcpTransport(an_address=1)) as server:
        with monkeypatch.context() as patched:
            patched.setattr(transport, "_tune", gone_meanwhile)
            assert await sockets.is_reset(await sockets.knock(server.port))
        assert len(server.listener._gate) == 0
        with await sockets.knock(server.port) as next_one:
            await server.take_from(next_one)


async def test_a_flood_neither_grows_nor_stops_a_conversation() -> None:
    total = 32
    async with serving(TcpTransport(total=total)) as server:
        ours = await ANYONE.connect("127.0.0.1", server.port, SECONDS)
        theirs = await server.take()
        inside = server.listener._gate._inside
        inside[theirs] = (inside[theirs][0], -1e9)  # old enough to have proved itself
        before = open_files()
        with contextlib.ExitStack() as strangers:
            stranger = strangers.enter_context(await sockets.knock(server.port))
            for number in range(1, 1000):
                stranger = strangers.enter_context(
                    await sockets.knock(server.port, f"127.0.1.{1 + number % 100}")
                )
                with contextlib.suppress(ConnectionError):  # it may have been reset already
                    stranger.send(b"GET / HTTP/1.1\r\n" * 100)
                if number % 50 == 0:
                    await ours.write(b"still here")
                    assert await read_exactly(theirs, 10) == b"still here"
            await server.take_from(stranger)
            assert len(server.listener._gate) <= total
            await until(lambda: open_files() - before - 1000 <= total)
            await ours.write(b"and after")
            assert await read_exactly(theirs, 9) == b"and after"
        await gone([ours])


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_connection_that_cannot_be_served_is_reported_and_closed(faults: Faults) -> None:
    async def accept(connection: Connection) -> None:
        raise ValueError("a fault of ours")

    listener = await ANYONE.listen(0, accept)
    ours = await ANYONE.connect("127.0.0.1", listener.port, SECONDS)
    assert await read_all(ours) == b""
    assert [type(context["exception"]) for context in faults] == [ValueError]
    await listener.close()
    await gone([ours])


async def test_attack_74_a_failure_to_accept_is_told_once_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    pauses: list[float] = []
    failures = [errno.EMFILE] * 4
    accept, sleep = TcpListener._next, asyncio.sleep

    async def failing(listener: TcpListener, server: socket.socket) -> Any:
        if server.family == socket.AF_INET and failures:
            raise OSError(failures.pop(), "too many open files")
        return await accept(listener, server)

    async def noted(delay: float) -> None:
        pauses.append(delay)
        await sleep(0)

    monkeypatch.setattr(TcpListener, "_next", failing)
    monkeypatch.setattr(asyncio, "sleep", noted)
    async with serving(ANYONE) as server:
        await gone([await ANYONE.connect("127.0.0.1", server.port, SECONDS), await server.take()])
    assert [context["exception"].errno for context in faults] == [errno.EMFILE]
    assert pauses.count(transport._PAUSE) == 4
    assert transport._PAUSE >= 0.1


# Runs out of descriptors for real, in a process of its own, and prints how it bears it.
EXHAUST = """
import asyncio, os, resource, socket
from chat.network.transport import TcpListener, TcpTransport

async def main():
    told, attempts = [], 0
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))
    accept_one = TcpListener._next
    async def counted(listener, server):
        nonlocal attempts
        attempts += 1
        return await accept_one(listener, server)
    TcpListener._next = counted
    served = asyncio.Queue()
    async def accept(connection):
        served.put_nowait(connection)
    listener = await TcpTransport(an_address=100).listen(0, accept)
    clients = [socket.socket() for _ in range(20)]
    used = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 5, 4096))
    for each in clients:
        each.setblocking(False)
        await loop.sock_connect(each, ("127.0.0.1", listener.port))
    while not told:
        await asyncio.sleep(0)
    print(told[0]["exception"].errno, flush=True)
    before = attempts
    for _ in range(20_000):
        await asyncio.sleep(0)
    print("spins" if attempts - before > 1000 else "waits", flush=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    for _ in clients:
        await served.get()
    print("served all", flush=True)
    os._exit(0)

asyncio.run(main())
"""


def test_attack_74_out_of_descriptors_for_real() -> None:
    with Program([sys.executable, "-c", EXHAUST], folder=Path(__file__).parents[3]) as program:
        said = [program.line(SECONDS) for _ in range(3)]
    assert said == [str(errno.EMFILE), "waits", "served all"]


@pytest.mark.parametrize(
    ("port", "number", "attempts"),
    [
        (0, errno.EADDRINUSE, transport._FREE_PORT_ATTEMPTS),
        (4747, errno.EADDRINUSE, 1),
        (0, errno.EADDRNOTAVAIL, 1),
    ],
)
def test_a_free_port_is_looked_for_a_bounded_number_of_times(
    monkeypatch: pytest.MonkeyPatch, port: int, number: int, attempts: int
) -> None:
    bind = mock.Mock(side_effect=OSError(number, "no"))
    monkeypatch.setattr(transport, "_bind_all", bind)
    with pytest.raises(OSError):
        transport._bind(port, ())
    assert bind.mock_calls == [mock.call(port, ())] * attempts
    bind.side_effect = [OSError(errno.EADDRINUSE, "no"), ["socket"]]
    assert [*map(str, transport._bind(0, ()))] == ["socket"]


async def test_a_connection_that_was_reset_before_it_is_served_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, accepted = mock.Mock(), mock.Mock()
    listener = TcpListener.__new__(TcpListener)
    listener._gate, listener._running = gate, set()
    listener._loop = mock.Mock(connect_accepted_socket=mock.AsyncMock(side_effect=OSError))
    monkeypatch.setattr(transport, "_tune", mock.Mock())
    await listener._take(accepted, "127.0.0.1")
    accepted.close.assert_called_once_with()
    ((connection, host),) = (call.args for call in gate.enter.call_args_list)
    assert host == "127.0.0.1"
    gate.left.assert_called_once_with(connection)
    assert listener._running == set()
