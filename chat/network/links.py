"""The links with contacts: which one sends, which are spare, and who is present (SPEC §6.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chat.network.driver import Driver
from chat.tasks import Runtime
from protocol.keys import X25519Pair
from protocol.link.handshake import Policy
from protocol.link.states import ContactPsk, Event, LinkClosed, LinkOpen, MessageReceived, PingAnswered, Role
from protocol.messages import Message


@dataclass(eq=False, slots=True)
class LiveLink:
    """A confirmed link with a contact's terminal.

    `began`: this side dialled. `replaces`: the session it names, or b"". `address`: the terminal's, empty
    through a relay. `carried`: the entries that it has carried, each with False while it is an
    own one of which no receipt has come.
    """

    driver: Driver
    session: bytes
    person: bytes
    terminal: bytes
    began: bool
    replaces: bytes
    address: str
    opened_at: float
    events: LinkEvents
    carried: dict[bytes, bool] = field(default_factory=dict)

    @property
    def relayed(self) -> bool:
        return not self.address

    @property
    def unanswered_since(self) -> float | None:
        """The time (monotonic) since which the peer owes an answer, None if it owes none."""
        return self.driver.link.unanswered_since


class LinkSet:
    """The confirmed links with one terminal, oldest first. All are read; the one confirmed last sends.

    Only the side that began a link closes it, and only after another one has proved that it works.
    """

    def __init__(self, own_key: bytes, peer_key: bytes) -> None:
        self._outranks = own_key > peer_key
        self.links: list[LiveLink] = []
        self.current: LiveLink | None = None

    def confirmed(self, link: LiveLink) -> list[LiveLink]:
        """A link was confirmed and sends from now on. Returns the links to ping."""
        self.links.append(link)
        self.current = link
        return list(self.links) if len(self.links) > 1 else []

    def answered(self, link: LiveLink) -> list[LiveLink]:
        """A ping asked for by `confirmed` was answered on `link`. Returns the links to close now."""
        closing = [other for other in self.links if other is not link and self._yields(other, link)]
        for other in closing:
            self.ended(other)
        return closing

    def _yields(self, other: LiveLink, link: LiveLink) -> bool:
        """Whether this side closes `other`, given that `link` works."""
        if link.replaces == other.session:
            return link.began
        if other.replaces == link.session or not other.began:
            return False
        if link.began:
            return self.links.index(other) < self.links.index(link)
        return self._outranks

    def ended(self, link: LiveLink) -> None:
        """A link ended or is about to; the newest of the others sends."""
        if link in self.links:
            self.links.remove(link)
        if self.current is link:
            self.current = self.links[-1] if self.links else None


@dataclass(frozen=True, slots=True)
class DialKeys:
    """The keys to dial a contact: its terminal's static key, and psks newest first."""

    terminal: bytes
    candidates: tuple[ContactPsk, ...]


@dataclass(slots=True)
class Identity:
    """This terminal on links. `static_dh` caches the constant DH of each contact."""

    person: bytes
    static: X25519Pair
    static_dh: MutableMapping[bytes, bytes] = field(default_factory=dict, repr=False)


class Directory(Policy, Protocol):
    """The contacts and their keys, from memory. `Policy` is what a responder asks."""

    identity: Identity

    def dial_keys(self, person: bytes) -> DialKeys | None:
        """The keys to dial a contact, None if it is unknown or blocked."""

    def may_link(self, person: bytes, static: bytes) -> bool:
        """Whether a terminal may link: the contact is not blocked, the terminal not removed."""

    def known_addresses(self) -> Iterable[str]:
        """Hosts of contacts, now or before: a share of the handshakes is reserved for them."""

    def hints(self, person: bytes) -> Sequence[tuple[str, int]]:
        """The contact's possible addresses, most likely first."""

    def waiting_tokens(self, relay: bytes, day: int) -> Sequence[bytes]:
        """The tokens on which this terminal waits that day at the relay with this key."""

    def dial_tokens(self, person: bytes, relay: bytes, day: int) -> Sequence[bytes]:
        """The tokens on which the contact's terminal waits there that day, most likely first."""


