"""What an engine keeps in memory of its profile, and how it is read at the start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from chat.interface import WORDS_READ
from chat.looks import label, look
from chat.network.links import Peer
from chat.service import allowances, keyring
from chat.service.keyring import Addresses, ContactKeys, OpenInvitation
from chat.storage import alerts, bots, contacts, expiry, persons, receipts, settings, sharing
from chat.storage import keys as stored_keys
from chat.storage.alerts import AlertRow
from chat.storage.aside import CONTACT, Aside
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from chat.storage.errors import IdentityLost
from chat.storage.expiry import Moment
from chat.storage.keys import InvitationRow, OwnRow
from chat.storage.settings import RelayRow, Settings
from protocol.errors import ProtocolError
from protocol.identity.author import recovery_key
from protocol.identity.log import RecoveryKey
from protocol.identity.reduction import PersonState, reduce
from protocol.keys import X25519Pair
from protocol.messages import BotBody
from protocol.pairing.invitation import parse_invitation


class ContactBook(Struct, frozen=True):
    """The contacts' rows, the number of unread entries, who is typing, timers, bots, and terminals seen.

    `typing`: by contact and static key of its terminals, until when (monotonic). `timers`: seconds, 0 for
    none, of the conversations in which a timer was ever set. `bots`: what contacts declare. `seen`: by id of
    a terminal, when a link with it last lived (Unix milliseconds). `digits`: of each contact's id those that
    its label needs, as `contacts.digits` counts them.
    """

    rows: dict[bytes, ContactRow]
    unread: dict[bytes, int]
    typing: dict[bytes, dict[bytes, float]] = field(default_factory=dict)
    timers: dict[bytes, int] = field(default_factory=dict)
    bots: dict[bytes, BotBody] = field(default_factory=dict)
    seen: dict[bytes, int] = field(default_factory=dict)
    digits: dict[bytes, int] = field(default_factory=dict)

    def forget(self, person: bytes) -> None:
        """A contact was removed."""
        for memory in (self.rows, self.unread, self.typing, self.timers, self.bots, self.digits):
            memory.pop(person, None)

    def label(self, person: bytes, own: str) -> str:
        """What a contact is called in each client, empty if there is none. `own`: this person's name."""
        row = self.rows.get(person)
        return "" if row is None else label(row.shown, person.hex(), self.digits.get(person, 0), own)

    def namesakes(self, name: str, own: str, but: bytes = b"") -> tuple[str, ...]:
        """What the contacts, `but` for one, are called whose names look like that of somebody else."""
        seen = look(name)
        alike = (row for row in self.rows.values() if seen in (look(row.shown), look(row.name)))
        return tuple(sorted(self.label(row.person, own) for row in alike if row.person != but))

    def counts(self, person: bytes, unread: int) -> bool:
        """Keep the number of a contact's unread entries; whether it is another one than before."""
        if person not in self.rows or self.unread.get(person, 0) == unread:
            return False
        self.unread[person] = unread
        return True

    def types(self, peer: Peer, until: float) -> bool:
        """A contact's terminal says that it is typing; whether the contact was not before."""
        began = peer.person not in self.typing
        self.typing.setdefault(peer.person, {})[peer.static] = until
        return began

    def stops_typing(self, peer: Peer) -> bool:
        """It is typing no more; whether the contact has stopped with it."""
        terminals = self.typing.get(peer.person, {})
        if terminals.pop(peer.static, None) is None or terminals:
            return False
        del self.typing[peer.person]
        return True


class Profile(Struct, frozen=True):
    """The part of the database that is kept in memory.

    `own` is without the recovery seed, and `seed_key` the key of the one that is in the database, if any.
    `own_terminals`: the ids of this person's terminals, former ones included. `own_signing`, `awaited`: as
    in Keyring.
    `words`: as in Preferences. `archived`: when the backup of an archive was written (Unix milliseconds), 0
    for no archive.
    """

    own: OwnRow
    seed_key: RecoveryKey | None
    log: PersonState
    own_confirmed: frozenset[bytes]
    own_terminals: frozenset[bytes]
    own_signing: dict[bytes, bytes]
    contacts: ContactBook
    keys: dict[bytes, ContactKeys]
    proven: tuple[tuple[bytes, bytes], ...]
    remembered: dict[Peer, Addresses]
    invitations: dict[bytes, OpenInvitation]
    settings: Settings
    notes_pinned: bool
    relays: tuple[RelayRow, ...]
    alerts: tuple[AlertRow, ...]
    alerts_seen: int
    words_confirmed: bool
    reminder_seen: int | None
    clock: Moment | None
    awaited: frozenset[bytes] = frozenset()
    allowances: Mapping[str, str] = field(default_factory=dict)
    words: str = ""
    archived: int = 0


def _invitation(row: InvitationRow) -> OpenInvitation:
    return OpenInvitation(parse_invitation(row.text), row.text, X25519Pair(row.one_time), row.burned_by)


def read_profile(database: Database, aside: Aside) -> Profile:
    """What cannot be read of it is set `aside`. Raises IdentityLost where that is this person itself."""
    own = stored_keys.read_own(database)
    pins = persons.pins_of(database, own.person)
    try:
        log = reduce(persons.operations_of(database, own.person), pins)
    except ProtocolError:
        raise IdentityLost(database.path) from None
    keys = dict[bytes, ContactKeys]()
    for row in (*contacts.all(database), *contacts.pending(database)):
        known = aside.read(CONTACT + row.person.hex(), partial(keyring.contact_keys, database, row))
        if known is not None:
            keys[row.person] = known
    paired = [row for row in contacts.all(database) if row.person in keys]
    counts, conversations = receipts.unread_all(database), contacts.conversations(database)
    unread = {row.contact: counts.get(row.id, 0) for row in conversations if row.contact is not None}
    former = persons.former_terminals(database, own.person)
    return Profile(
        own=replace(own, recovery_seed=None),
        seed_key=recovery_key(own.recovery_seed) if own.recovery_seed is not None else None,
        log=log,
        own_confirmed=pins.confirmed,
        own_terminals=frozenset(former).union(terminal.id for terminal in log.terminals()),
        own_signing={
            **persons.signing_keys(database, own.person),
            **{terminal.id: terminal.signing for terminal in log.terminals()},
        },
        contacts=ContactBook(
            {row.person: row for row in paired},
            unread,
            timers=expiry.timers(database, aside),
            bots=bots.of_contacts(database, aside),
            seen=persons.seen(database),
            digits=contacts.digits(database),
        ),
        keys=keys,
        proven=tuple(persons.proven_keys(database)),
        remembered={
            peer: places
            for state in (log, *(contact.state for contact in keys.values()))
            for peer, places in keyring.remembered(database, state).items()
        },
        invitations={
            row.secret: opened
            for row in stored_keys.invitations(database)
            if (opened := aside.read(f"invitation {row.secret.hex()}", partial(_invitation, row)))
        },
        settings=settings.load(database),
        notes_pinned=settings.notes_pinned(database),
        relays=tuple(settings.all_relays(database)),
        alerts=alerts.all_of(database),
        alerts_seen=settings.alerts_seen(database),
        words_confirmed=settings.words_confirmed(database),
        reminder_seen=settings.reminder_seen(database),
        clock=expiry.read_clock(database),
        awaited=frozenset(sharing.awaited(database, aside)),
        allowances=allowances.of_files(database),
        words=settings.preferences(database).get(WORDS_READ, ""),
        archived=max(1, settings.archived_at(database)) if own.archived else 0,
    )
