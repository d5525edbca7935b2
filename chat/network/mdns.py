"""Announces and finds terminals by DNS-SD over multicast DNS (SPEC §13, RFC 6762, RFC 6763)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from zeroconf import DNSQuestionType, NotRunningException, ServiceStateChange, Zeroconf
from zeroconf import Error as ZeroconfError
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from chat.network.interfaces import NetworkWatch, interfaces, spoken_on
from chat.network.limits import RateLimiter
from chat.network.mdns_browser import Browsed, Browser, PeerTable, Resolver, instance_of
from chat.ports import Announcement, DiscoveryEvents, Random
from chat.tasks import Tasks
from protocol import discovery
from protocol.addresses import is_local
from protocol.discovery import SERVICE
from protocol.errors import Malformed
from protocol.limits import SLOT_BYTES

ANSWER_WITHIN: Final = 3_000
"""Milliseconds to receive the records of an instance."""
SETTLED_AFTER: Final = 6.0
"""Seconds after a change of network, in which others were asked three times (at 0, 1 and 5 s)."""
AGAIN_AFTER: Final = 30.0
"""Seconds until multicast is tried again after an error."""
CLOSE_WITHIN: Final = 1.0
GOODBYE_AGAIN: Final = 1.5
"""Seconds after a goodbye until it is repeated: zeroconf may answer up to 1.3 s after a question."""
_BY_MULTICAST: Final = DNSQuestionType.QM
_OWN_MAX: Final = 64  # instances of our own that may still come back by the loop

# Its warnings quote strangers' packets, and would be written over the interface.
logging.getLogger("zeroconf").setLevel(logging.CRITICAL)


def encode_text(announcement: Announcement) -> bytes:
    """The TXT record. A name too long for one string is cut. Raises ValueError for what no peer accepts."""
    if len(announcement.slots) not in discovery.SLOT_COUNTS or any(
        len(slot) != SLOT_BYTES for slot in announcement.slots
    ):
        raise ValueError("an announcement has 32, 64 or 128 slots of 8 bytes")
    if not discovery.is_instance(announcement.instance) or not 0 < announcement.port < 65_536:
        raise ValueError("an instance is 1 to 63 of 0-9, a-z and -, a port 1 to 65535")
    if not 0 < len(announcement.addresses) <= discovery.ADDRESSES_MAX:
        raise ValueError("an announcement has 1 to 8 addresses")
    if any("%" in address or not is_local(address) for address in announcement.addresses):
        raise ValueError("only local addresses without scope are announced")
    if announcement.name and not discovery.is_shown_name(announcement.name):
        raise ValueError("a name is 1 to 64 characters and none of them a control character")
    return discovery.write_text(announcement.slots, announcement.name)


def decode(instance: str, port: int | None, addresses: Iterable[str], text: bytes) -> Announcement:
    """The announcement of resolved records; its addresses are local, canonical, sorted. Raises Malformed."""
    discovery.check_place(instance, port)
    said = discovery.read_text(text)
    return Announcement(instance, discovery.local_addresses(addresses), port or 0, said.slots, said.name)


class ZeroconfDiscovery:
    """Implements `ports.Discovery`. `interfaces`: own IP addresses to use, for tests."""

    def __init__(self, *, interfaces: Sequence[str] | None = None, random: Random = os.urandom) -> None:
        self._interfaces, self._random = interfaces, random
        self._running: _Running | None = None

    @property
    def problem(self) -> str | None:
        """The reason why multicast does not work now, in one line; None if it works, or before `start`."""
        return None if self._running is None else self._running.problem

    async def start(self, events: DiscoveryEvents) -> None:
        """Begin to find. A network error goes to `problem`, and a change of network ends it."""
        self._running = _Running(events, self._interfaces, self._random)
        self._running.begin()

    async def announce(self, announcement: Announcement | None) -> None:
        """Withdraw the current announcement, and make this one if it has an address; an instance serves once.

        Raises OSError if the network changes at this moment, ValueError as records.encode_text.
        """
        if self._running is not None:
            await self._running.announce(announcement)

    async def close(self) -> None:
        """Withdraw the announcement and stop, within about a second."""
        running, self._running = self._running, None
        if running is not None:
            await running.close()


class _Running:
    """Discovery between `start` and `close`."""

    def __init__(self, events: DiscoveryEvents, fixed: Sequence[str] | None, random: Random) -> None:
        self._loop = asyncio.get_running_loop()
        self._events, self._fixed, self._random = events, fixed, random
        self._peers = PeerTable(events)
        self._multicast: _Multicast | None = None
        self._shutting: set[asyncio.Task[None]] = set()
        self._own: dict[str, None] = {}
        self._announcing = asyncio.Lock()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks = Tasks(self._failed)
        self._resolver = Resolver(self._resolve, self._tasks)
        self._limiter = RateLimiter(self._look)
        self._watch = NetworkWatch(self._network_changed)
        self.problem: str | None = None

    def begin(self) -> None:
        self._watch.start()
        self._open()

    async def announce(self, announcement: Announcement | None) -> None:
        service = self._service(announcement) if announcement and announcement.addresses else None
        async with self._announcing:
            if self._multicast is not None:
                try:
                    await self._multicast.replace(service)
                except ZeroconfError as error:
                    raise OSError("multicast was shut in the meantime") from error

    async def close(self) -> None:
        self._watch.close()
        for timer in self._timers.values():
            timer.cancel()
        self._resolver.forget_all()
        self._limiter.forget_all()
        multicast, self._multicast = self._multicast, None
        if multicast is not None:
            await multicast.shut()
        await asyncio.gather(*self._shutting, return_exceptions=True)
        await self._tasks.stop()

    def _open(self) -> None:
        try:
            self._multicast = _multicast(self._fixed or spoken_on(interfaces()), self._browsed, self._tasks)
        except (OSError, RuntimeError, ZeroconfError) as error:
            self.problem = f"multicast cannot be used: {error}"
            self._later("again", AGAIN_AFTER, self._network_changed)
        else:
            self.problem = None

    def _network_changed(self) -> None:
        """Start again: sockets lose their groups, and the cache has another network's peers."""
        self._resolver.forget_all()
        self._limiter.forget_all()
        self._peers.doubt()
        old, self._multicast = self._multicast, None
        if old is not None:
            self._shutting.add(shutting := self._tasks.spawn(old.shut()))
            shutting.add_done_callback(self._shutting.discard)
        self._open()
        self._later("settle", SETTLED_AFTER, self._peers.settle)
        self._events.network_changed()

    def _later(self, name: str, delay: float, call: Callable[[], None]) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
        self._timers[name] = self._loop.call_later(delay, call)

    def _service(self, announcement: Announcement) -> AsyncServiceInfo:
        """The records of our own announcement, under a random host name."""
        text, instance = encode_text(announcement), announcement.instance
        if instance in self._own:
            raise ValueError("an instance is announced once: its withdrawal may still be under way")
        if len(self._own) >= _OWN_MAX:
            del self._own[next(iter(self._own))]
        self._own[instance] = None
        return AsyncServiceInfo(
            SERVICE,
            f"{instance}.{SERVICE}",
            port=announcement.port,
            properties=text,
            server=f"{self._random(8).hex()}.local.",
            parsed_addresses=list(announcement.addresses),
        )

    def _browsed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        """Called within zeroconf, which would repeat the call for ever if it raised."""
        if self._multicast is not None and self._multicast.zeroconf is zeroconf:
            self._loop.call_soon(self._noticed, name, state_change)

    def _noticed(self, name: str, state_change: ServiceStateChange) -> None:
        instance = instance_of(name)
        if not instance or instance in self._own or self._multicast is None:
            return
        if state_change is ServiceStateChange.Removed:
            self._limiter.forget(name)
            self._resolver.forget(name)
            self._peers.lost(instance)
        elif self._multicast.cached(name) is not None:  # most come complete in one packet
            self._resolver.forget(name)
            self._limiter.hear(name, self._multicast.sender(name))
        else:
            self._resolver.want(name, self._multicast.sender(name))

    async def _resolve(self, name: str) -> bool:
        """Ask for the missing records of an announcement; whether it is complete."""
        multicast = self._multicast
        if multicast is None or not await multicast.ask(name):
            return False
        self._limiter.hear(name, multicast.sender(name))
        return True

    def _look(self, name: str) -> None:
        service = None if self._multicast is None else self._multicast.cached(name)
        if service is None:
            return
        instance = instance_of(name)
        try:
            announcement = decode(instance, service.port, service.parsed_addresses(), service.text)
        except Malformed:
            self._peers.lost(instance)  # its earlier announcement is not valid any more either
        else:
            self._peers.found(announcement)

    def _failed(self, error: BaseException) -> None:
        self._loop.call_exception_handler({"message": "discovery failed in part", "exception": error})


