"""The links with contacts: which one sends, which are spare, and who is present (SPEC §6.5)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import NamedTuple, Protocol

import msgspec

from chat.network.driver import Driver
from chat.tasks import Runtime
from protocol.keys import X25519Pair
from protocol.link.handshake import Policy
from protocol.link.states import (
    ContactPsk,
    Ending,
    Event,
    LinkClosed,
    LinkOpen,
    MessagePassedOver,
    MessageReceived,
    PingAnswered,
    Role,
    closes,
)
from protocol.messages import Message
from protocol.redacting import Redacted, Redacting


class Peer(NamedTuple):
    """A contact's terminal: the person id and the terminal's static key, 32 bytes each.

    Both, since one static key may be in the logs of several persons.
    """

    person: bytes
    static: bytes


@dataclass(eq=False, slots=True)
class LiveLink:
    """A confirmed link with a contact's terminal.

    `began`: this side dialled. `replaces`: the session it names, or b"". `address`: the terminal's, empty
    through a relay. `queued`: the entries that this side is about to send, each with whether it awaits a
    receipt. `sent`: the own ones that it has carried, of which no receipt has come. `psk`: of the pairing
    under which it opened. `asked`: this side has named its heads. `gaps`: entries that came again since then,
    with the one before, which is missing. `delayed`: this side does not read on now, as the peer has sent too
    much. `parted`: nothing that comes on it counts any more, since its terminal, or this one, was removed.
    `tells`: this side ends it, to tell of two programs.
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
    psk: ContactPsk | None = None
    queued: dict[bytes, bool] = field(default_factory=dict)
    sent: set[bytes] = field(default_factory=set)
    asked: bool = False
    gaps: dict[bytes, bytes] = field(default_factory=dict)
    delayed: bool = False
    parted: bool = False
    tells: bool = False
    peer: Peer = field(init=False)

    def __post_init__(self) -> None:
        self.peer = Peer(self.person, self.terminal)

    @property
    def relayed(self) -> bool:
        return not self.address

    def acknowledged(self, entries: Iterable[bytes]) -> None:
        """Its terminal has these entries."""
        for entry in entries:
            self.sent.discard(entry)
            self.queued.pop(entry, None)

    def acknowledged_elsewhere(self, entries: Iterable[bytes]) -> None:
        """Another terminal of the contact has these entries."""
        # What is queued is carried all the same: the other side may want it again, and a copy of its profile
        # lacks it.
        for entry in entries:
            self.sent.discard(entry)
            if entry in self.queued:
                self.queued[entry] = False

    async def delay(self, seconds: float) -> None:
        """Read nothing on it for so long."""
        self.delayed = True
        try:
            await asyncio.sleep(seconds)
        finally:
            self.delayed = False

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
        if link not in self.links:
            return []  # another one has proved that it works, and this one is about to end
        closing = [other for other in self.links if other is not link and self._closes(link, other)]
        for other in closing:
            self.ended(other)
        return closing

    def _closes(self, link: LiveLink, other: LiveLink) -> bool:
        older = self.links.index(other) < self.links.index(link)
        return closes(link, other, other_is_older=older, outranks=self._outranks)

    def ended(self, link: LiveLink) -> None:
        """A link ended or is about to; the newest of the others sends."""
        if link in self.links:
            self.links.remove(link)
        if self.current is link:
            self.current = self.links[-1] if self.links else None


class Identity(Redacting, frozen=True):
    """This terminal on links. `static_dh` caches the constant DH of each contact."""

    person: bytes
    static: X25519Pair
    static_dh: Redacted[MutableMapping[bytes, bytes]] = msgspec.field(default_factory=dict)


