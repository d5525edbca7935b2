"""Discovery between its parts, which are mocks here, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any
from unittest import mock

import pytest
from zeroconf import NotRunningException, ServiceStateChange

from chat.network import mdns as module
from chat.network.limits import ANNOUNCEMENTS_AT_ONCE
from chat.network.mdns import AGAIN_AFTER, CLOSE_WITHIN, GOODBYE_AGAIN, SETTLED_AFTER, encode_text
from chat.ports import Announcement
from chat.tasks import Tasks
from protocol.discovery import SERVICE
from tests.support.engines.engines import play

ONE = Announcement("one", ("10.0.0.1",), 4747, (bytes(8),) * 32)
ADDED, REMOVED = ServiceStateChange.Added, ServiceStateChange.Removed


def name(instance: str) -> str:
    return f"{instance}.{SERVICE}"


class Parts:
    """Discovery that runs on mocks: each start of multicast is one in `started`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events, self.watch = mock.Mock(), mock.Mock()
        self.started: list[mock.Mock] = []
        self.refused: list[Exception] = []
        self.on: list[Any] = []
        monkeypatch.setattr(module, "NetworkWatch", mock.Mock(return_value=self.watch))
        monkeypatch.setattr(module, "_multicast", self._multicast)
        self.running = module._Running(self.events, ["127.0.0.1"], lambda size: b"\7" * size)

    def _multicast(self, on: Any, browsed: Any, tasks: Tasks) -> mock.Mock:
        self.on.append(on)
        if self.refused:
            raise self.refused.pop()
        made = mock.Mock(shut=mock.AsyncMock(), replace=mock.AsyncMock(), ask=mock.AsyncMock())
        made.sender.return_value = "10.0.0.9"
        made.cached.return_value = None
        self.started.append(made)
        return made

    def has(self, announcement: Announcement, text: bytes | None = None) -> None:
        """The cache of multicast has an announcement whole."""
        service = mock.Mock(port=announcement.port)
        service.parsed_addresses.return_value = list(announcement.addresses)
        service.text = encode_text(announcement) if text is None else text
        self.started[-1].cached.return_value = service


def run(monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Parts], Coroutine[Any, Any, None]]) -> None:
    async def begin() -> None:
        parts = Parts(monkeypatch)
        parts.running.begin()
        await scenario(parts)

    play(begin)


def test_it_watches_the_network_and_stops_all_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(parts: Parts) -> None:
        parts.watch.start.assert_called_once_with()
        assert parts.on == [["127.0.0.1"]]
        shutting = asyncio.Event()
        parts.started[0].shut.side_effect = shutting.wait
        parts.running._network_changed()
        parts.has(ONE)
        parts.running._noticed(name("one"), ADDED)
        background = parts.running._tasks.spawn(asyncio.sleep(1_000))
        closing = asyncio.create_task(parts.running.close())
        await asyncio.sleep(1)
        assert not closing.done(), "the former multicast is still being shut"
        shutting.set()
        await closing
        assert background.cancelled()
        parts.watch.close.assert_called_once_with()
        parts.started[1].shut.assert_awaited_once_with()
        parts.events.reset_mock()
        await asyncio.sleep(SETTLED_AFTER + AGAIN_AFTER + 1)
        assert parts.events.mock_calls == []
        parts.running._noticed(name("one"), ADDED)
        assert parts.events.mock_calls == []

    run(monkeypatch, scenario)


def test_a_change_of_network_begins_anew_and_what_is_not_found_again_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(parts: Parts) -> None:
        parts.has(ONE)
        for instance in ("one", "two"):
            parts.running._noticed(name(instance), ADDED)
        found = [call.args[0].instance for call in parts.events.found.call_args_list]
        assert found == ["one", "two"]
        parts.running._network_changed()
        parts.events.network_changed.assert_called_once_with()
        await asyncio.sleep(SETTLED_AFTER - 1)
        parts.started[0].shut.assert_awaited_once_with()
        parts.has(ONE)
        parts.running._noticed(name("one"), ADDED)
        parts.running._network_changed()
        await asyncio.sleep(2)
        assert parts.running._shutting == set()
        assert parts.events.lost.mock_calls == [], "the second change begins a new time to settle"
        parts.has(ONE)
        parts.running._noticed(name("one"), ADDED)
        await asyncio.sleep(SETTLED_AFTER)
        assert parts.events.lost.mock_calls == [mock.call("two")]
        assert len(parts.started) == 3
        assert parts.running.problem is None

    run(monkeypatch, scenario)