class _Multicast:
    """Multicast on some interfaces: a browser, and at most one announcement of our own."""

    def __init__(self, on: Sequence[str | int], browsed: Browsed, tasks: Tasks) -> None:
        self._zeroconf = AsyncZeroconf(interfaces=list(on))
        self.zeroconf = self._zeroconf.zeroconf
        # zeroconf has one future for its start: a waiter that is cancelled would cancel it for all.
        self._started = tasks.spawn(self.zeroconf.async_wait_for_start())
        self._browser = Browser(self.zeroconf, browsed, tasks, self._started)
        self._service: AsyncServiceInfo | None = None
        self._tasks = tasks

    async def _start(self) -> None:
        """Wait until zeroconf has started. Raises NotRunningException where it is shut before that."""
        try:
            await asyncio.shield(self._started)
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if self._started.cancelled() and (waiting is None or not waiting.cancelling()):
                raise NotRunningException from None
            raise

    async def replace(self, service: AsyncServiceInfo | None) -> None:
        """Withdraw the old announcement, and make the new one, without probing for its random name."""
        await self._start()
        old, self._service = self._service, None
        if old is not None:
            self._tasks.spawn(_repeated(await self._zeroconf.async_unregister_service(old)))
            self._tasks.spawn(self._goodbye_again(old))
        if service is not None:
            self._service = service
            registered = await self._zeroconf.async_register_service(service, cooperating_responders=True)
            self._tasks.spawn(_repeated(registered))

    def cached(self, name: str) -> AsyncServiceInfo | None:
        service = AsyncServiceInfo(SERVICE, name)
        return service if service.load_from_cache(self.zeroconf) else None

    def sender(self, name: str) -> str:
        return self._browser.sender(name)

    async def ask(self, name: str) -> bool:
        """Ask for the missing records; whether all have been received."""
        try:
            await self._start()
            service = AsyncServiceInfo(SERVICE, name)
            return await service.async_request(self.zeroconf, ANSWER_WITHIN, _BY_MULTICAST)
        except ZeroconfError:
            return False  # shut meanwhile

    async def shut(self) -> None:
        """Withdraw the announcement and close the sockets, within a second."""
        self._browser.stop()
        self._started.cancel()
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._zeroconf.async_close()
        except TimeoutError:
            self.zeroconf.close()

    async def _goodbye_again(self, old: AsyncServiceInfo) -> None:
        """Repeat it: an answer that waited to be sent would bring the old announcement back for hours."""
        await asyncio.sleep(GOODBYE_AGAIN)
        self.zeroconf.async_send(self.zeroconf.generate_service_broadcast(old, 0))


def _multicast(on: Sequence[str | int], browsed: Browsed, tasks: Tasks) -> _Multicast:
    """Multicast on these interfaces, without IPv6 if that fails."""
    if not on:
        raise RuntimeError("no network interface is up")
    v4_only = [each for each in on if isinstance(each, str) and ":" not in each]
    try:
        return _Multicast(on, browsed, tasks)
    except (OSError, RuntimeError):
        if not v4_only:
            raise
    return _Multicast(v4_only, browsed, tasks)


async def _repeated(sending: Awaitable[None]) -> None:
    """Await zeroconf's three repetitions."""
    await sending