class Directory(Policy, Protocol):
    """The contacts and their keys, from memory. `Policy` is what a responder asks."""

    identity: Identity

    def dial_psks(self, peer: Peer) -> Sequence[ContactPsk]:
        """The psks to dial a contact's terminal, newest first. Empty if it may not link."""

    def may_link(self, peer: Peer) -> bool:
        """Whether a terminal may link: the contact is not blocked, the terminal not removed."""

    def holds(self, person: bytes, psk: ContactPsk | None, *, initiates: bool) -> bool:
        """Whether a psk, which opened a link that this side initiated or answered, is of a pairing held."""

    def known_at(self, host: str) -> Sequence[Peer]:
        """The terminals that are or were at a host, which have a share of the handshakes."""

    def is_dialled(self, peer: Peer) -> bool:
        """Whether a terminal is among those of its person that this side dials, the most senior ones."""

    def hints(self, peer: Peer) -> Sequence[tuple[str, int]]:
        """The terminal's possible addresses: the one that worked last, then others, most likely first."""

    def waiting_tokens(self, relay: bytes, day: int) -> Sequence[bytes]:
        """The tokens on which this terminal waits that day at the relay with this key."""

    def dial_tokens(self, peer: Peer, relay: bytes, day: int) -> Sequence[bytes]:
        """The tokens on which a contact's terminal waits there that day, most likely first."""


AWAY = False, False
"""What is shown of a contact without links: neither present nor reached through relays."""

REPLACED = 1
TWICE = 4
TWICE_AFTER = 60.0
"""Seconds for which two links with one terminal, of which neither replaces the other, stand together until
that tells of two programs with its keys. One program ends one of both within seconds."""
TWICE_EVERY = 3_600.0
"""Seconds in which this terminal says so once of a terminal, as its links end with it."""
RELAYED_MOST = 8
"""Links through relays with one terminal of a contact that is dialled, and with all its other terminals
together. Of more the oldest end. Only who has a key of these terminals can cause it."""
DIRECT_MOST = 8
"""The same of direct links. They hold places for connections, of which there are few, and a machine may have
any number of addresses."""


class LinkEvents(Protocol):
    """Takes what happens on links; the next read of a link waits for it."""

    async def opened(self, link: LiveLink) -> None:
        """A link can carry messages now, and is the one that sends."""

    async def received(self, link: LiveLink, messages: Sequence[Message]) -> None:
        """The messages of one read, in order."""

    async def passed_over(self, link: LiveLink) -> None:
        """A message of a number that this version does not know arrived."""

    async def ended(self, link: LiveLink) -> None:
        """A link ended; entries that it carried without a receipt wait again."""


class PresenceChanged(msgspec.Struct, frozen=True):
    """A contact came or went, or moved to a relay or away from one."""

    person: bytes


class LinkNeeded(msgspec.Struct, frozen=True):
    """A contact's terminal needs another link: the one it has does not answer, or grows old."""

    peer: Peer


class LinkLost(msgspec.Struct, frozen=True):
    """The last link with a contact's terminal ended, after so many seconds."""

    peer: Peer
    lived: float


class RunsTwice(msgspec.Struct, frozen=True):
    """Two programs with the keys of a terminal have links with this one at one time."""

    peer: Peer


class ToldTwice(msgspec.Struct, frozen=True):
    """A terminal of a contact or of this person says that two programs have the keys of this one."""

    peer: Peer


class RelayedLinkOpened(msgspec.Struct, frozen=True):
    """A link with a contact's terminal opened through a relay.

    `direct_for`: seconds since it had last moved from a relay to a direct link, None if it had not.
    """

    peer: Peer
    direct_for: float | None


