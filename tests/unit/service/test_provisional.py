"""Links of terminals that are none of their person's by the log that is held here (SPEC §7.8.2)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.network.links import Peer
from chat.service.provisional import LINKS_MAX, TOLD_EVERY, Provisional
from protocol.errors import Malformed, Untrusted
from protocol.identity.exchange import farewell
from protocol.identity.reduction import NO_PINS
from protocol.link.states import LinkClosed, LinkOpen, MessageReceived, Role
from protocol.messages import LogHeads, LogOperations, Message, Ping, RenewedShare
from tests.support.protocol.pairings import SECOND, THIRD, Person
from tests.support.storage.samples import blob

OWN, STRANGER = b"o" * 32, b"s" * 32


class Hall:
    """Provisional links among mocks: Ben is a contact who removed his second terminal."""

    def __init__(self) -> None:
        self.ben, self.now, self.tasks = Person("Ben"), 100.0, list[Any]()
        self.ben.add(self.ben.first, SECOND)
        self.ben.rename(self.ben.first, "Benny")
        self.ben.remove(self.ben.first, SECOND)
        self.provisional = {OWN, self.ben.id}
        self.removed = {Peer(self.ben.id, SECOND.static)}
        keyring: Any = SimpleNamespace(
            was_removed=lambda peer: peer in self.removed,
            is_provisional=lambda peer: peer.person in self.provisional and peer not in self.removed,
            log=lambda person: self.ben.state,
        )
        runtime: Any = SimpleNamespace(
            clock=SimpleNamespace(monotonic=lambda: self.now),
            tasks=SimpleNamespace(spawn=self.tasks.append),
            worker=SimpleNamespace(run=self._run),
        )
        store: Any = SimpleNamespace(read=self._read)
        self.logs = mock.Mock(received=mock.AsyncMock(), named=mock.AsyncMock(return_value=["operations"]))
        self.links = Provisional(runtime, store, keyring, self.logs)

    @staticmethod
    async def _run(work: Any, *given: Any) -> Any:
        return work(*given)

    async def _read(self, work: Any, person: bytes) -> Any:
        assert person == self.ben.id
        return self.ben.operations, NO_PINS

    def open(
        self, static: bytes, person: bytes | None = None, role: Role = Role.RESPONDER
    ) -> tuple[Any, Any]:
        """The driver of a link that opened, and what hears its events."""
        driver: Any = mock.Mock(send=mock.AsyncMock(), close=mock.AsyncMock())
        opened = LinkOpen(bytes(16), role, 3, static, self.ben.id if person is None else person)
        return driver, self.links.take(driver, opened)

    async def run(self) -> None:
        """What was begun."""
        while self.tasks:
            await self.tasks.pop(0)


async def test_of_terminals_of_all_persons_few_have_provisional_links_at_a_time() -> None:
    """A thief of one secret draws as many static keys as it likes: the oldest gives way."""
    hall = Hall()
    persons = (OWN, hall.ben.id)
    opened = [hall.open(bytes([number + 1]) * 32, persons[number % 2]) for number in range(LINKS_MAX + 3)]
    assert all(handler is not None for _, handler in opened)
    assert [driver.abort.called for driver, _ in opened] == [True] * 3 + [False] * LINKS_MAX
    driver, handler = opened[-1]
    await handler.on_events(driver, [LinkClosed()])
    hall.open(b"n" * 32)
    assert not opened[3][0].abort.called, "there was room again"
    await hall.run()


def test_only_who_calls_and_may_has_a_provisional_link() -> None:
    hall = Hall()
    hall.provisional = {OWN}
    assert hall.open(b"1" * 32, OWN)[1] is not None
    assert hall.open(b"1" * 32, STRANGER)[1] is None
    assert hall.open(b"1" * 32, OWN, Role.INITIATOR)[1] is None
    pairing = LinkOpen(bytes(16), Role.RESPONDER, 1, b"1" * 32)
    assert hall.links.take(mock.Mock(), pairing) is None
    for task in hall.tasks:
        task.close()


async def test_operations_of_the_callers_log_alone_pass_on_a_provisional_link() -> None:
    hall = Hall()
    driver, handler = hall.open(THIRD.static)
    await hall.run()
    assert driver.send.await_args_list == [mock.call(LogHeads(hall.ben.id, list(hall.ben.state.heads)))]
    driver.send.reset_mock()
    peer = Peer(hall.ben.id, THIRD.static)
    share = RenewedShare(blob("pairing"), blob("operation"), blob("share"))
    others: list[Message] = [share, Ping(1), LogHeads(OWN, [blob("a head")])]
    await handler.on_events(driver, [MessageReceived(message) for message in others])
    driver.send.assert_not_called()
    hall.logs.received.assert_not_called()
    hall.logs.named.assert_not_called()
    await handler.on_events(driver, [MessageReceived(LogHeads(hall.ben.id, [blob("a head")]))])
    hall.logs.named.assert_awaited_once_with(peer, hall.ben.id, [blob("a head")])
    assert driver.send.await_args_list == [mock.call("operations")]
    await handler.on_events(driver, [MessageReceived(LogOperations([b"signed"]))])
    hall.logs.received.assert_awaited_once_with(peer, [b"signed"])
    driver.abort.assert_not_called()


@pytest.mark.parametrize("error", [Malformed, Untrusted])
async def test_what_breaks_a_rule_ends_a_provisional_link(error: type[Exception]) -> None:
    hall = Hall()
    driver, handler = hall.open(THIRD.static)
    hall.logs.received.side_effect = error("no operation")
    await handler.on_events(driver, [MessageReceived(LogOperations([b"signed"]))])
    driver.abort.assert_called_once_with()
    await hall.run()


async def test_a_provisional_link_ends_when_its_terminal_may_have_another_one_or_none() -> None:
    hall = Hall()
    stays, named, removed = (hall.open(static, OWN)[0] for static in (b"1" * 32, b"2" * 32, b"3" * 32))
    contact = hall.open(b"4" * 32)[0]
    await hall.run()
    hall.links.settle()
    hall.provisional = {OWN}
    hall.removed |= {Peer(OWN, b"2" * 32), Peer(OWN, b"3" * 32)}
    for _ in range(2):
        hall.links.settle()
    ended = [driver.abort.call_count for driver in (stays, named, removed, contact)]
    assert ended == [0, 1, 1, 1]


async def test_a_terminal_that_was_removed_hears_of_that_once_in_a_while_and_nothing_else() -> None:
    hall = Hall()
    driver, handler = hall.open(SECOND.static)
    await hall.run()
    said = [call.args[0] for call in driver.send.await_args_list]
    assert [one for message in said for one in message.operations] == [
        *farewell(hall.ben.operations, SECOND.static)
    ]
    assert said
    driver.close.assert_awaited_once_with(0)
    for message in (LogHeads(hall.ben.id, [blob("a head")]), LogOperations([b"signed"])):
        await handler.on_events(driver, [MessageReceived(message)])
    hall.logs.received.assert_not_called()
    hall.logs.named.assert_not_called()
    hall.now += TOLD_EVERY - 1
    assert hall.open(SECOND.static)[1] is None
    hall.now += 1
    again, handler = hall.open(SECOND.static)
    assert handler is not None
    await hall.run()
    again.close.assert_awaited_once_with(0)


async def test_a_terminal_that_was_just_removed_hears_of_that_on_the_link_that_it_has() -> None:
    hall = Hall()
    live = mock.Mock(peer=Peer(hall.ben.id, THIRD.static))
    assert not hall.links.part(live)
    gone = mock.Mock(peer=Peer(hall.ben.id, SECOND.static))
    gone.driver.send, gone.driver.close = mock.AsyncMock(), mock.AsyncMock()
    assert hall.links.part(gone)
    await hall.run()
    gone.driver.send.assert_awaited()
    gone.driver.close.assert_awaited_once_with(0)
