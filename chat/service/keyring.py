"""The keys of all persons in memory: what links, discovery and pairing ask, at once and without the disk.

Rules: written only by the use cases, after their commit; it never reads the database itself.

Whether strangers nearby may see this terminal and begin to pair (SPEC §7.4, §13).

Rules: visible for two minutes at a time; one attempt a user action: an attempt that got as far as the
words uses it up, so that nobody can try words again and again against one visibility.

From the database to memory: who this is, and the keys of all contacts.

Rules: reading only; what a person log means is protocol.identity.reduction's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from chat.network.links import DialKeys, Identity
from chat.storage import contacts, keys, persons, receipts, settings
from chat.storage import keys as stored_keys
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from chat.storage.keys import OWN, THEIRS, OwnRow, ShareRow
from chat.storage.settings import RelayRow, Settings
from protocol.discovery import Known
from protocol.errors import Untrusted
from protocol.identity.reduction import PersonState, Terminal, reduce
from protocol.link.states import ContactPsk
from protocol.messages import ContactHello
from protocol.pairing.contact_secret import Pair, Share
from protocol.pairing.invitation import Invitation, parse_invitation
from protocol.relay.rendezvous import contact_token, invitation_token


class Visibility:
    """Visible until a time, and whether an incoming attempt would be taken."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._busy = False

    def begin(self, until: float) -> None:
        """A user action: visible until then (monotonic seconds)."""
        self._until, self._busy = until, False

    def extend(self, until: float) -> None:
        """Visible for longer, without another attempt."""
        self._until = until

    def end(self) -> None:
        self._until = None

    def expired(self, now: float) -> bool:
        """Whether visibility has run out and must be ended."""
        return self._until is not None and now >= self._until

    @property
    def visible(self) -> bool:
        return self._until is not None

    @property
    def accepts(self) -> bool:
        """Whether an incoming pairing may begin now."""
        return self.visible and not self._busy

    def take(self) -> bool:
        """An incoming pairing begins: the one attempt of this visibility."""
        if not self.accepts:
            return False
        self._busy = True
        return True


PAIRINGS_NAMED = 4
"""Pairings with one contact that message 1 of a link may name (SPEC §6.3)."""


@dataclass(slots=True)
class ContactKeys:
    """A contact's log and what is shared with it. `pending`: its Accept has not been seen yet."""

    operations: tuple[bytes, ...]
    state: PersonState
    pairs: tuple[Pair, ...]
    pending: bool
    blocked: bool

    def terminal(self) -> Terminal | None:
        """The most senior live terminal."""
        live = sorted(self.state.live.values(), key=lambda terminal: (terminal.depth, terminal.id))
        return live[0] if live else None

    def candidates(self) -> tuple[ContactPsk, ...]:
        """The psks of the pairings with this contact, newest first, as many as message 1 may name.

        Pairings that only this side completed gather at the new end: the oldest are named too.
        """
        return tuple(psk for pair in self.named() for psk in pair.candidates())[:PAIRINGS_NAMED]

    def named(self) -> tuple[Pair, ...]:
        """The pairings that are named at all."""
        return self.pairs if len(self.pairs) <= PAIRINGS_NAMED else (*self.pairs[:2], *self.pairs[-2:])


@dataclass(slots=True)
class OpenInvitation:
    """An invitation that can still be used, or finished by the static key that burned it."""

    invitation: Invitation
    text: str = field(repr=False)
    burned_by: bytes | None

    @property
    def expires(self) -> int:
        """Seconds of Unix time."""
        return self.invitation.expires


