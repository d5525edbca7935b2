"""What happens on links with contacts: who sends on which, and what each message means.

Rules: this is the one place that knows all messages of a conversation; each is handled by one function of
a use case. An entry that does not belong ends the link, and the peer is not told why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from chat.interface import ContactChanged, EntryChanged, EntryState, Notice, ParlourError
from chat.network.admission import Bucket
from chat.network.link_set import LiveLink
from chat.service.logs import Logs
from chat.service.outgoing import Outgoing
from chat.service.receiving import Receiving
from chat.service.remembering import Remembering
from chat.service.views import Views
from chat.service.world import World
from protocol.errors import ProtocolError, Unexpected
from protocol.messages import (
    Entry,
    Heads,
    HeadsHash,
    LogHeads,
    LogOperations,
    Message,
    Reachable,
    Receipt,
    Typing,
)

COSTLY_A_SECOND = 0.2
COSTLY_AT_ONCE = 8.0
"""How often a contact is heard with what costs much: heads are compared with the whole history, operations
verified with the whole log. An honest contact says each once a link."""


@dataclass(slots=True)
class _Worker:
    """What goes out on a link. `task` is None until the link has proved who is there; what is said waits."""

    outgoing: Outgoing
    task: asyncio.Task[None] | None = None


class Exchange:
    """network.links.LinkEvents of the engine."""

    def __init__(
        self, world: World, views: Views, receiving: Receiving, logs: Logs, remembering: Remembering
    ) -> None:
        self._world = world
        self._views = views
        self._receiving = receiving
        self._logs = logs
        self._remembering = remembering
        self._workers: dict[LiveLink, _Worker] = {}
        self._costly: dict[bytes, Bucket] = {}

    # Sending.

    def carry(self, person: bytes, ids: Sequence[bytes]) -> None:
        """Let entries go now if there is a link; else they wait for the next one."""
        if (worker := self._current(person)) is not None:
            worker.outgoing.carry(ids)

    def catch_up(self, person: bytes) -> None:
        """What waited for this person's word may go now."""
        if (worker := self._current(person)) is not None:
            worker.outgoing.catch_up()

    def say(self, person: bytes, message: Message) -> None:
        """Say something that is not an entry, if there is a link."""
        if (worker := self._current(person)) is not None:
            worker.outgoing.put(message)

    def _current(self, person: bytes) -> _Worker | None:
        link = self._world.links.current(person)
        return self._workers.get(link) if link is not None else None

    # A link's life (LinkEvents).

    async def opened(self, link: LiveLink) -> None:
        # Before anything is awaited: the link counts as the one that sends from now on.
        worker = self._workers[link] = _Worker(Outgoing(self._world, link))
        await self._receiving.proved(link)
        if self._workers.get(link) is worker:  # it may have ended meanwhile
            worker.task = self._world.tasks.spawn(worker.outgoing.run())

    async def ended(self, link: LiveLink) -> None:
        worker = self._workers.pop(link, None)
        if worker is not None and worker.task is not None:
            worker.task.cancel()
        if self._world.links.current(link.person) is None:  # a spare link says nothing of the person
            self._world.typing.pop(link.person, None)
        for entry, acknowledged in link.carried.items():
            if not acknowledged and not self._views.on_link(link.person, entry):
                self._world.hub.publish(EntryChanged(link.person.hex(), entry.hex(), EntryState.QUEUED))
        if (left := self._current(link.person)) is not None:
            left.outgoing.catch_up()

    def presence(self, person: bytes, present: bool) -> None:
        if person in self._world.contacts:
            self._world.hub.publish(ContactChanged(self._views.contact(person)))

    async def received(self, link: LiveLink, messages: Sequence[Message]) -> None:
        try:
            for group in _grouped(messages):
                await self._handle(link, group)
        except ProtocolError:
            link.driver.abort()
        except ParlourError as failure:
            self._world.hub.publish(Notice(failure.phrase))
            link.driver.abort()

    def _affords(self, person: bytes) -> bool:
        now = self._world.clock.monotonic()
        new = Bucket(COSTLY_A_SECOND, COSTLY_AT_ONCE, COSTLY_AT_ONCE, now)
        return self._costly.setdefault(person, new).take(now)

    async def _handle(self, link: LiveLink, group: Sequence[Message]) -> None:
        if isinstance(group[0], Heads | LogOperations) and not self._affords(link.person):
            return  # another link brings it; what waits for the contact goes without
        outgoing = self._workers[link].outgoing
        match group[0]:
            case Entry():
                outgoing.put(await self._receiving.entries(link, group))
            case Receipt() as receipt:
                await self._receiving.receipt(link, receipt)
            case HeadsHash() as heads_hash:
                if (heads := await self._receiving.heads_if_other(link, heads_hash)) is not None:
                    outgoing.put(heads)
            case Heads() as heads:
                outgoing.carry(await self._receiving.lacking(link, heads))
            case LogHeads(heads=held):
                for operations in await self._logs.missing(held):
                    outgoing.put(operations)
            case LogOperations(operations=operations):
                await self._logs.received(link.person, operations)
            case Reachable(port=port):
                await self._remembering.reached(link, port)
            case Typing() as typing:
                self._receiving.typing(link, typing)
            case _:
                raise Unexpected("a pairing message on a contact's link")


def _grouped(messages: Sequence[Message]) -> list[list[Message]]:
    """Entries that came together are stored together; every other message stands alone."""
    groups: list[list[Message]] = []
    for message in messages:
        if groups and isinstance(message, Entry) and isinstance(groups[-1][0], Entry):
            groups[-1].append(message)
        else:
            groups.append([message])
    return groups
