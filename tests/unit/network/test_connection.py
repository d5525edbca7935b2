"""A connection is bounded both ways and forgets nobody who waits: against a transport that is watched."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import pytest

from chat.network import connection as module
from chat.network.connection import (
    LINGER,
    READ_MAX,
    UNKNOWN_MAX,
    UNREAD_LOW,
    UNREAD_MAX,
    TcpConnection,
    peer_host,
)
from tests.support.network.arriving import arrive


def connected() -> tuple[TcpConnection, mock.Mock, list[TcpConnection]]:
    """A connection, the event loop's transport under it, and where it tells of its end."""
    lost: list[TcpConnection] = []
    connection, wire = TcpConnection(lost.append), mock.Mock(asyncio.Transport)
    wire.get_extra_info.return_value = ("10.0.0.9", 1234)
    wire.is_closing.return_value = False
    connection.connection_made(wire)
    return connection, wire, lost


async def waits(task: asyncio.Task[Any]) -> bool:
    """Whether a task that nothing else can move does not end by itself."""
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_reading_stops_when_enough_waits_and_goes_on_when_it_was_read() -> None:
    connection, wire, _ = connected()
    connection.widen()
    arrive(connection, b"a" * (UNREAD_MAX - 1))
    assert not wire.pause_reading.called
    arrive(connection, b"b")
    assert wire.pause_reading.called
    unread = UNREAD_MAX
    while unread > UNREAD_LOW:
        assert not wire.resume_reading.called
        unread -= len(await connection.read())
    assert wire.resume_reading.called


async def test_who_is_not_known_fills_little() -> None:
    connection, wire, _ = connected()
    arrive(connection, b"a" * (UNKNOWN_MAX - 1))
    assert not wire.pause_reading.called
    arrive(connection, b"a" * UNKNOWN_MAX)
    assert wire.pause_reading.called
    connection.widen()
    assert not wire.resume_reading.called, "what waits is to be read first"
    await connection.read()
    assert wire.resume_reading.called


async def test_what_is_held_is_not_read_until_it_is_released() -> None:
    connection, wire, _ = connected()
    connection.widen()
    connection.hold(on=True)
    assert wire.pause_reading.called
    arrive(connection, b"a" * UNREAD_MAX)
    connection.hold(on=False)
    assert not wire.resume_reading.called, "enough waits"
    connection.hold(on=True)
    while connection._unread:
        await connection.read()
    assert not wire.resume_reading.called, "it is held"
    connection.hold(on=False)
    assert wire.resume_reading.call_count == 1
    connection.connection_lost(None)
    connection.hold(on=True)
    connection.hold(on=False)


async def test_a_read_waits_and_gives_at_most_so_many_bytes_in_order() -> None:
    connection, _, _ = connected()
    reading = asyncio.create_task(connection.read())
    assert await waits(reading)
    arrive(connection, b"x")
    assert await reading == b"x"
    assert len(connection.get_buffer(-1)) == UNKNOWN_MAX
    connection.widen()
    assert len(connection.get_buffer(-1)) == READ_MAX
    parts = [bytes(range(256)) * 1000, b"second"]
    for part in parts:
        arrive(connection, part)
    assert [await connection.read() for _ in range(2)] == parts


async def test_a_write_waits_while_the_peer_is_slow() -> None:
    connection, wire, _ = connected()
    wire.set_write_buffer_limits.assert_called_once_with(high=0)
    connection.pause_writing()
    writing = [asyncio.create_task(connection.write(b"x")) for _ in range(3)]
    assert all([await waits(task) for task in writing])
    connection.resume_writing()
    await asyncio.gather(*writing)
    assert wire.write.mock_calls == [mock.call(b"x")] * 3


@pytest.mark.parametrize("broken", [None, ConnectionResetError()])
async def test_when_it_breaks_readers_and_writers_are_told(broken: Exception | None) -> None:
    connection, _, lost = connected()
    connection.pause_writing()
    reading, writing = asyncio.create_task(connection.read()), asyncio.create_task(connection.write(b"x"))
    assert await waits(reading)
    connection.connection_lost(broken)
    assert await reading == b""
    with pytest.raises(ConnectionError):
        await writing
    with pytest.raises(ConnectionError):
        await connection.write(b"y")
    assert lost == [connection]


async def test_what_came_before_the_end_can_still_be_read() -> None:
    connection, _, _ = connected()
    arrive(connection, b"last words")
    connection.eof_received()
    connection.connection_lost(None)
    assert await connection.read() == b"last words"
    assert await connection.read() == b""


async def test_close_ends_a_pending_read_and_drops_what_is_unread_or_not_yet_made() -> None:
    connection, wire, _ = connected()
    reading = asyncio.create_task(connection.read())
    assert await waits(reading)
    connection.close()
    assert await reading == b""
    assert wire.close.called
    arrive(connection, b"too late")
    assert await connection.read() == b""
    with pytest.raises(ConnectionError):
        await connection.write(b"x")
    given_up, made = TcpConnection(), mock.Mock(asyncio.Transport)
    made.get_extra_info.return_value = ("10.0.0.9", 1234)
    given_up.abort()
    given_up.connection_made(made)
    assert made.abort.called


@pytest.mark.parametrize("end", ["close", "eof_received"])
async def test_a_peer_that_takes_nothing_keeps_none(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LINGER <= 5
    monkeypatch.setattr(module, "LINGER", 0.0)
    connection, wire, _ = connected()
    getattr(connection, end)()
    assert not wire.abort.called
    for _ in range(2):
        await asyncio.sleep(0)
    assert wire.abort.called


async def test_attack_78_its_text_shows_nothing_that_was_received() -> None:
    connection, _, _ = connected()
    arrive(connection, b"zzneedlezz")
    assert "needle" not in f"{connection!r} {connection}"


def test_peer_host() -> None:
    assert peer_host(("::ffff:10.0.0.1", 1, 0, 0)) == "10.0.0.1"
    assert peer_host(("fd00::1", 1, 0, 0)) == "fd00::1"
    assert peer_host(("fe80::1", 1, 0, 1)) == "fe80::1%lo"
    assert peer_host(("fe80::1", 1, 0, 99_999)) == "fe80::1%99999"
