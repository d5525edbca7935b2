"""The parts of TCP transport, on sockets and transports that are mocks."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from chat.network import connection as module
from chat.network import transport
from chat.network.connection import (
    LINGER,
    UNREAD_LOW,
    UNREAD_MAX,
    NotLocal,
    TcpConnection,
    format_address,
    parse,
    peer_host,
)
from chat.network.transport import TcpListener, TcpTransport
from tests.support.engines.engines import in_virtual_time
from tests.support.network.arriving import arrive

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (" 10.0.0.1:1 ", "10.0.0.1", 1),
        ("10.0.0.1:65535", "10.0.0.1", 65_535),
        ("[fe80::1%eth0]:4747", "fe80::1%eth0", 4747),
        ("[FE80:0::1]:4747", "fe80::1", 4747),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    assert parse(text) == (host, port)
    assert parse(format_address(host, port)) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "", "10.0.0.1", "10.0.0.1:", ":4747", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:x",
        "fe80::1:4747", "[fe80::1:4747", "fe80::1]:4747", "[10.0.0.1]:4747", "host:4747", "[]:4747",
        "1" * 200 + ":4747",
    ],
)  # fmt: skip
def test_what_is_no_address_is_not_read(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_link_local_peer_is_known_with_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_indextoname", lambda index: {3: "eth0"}[index])
    assert peer_host(("fe80::1%x", 1, 0, 3)) == "fe80::1%eth0"
    monkeypatch.setattr(socket, "if_indextoname", mock.Mock(side_effect=OSError))
    assert peer_host(("fe80::1", 1, 0, 7)) == "fe80::1%7"
    assert peer_host(("fd00::1", 1, 0, 3)) == "fd00::1"
    assert peer_host(("::ffff:10.0.0.1", 1, 0, 3)) == peer_host(("10.0.0.1", 1)) == "10.0.0.1"


def test_a_refused_socket_is_reset_and_closed() -> None:
    refused = mock.Mock()
    module.reset(refused)
    refused.setsockopt.assert_called_once_with(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    refused.setsockopt.side_effect = OSError
    module.reset(refused)
    assert refused.close.call_count == 2


@pytest.mark.parametrize("family", [V4, V6])
@pytest.mark.parametrize("system", ["posix", "nt"])
def test_a_listening_socket_has_its_options(
    monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily, system: str
) -> None:
    made = mock.Mock()
    monkeypatch.setattr(socket, "socket", mock.Mock(return_value=made))
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", system)
        assert module.listening_socket(family, ("::", 1), 7) is made
    options = [(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)] * (system == "posix")
    options += [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)] * (family == V6)
    assert [call.args for call in made.setsockopt.call_args_list] == options
    made.setblocking.assert_called_once_with(False)
    made.bind.assert_called_once_with(("::", 1))
    made.listen.assert_called_once_with(7)
    made.close.assert_not_called()
    made.bind.side_effect = OSError
    with pytest.raises(OSError):
        module.listening_socket(family, ("::", 1), 7)
    made.close.assert_called_once_with()


def connected(lost: Callable[[TcpConnection], None] | None = None) -> tuple[TcpConnection, mock.Mock]:
    """A connection and its transport, a mock."""
    made, below = TcpConnection(lost), mock.Mock()
    below.get_extra_info.return_value = ("10.0.0.1", 1)
    below.is_closing.return_value = False
    made.connection_made(below)
    return made, below


async def test_a_connection_knows_its_peer_and_bounds_what_is_unsent() -> None:
    made, below = connected()
    assert made.peer == "10.0.0.1"
    below.set_write_buffer_limits.assert_called_once_with(high=0)
    below.abort.assert_not_called()


async def test_reading_pauses_at_one_bound_and_goes_on_at_the_other() -> None:
    made, below = connected()
    made.widen()
    arrive(made, bytes(UNREAD_MAX - UNREAD_LOW))
    arrive(made, bytes(UNREAD_LOW - 1))
    below.pause_reading.assert_not_called()
    arrive(made, b"x")
    arrive(made, b"x")
    below.pause_reading.assert_called_once_with()
    left = [UNREAD_MAX - UNREAD_LOW, UNREAD_LOW - 1, 1, 1]
    while sum(left) > UNREAD_LOW:
        below.resume_reading.assert_not_called()
        assert len(await made.read()) == left.pop(0)
    below.resume_reading.assert_called_once_with()
    await made.read()
    below.resume_reading.assert_called_once_with()


async def test_a_write_to_what_has_ended_is_an_error_at_once_or_when_it_ends() -> None:
    with pytest.raises(ConnectionResetError):
        await TcpConnection().write(b"x")
    made, below = connected()
    await made.write(b"one")
    made.pause_writing()
    writing = asyncio.ensure_future(made.write(b"two"))
    await asyncio.sleep(0)
    arrive(made, b"wakes")
    await asyncio.sleep(0)
    assert not writing.done()
    made.connection_lost(None)
    with pytest.raises(ConnectionResetError):
        await writing
    assert [call.args for call in below.write.call_args_list] == [(b"one",), (b"two",)]
    with pytest.raises(ConnectionResetError):
        await made.write(b"three")


@in_virtual_time
async def test_a_closed_connection_lingers_for_a_moment_unless_it_is_lost() -> None:
    made, below = connected()
    arrive(made, b"unread")
    made.close()
    below.close.assert_called_once_with()
    assert await made.read() == b""
    await asyncio.sleep(LINGER - 0.1)
    made.close()
    below.abort.assert_not_called()
    await asyncio.sleep(0.2)
    below.abort.assert_called_once_with()
    lost = mock.Mock()
    made, below = connected(lost)
    made.close()
    made.connection_lost(None)
    lost.assert_called_once_with(made)
    await asyncio.sleep(2 * LINGER)
    below.abort.assert_not_called()
    made.close()
    made.abort()


@in_virtual_time
async def test_what_comes_after_the_end_is_dropped_and_an_abort_is_at_once() -> None:
    made, below = connected()
    arrive(made, b"before")
    assert made.eof_received() is False
    arrive(made, b"after")
    assert [await made.read(), await made.read()] == [b"before", b""]
    made, below = connected()
    arrive(made, b"before")
    made.abort()
    below.abort.assert_called_once_with()
    assert await made.read() == b""
    early = TcpConnection()
    early.close()
    below = mock.Mock()
    below.get_extra_info.return_value = ("10.0.0.1", 1)
    early.connection_made(below)
    below.abort.assert_called_once_with()


def test_targets_are_local_and_link_local_ones_have_an_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_nametoindex", lambda name: {"eth0": 3}[name])
    monkeypatch.setattr(transport, "scopes", lambda: (4, 5))
    assert transport._targets("10.0.0.1", 1) == [(V4, ("10.0.0.1", 1))]
    assert transport._targets("fd00::1", 1) == [(V6, ("fd00::1", 1, 0, 0))]
    assert transport._targets("fe80::1%eth0", 1) == [(V6, ("fe80::1", 1, 0, 3))]
    assert transport._targets("fe80::1%7", 1) == [(V6, ("fe80::1", 1, 0, 7))]
    assert transport._targets("fe80::1", 1) == [(V6, ("fe80::1", 1, 0, index)) for index in (4, 5)]
    monkeypatch.setattr(transport, "scopes", tuple)
    with pytest.raises(OSError) as caught:
        transport._targets("fe80::1", 1)
    assert caught.value.errno == errno.ENETUNREACH
    with pytest.raises(NotLocal):
        transport._targets("203.0.113.1", 1)


@pytest.mark.parametrize("timed", [True, False])
def test_a_connected_socket_sends_at_once_and_gives_up_a_dead_peer(
    monkeypatch: pytest.MonkeyPatch, timed: bool
) -> None:
    if timed:
        monkeypatch.setattr(socket, "TCP_USER_TIMEOUT", 18, raising=False)
    else:
        monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    tuned = mock.Mock()
    transport._tune(tuned)
    options: list[Any] = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    options += [(socket.IPPROTO_TCP, 18, transport.UNACKNOWLEDGED_MAX)] * timed
    assert [call.args for call in tuned.setsockopt.call_args_list] == options


@pytest.mark.parametrize(
    "number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT, errno.EIO]
)
def test_families_that_are_missing_are_left_out_but_not_all(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    first = mock.Mock()
    first.getsockname.return_value = ("0.0.0.0", 5555)
    missing = OSError(number, "no")
    listening = mock.Mock(side_effect=[first, missing])
    monkeypatch.setattr(transport, "listening_socket", listening)
    places = [(V4, "0.0.0.0"), (V6, "::")]
    if number == errno.EIO:
        with pytest.raises(OSError):
            transport._bind_all(0, places)
        first.close.assert_called_once_with()
    else:
        assert [*map(id, transport._bind_all(0, places))] == [id(first)]
        first.close.assert_not_called()
    asked = [call.args[1] for call in listening.call_args_list]
    assert asked == [("0.0.0.0", 0), ("::", 5555)]
    listening.side_effect = [missing, missing]
    with pytest.raises(OSError) as caught:
        transport._bind_all(0, places)
    assert caught.value is missing
    assert transport._bind_all(0, []) == []


async def test_a_task_that_serves_is_forgotten_and_its_connection_closed_if_it_failed() -> None:
    listener = TcpListener.__new__(TcpListener)
    listener._loop = mock.Mock()
    for ending, closes, tells in (
        (None, 0, 0),
        (ZeroDivisionError(), 1, 1),
        (asyncio.CancelledError(), 1, 0),
    ):
        connection, task = mock.Mock(), asyncio.ensure_future(_ends(ending))
        listener._running = {task}
        await asyncio.wait([task])
        listener._loop.reset_mock()
        listener._served(task, connection)
        assert (connection.close.call_count, listener._running) == (closes, set())
        assert listener._loop.call_exception_handler.call_count == tells


async def _ends(ending: BaseException | None) -> None:
    if ending is not None:
        raise ending


async def test_addresses_are_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "own_addresses", lambda: ("10.0.0.1",))
    assert TcpTransport().addresses() == ("10.0.0.1",)
