"""Discovery with real multicast over loopback, between two terminals in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator

import pytest
from zeroconf import IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncZeroconf

from chat.network import mdns as module
from chat.network.mdns import CLOSE_WITHIN, ZeroconfDiscovery
from chat.network.records import SERVICE
from chat.ports import Announcement

SECONDS = 15.0
LOOPBACK = ["127.0.0.1"]


# Other programs of this machine may speak on loopback too: only this run's instances count.
RUN = f"-{os.getpid()}"


class Ears:
    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, Announcement | str]] = asyncio.Queue()

    def found(self, announcement: Announcement) -> None:
        if announcement.instance.endswith(RUN):
            self.events.put_nowait(("found", announcement))

    def lost(self, instance: str) -> None:
        if instance.endswith(RUN):
            self.events.put_nowait(("lost", instance.removesuffix(RUN)))

    def network_changed(self) -> None:
        self.events.put_nowait(("changed", ""))

    async def next(self) -> tuple[str, Announcement | str]:
        return await asyncio.wait_for(self.events.get(), SECONDS)

    async def until(self, wanted: tuple[str, Announcement | str]) -> None:
        while await self.next() != wanted:
            continue


def announcement(instance: str, name: str = "", count: int = 32) -> Announcement:
    return Announcement(
        instance + RUN, ("127.0.0.1",), 4747, tuple(bytes([n]) * 8 for n in range(count)), name
    )


@contextlib.asynccontextmanager
async def discovering() -> AsyncIterator[tuple[ZeroconfDiscovery, Ears]]:
    discovery, ears = ZeroconfDiscovery(interfaces=LOOPBACK), Ears()
    await discovery.start(ears)
    try:
        assert discovery.problem is None
        yield discovery, ears
    finally:
        await discovery.close()


@pytest.mark.parametrize("count", [32, 64, 128])
async def test_what_is_announced_is_found_whole(count: int) -> None:
    """128 slots make 1,024 bytes: five strings of one TXT record."""
    announced = announcement(f"whole{count}", "Änne 🌻", count)
    async with discovering() as (ours, _), discovering() as (_, ears):
        await ours.announce(announced)
        assert await ears.next() == ("found", announced)


async def test_who_comes_later_finds_who_is_there() -> None:
    async with discovering() as (ours, _):
        await ours.announce(announcement("early"))
        async with discovering() as (_, ears):
            await ears.until(("found", announcement("early")))


async def test_an_announcement_that_is_given_up_at_once_leaves_the_browser_listening() -> None:
    """zeroconf has one future for its start, which a cancelled waiter would cancel for all."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with discovering() as (ours, our_ears):
        announcing = asyncio.create_task(ours.announce(announcement("given-up")))
        await asyncio.sleep(0)  # it begins to wait for the start
        announcing.cancel()
        await asyncio.wait({announcing})
        async with discovering() as (theirs, _):
            await theirs.announce(announcement("honest"))
            await our_ears.until(("found", announcement("honest")))
    assert failures == []


async def test_a_new_announcement_takes_the_place_of_the_old() -> None:
    async with discovering() as (ours, _), discovering() as (_, ears):
        await ours.announce(announcement("before"))
        await ears.until(("found", announcement("before")))
        await ours.announce(announcement("after"))
        await ears.until(("lost", "before"))
        await ears.until(("found", announcement("after")))
        await ours.announce(None)
        await ears.until(("lost", "after"))


async def test_nobody_finds_themselves() -> None:
    async with discovering() as (ours, our_ears), discovering() as (theirs, _):
        await ours.announce(announcement("me"))
        await theirs.announce(announcement("you"))
        assert await our_ears.next() == ("found", announcement("you"))
        assert our_ears.events.empty()


async def test_close_says_goodbye_and_takes_little_time() -> None:
    async with discovering() as (_, ears):
        async with discovering() as (theirs, _):
            await theirs.announce(announcement("leaving"))
            await ears.until(("found", announcement("leaving")))
            start = time.monotonic()
            await theirs.close()
            await theirs.close()
            assert time.monotonic() - start < 2 * CLOSE_WITHIN
        await ears.until(("lost", "leaving"))