REPLACED = 1
RELAYED_MOST = 8
"""Links per contact through relays. A contact can fill them; a relay's address does not show who floods."""


class LinkEvents(Protocol):
    """Takes what happens on links; the next read of a link waits for it."""

    async def opened(self, link: LiveLink) -> None:
        """A link can carry messages now, and is the one that sends."""

    async def received(self, link: LiveLink, messages: Sequence[Message]) -> None:
        """The messages of one read, in order."""

    async def ended(self, link: LiveLink) -> None:
        """A link ended; entries that it carried without a receipt wait again."""


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A contact came or went, or moved to a relay or away from one."""

    person: bytes


@dataclass(frozen=True, slots=True)
class LinkNeeded:
    """A contact needs another link: the one it has does not answer, or grows old."""

    person: bytes


@dataclass(frozen=True, slots=True)
class LinkLost:
    """A contact's last link ended, after so many seconds."""

    person: bytes
    lived: float


@dataclass(frozen=True, slots=True)
class RelayedLinkOpened:
    """A contact's link opened through a relay.

    `direct_for`: seconds since it had last moved from a relay to a direct link, None if it had not.
    """

    person: bytes
    direct_for: float | None


class Links:
    """The open links by contact. `signal` publishes the events above."""

    def __init__(self, runtime: Runtime, directory: Directory, signal: Callable[[object], None]) -> None:
        self._clock = runtime.clock
        self._config = runtime.config
        self._directory = directory
        self._signal = signal
        self._sets: dict[bytes, LinkSet] = {}
        self._of: dict[Driver, LiveLink] = {}
        self._asked: set[tuple[Driver, int]] = set()
        self._present: set[bytes] = set()
        self._shown_relayed: set[bytes] = set()
        self._moved_at: dict[bytes, float] = {}

    def current(self, person: bytes) -> LiveLink | None:
        """The link that sends to a contact, None if there is none."""
        links = self._sets.get(person)
        return links.current if links is not None else None

    def all(self) -> list[LiveLink]:
        return list(self._of.values())

    def of(self, person: bytes) -> list[LiveLink]:
        return [link for link in self._of.values() if link.person == person]

    def is_present(self, person: bytes) -> bool:
        return person in self._present

    def needs_link(self, person: bytes) -> bool:
        """Whether a contact has no link, one that does not answer, or one that must be replaced soon."""
        link = self.current(person)
        return link is None or self._silent(link, self._config.suspect_after) or self._ageing(link)

    def is_relayed(self, person: bytes) -> bool:
        """Whether the link that sends to a contact goes through a relay."""
        link = self.current(person)
        return link is not None and link.relayed

    def needs_relayed_link(self, person: bytes) -> bool:
        """Whether a contact has no link, one that has long been silent, or an ageing one through a relay."""
        # A direct link that falters gets the time to come back, else both ends would move back and forth.
        link = self.current(person)
        if link is None or self._silent(link, self._config.absent_after):
            return True
        return link.relayed and self._ageing(link)

    def _silent(self, link: LiveLink, seconds: float) -> bool:
        since = link.unanswered_since
        return since is not None and self._clock.monotonic() - since > seconds

    def _ageing(self, link: LiveLink) -> bool:
        return link.began and link.driver.link.should_replace(self._clock.monotonic())

    # A link opens, speaks and ends.

    async def adopt(self, driver: Driver, opened: LinkOpen, events: LinkEvents) -> Links | None:
        """Take over a link that has just opened; None if it is not wanted."""
        if opened.person is None or not self._directory.may_link(opened.person, opened.peer_static):
            return None
        relayed = [link for link in self.of(opened.person) if link.relayed]
        if not driver.connection.peer and len(relayed) >= RELAYED_MOST:
            return None
        link = LiveLink(
            driver=driver,
            session=opened.session_id,
            person=opened.person,
            terminal=opened.peer_static,
            began=opened.role is Role.INITIATOR,
            replaces=opened.replaces,
            address=driver.connection.peer,
            opened_at=self._clock.monotonic(),
            events=events,
        )
        self._of[driver] = link
        try:
            await self._confirmed(link)
        except BaseException:
            await self._ended(link)
            raise
        return self

    async def _confirmed(self, link: LiveLink) -> None:
        own = self._directory.identity.static.public
        links = self._sets.setdefault(link.person, LinkSet(own, link.terminal))
        for other in links.confirmed(link):
            if (number := await other.driver.ping()) is not None:
                self._asked.add((other.driver, number))
        await link.events.opened(link)
        self._show(self._present, link.person, True)
        if link.relayed:
            since = self._moved_at.pop(link.person, None)
            direct_for = None if since is None else link.opened_at - since
            self._signal(RelayedLinkOpened(link.person, direct_for))
        elif link.person in self._shown_relayed:
            self._moved_at[link.person] = link.opened_at
        self._show(self._shown_relayed, link.person, self.is_relayed(link.person))

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        link = self._of[driver]
        if not isinstance(events[0], LinkClosed):
            self._show(self._present, link.person, True)
        messages = [event.message for event in events if isinstance(event, MessageReceived)]
        if messages:
            await link.events.received(link, messages)
        for event in events:
            if isinstance(event, PingAnswered):
                await self._answered(link, event.number)
            elif isinstance(event, LinkClosed):
                await self._ended(link)

    async def _answered(self, link: LiveLink, number: int) -> None:
        links = self._sets.get(link.person)
        if links is not None and (link.driver, number) in self._asked:
            self._asked.discard((link.driver, number))
            for spare in links.answered(link):
                await spare.driver.close(REPLACED)

    async def _ended(self, link: LiveLink) -> None:
        del self._of[link.driver]
        self._asked = {asked for asked in self._asked if asked[0] is not link.driver}
        links = self._sets.get(link.person)
        if links is not None:  # a spare link may end after the last of its set
            links.ended(link)
        await link.events.ended(link)
        if links is not None and links.current is None and self._sets.get(link.person) is links:
            self._sets.pop(link.person)
            self._show(self._present, link.person, False)
            self._signal(LinkLost(link.person, self._clock.monotonic() - link.opened_at))
        self._show(self._shown_relayed, link.person, self.is_relayed(link.person))

    # Watching.

    async def watch(self) -> None:
        """Look at the links that send four times in the time after which one is suspect."""
        while True:
            await asyncio.sleep(self._config.suspect_after / 4)
            for link in self.all():
                if link is not self.current(link.person):
                    continue
                if self._silent(link, self._config.absent_after):
                    self._show(self._present, link.person, False)
                if self.needs_link(link.person):
                    self._signal(LinkNeeded(link.person))

    async def probe(self) -> None:
        for link in self.all():
            await link.driver.ping()

    def _show(self, persons: set[bytes], person: bytes, shown: bool) -> None:
        """Signal a contact that begins or stops to be among the present or the relayed ones."""
        if shown != (person in persons):
            (persons.add if shown else persons.discard)(person)
            self._signal(PresenceChanged(person))

    # Ending.

    async def close(self, person: bytes, reason: int) -> None:
        await asyncio.gather(*(link.driver.close(reason) for link in self.of(person)))

    def close_unwanted(self) -> None:
        """Cut the links with terminals that may not link any more."""
        for link in self.all():
            if not self._directory.may_link(link.person, link.terminal):
                link.driver.abort()

    async def close_all(self, reason: int) -> None:
        # In parallel, so that none waits for another one's peer.
        await asyncio.gather(*(link.driver.close(reason) for link in self.all()))
