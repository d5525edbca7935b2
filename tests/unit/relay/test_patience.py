"""How long a relay bears with a terminal, over real sockets and by a clock that the test moves."""

from __future__ import annotations

import errno
import socket
from typing import Any
from unittest import mock

import pytest

from chat.relay.circuit import Patience
from chat.relay.server import Relay
from protocol.limits import HANDSHAKE_SECONDS, RELAY_ANSWER_SECONDS, RELAY_SILENT_SECONDS
from protocol.relay.states import RelayEnding, WaitBegun, WasAbsent, WasCalled, WasJoined, Welcomed
from tests.support.relay.in_process import Guest, House, token


async def greeted(made: House) -> Guest:
    """A connection that has heard the greeting, and said nothing."""
    guest = await made.guest()
    assert len(await guest.exactly(28)) == 28
    return guest


async def test_who_says_nothing_or_a_drop_at_a_time_or_asks_for_nothing_is_gone_in_time(made: House) -> None:
    silent, slow, idle = await greeted(made), await greeted(made), await made.welcomed()
    for byte in b"\x00\x42\x01\x10":  # how a handshake begins
        await slow.say(bytes((byte,)))
        await made.later((HANDSHAKE_SECONDS - 1) / 4)
    assert made.now()["connections"] == 3
    await made.later(1.5)
    for guest in (silent, slow, idle):
        assert await guest.read(1) == b""
    assert made.now()["connections"] == made.now()["unproven_connections"] == 0


async def test_who_waits_and_gives_no_sign_is_gone_and_who_does_stays(made: House) -> None:
    quiet, wanted = await made.waiter(token()), token()
    alive = await made.waiter(wanted)
    await made.later(RELAY_SILENT_SECONDS - 1)
    await alive.wait(wanted)
    await alive.expect(WaitBegun)
    await made.later(2)
    assert await quiet.read(1) == b""
    assert made.now()["waiting_terminals"] == 1


async def test_of_two_who_wait_the_second_is_called_where_the_first_does_not_answer(made: House) -> None:
    wanted = token()
    older, newer = await made.waiter(wanted), await made.waiter(wanted)
    dialler = await made.welcomed()
    await dialler.dial(wanted)
    await newer.hear()  # and does not answer
    await made.later(RELAY_ANSWER_SECONDS + 0.5)
    assert await newer.read(1) == b""
    await older.expect(WasCalled)
    assert (await dialler.expect(WasJoined)).others == 0


async def test_where_two_who_are_called_do_not_answer_the_dialler_is_told_absent(made: House) -> None:
    wanted = token()
    waiters = [await made.waiter(wanted) for _ in range(3)]
    dialler = await made.welcomed()
    await dialler.dial(wanted)
    for silent in (waiters[2], waiters[1]):
        await silent.hear()
        await made.later(RELAY_ANSWER_SECONDS + 0.5)
    await dialler.expect(WasAbsent)
    assert made.now()["waiting_terminals"] == 1, "the third was left in peace"


async def test_a_dialler_that_has_gone_costs_the_one_who_was_called_its_connection_alone(made: House) -> None:
    wanted = token()
    waiter = await made.waiter(wanted)
    dialler = await made.welcomed()
    await dialler.dial(wanted)
    await waiter.hear()
    dialler.close()
    await waiter.flush()
    assert await waiter.read(1) == b""
    waiter.close()
    await made.settle()
    assert made.now()["connections"] == 0


async def test_circuits_whose_reader_takes_nothing_end(made: House) -> None:
    dialler, waiter = await made.circuit()
    await press(made, dialler.socket)
    await made.later(Patience().slow - 1)
    assert made.now()["buffers_lent"] == 1
    await made.later(1.5)
    assert made.relay.counters.ended == {"slow": 1}
    assert made.now()["buffers_lent"] == 0
    assert waiter.socket.recv(1), "what had left before still arrives"


async def press(made: House, end: socket.socket) -> None:
    for _ in range(10):
        try:
            while True:
                end.send(bytes(65_536))
        except BlockingIOError:
            await made.settle()


async def test_at_its_end_everybody_is_told_and_nothing_is_left(made: House) -> None:
    wanted = token()
    waiting, called = await made.waiter(token()), await made.waiter(wanted)
    fresh, dialler = await made.welcomed(), await made.welcomed()
    await dialler.dial(wanted)
    await called.hear()
    joined, other = await made.circuit()
    stranger = await greeted(made)
    made.relay.stop()
    for guest in (waiting, fresh, dialler):
        assert await guest.ending() is RelayEnding.STOPPED
    for guest in (joined, other, stranger):
        assert await guest.read(1) == b""


async def test_a_fault_in_a_look_at_the_time_ends_none(made: House, monkeypatch: pytest.MonkeyPatch) -> None:
    silent, failed = await greeted(made), list[Any]()
    made.loop.set_exception_handler(lambda _, context: failed.append(context["exception"]))
    with monkeypatch.context() as broken:
        broken.setattr("chat.relay.connection.ClientConnection.check", lambda *_: 1 // 0)
        await made.later(HANDSHAKE_SECONDS + 1)
    assert isinstance(failed[0], ZeroDivisionError)
    await made.later(1)
    assert await silent.read(1) == b""


def failing(relay: Relay, *errors: int) -> None:
    """Let the relay's `accept` fail a few times."""
    real, left = relay._servers[0], list(errors)

    def accept() -> Any:
        if left:
            raise OSError(left.pop(0), "planted")
        return real.accept()

    relay._loop.remove_reader(real.fileno())
    server = mock.Mock(accept=accept, fileno=real.fileno)
    relay._loop.add_reader(real.fileno(), relay._accept, server)


async def test_without_descriptors_it_accepts_later_and_who_has_gone_holds_up_nobody(made: House) -> None:
    failing(made.relay, errno.EMFILE)
    guest = await made.guest()
    await made.settle()
    assert made.relay.counters.accepted == 0
    await made.later(1)
    await guest.expect(Welcomed)
    failing(made.relay, errno.ECONNABORTED, errno.EPROTO)  # who has gone before it was accepted
    await (await made.guest()).expect(Welcomed)