async def test_a_delayed_answer_does_not_bring_back_who_has_left() -> None:
    """An answer that zeroconf holds back can leave after the goodbye; the goodbye is said again."""
    async with discovering() as (ours, _), discovering() as (_, ears):
        await ours.announce(announcement("ghost"))
        await ears.until(("found", announcement("ghost")))
        multicast = speaking(ours)
        zeroconf, service = multicast._zeroconf.zeroconf, multicast._service
        assert service is not None
        await ours.announce(None)
        await ears.until(("lost", "ghost"))
        # After the three goodbyes of zeroconf itself, and when it no longer takes it for a repeated packet.
        late = zeroconf.generate_service_broadcast(service, None)
        asyncio.get_running_loop().call_later(1.0, zeroconf.async_send, late)
        await ears.until(("found", announcement("ghost")))
        await ears.until(("lost", "ghost"))


async def test_a_fault_of_who_listens_does_not_end_the_listening() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    class Faulty(Ears):
        def found(self, announcement: Announcement) -> None:
            super().found(announcement)
            raise ZeroDivisionError

    discovery, ears = ZeroconfDiscovery(interfaces=LOOPBACK), Faulty()
    await discovery.start(ears)
    async with discovering() as (theirs, _):
        for instance in ("first", "second"):
            await theirs.announce(announcement(instance))
            await ears.until(("found", announcement(instance)))
    await discovery.close()
    assert {type(each) for each in told} == {ZeroDivisionError}


async def test_a_fault_of_ours_never_reaches_zeroconf(monkeypatch: pytest.MonkeyPatch) -> None:
    """zeroconf would drop the rest of the packet, and raise the error again with every later one."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    async with discovering() as (ours, _):
        assert ours._running is not None

        def faulty(name: str, change: ServiceStateChange) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(ours._running, "_noticed", faulty)
        zeroconf = speaking(ours)._zeroconf.zeroconf
        ours._running._browsed(zeroconf, SERVICE, f"a.{SERVICE}", ServiceStateChange.Added)
    assert [type(each) for each in told] == [ZeroDivisionError]


async def test_attack_65_the_host_name_is_random_and_used_once() -> None:
    async with discovering() as (ours, _):
        servers = set()
        for number in range(3):
            await ours.announce(announcement(f"host{number}"))
            service = speaking(ours)._service
            assert service is not None
            servers.add(str(service.server))
        assert len(servers) == 3
        assert all(len(server.removesuffix(".local.")) == 16 for server in servers)


def speaking(discovery: ZeroconfDiscovery) -> module._Multicast:
    assert discovery._running is not None
    assert discovery._running._multicast is not None
    return discovery._running._multicast


async def test_an_instance_serves_once() -> None:
    async with discovering() as (ours, _):
        await ours.announce(announcement("once"))
        with pytest.raises(ValueError):
            await ours.announce(announcement("once"))


async def test_nothing_is_announced_without_an_address() -> None:
    async with discovering() as (ours, _), discovering() as (_, ears):
        await ours.announce(announcement("there"))
        await ears.until(("found", announcement("there")))
        await ours.announce(Announcement("nowhere" + RUN, (), 4747, (bytes(8),) * 32))
        await ears.until(("lost", "there"))


async def test_without_multicast_it_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_AFTER", 0.01)
    broken = [True, True]

    def failing(**choices: object) -> object:
        if broken:
            broken.pop()
            raise OSError(98, "Address already in use")
        return AsyncZeroconf(**choices)  # type: ignore[arg-type]

    monkeypatch.setattr("chat.network.mdns.AsyncZeroconf", failing)
    discovery, ears = ZeroconfDiscovery(interfaces=LOOPBACK), Ears()
    await discovery.start(ears)
    assert discovery.problem is not None
    assert "Address already in use" in discovery.problem
    await discovery.announce(announcement("kept"))  # no error: there is nobody to tell yet
    assert await ears.next() == ("changed", "")
    assert discovery.problem is None
    await discovery.close()


async def test_a_machine_without_ipv6_uses_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str | int]] = []

    def without_v6(interfaces: list[str | int]) -> object:
        asked.append(interfaces)
        if any(isinstance(each, int) for each in interfaces):
            raise OSError(97, "Address family not supported by protocol")
        return AsyncZeroconf(interfaces=interfaces, ip_version=IPVersion.V4Only)

    monkeypatch.setattr("chat.network.mdns.AsyncZeroconf", without_v6)
    monkeypatch.setattr(module, "spoken_on", lambda _: ["127.0.0.1", 1])
    discovery = ZeroconfDiscovery()
    await discovery.start(Ears())
    assert discovery.problem is None
    assert asked == [["127.0.0.1", 1], ["127.0.0.1"]]
    await discovery.close()


def test_attack_78_what_strangers_send_is_not_logged() -> None:
    """Zeroconf's warnings quote packets: peer text in a log, and written over the interface."""
    assert not logging.getLogger("zeroconf").isEnabledFor(logging.ERROR)
