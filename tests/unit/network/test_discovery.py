"""Discovery with real multicast over loopback, between two terminals in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from zeroconf import IPVersion, ServiceStateChange
from zeroconf.asyncio import AsyncZeroconf

from chat.network import mdns as module
from chat.network.mdns import CLOSE_WITHIN, ZeroconfDiscovery
from chat.ports import Announcement
from protocol.discovery import SERVICE

SECONDS = 15.0
LOOPBACK = ["127.0.0.1"]
Faults = list[dict[str, Any]]


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

    async def find(self, instance: str, by: ZeroconfDiscovery) -> None:
        """Have an instance announced, and hear of it."""
        await by.announce(announcement(instance))
        await self.until(("found", announcement(instance)))


def announcement(instance: str, name: str = "", count: int = 32) -> Announcement:
    slots = tuple(bytes([n]) * 8 for n in range(count))
    return Announcement(instance + RUN, ("127.0.0.1",), 4747, slots, name)


@contextlib.asynccontextmanager
async def discovering(ears: Ears | None = None) -> AsyncIterator[tuple[ZeroconfDiscovery, Ears]]:
    discovery, ears = ZeroconfDiscovery(interfaces=LOOPBACK), ears or Ears()
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


async def test_an_announcement_given_up_at_once_leaves_the_browser_listening(faults: Faults) -> None:
    """zeroconf has one future for its start, which a cancelled waiter would cancel for all."""
    async with discovering() as (ours, our_ears):
        announcing = asyncio.create_task(ours.announce(announcement("given-up")))
        await asyncio.sleep(0)  # it begins to wait for the start
        announcing.cancel()
        await asyncio.wait({announcing})
        async with discovering() as (theirs, _):
            await our_ears.find("honest", theirs)
    assert faults == []


async def test_a_new_announcement_takes_the_place_of_the_old() -> None:
    async with discovering() as (ours, _), discovering() as (_, ears):
        await ears.find("before", ours)
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
            await ears.find("leaving", theirs)
            start = time.monotonic()
            await theirs.close()
            await theirs.close()
            assert time.monotonic() - start < 2 * CLOSE_WITHIN
        await ears.until(("lost", "leaving"))


async def test_a_delayed_answer_does_not_bring_back_who_has_left() -> None:
    """An answer that zeroconf holds back can leave after the goodbye; the goodbye is said again."""
    async with discovering() as (ours, _), discovering() as (_, ears):
        await ears.find("ghost", ours)
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


async def test_a_fault_of_who_listens_does_not_end_the_listening(faults: Faults) -> None:
    class Faulty(Ears):
        def found(self, announcement: Announcement) -> None:
            super().found(announcement)
            raise ZeroDivisionError

    async with discovering(Faulty()) as (_, ears), discovering() as (theirs, _):
        for instance in ("first", "second"):
            await ears.find(instance, theirs)
    assert {type(each["exception"]) for each in faults} == {ZeroDivisionError}


async def test_a_fault_of_ours_is_not_zeroconfs(monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    """zeroconf would drop the rest of the packet, and raise the error again with every later one."""
    async with discovering() as (ours, _):
        assert ours._running is not None
        monkeypatch.setattr(ours._running, "_noticed", lambda name, change: 1 // 0)
        zeroconf = speaking(ours)._zeroconf.zeroconf
        ours._running._browsed(zeroconf, SERVICE, f"a.{SERVICE}", ServiceStateChange.Added)
    assert [type(each["exception"]) for each in faults] == [ZeroDivisionError]


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
        await ears.find("there", ours)
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