class Keyring:
    """network.directory.Directory, from memory."""

    def __init__(
        self, identity: Identity, own: PersonState, visibility: Visibility, now: Callable[[], int]
    ) -> None:
        self.identity = identity
        self.own = own
        self.contacts: dict[bytes, ContactKeys] = {}
        self.invitations: dict[bytes, OpenInvitation] = {}
        self.found: dict[bytes, tuple[tuple[str, int], ...]] = {}
        self.remembered: dict[bytes, tuple[tuple[str, int], ...]] = {}
        self._visibility = visibility
        self._now = now

    def log(self, person: bytes) -> PersonState:
        """A contact's log. Raises Untrusted where it is none, or none any more."""
        contact = self.contacts.get(person)
        if contact is None:
            raise Untrusted("no contact any more")
        return contact.state

    # What a responder asks (protocol.link.handshake.Policy).

    def pairing_open(self) -> bool:
        return self._visibility.accepts

    def invitation_psks(self) -> Sequence[tuple[bytes, bytes]]:
        return [
            (secret, opened.invitation.psk())
            for secret, opened in self.invitations.items()
            if not opened.invitation.expired(self._now() // 1000)
        ]

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk] | None:
        contact = self.contacts.get(hello.person)
        if contact is None or contact.blocked or not self._is_live(contact, static):
            return None
        answers = (pair.answer(hello.numbers) for pair in contact.pairs)
        psk = next((answer for answer in answers if answer is not None), None)
        return None if psk is None else (hello.person, psk)

    @staticmethod
    def _is_live(contact: ContactKeys, static: bytes) -> bool:
        return any(terminal.static == static for terminal in contact.state.live.values())

    # What the dialler asks.

    def dial_keys(self, person: bytes) -> DialKeys | None:
        contact = self.contacts.get(person)
        terminal = contact.terminal() if contact is not None else None
        if contact is None or contact.blocked or terminal is None:
            return None
        return DialKeys(terminal.static, contact.candidates())

    def may_link(self, person: bytes, static: bytes) -> bool:
        contact = self.contacts.get(person)
        return contact is not None and not contact.blocked and self._is_live(contact, static)

    def hints(self, person: bytes) -> Sequence[tuple[str, int]]:
        merged = dict.fromkeys((*self.found.get(person, ()), *self.remembered.get(person, ())))
        return list(merged)[:16]

    def known_addresses(self) -> Iterable[str]:
        hints = (*self.found.values(), *self.remembered.values())
        return {host.partition("%")[0] for places in hints for host, _ in places}

    # Relays.

    def waiting_tokens(self, relay: bytes, day: int) -> Sequence[bytes]:
        own, static = self.identity.person, self.identity.static.public
        keys = [
            pair.newest().meeting_key(own, person)
            for person in self.linkable()
            for pair in self.contacts[person].named()
        ]
        joiners = [
            invitation_token(opened.invitation, day, relay)
            for opened in self.invitations.values()
            if not opened.invitation.expired(self._now() // 1000)
        ]
        return [*joiners, *(contact_token(key, day, relay, static) for key in keys)]

    def dial_tokens(self, person: bytes, relay: bytes, day: int) -> Sequence[bytes]:
        contact, keys = self.contacts.get(person), self.dial_keys(person)
        if contact is None or keys is None:
            return []
        meeting = [pair.newest().meeting_key(person, self.identity.person) for pair in contact.named()]
        return [contact_token(key, day, relay, keys.terminal) for key in meeting]

    # Discovery and pairing.

    def linkable(self) -> list[bytes]:
        """Everybody who is sought, in a fixed order."""
        return sorted(person for person, contact in self.contacts.items() if not contact.blocked)

    def viewers(self, spoken_to: Sequence[bytes] = ()) -> list[bytes]:
        """The discovery keys under which this terminal announces itself, one a contact.

        Those of `spoken_to` come first, in its order: not all may get a slot (SPEC §13).
        """
        own = self.identity.person
        place = {person: number for number, person in enumerate(spoken_to)}
        persons = sorted(self.linkable(), key=lambda person: place.get(person, len(place)))
        keyed = ((person, self.contacts[person].pairs[0]) for person in persons)
        return [pair.newest().discovery_key(own, person) for person, pair in keyed]

    def announcers(self) -> list[Known]:
        """Under which keys contacts announce themselves to this person."""
        return [
            Known(
                person,
                terminal.id,
                terminal.static,
                pair.newest().discovery_key(person, self.identity.person),
            )
            for person in self.linkable()
            for terminal in self.contacts[person].state.live.values()
            for pair in self.contacts[person].pairs
        ]

    def held(self, person: bytes) -> tuple[bytes, ...]:
        """The operations held of a person's log; none of a stranger's."""
        contact = self.contacts.get(person)
        return contact.operations if contact is not None else ()

    def foreign(self, key: bytes, person: bytes) -> bool:
        """Whether a public key stands in the log of somebody other than `person`."""
        logs = (self.own, *(contact.state for contact in self.contacts.values()))
        return any(key in log.keys for log in logs if log.person != person)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is read at the start."""

    own: OwnRow
    state: PersonState
    contacts: dict[bytes, ContactRow]
    keys: dict[bytes, ContactKeys]
    remembered: dict[bytes, tuple[tuple[str, int], ...]]
    invitations: dict[bytes, OpenInvitation]
    unread: dict[bytes, int]
    settings: Settings
    relays: tuple[RelayRow, ...]


def profile(database: Database, now_seconds: int) -> Profile:
    """Everything that an engine keeps in memory."""
    row = stored_keys.read_own(database)
    keys = all_keys(database, row.person)
    return Profile(
        own=row,
        state=reduce(persons.operations_of(database, row.person)),
        contacts={row.person: row for row in contacts.all(database)},
        keys=keys,
        remembered=all_remembered(database, keys),
        invitations=open_invitations(database, now_seconds),
        unread=_unread(database),
        settings=settings.load(database),
        relays=tuple(settings.all_relays(database)),
    )


def _unread(database: Database) -> dict[bytes, int]:
    """Unread entries by contact."""
    counts = receipts.unread_all(database)
    rows = contacts.conversations(database)
    return {row.contact: counts.get(row.id, 0) for row in rows if row.contact is not None}


def all_keys(database: Database, person: bytes) -> dict[bytes, ContactKeys]:
    """The keys of all contacts, pending ones too."""
    rows = [*contacts.all(database), *contacts.pending(database)]
    return {row.person: contact_keys(database, person, row) for row in rows}


def contact_keys(database: Database, own_person: bytes, row: ContactRow) -> ContactKeys:
    """One contact's log state and shares."""
    operations = tuple(persons.operations_of(database, row.person))
    return ContactKeys(
        operations=operations,
        state=reduce(operations),
        pairs=_pairs(own_person, row.person, keys.shares_of(database, row.person)),
        pending=row.state == contacts.PENDING,
        blocked=row.blocked,
    )


def _pairs(own: bytes, person: bytes, rows: Sequence[ShareRow]) -> tuple[Pair, ...]:
    """What each pairing with the contact gave, newest first."""
    roots = list(dict.fromkeys(row.root for row in rows))
    return tuple(
        Pair(root, own, person, _shares(rows, root, OWN), _shares(rows, root, THEIRS)) for root in roots
    )


def _shares(rows: Sequence[ShareRow], root: bytes, owner: str) -> tuple[Share, ...]:
    return tuple(
        Share(row.number, row.share, tuple(row.heads))
        for row in rows
        if row.root == root and row.owner == owner
    )


def remembered(database: Database, terminals: Sequence[bytes]) -> tuple[tuple[str, int], ...]:
    """Where a contact's terminals were reached, the latest first."""
    rows = [row for terminal in terminals for row in persons.addresses_of(database, terminal)]
    rows.sort(key=lambda row: -row.last_success)
    return tuple((row.host, row.port) for row in rows)


def all_remembered(
    database: Database, keys: dict[bytes, ContactKeys]
) -> dict[bytes, tuple[tuple[str, int], ...]]:
    """`remembered` for every contact."""
    return {person: remembered(database, list(contact.state.live)) for person, contact in keys.items()}


def open_invitations(database: Database, now_seconds: int) -> dict[bytes, OpenInvitation]:
    """Invitations that can still be used, by their secret."""
    return {
        row.secret: OpenInvitation(parse_invitation(row.text), row.text, row.burned_by)
        for row in keys.usable_invitations(database, now_seconds)
    }