class Links:
    """The open links by terminal of a contact. `signal` publishes the events above.

    No link with one terminal replaces, closes or delays a link with another terminal. Those that are not
    dialled share one bound.
    """

    def __init__(self, runtime: Runtime, directory: Directory, signal: Callable[[object], None]) -> None:
        self._clock = runtime.clock
        self._config = runtime.config
        self._beat = runtime.beat
        self._directory = directory
        self._signal = signal
        self._sets: dict[bytes, dict[bytes, LinkSet]] = {}  # by person, then by static key
        self._of: dict[Driver, LiveLink] = {}
        self._asked: set[tuple[Driver, int]] = set()
        self._heard: set[Peer] = set()
        self._relayed: set[Peer] = set()
        self._moved_at: dict[Peer, float] = {}
        self._shown: dict[bytes, tuple[bool, bool]] = {}
        # By two links with one terminal: the Pings that were sent on both, and have no answer yet.
        self._proving: dict[tuple[LiveLink, LiveLink], set[tuple[Driver, int]]] = {}
        self._told: dict[Peer, float] = {}

    def current(self, peer: Peer) -> LiveLink | None:
        """The link that sends to a contact's terminal, None if there is none."""
        links = self._set(peer)
        return links.current if links is not None else None

    def _set(self, peer: Peer) -> LinkSet | None:
        return self._sets.get(peer.person, {}).get(peer.static)

    def sending(self, person: bytes) -> list[LiveLink]:
        """The links that send to a contact, one per terminal that has any."""
        sets = self._sets.get(person)
        if sets is None:
            return []
        return [links.current for links in sets.values() if links.current is not None]

    def all(self) -> list[LiveLink]:
        return list(self._of.values())

    def of(self, person: bytes) -> list[LiveLink]:
        return [link for link in self._of.values() if link.person == person]

    def keeps(self, link: LiveLink) -> bool:
        """Whether a link goes on. One that gave way to another may still be at work on what it has read."""
        links = self._set(link.peer)
        return links is not None and link in links.links

    def is_heard(self, peer: Peer) -> bool:
        """Whether a contact's terminal has a link and answers on it."""
        return peer in self._heard

    def is_present(self, person: bytes) -> bool:
        """Whether any terminal of a contact has a link and answers on it."""
        return self._shown.get(person, AWAY)[0]

    def is_relayed(self, person: bytes) -> bool:
        """Whether all links that send to a contact go through relays."""
        return self._shown.get(person, AWAY)[1]

    def needs_link(self, peer: Peer) -> bool:
        """Whether a terminal has no link, one that does not answer, or one that must be replaced soon."""
        link = self.current(peer)
        return link is None or self._silent(link, self._config.suspect_after) or self._ageing(link)

    def sends_by_relay(self, peer: Peer) -> bool:
        """Whether the link that sends to a terminal goes through a relay."""
        link = self.current(peer)
        return link is not None and link.relayed

    def needs_relayed_link(self, peer: Peer) -> bool:
        """Whether a terminal has no link, one that has long been silent, or an ageing one through a relay."""
        # A direct link that falters gets the time to come back, else both ends would move back and forth.
        link = self.current(peer)
        if link is None or self._silent(link, self._config.absent_after):
            return True
        return link.relayed and self._ageing(link)

    def _silent(self, link: LiveLink, seconds: float) -> bool:
        # What is not read is not heard.
        return not link.delayed and self._owes(link, seconds)

    def _owes(self, link: LiveLink, seconds: float) -> bool:
        since = link.unanswered_since
        return since is not None and self._clock.monotonic() - since > seconds

    def _ageing(self, link: LiveLink) -> bool:
        return link.began and link.driver.link.should_replace(self._clock.monotonic())

    # A link opens, speaks and ends.

    async def adopt(self, driver: Driver, opened: LinkOpen, events: LinkEvents) -> Links | None:
        """Take over a link that has just opened; None if it is not wanted."""
        if opened.person is None:
            return None
        peer = Peer(opened.person, opened.peer_static)
        began = opened.role is Role.INITIATOR
        if not self._may_live(peer, opened.contact_psk, began=began):
            return None
        link = LiveLink(
            driver=driver,
            session=opened.session_id,
            person=peer.person,
            terminal=peer.static,
            began=began,
            replaces=opened.replaces,
            address=driver.connection.peer,
            opened_at=self._clock.monotonic(),
            events=events,
            psk=opened.contact_psk,
        )
        self._make_room(link)
        self._of[driver] = link
        try:
            await self._confirmed(link)
        except BaseException:
            await self._ended(link)
            raise
        return self

    def _may_live(self, peer: Peer, psk: ContactPsk | None, *, began: bool) -> bool:
        """Whether the terminal may link, and the pairing under which the link opened is not retired."""
        directory = self._directory
        return directory.may_link(peer) and directory.holds(peer.person, psk, initiates=began)

    def _make_room(self, newest: LiveLink) -> None:
        """End the oldest of the links that count together with a new one, where there are too many.

        The new one is never refused. Else a copy of a terminal's key could keep out its owner, and the
        revocation with it. The terminal and address with the most links lose theirs first.
        """
        alike = self._alike(newest)
        if len(alike) < (RELAYED_MOST if newest.relayed else DIRECT_MOST):
            return
        sources = Counter((link.peer, link.address) for link in alike)
        oldest = max(alike, key=lambda link: sources[link.peer, link.address])
        self._sets[oldest.person][oldest.terminal].ended(oldest)
        oldest.driver.abort()

    def _alike(self, link: LiveLink) -> list[LiveLink]:
        """The direct or relayed links that count together with one of this terminal, oldest first."""
        peer, dialled = link.peer, self._directory.is_dialled
        same_way = [other for other in self.of(peer.person) if other.relayed == link.relayed]
        if dialled(peer):
            return [other for other in same_way if other.peer == peer and self.keeps(other)]
        return [other for other in same_way if not dialled(other.peer) and self.keeps(other)]

    async def _confirmed(self, link: LiveLink) -> None:
        own, peer = self._directory.identity.static.public, link.peer
        links = self._sets.setdefault(peer.person, {}).setdefault(peer.static, LinkSet(own, peer.static))
        for other in links.confirmed(link):
            if (number := await other.driver.ping()) is not None:
                self._asked.add((other.driver, number))
        await link.events.opened(link)
        if link.relayed:
            since = self._moved_at.pop(peer, None)
            direct_for = None if since is None else link.opened_at - since
            self._signal(RelayedLinkOpened(peer, direct_for))
        elif peer in self._relayed:
            self._moved_at[peer] = link.opened_at
        self._heard.add(peer)
        self._update(peer)

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        link = self._of[driver]
        if link.peer not in self._heard and not isinstance(events[0], LinkClosed):
            self._heard.add(link.peer)
            self._update(link.peer)
        messages = [event.message for event in events if isinstance(event, MessageReceived)]
        if messages:
            await link.events.received(link, messages)
        for event in events:
            if isinstance(event, PingAnswered):
                await self._answered(link, event.number)
            elif isinstance(event, MessagePassedOver):
                await link.events.passed_over(link)
            elif isinstance(event, LinkClosed):
                await self._ended(link)
                if event.reason is Ending.TWICE and not link.tells:
                    self._signal(ToldTwice(link.peer))

    async def _answered(self, link: LiveLink, number: int) -> None:
        self._proves(link, number)
        links = self._set(link.peer)
        if links is not None and (link.driver, number) in self._asked:
            self._asked.discard((link.driver, number))
            for spare in links.answered(link):
                await spare.driver.close(REPLACED)

    async def _ended(self, link: LiveLink) -> None:
        del self._of[link.driver]
        self._asked = {asked for asked in self._asked if asked[0] is not link.driver}
        self._proving = {both: left for both, left in self._proving.items() if link not in both}
        peer = link.peer
        links = self._set(peer)
        if links is not None:  # a spare link may end after the last of its set
            links.ended(link)
        await link.events.ended(link)
        last = links is not None and links.current is None and self._set(peer) is links
        if last:
            self._forget(peer)
        self._update(peer)
        if last:
            self._signal(LinkLost(peer, self._clock.monotonic() - link.opened_at))

    def _forget(self, peer: Peer) -> None:
        """Its last link has ended."""
        sets = self._sets[peer.person]
        del sets[peer.static]
        if not sets:
            del self._sets[peer.person]
        self._heard.discard(peer)

    def _update(self, peer: Peer) -> None:
        """Signal a contact that came, went, or moved to a relay or away from one, by any of its terminals."""
        (self._relayed.add if self.sends_by_relay(peer) else self._relayed.discard)(peer)
        person, before = peer.person, self._shown.pop(peer.person, AWAY)
        sending = self.sending(person)
        present = any(other.person == person for other in self._heard)
        now = present, bool(sending) and all(link.relayed for link in sending)
        if now != AWAY:
            self._shown[person] = now
        if now != before:
            self._signal(PresenceChanged(person))

    # Watching.

    def replace_old(self) -> None:
        """Signal the links that this side must replace soon. To be called every few seconds."""
        for link in self.all():
            if link is self.current(link.peer) and self._ageing(link):
                self._signal(LinkNeeded(link.peer))

    async def find_twins(self) -> None:
        """Find terminals whose keys two programs have, by two links that one program would not keep.

        To be called every few seconds. A link counts once it has answered a Ping of now: what arrived
        earlier, as while this machine slept, proves nothing.
        """
        now = self._clock.monotonic()
        self._told = {peer: at for peer, at in self._told.items() if at > now - TWICE_EVERY}
        for links in [one for sets in self._sets.values() for one in sets.values() if len(one.links) > 1]:
            standing = [link for link in links.links if link.opened_at <= now - TWICE_AFTER]
            both = next(filter(_are_twins, combinations(standing, 2)), None)
            if both is None or both[0].peer in self._told:
                continue
            pings = [(link.driver, await link.driver.ping()) for link in both]
            if all(self.keeps(link) for link in both):  # a Ping may wait for the network
                self._proving[both] = {(driver, number) for driver, number in pings if number is not None}

    def _proves(self, link: LiveLink, number: int) -> None:
        """A Ping was answered: with it both links of a terminal may have proved that their programs live."""
        for both, left in list(self._proving.items()):
            left.discard((link.driver, number))
            if left:
                continue
            del self._proving[both]
            if all(self.keeps(one) for one in both):
                self._told[link.peer] = self._clock.monotonic()
                self._signal(RunsTwice(link.peer))

    async def watch(self) -> None:
        """Look at the links that send, four times in the time after which one is suspect, while one is."""
        while True:
            if not any(self._owes(link, self._config.suspect_after) for link in self.all()):
                await self._beat.late.wait()
                self._beat.late.clear()
            await asyncio.sleep(self._config.suspect_after / 4)
            for link in self.all():
                if link is not self.current(link.peer):
                    continue
                if self._silent(link, self._config.absent_after):
                    self._heard.discard(link.peer)
                    self._update(link.peer)
                if self.needs_link(link.peer):
                    self._signal(LinkNeeded(link.peer))

    async def probe(self) -> None:
        for link in self.all():
            await link.driver.ping()

    # Ending.

    async def close_twins(self, peer: Peer) -> None:
        """Tell all programs that have links with a terminal's keys that they are several."""
        links = self._set(peer)
        standing = list(links.links) if links is not None else []
        for link in standing:
            link.tells = True
        await asyncio.gather(*(link.driver.close(TWICE) for link in standing))

    async def close(self, person: bytes, reason: int) -> None:
        await asyncio.gather(*(link.driver.close(reason) for link in self.of(person)))

    def close_unwanted(self, parts: Callable[[LiveLink], bool] = lambda _: False) -> None:
        """Cut the links with terminals that may not link any more, and those under retired pairings.

        `parts` says whether it ends a link itself, which sends nothing else from now on.
        """
        for link in self.all():
            if link.parted or self._may_live(link.peer, link.psk, began=link.began):
                continue  # what the other side is to hear of the end is on its way
            kept = self.keeps(link)
            if (links := self._set(link.peer)) is not None:
                links.ended(link)
            if not kept or not parts(link):
                link.driver.abort()

    async def close_all(self, reason: int) -> None:
        # In parallel, so that none waits for another one's peer.
        await asyncio.gather(*(link.driver.close(reason) for link in self.all()))


def _are_twins(both: tuple[LiveLink, LiveLink]) -> bool:
    """Whether it would be for the other side to end one of them: neither replaces the other (SPEC §6.5)."""
    one, other = both
    return one.replaces != other.session and other.replaces != one.session and not (one.began and other.began)
