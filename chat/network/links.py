"""All links with contacts: adopts them when they open, reads them, watches them, closes the spare ones.

Rules: what messages mean is `LinkEvents`' business; which link sends is `LinkSet`'s; here they are joined.

The links with one contact's terminal: which one sends, and which ones may go (SPEC §6.5).

Rules: decisions only, no I/O. All links that are confirmed are read; entries go out on the one confirmed
last; a link is closed only by the side that began it, and only after another one has proved that it works.

Who may link with this terminal, and the keys for it: what the network asks of the engine.

Rules: an interface only; everything here is answered from memory, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chat.config import Config
from chat.network.driver import Driver
from chat.ports import Clock
from protocol.keys import X25519Pair
from protocol.link.handshake import Policy
from protocol.link.states import ContactPsk, Event, LinkClosed, LinkOpen, MessageReceived, PingAnswered, Role
from protocol.messages import Message


@dataclass(eq=False, slots=True)
class LiveLink:
    """A confirmed link with a contact's terminal.

    `began`: this side dialled. `replaces`: the session it names, or b"". `carried`: the entries that this
    link has carried, so that none goes twice on it, and whether a receipt came for each. `address`: where the
    terminal is, empty through a relay.
    """

    driver: Driver
    session: bytes
    person: bytes
    terminal: bytes
    began: bool
    replaces: bytes
    address: str
    opened_at: float
    carried: dict[bytes, bool] = field(default_factory=dict)
    relayed: bool = field(init=False)
    """Whether it goes through a relay."""

    def __post_init__(self) -> None:
        self.relayed = not self.address

    @property
    def unanswered_since(self) -> float | None:
        """Since when (monotonic) the peer owes an answer, None if it owes none."""
        return self.driver.link.unanswered_since


class LinkSet:
    """The confirmed links with one terminal, oldest first."""

    def __init__(self, own_key: bytes, peer_key: bytes) -> None:
        self._outranks = own_key > peer_key
        self.links: list[LiveLink] = []
        self.current: LiveLink | None = None

    def confirmed(self, link: LiveLink) -> list[LiveLink]:
        """A link was confirmed: it sends from now on. Returns the links to ask for a keepalive answer."""
        self.links.append(link)
        self.current = link
        return list(self.links) if len(self.links) > 1 else []

    def answered(self, link: LiveLink) -> list[LiveLink]:
        """A keepalive asked for by `confirmed` was answered on `link`. Returns the links to close now."""
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
        """A link ended or is about to: the newest of the others sends."""
        if link in self.links:
            self.links.remove(link)
        if self.current is link:
            self.current = self.links[-1] if self.links else None


@dataclass(frozen=True, slots=True)
class DialKeys:
    """What is needed to link with a contact: its terminal's static key, and psks newest first."""

    terminal: bytes
    candidates: tuple[ContactPsk, ...]


@dataclass(slots=True)
class Identity:
    """This terminal on links. `static_dh` keeps the constant DH of each contact."""

    person: bytes
    static: X25519Pair
    static_dh: MutableMapping[bytes, bytes] = field(default_factory=dict, repr=False)


class Directory(Policy, Protocol):
    """The persons that this terminal links with. `Policy` is what a responder asks."""

    identity: Identity

    def dial_keys(self, person: bytes) -> DialKeys | None:
        """The keys to dial a contact with, None where it is unknown or blocked."""

    def may_link(self, person: bytes, static: bytes) -> bool:
        """Whether a terminal's link is wanted (still): a contact may be blocked, a terminal removed."""

    def known_addresses(self) -> Iterable[str]:
        """Hosts where contacts are or were: they keep a share of the handshakes."""

    def hints(self, person: bytes) -> Sequence[tuple[str, int]]:
        """Where the contact may be, most likely first."""

    def waiting_tokens(self, relay: bytes, day: int) -> Sequence[bytes]:
        """On what this terminal waits that day at the relay with this key: for contacts and for joiners."""

    def dial_tokens(self, person: bytes, relay: bytes, day: int) -> Sequence[bytes]:
        """On what the contact's terminal waits there that day, most likely first."""


REPLACED = 1
RELAYED_MOST = 8
"""Links through relays with one contact, of which one sends: a relay's address says nothing of who floods."""


class LinkEvents(Protocol):
    """What happens on links with contacts."""

    async def opened(self, link: LiveLink) -> None:
        """A link can carry messages now; it is the one that sends."""

    async def received(self, link: LiveLink, messages: Sequence[Message]) -> None:
        """Messages of one read, in order."""

    async def ended(self, link: LiveLink) -> None:
        """A link ended; what it carried without a receipt is waiting again."""

    def presence(self, person: bytes, present: bool) -> None:
        """A contact came or went."""


