"""A DNS-SD browser with bounded memory and questions, instead of zeroconf's own.

zeroconf's browser plans a question for every pointer record and keeps the plan for 14 minutes or more. This
one asks for all instances at once, and removes from zeroconf's cache what belongs to no instance it keeps.
zeroconf has no public names for records, nor for the sockets, where alone a packet's sender is known.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec import Struct, field
from zeroconf import RecordUpdate, RecordUpdateListener, ServiceStateChange, Zeroconf, current_time_millis
from zeroconf._cache import DNSCache
from zeroconf._dns import DNSAddress, DNSPointer, DNSQuestion, DNSRecord, DNSService, DNSText
from zeroconf._engine import AsyncEngine
from zeroconf._history import QuestionHistory
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf._transport import _WrappedTransport

from chat.network.limits import Bucket, FairShares
from chat.ports import Announcement, DiscoveryEvents
from chat.tasks import Tasks
from protocol.discovery import ADDRESSES_MAX, SERVICE, TEXT_MAX, is_instance

KNOWN_MAX: Final = 256
"""Announcements kept. Any machine on the network can fill them; the oldest are dropped first."""


def instance_of(name: str) -> str:
    """The instance in a full DNS-SD name; empty if it is not of this service, or malformed."""
    instance, dot, service = name.partition(".")
    return instance if dot and service == SERVICE and is_instance(instance) else ""


class PeerTable:
    """The announcements of others by instance; passes each change to `events` once."""

    def __init__(self, events: DiscoveryEvents) -> None:
        self._events = events
        self._known: dict[str, Announcement] = {}  # oldest first
        self._doubtful: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def found(self, announcement: Announcement) -> None:
        """An announcement was received: new, changed or the same."""
        instance = announcement.instance
        self._doubtful.discard(instance)
        if self._known.get(instance) == announcement:
            return
        self._known.pop(instance, None)
        while len(self._known) >= KNOWN_MAX:
            self.lost(next(iter(self._known)))
        self._known[instance] = announcement
        self._events.found(announcement)

    def lost(self, instance: str) -> None:
        """It was withdrawn, or is no longer valid."""
        self._doubtful.discard(instance)
        if self._known.pop(instance, None) is not None:
            self._events.lost(instance)

    def doubt(self) -> None:
        """The network changed: what is not received again before `settle` is lost."""
        self._doubtful = set(self._known)

    def settle(self) -> None:
        for instance in list(self._doubtful):
            self.lost(instance)


Browsed = Callable[[Zeroconf, str, str, ServiceStateChange], None]
"""Takes the zeroconf, the service, the full name of an instance, and what happened to it."""

INSTANCES_MAX: Final = KNOWN_MAX
"""Instances whose records are kept. Any machine on the network can fill them; they are shared fairly, so a
flood from one address evicts only what came from it."""
HOST_ADDRESSES_MAX: Final = 2 * ADDRESSES_MAX
"""Addresses kept per host name: before and after a change. A machine that forges records for a host name can
evict them, as it can replace its other records: they are a hint, the handshake decides."""
PACKET_MAX: Final = 4_096
"""Bytes per packet, more than twice the longest announcement. Anybody can send larger ones."""
SENDERS_MAX: Final = 1_024
"""Senders whose packets are counted. More forged addresses reset the counts; what is kept stays bounded."""
PACKETS_A_SECOND: Final = 200.0
PACKETS_AT_ONCE: Final = 1_000.0
"""Packets per sender; more are dropped unread. It is much, since a reflector sends for a whole network."""
TRUNCATED_A_SECOND: Final = 64.0
"""Questions of all senders that announce more packets (RFC 6762 §7.2); zeroconf keeps each for half a second.
Anybody can fill this; a machine that asks with a long list then gets answers that it has."""
QUESTIONS_KEPT: Final = 64
"""Questions of others that zeroconf may remember, each with up to 256 known answers. Anybody can fill this; a
question may then be asked twice within a second."""
FIRST_DELAYS: Final = (1.0, 4.0, 9.0)
"""Seconds between the first questions (RFC 6762 §5.2)."""
EVERY: Final = 540.0
"""Seconds between further questions: less than half of 1,125, the shortest life of a pointer in zeroconf, so
that one falls into the second half of each life, in which the owner of a record must answer."""

_QUERY: Final = 0
_IN: Final = 1
_PTR: Final = 12

if not (hasattr(AsyncEngine, "readers") and hasattr(_WrappedTransport, "transport")):
    raise ImportError("this version of zeroconf does not show its sockets")
if not hasattr(DNSCache, "_async_set_created_ttl"):
    raise ImportError("this version of zeroconf does not let a record expire at another moment")


class Senders:
    """The sender of the current packet, and the limits per sender."""

    def __init__(self, now: float) -> None:
        self.current = ""
        self._buckets: dict[str, Bucket] = {}  # least recent first
        self._truncated = Bucket(TRUNCATED_A_SECOND, TRUNCATED_A_SECOND, TRUNCATED_A_SECOND, now)

    def admit(self, data: bytes, sender: str, now: float) -> bool:
        bucket = self._buckets.pop(sender, None)
        if bucket is None:
            bucket = Bucket(PACKETS_A_SECOND, PACKETS_AT_ONCE, PACKETS_AT_ONCE, now)
            if len(self._buckets) >= SENDERS_MAX:
                del self._buckets[next(iter(self._buckets))]
        self._buckets[sender] = bucket
        if len(data) > PACKET_MAX or not bucket.take(now):
            return False
        is_truncated_question = len(data) > 2 and data[2] & 0x82 == 0x02
        return not is_truncated_question or self._truncated.take(now)


class Gate(asyncio.DatagramProtocol):
    """Between a socket and zeroconf's listener: drops packets, and notes the sender of the others."""

    def __init__(self, listener: asyncio.DatagramProtocol, senders: Senders, asked: QuestionHistory) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener, self._senders, self._asked = listener, senders, asked
        self._questions = 0

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        sender = str(addr[0])
        if self._senders.admit(data, sender, self._loop.time()):
            self._senders.current = sender
            try:
                self._listener.datagram_received(data, addr)
            finally:
                self._senders.current = ""
            if len(data) > 2 and not data[2] & 0x80:
                self._questions += 1
                if self._questions % QUESTIONS_KEPT == 0:  # zeroconf itself forgets every ten seconds
                    self._asked.clear()

    def error_received(self, exc: Exception) -> None:
        self._listener.error_received(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.connection_lost(exc)


class _Instance(Struct):
    """The newest record of each kind. `until`: the pointer's expiry (milliseconds)."""

    sender: str
    pointer: DNSPointer
    until: float
    service: DNSService | None = None
    text: DNSText | None = None


class _Host(Struct, frozen=True):
    """The instances that name a host, and its addresses, oldest first."""

    instances: set[str] = field(default_factory=set)
    addresses: dict[DNSRecord, None] = field(default_factory=dict)


class Browser(RecordUpdateListener):
    """Calls `browsed` when instances of the service come, change or go."""

    def __init__(
        self, zeroconf: Zeroconf, browsed: Browsed, tasks: Tasks, started: asyncio.Task[None]
    ) -> None:
        super().__init__()
        self._zeroconf, self._browsed, self._started = zeroconf, browsed, started
        self._cache = zeroconf.cache
        self._senders = Senders(asyncio.get_running_loop().time())
        self._known = FairShares(INSTANCES_MAX)
        self._instances: dict[str, _Instance] = {}
        self._hosts: dict[str, _Host] = {}
        self._arrived: list[RecordUpdate] = []
        self._changes: dict[str, ServiceStateChange] = {}
        zeroconf.async_add_listener(self, None)
        self._asking = tasks.spawn(self._ask())

    def sender(self, name: str) -> str:
        """The address from which an instance was first received; empty for one that is not kept."""
        return instance.sender if (instance := self._instances.get(name)) is not None else ""

    def stop(self) -> None:
        self._asking.cancel()
        self._zeroconf.async_remove_listener(self)

    # zeroconf calls these before and after its cache takes a packet's records.

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        self._arrived += records

    def async_update_records_complete(self) -> None:
        arrived, self._arrived = self._arrived, []
        now = current_time_millis()
        for update in sorted(arrived, key=_order):
            record = update.new
            if record.is_expired(now):
                self._drop(record, was_withdrawn=update.old is not record, now=now)
            elif not self._keep(record, is_new=update.old is None):
                self._uncache(record)
        for record, times in Counter(update.new for update in arrived).items():
            if times > 1 and (cached := self._cache.get(record)) is not None:
                self._cache_again(cached)
        changes, self._changes = self._changes, {}
        for name, change in changes.items():
            self._browsed(self._zeroconf, SERVICE, name, change)

    def _keep(self, record: DNSRecord, *, is_new: bool) -> bool:
        """Keep the record if it belongs to an instance that is kept; whether it does."""
        if record.class_ != _IN:
            return False
        if isinstance(record, DNSPointer):
            return self._keep_pointer(record, is_new)
        if isinstance(record, DNSAddress):
            return self._keep_address(record, is_new)
        instance = self._instances.get(record.key)
        if instance is None:
            return False
        if isinstance(record, DNSService):
            self._keep_service(record.key, instance, record)
        elif isinstance(record, DNSText) and len(record.text) <= TEXT_MAX:
            old, instance.text = instance.text, record
            if old is not None and old != record:
                self._uncache(old)
        else:
            return False
        if is_new:
            self._note(record.key, ServiceStateChange.Updated)
        return True

    def _keep_pointer(self, record: DNSPointer, is_new: bool) -> bool:
        name, until = record.alias.lower(), record.get_expiration_time(100)
        if record.type != _PTR or record.key != SERVICE:
            return False
        instance = self._instances.get(name)
        if not instance_of(record.alias):
            if instance is not None:  # the same name in capitals took its place in the cache
                self._cache_again(instance.pointer)
            return instance is not None
        if instance is not None:
            instance.pointer, instance.until = record, until
        else:
            instance = self._instances[name] = _Instance(self._senders.current, record, until)
            evicted = self._known.add(name, instance.sender)
            if evicted is not None:
                self._forget(evicted)
        if is_new:
            self._note(name, ServiceStateChange.Added)
        return True

    def _keep_service(self, name: str, instance: _Instance, record: DNSService) -> None:
        old, instance.service = instance.service, record
        self._hosts.setdefault(record.server_key, _Host()).instances.add(name)
        if old is not None and old.server_key != record.server_key:
            self._release(old.server_key, name)
        if old is not None and old != record:
            self._uncache(old)

    def _keep_address(self, record: DNSAddress, is_new: bool) -> bool:
        host = self._hosts.get(record.key)
        if host is None:
            return False
        host.addresses.pop(record, None)
        host.addresses[record] = None
        if len(host.addresses) > HOST_ADDRESSES_MAX:
            oldest = next(iter(host.addresses))
            del host.addresses[oldest]
            self._uncache(oldest)
        if is_new:
            for name in host.instances:
                self._note(name, ServiceStateChange.Updated)
        return True

    def _drop(self, record: DNSRecord, *, was_withdrawn: bool, now: float) -> None:
        """A record expired, or its sender withdrew it; zeroconf has removed it from its cache."""
        if isinstance(record, DNSPointer):
            if record.type == _PTR and record.key == SERVICE:
                self._drop_pointer(record.alias.lower(), was_withdrawn, now)
        elif isinstance(record, DNSAddress):
            if record.key in self._hosts:
                self._hosts[record.key].addresses.pop(record, None)
        elif (instance := self._instances.get(record.key)) is not None:
            if instance.text == record:
                instance.text = None
            elif instance.service is not None and instance.service == record:
                self._release(instance.service.server_key, record.key)
                instance.service = None

    def _drop_pointer(self, name: str, was_withdrawn: bool, now: float) -> None:
        """Forget the instance, unless zeroconf removed its pointer too early."""
        # A pointer with the cache-flush bit, which none may have (RFC 6762 §10.2), makes zeroconf expire all
        # others within a second. They go back into the cache for the rest of their life.
        instance = self._instances.get(name)
        if instance is None:
            return
        left = int((instance.until - now) / 1000)
        if was_withdrawn or left <= 0:
            self._forget(name)
        else:
            old = instance.pointer
            instance.pointer = DNSPointer(old.name, _PTR, _IN, left, old.alias, now)
            self._cache.async_add_records((instance.pointer,))

    def _forget(self, name: str) -> None:
        instance = self._instances.pop(name, None)
        if instance is None:
            return
        self._known.remove(name)
        self._uncache(instance.pointer)
        if instance.service is not None:
            self._uncache(instance.service)
            self._release(instance.service.server_key, name)
        if instance.text is not None:
            self._uncache(instance.text)
        self._note(name, ServiceStateChange.Removed)

    def _release(self, server_key: str, name: str) -> None:
        host = self._hosts[server_key]
        host.instances.discard(name)
        if not host.instances:
            del self._hosts[server_key]
            for address in host.addresses:
                self._uncache(address)

    def _uncache(self, record: DNSRecord) -> None:
        if (cached := self._cache.get(record)) is not None:
            self._cache.async_remove_records((cached,))

    def _cache_again(self, record: DNSRecord) -> None:
        """Cache a record that may have been in the cache, with a new moment of expiry."""
        # Cached once more with an earlier moment (by lifetimes of 2, 3 and 2 in one packet, or after a name
        # in capitals), it would be removed twice, and the error would end zeroconf's cleanup for good.
        self._cache._async_set_created_ttl(record, record.created + 1, record.ttl)

    def _note(self, name: str, change: ServiceStateChange) -> None:
        if change is ServiceStateChange.Updated:
            self._changes.setdefault(name, change)
        else:
            self._changes[name] = change

    async def _ask(self) -> None:
        await asyncio.shield(self._started)
        self._guard()
        await asyncio.sleep(random.uniform(0.02, 0.12))  # some machines start together (RFC 6762 §5.2)
        # An answer by unicast comes at once, but reaches only one of the programs that share port 5353
        # here, not always this one; one by multicast reaches all, up to a second later. Ask for both.
        self._ask_once(unicast=True)
        self._ask_once()
        for delay in FIRST_DELAYS:
            await asyncio.sleep(delay)
            self._ask_once()
        while True:
            await asyncio.sleep(EVERY)
            self._ask_once()

    def _guard(self) -> None:
        for reader in self._zeroconf.engine.readers:
            listener = reader.transport.get_protocol()
            if not isinstance(listener, Gate):
                gate = Gate(listener, self._senders, self._zeroconf.question_history)  # type: ignore[arg-type]
                reader.transport.set_protocol(gate)

    def _ask_once(self, *, unicast: bool = False) -> None:
        """Ask for all instances, except those whose pointer is in the first half of its life."""
        question, now = DNSQuestion(SERVICE, _PTR, _IN), current_time_millis()
        question.unicast = unicast
        out = DNSOutgoing(_QUERY)
        out.add_question(question)
        for instance in self._instances.values():
            if not instance.pointer.is_stale(now):
                out.add_answer_at_time(instance.pointer, now)
        self._zeroconf.async_send(out)


def _order(update: RecordUpdate) -> int:
    """Pointers first and addresses last; a packet may have them in any order."""
    kinds = (DNSPointer, DNSService, DNSText)
    return next((at for at, kind in enumerate(kinds) if isinstance(update.new, kind)), len(kinds))


AT_ONCE: Final = 8
"""Instances resolved at the same time."""
WAITING_MAX: Final = 128
"""Instances that wait. Any machine on the network can fill the queue, and evicts its own names first."""
A_SECOND: Final = 4.0
BEGUN_AT_ONCE: Final = 32.0
"""Rate of instances begun: a flood that evicts its own names would otherwise cause a question for each."""
AGAIN: Final = 0.25
"""Seconds until those that wait for the rate are tried again."""
ATTEMPTS: Final = 4
BETWEEN: Final = 1.0
"""Seconds before the second attempt per instance; each further pause is twice as long."""


class Resolver:
    """Completes announcements: calls `resolve(name)` until it returns True, or gives up."""

    def __init__(self, resolve: Callable[[str], Awaitable[bool]], tasks: Tasks) -> None:
        self._resolve = resolve
        self._tasks = tasks
        self._waiting = FairShares(WAITING_MAX)
        self._loop = asyncio.get_running_loop()
        self._rate = Bucket(A_SECOND, BEGUN_AT_ONCE, BEGUN_AT_ONCE, self._loop.time())
        self._timer: asyncio.TimerHandle | None = None
        self._running: dict[str, asyncio.Task[None]] = {}

    def want(self, name: str, sender: str = "") -> None:
        """Resolve `name` soon, once at a time."""
        if name in self._running:
            return
        self._waiting.remove(name)
        self._waiting.add(name, sender)
        self._begin()

    def forget(self, name: str) -> None:
        """Stop resolving it: it is gone, or complete."""
        self._waiting.remove(name)
        if (task := self._running.pop(name, None)) is not None:
            task.cancel()

    def forget_all(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for name in list(self._running):
            self.forget(name)

    def _begin(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            if not self._rate.take(self._loop.time()):
                self._timer = self._timer or self._loop.call_later(AGAIN, self._go_on)
                return
            name = self._waiting.take(newest=False)
            self._running[name] = self._tasks.spawn(self._attempts(name))

    def _go_on(self) -> None:
        self._timer = None
        self._begin()

    async def _attempts(self, name: str) -> None:
        mine = asyncio.current_task()
        try:
            for attempt in range(ATTEMPTS):
                if attempt:
                    await asyncio.sleep(BETWEEN * 2 ** (attempt - 1))
                if await self._resolve(name):
                    return
        finally:
            if self._running.get(name) is mine:
                del self._running[name]
            self._begin()