def test_nothing_of_the_former_network_is_asked_for_or_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(parts: Parts) -> None:
        parts.has(ONE)
        for number in range(int(ANNOUNCEMENTS_AT_ONCE) + 2):
            parts.running._noticed(name(f"n{number}"), ADDED)
        parts.started[0].cached.return_value = None
        parts.started[0].ask.return_value = False
        parts.running._noticed(name("two"), ADDED)
        parts.running._network_changed()
        await asyncio.sleep(100)  # of virtual time, in which nothing may be asked for or looked at
        assert (parts.started[1].ask.mock_calls, parts.started[1].cached.mock_calls) == ([], [])

    run(monkeypatch, scenario)


@pytest.mark.parametrize("error", [OSError("no"), RuntimeError("no"), NotRunningException("no")])
def test_multicast_that_cannot_be_used_is_a_problem_until_it_can(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def scenario(parts: Parts) -> None:
        parts.refused = [error]
        parts.running._network_changed()
        assert parts.running.problem == "multicast cannot be used: no"
        await parts.running.announce(ONE)
        await asyncio.sleep(AGAIN_AFTER - 0.1)
        assert parts.running.problem is not None
        await asyncio.sleep(0.2)
        assert parts.running.problem is None
        assert len(parts.started) == 2

    run(monkeypatch, scenario)


def test_an_incomplete_announcement_is_completed_and_a_withdrawn_one_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(parts: Parts) -> None:
        (multicast,) = parts.started
        multicast.ask.side_effect = [False, True]
        parts.running._noticed(name("one"), ADDED)
        await asyncio.sleep(0.5)
        parts.has(ONE)
        parts.events.found.assert_not_called()
        await asyncio.sleep(1)
        assert multicast.ask.await_args_list == [mock.call(name("one"))] * 2
        parts.events.found.assert_called_once_with(ONE)
        parts.running._noticed(name("one"), REMOVED)
        parts.events.lost.assert_called_once_with("one")
        multicast.cached.return_value = None
        multicast.ask.side_effect, multicast.ask.return_value = None, False
        withdraw = partial(parts.running._noticed, name("two"), REMOVED)
        for gone in (withdraw, parts.running._network_changed):
            multicast.ask.reset_mock()
            parts.running._noticed(name("two"), ADDED)
            await asyncio.sleep(0.5)
            gone()
            await asyncio.sleep(20)
            assert multicast.ask.await_count == 1

    run(monkeypatch, scenario)


def test_an_announcement_that_is_complete_meanwhile_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(parts: Parts) -> None:
        (multicast,) = parts.started
        multicast.ask.return_value = False
        parts.running._noticed(name("one"), ADDED)
        await asyncio.sleep(0.5)
        parts.has(ONE)
        parts.running._noticed(name("one"), ADDED)
        await asyncio.sleep(20)
        assert multicast.ask.await_count == 1
        parts.events.found.assert_called_once_with(ONE)

    run(monkeypatch, scenario)


def test_announcements_beyond_the_rate_wait_and_do_not_outlive_their_withdrawal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(parts: Parts) -> None:
        parts.has(ONE)
        for number in range(300):
            parts.running._noticed(name(f"n{number}"), ADDED)
        at_once = parts.events.found.call_count
        assert at_once < 300
        parts.running._noticed(name("n299"), REMOVED)
        await asyncio.sleep(1)
        found = {call.args[0].instance for call in parts.events.found.call_args_list}
        assert found == {f"n{number}" for number in range(299)}
        for number in range(300):
            parts.running._noticed(name(f"m{number}"), ADDED)
        parts.running._network_changed()
        count = parts.events.found.call_count
        await asyncio.sleep(5)
        assert parts.events.found.call_count == count

    run(monkeypatch, scenario)


@pytest.mark.parametrize("strange", ["other.local.", "", "me." + SERVICE])
def test_own_and_strange_names_are_not_found(monkeypatch: pytest.MonkeyPatch, strange: str) -> None:
    async def scenario(parts: Parts) -> None:
        await parts.running.announce(Announcement("me", ("10.0.0.1",), 4747, (bytes(8),) * 32))
        parts.has(ONE)
        parts.running._noticed(strange, ADDED)
        parts.running._noticed(strange, REMOVED)
        await asyncio.sleep(5)
        assert (parts.events.mock_calls, parts.started[0].ask.mock_calls) == ([], [])

    run(monkeypatch, scenario)


def test_an_announcement_that_becomes_malformed_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(parts: Parts) -> None:
        parts.has(ONE)
        parts.running._noticed(name("one"), ADDED)
        parts.has(ONE, text=b"\3v=9")
        parts.running._noticed(name("one"), ADDED)
        parts.events.found.assert_called_once_with(ONE)
        parts.events.lost.assert_called_once_with("one")

    run(monkeypatch, scenario)


def test_only_the_multicast_of_now_is_browsed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(parts: Parts) -> None:
        parts.has(ONE)
        parts.running._browsed(mock.Mock(), SERVICE, name("one"), ADDED)
        await asyncio.sleep(1)
        parts.events.found.assert_not_called()
        parts.running._browsed(parts.started[0].zeroconf, SERVICE, name("one"), ADDED)
        parts.events.found.assert_not_called()
        await asyncio.sleep(1)
        parts.events.found.assert_called_once_with(ONE)

    run(monkeypatch, scenario)


def test_own_names_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(parts: Parts) -> None:
        for number in range(module._OWN_MAX + 2):
            await parts.running.announce(Announcement(f"n{number}", ("10.0.0.1",), 1, (bytes(8),) * 32))
        assert list(parts.running._own) == [f"n{number}" for number in range(2, module._OWN_MAX + 2)]
        (service,) = parts.started[0].replace.await_args.args
        assert (service.type, service.name) == (SERVICE, name(f"n{module._OWN_MAX + 1}"))
        assert (service.port, service.server) == (1, f"{'07' * 8}.local.")
        assert service.parsed_addresses() == ["10.0.0.1"]

    run(monkeypatch, scenario)


def test_multicast_that_is_shut_meanwhile_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(parts: Parts) -> None:
        parts.started[0].replace.side_effect = NotRunningException
        with pytest.raises(OSError):
            await parts.running.announce(ONE)

    run(monkeypatch, scenario)


class Spoken:
    """A multicast on a zeroconf that is a mock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.zeroconf, self.failed = mock.Mock(), mock.Mock()
        self.inner = self.zeroconf.zeroconf
        self.start = asyncio.get_running_loop().create_future()
        self.inner.async_wait_for_start = self._wait
        self.browser = mock.Mock()
        self.sent: list[float] = []
        monkeypatch.setattr(module, "AsyncZeroconf", mock.Mock(return_value=self.zeroconf))
        monkeypatch.setattr(module, "Browser", mock.Mock(return_value=self.browser))
        self.zeroconf.async_unregister_service = mock.AsyncMock(side_effect=self._sending)
        self.zeroconf.async_register_service = mock.AsyncMock(side_effect=self._sending)
        self.zeroconf.async_close = mock.AsyncMock()
        self.multicast = module._Multicast(("127.0.0.1",), mock.Mock(), Tasks(self.failed))

    async def _wait(self) -> None:
        await self.start

    async def _sending(self, *_: object, **__: object) -> Coroutine[Any, Any, None]:
        async def repetition() -> None:
            await asyncio.sleep(1)
            self.sent.append(asyncio.get_running_loop().time())

        return repetition()


def spoken(monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Spoken], Coroutine[Any, Any, None]]) -> None:
    async def begin() -> None:
        made = Spoken(monkeypatch)
        await scenario(made)
        made.failed.assert_not_called()

    play(begin)


def test_an_announcement_waits_for_the_start_and_withdraws_the_former(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(it: Spoken) -> None:
        first, second = mock.Mock(), mock.Mock()
        replacing = asyncio.create_task(it.multicast.replace(first))
        await asyncio.sleep(1)
        it.zeroconf.async_register_service.assert_not_awaited()
        it.start.set_result(None)
        await replacing
        it.zeroconf.async_register_service.assert_awaited_once_with(first, cooperating_responders=True)
        it.zeroconf.async_unregister_service.assert_not_awaited()
        await asyncio.sleep(2)
        assert it.sent == [2.0]
        await it.multicast.replace(second)
        it.zeroconf.async_unregister_service.assert_awaited_once_with(first)
        await asyncio.sleep(GOODBYE_AGAIN - 0.1)
        assert it.sent == [2.0, 4.0, 4.0]
        it.inner.async_send.assert_not_called()
        await asyncio.sleep(0.2)
        it.inner.generate_service_broadcast.assert_called_once_with(first, 0)
        it.inner.async_send.assert_called_once_with(it.inner.generate_service_broadcast.return_value)
        await it.multicast.replace(None)
        await it.multicast.replace(None)
        assert it.zeroconf.async_unregister_service.await_args_list == [mock.call(first), mock.call(second)]
        assert it.zeroconf.async_register_service.await_count == 2

    spoken(monkeypatch, scenario)


def test_shutting_ends_the_wait_for_the_start_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(it: Spoken) -> None:
        replacing = asyncio.create_task(it.multicast.replace(mock.Mock()))
        asking = asyncio.create_task(it.multicast.ask(name("one")))
        cancelled = asyncio.create_task(it.multicast.replace(None))
        await asyncio.sleep(1)
        cancelled.cancel()
        await asyncio.sleep(1)
        assert cancelled.cancelled()
        await it.multicast.shut()
        it.browser.stop.assert_called_once_with()
        it.zeroconf.async_close.assert_awaited_once_with()
        it.inner.close.assert_not_called()
        with pytest.raises(NotRunningException):
            await replacing
        assert await asking is False

    spoken(monkeypatch, scenario)


def test_shutting_takes_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(it: Spoken) -> None:
        it.zeroconf.async_close.side_effect = partial(asyncio.sleep, 1_000)
        await it.multicast.shut()
        assert asyncio.get_running_loop().time() == CLOSE_WITHIN
        it.inner.close.assert_called_once_with()

    spoken(monkeypatch, scenario)


def test_records_are_asked_for_by_multicast(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(it: Spoken) -> None:
        it.start.set_result(None)
        service = mock.Mock()
        monkeypatch.setattr(module, "AsyncServiceInfo", mock.Mock(return_value=service))
        for answer in (True, False):
            service.async_request = mock.AsyncMock(return_value=answer)
            assert await it.multicast.ask(name("one")) is answer
            service.async_request.assert_awaited_once_with(
                it.inner, module.ANSWER_WITHIN, module._BY_MULTICAST
            )
        for whole in (True, False):
            service.load_from_cache.return_value = whole
            assert it.multicast.cached(name("one")) is (service if whole else None)
        assert it.multicast.sender("a") is it.browser.sender.return_value

    spoken(monkeypatch, scenario)


def test_without_interfaces_there_is_no_multicast_and_without_ipv6_that_of_ipv4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    def multicast(on: list[str | int], browsed: Any, tasks: Any) -> Any:
        made.append(on)
        if on != ["10.0.0.1"]:
            raise OSError(97)
        return on

    monkeypatch.setattr(module, "_Multicast", multicast)
    parts: Any = (mock.Mock(), mock.Mock())
    with pytest.raises(RuntimeError):
        module._multicast([], *parts)
    assert [*module._multicast(["10.0.0.1", 2, "fe80::1"], *parts)] == ["10.0.0.1"]  # type: ignore[misc]
    assert made == [["10.0.0.1", 2, "fe80::1"], ["10.0.0.1"]]
    with pytest.raises(OSError):
        module._multicast([2, "fe80::1"], *parts)
    assert made[2:] == [[2, "fe80::1"]]


def test_a_fault_in_the_background_reaches_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(parts: Parts) -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        parts.started[0].ask.side_effect = ZeroDivisionError
        parts.running._noticed(name("one"), ADDED)
        await asyncio.sleep(1)
        assert [type(each["exception"]) for each in faults] == [ZeroDivisionError]

    run(monkeypatch, scenario)