class Links:
    """The living links, by contact.

    `missed` is called when a contact needs a new link beside the one it has, `lost` when its last link has
    ended, with the seconds that it lived, `detoured` when one has opened through a relay, with the seconds
    since the contact had last moved from a relay to a direct link, None if it had not.
    """

    def __init__(self, directory: Directory, clock: Clock, config: Config, events: LinkEvents) -> None:
        self._directory = directory
        self._clock = clock
        self._config = config
        self._events = events
        self._sets: dict[bytes, LinkSet] = {}
        self._of: dict[Driver, LiveLink] = {}
        self._asked: set[tuple[Driver, int]] = set()
        self._present: set[bytes] = set()
        self._shown_relayed: set[bytes] = set()
        self._moved_at: dict[bytes, float] = {}
        self.missed: Callable[[bytes], None] = lambda person: None
        self.detoured: Callable[[bytes, float | None], None] = lambda person, direct_for: None
        self.lost: Callable[[bytes, float], None] = lambda person, lived: None

    # What is there.

    def current(self, person: bytes) -> LiveLink | None:
        """The link that sends to a contact, None where there is none."""
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

    def needs_detour(self, person: bytes) -> bool:
        """Whether a contact has no link, one that has long been silent, or an ageing one through a relay.

        A direct link that falters gets the time to come back: else both ends would move to and fro.
        """
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

    async def adopt(self, driver: Driver, opened: LinkOpen) -> Links | None:
        """Take over a link that has just opened; None where it is not wanted any more."""
        if opened.person is None or not self._directory.may_link(opened.person, opened.peer_static):
            return None
        if not driver.connection.peer and len(self._relayed(opened.person)) >= RELAYED_MOST:
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
        for asked in links.confirmed(link):
            await self._ask(asked)
        await self._events.opened(link)
        self._set_present(link.person, True)
        if link.relayed:
            since = self._moved_at.pop(link.person, None)
            self.detoured(link.person, None if since is None else link.opened_at - since)
        elif link.person in self._shown_relayed:
            self._moved_at[link.person] = link.opened_at
        self._show_way(link.person)

    async def _ask(self, link: LiveLink) -> None:
        number = await link.driver.ping()
        if number is not None:
            self._asked.add((link.driver, number))

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        link = self._of[driver]
        if link.person not in self._present and not isinstance(events[0], LinkClosed):
            self._set_present(link.person, True)  # a LinkClosed comes alone, and is no sign of life
        messages = [event.message for event in events if isinstance(event, MessageReceived)]
        if messages:
            await self._events.received(link, messages)
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
        await self._events.ended(link)
        if links is not None and links.current is None and self._sets.get(link.person) is links:
            self._sets.pop(link.person)
            self._set_present(link.person, False)
            self.lost(link.person, self._clock.monotonic() - link.opened_at)
        self._show_way(link.person)

    # Watching.

    async def watch(self) -> None:
        """Look at all links four times in the time after which one is suspect."""
        while True:
            await asyncio.sleep(self._config.suspect_after / 4)
            for link in self.all():
                self._look(link)

    def _look(self, link: LiveLink) -> None:
        if link is not self.current(link.person):
            return
        if self._silent(link, self._config.absent_after):
            self._set_present(link.person, False)
        if self.needs_link(link.person):
            self.missed(link.person)

    async def probe(self) -> None:
        """Ask every contact for a sign of life: the network has changed, or an entry waits."""
        for link in self.all():
            await link.driver.ping()

    def _set_present(self, person: bytes, present: bool) -> None:
        if present != (person in self._present):
            (self._present.add if present else self._present.discard)(person)
            self._events.presence(person, present)

    def _show_way(self, person: bytes) -> None:
        """Say so when a contact's link has moved to a relay or away from one."""
        relayed = self.is_relayed(person)
        if relayed != (person in self._shown_relayed):
            (self._shown_relayed.add if relayed else self._shown_relayed.discard)(person)
            self._events.presence(person, self.is_present(person))

    def _relayed(self, person: bytes) -> list[LiveLink]:
        return [link for link in self.of(person) if link.relayed]

    # Ending.

    async def close(self, person: bytes, reason: int) -> None:
        """End all links with a contact."""
        await _close(self.of(person), reason)

    def part(self) -> None:
        """End, at once, the links with terminals that this side does not link with any more."""
        for link in self.all():
            if not self._directory.may_link(link.person, link.terminal):
                link.driver.abort()

    async def close_all(self, reason: int) -> None:
        await _close(self.all(), reason)


async def _close(links: Iterable[LiveLink], reason: int) -> None:
    """All at once: none waits for a peer of another one."""
    await asyncio.gather(*(link.driver.close(reason) for link in links))
