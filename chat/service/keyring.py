"""The keys of all persons in memory, and whether strangers may pair (SPEC §7.4, §13).

Only use cases write here, after their commit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chat.errors import Phrase, Unconfirmed, phrase
from chat.network.links import Identity, LiveLink, Peer
from chat.storage import contacts, keys, persons
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from chat.storage.keys import OwnRow, PairingRow
from protocol.discovery import Known
from protocol.entries_and_receipts import conversation_in, conversation_of_two, parse_entry
from protocol.errors import Unexpected, Untrusted
from protocol.identity.drawing import self_key
from protocol.identity.log import RecoveryKey
from protocol.identity.reduction import NO_PINS, PersonState, Pins, Terminal, reduce
from protocol.identity.reduction import Standing as Freshness
from protocol.identity.safety import open_questions
from protocol.keys import X25519Pair
from protocol.limits import PSK_CANDIDATES_MAX, SHARES_NAMED_MAX
from protocol.link.states import ContactPsk, InvitationKeys
from protocol.messages import ContactHello, Entry, Message, SharedDrawn
from protocol.notes import notes_of
from protocol.own_terminals import Standing, doubted, standing
from protocol.pairing.contact_secret import Pair, Share, answer_nobody, own_share
from protocol.pairing.invitation import Invitation
from protocol.pairing.own_secret import OwnSecret, answer_sibling, link_keys, own_psks, own_secret
from protocol.primitives import equal
from protocol.relay.rendezvous import contact_token, invitation_token


class Visibility:
    """Whether strangers see this terminal, and may begin a pairing.

    One incoming attempt per user action: nobody may guess words again and again during one visibility.
    """

    def __init__(self) -> None:
        self._until: float | None = None
        self._busy = False

    def begin(self, until: float) -> None:
        """A user action makes it visible until then (monotonic seconds)."""
        self._until, self._busy = until, False

    def extend(self, until: float) -> None:
        """Stay visible until then, without another attempt."""
        self._until = until

    def end(self) -> None:
        self._until = None

    @property
    def until(self) -> float | None:
        """When visibility must be ended (monotonic seconds), None while there is none."""
        return self._until

    def expired(self, now: float) -> bool:
        """Whether visibility must be ended now."""
        return self._until is not None and now >= self._until

    @property
    def visible(self) -> bool:
        return self._until is not None

    @property
    def accepts(self) -> bool:
        return self.visible and not self._busy

    def take(self) -> bool:
        """Use up the one attempt of this visibility; whether there was one."""
        if not self.accepts:
            return False
        self._busy = True
        return True


Address = tuple[str, int]
Addresses = tuple[Address, ...]

PAIRINGS_NAMED = 4
"""Pairings with one contact that message 1 of a link may name (SPEC §6.3)."""

TERMINALS_DIALLED = 16
"""Terminals per contact that are dialled and looked for in announcements, the most senior ones. A contact, or
who stole one of its terminals, can add more, which are its most junior ones and have to dial themselves."""


class ContactKeys(Struct):
    """A contact's log and the pairings with it, newest first. `pending`: its Accept has not arrived yet.

    `pins`: the recoveries in its log that were seen first or confirmed.
    """

    operations: tuple[bytes, ...]
    state: PersonState
    pairings: tuple[PairingRow, ...]
    pending: bool
    blocked: bool
    pins: Pins = NO_PINS

    def hold(self, pairings: tuple[PairingRow, ...]) -> None:
        """These pairings are stored now."""
        self.pairings = pairings

    def dialled(self) -> list[Terminal]:
        """The live terminals that are dialled, the most senior first."""
        return list(self.state.live.values())[:TERMINALS_DIALLED]


@dataclass(slots=True)
class OpenInvitation:
    """An invitation that can be used, or finished with the static key that burned it. `static` answers it."""

    invitation: Invitation
    text: str = field(repr=False)
    static: X25519Pair
    burned_by: bytes | None


class Keyring:
    """network.links.Directory from memory. `found` and `remembered`: addresses of contacts' terminals.

    `own` and `own_log`: this person's keys and log. `self_keys`: of this person, the best first, with which
    its entries are tagged, and `newest_keys` the newest, or none where it is not held or somebody knows it
    who was removed. `own_confirmed`: the
    ids of its operations that this terminal made or this person confirmed. `own_terminals`: the ids of this
    person's terminals, former ones included: what they wrote is never shown as a contact's words.
    `own_signing`: their Ed25519 keys, by id. `is_removed`: this terminal knows that it was removed, and sends
    and receives nothing any more. `seed_key`: the key of the recovery seed that is in the database. `now`:
    Unix time in milliseconds. `proven`: the persons who have proven to hold a static key, by that key.
    `shared`: those keys that several persons have proven. `adding`: whether a new terminal of this person may
    begin to be linked. `awaited`: persons whom another own terminal has as contacts, and of whom no log is
    held here.
    """

    def __init__(
        self,
        own: OwnRow,
        own_log: PersonState,
        visibility: Visibility,
        now: Callable[[], int],
        contacts: dict[bytes, ContactKeys] | None = None,
        invitations: dict[bytes, OpenInvitation] | None = None,
        remembered: dict[Peer, Addresses] | None = None,
        proven: Iterable[tuple[bytes, bytes]] = (),
        own_confirmed: frozenset[bytes] = frozenset(),
        own_terminals: Iterable[bytes] = (),
        *,
        own_signing: Mapping[bytes, bytes] | None = None,
        seed_key: RecoveryKey | None = None,
        adding: Visibility | None = None,
        awaited: Iterable[bytes] = (),
    ) -> None:
        self.awaited = set(awaited)
        self._seed_key = seed_key
        self.own_terminals = {own.terminal, *own_terminals}
        self.contacts = contacts or {}
        self.invitations = invitations or {}
        self.own = own
        self.identity = Identity(own.person, X25519Pair(own.static_secret))
        self.own_signing = dict(own_signing or {})
        self.own_log, self.own_confirmed = own_log, own_confirmed
        self._pairs: dict[bytes, tuple[tuple[object, ...], tuple[Pair, ...]]] = {}
        self._order_drawn()
        self.is_removed = own.terminal in own_log.gone
        self.found: dict[Peer, Addresses] = {}
        self.remembered = remembered or {}
        self.proven: dict[bytes, set[bytes]] = {}
        self.shared: set[bytes] = set()
        for person, static in proven:
            self.prove(person, static)
        self._visibility, self._adding = visibility, adding or Visibility()
        self._now = now
        # All contacts, and each by its conversation, when one was looked for last.
        self._talking, self._talks = set[bytes](), dict[bytes, bytes]()

    def log(self, person: bytes) -> PersonState:
        """The own log or a contact's. Raises Untrusted for a person who is not a contact."""
        if person == self.own.person:
            return self.own_log
        contact = self.contacts.get(person)
        if contact is None:
            raise Untrusted("no contact any more")
        return contact.state

    # What a responder asks (protocol.link.handshake.Policy).

    def pairing_open(self) -> bool:
        return self._visibility.accepts and self.own_problem() is None

    def linking_open(self) -> bool:
        return self._adding.accepts and self.own_problem() is None

    def own_problem(self, terminal: bytes = b"") -> Phrase | None:
        """Why this terminal, or the one with this id, shows no safety number and sends no Record now."""
        return own_problem(self.own_log, terminal or self.own.terminal, self.own_confirmed)

    def open_invitations(self) -> Sequence[InvitationKeys]:
        if self.own_problem() is not None:
            return []
        return [
            InvitationKeys(secret, opened.invitation.psk(), opened.static)
            for secret, opened in self.invitations.items()
            if not opened.invitation.expired(self._now() // 1000)
        ]

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk] | None:
        if hello.person == self.own.person:
            answers_own = self._stands(Peer(hello.person, static)) is not Standing.STRANGER
            psk = answer_sibling(hello.person, self.self_keys, hello.names) if answers_own else None
            if psk is not None:
                return hello.person, psk
        elif self._stands(Peer(hello.person, static)) is not Standing.STRANGER:
            answers = (pair.answer(hello.names) for pair in self.pairs(hello.person))
            psk = next((answer for answer in answers if answer is not None), None)
            if psk is not None:
                return hello.person, psk
        # The same work for all, so that the time of the answer does not tell contacts from strangers.
        answer_nobody()
        return None

    # Own terminals (SPEC §7.8).

    def siblings(self) -> list[Terminal]:
        """The other live terminals of this person that are dialled, the most senior first.

        One of a recovery that the own person has not confirmed could be a thief's, and is none of them.
        """
        if self.is_removed:
            return []
        left_out = doubted(self.own_log, self.own_confirmed)
        own, live = self.identity.static.public, self.own_log.live.values()
        return [one for one in live if one.static != own and one.id not in left_out][:TERMINALS_DIALLED]

    def _stands(self, peer: Peer) -> Standing:
        """Which link a caller with a secret of this person, or one with a contact, has."""
        own, contact = self.identity.static.public, self.contacts.get(peer.person)
        if self.is_removed:
            return Standing.STRANGER
        if peer.person == self.own.person:
            return standing(self.own_log, self.own_confirmed, own, peer.static)
        if contact is None or contact.blocked:
            return Standing.STRANGER
        # What a contact does with its recoveries is asked of this person, and holds back what is sent.
        return standing(contact.state, frozenset(contact.state.path), own, peer.static)

    def is_provisional(self, peer: Peer) -> bool:
        """Whether a caller with a secret of its person may pass on operations of its log, and nothing else.

        No log held here names it yet, or the recovery of this person that brought it is not confirmed.
        """
        return self._stands(peer) is Standing.PROVISIONAL

    def _own_secret(self) -> OwnSecret:
        """The best one, by which alone this terminal is found."""
        return own_secret(self.own.person, self.self_keys[0])

    def _own_secrets(self) -> list[OwnSecret]:
        """Those by which other own terminals may be found, the best first."""
        named = link_keys(self.self_keys, self.own.first_self_key)
        return [own_secret(self.own.person, key) for key in named]

    def was_removed(self, peer: Peer) -> bool:
        """Whether a terminal, of which nothing is held here that blocks it, was removed from its person."""
        return self._stands(peer) is Standing.REMOVED

    def hold(self, drawn: Iterable[SharedDrawn]) -> None:
        """Secrets that operations of the own log draw were stored. `follow_own_log` comes next."""
        held = {one.operation: one for one in (*self.own.drawn, *drawn)}
        self.own = replace(self.own, drawn=tuple(held.values()))

    def _order_drawn(self) -> None:
        held = {one.operation: one for one in self.own.drawn}
        self._drawn = tuple(held[one] for one in best_first(held, self.own_log))
        self.self_keys = tuple(self_key(one.secret) for one in self._drawn)
        fresh = self.own_log.fresh
        self.newest_keys = (self_key(held[fresh].secret),) if fresh in held else ()

    # Pairings (SPEC §7.6).

    def pairs(self, person: bytes) -> tuple[Pair, ...]:
        """What is held of each pairing with a contact, the newest first; none for a stranger."""
        contact = self.contacts.get(person)
        if contact is None:
            self._pairs.pop(person, None)
            return ()
        of = contact.pairings, contact.state, self.own_log, self._drawn
        known = self._pairs.get(person)
        if known is None or any(one is not other for one, other in zip(known[0], of, strict=True)):
            pairs = tuple(self._pair(contact.state, row) for row in contact.pairings)
            self._pairs[person] = known = of, pairs
        return known[1]

    def _pair(self, state: PersonState, row: PairingRow) -> Pair:
        own, held = self.own_log, {one.operation: Share(one.operation, one.share) for one in row.theirs}
        return Pair(
            row.root,
            own.person,
            state.person,
            tuple(own_share(row.root, one) for one in self._drawn),
            tuple(held[one] for one in best_first(held, state)),
            row.first,
            row.theirs[0].operation,
            sum(own.drawn.get(one.operation) is Freshness.FRESH for one in self._drawn),
            row.retired,
        )

    def named(self, person: bytes) -> tuple[Pair, ...]:
        """The pairings with a contact that message 1 of a link names, the newest first."""
        # Pairings that only this side completed gather at the new end, so the oldest are named too.
        pairs = self.pairs(person)
        return pairs if len(pairs) <= PAIRINGS_NAMED else (*pairs[:2], *pairs[-2:])

    def _candidates(self, person: bytes) -> tuple[ContactPsk, ...]:
        """The psks of the pairings with a contact, newest first, as many as message 1 may name."""
        named = self.named(person)
        # Message 1 names all of them, and has room for so many shares of each person.
        of_each = SHARES_NAMED_MAX // max(1, len(named))
        return tuple(psk for pair in named for psk in pair.candidates(of_each))[:PSK_CANDIDATES_MAX]

    # What the dialer asks.

    def dialled(self) -> list[Peer]:
        """The terminals to keep links with, in a fixed order: own ones first."""
        peers = [Peer(self.own.person, terminal.static) for terminal in self.siblings()]
        peers += [
            Peer(person, terminal.static)
            for person in self.linkable()
            for terminal in self.contacts[person].dialled()
        ]
        return [peer for peer in peers if self.may_link(peer)]

    def is_dialled(self, peer: Peer) -> bool:
        if peer.person == self.own.person:
            return any(one.static == peer.static for one in self.siblings())
        contact = self.contacts.get(peer.person)
        return contact is not None and any(one.static == peer.static for one in contact.dialled())

    def dial_psks(self, peer: Peer) -> Sequence[ContactPsk]:
        if not self.may_link(peer):
            return ()
        if peer.person == self.own.person:
            return own_psks(self.own.person, self.self_keys, self.own.first_self_key)
        return self._candidates(peer.person)

    def may_link(self, peer: Peer) -> bool:
        if peer.person == self.own.person:
            return self._stands(peer) is Standing.LIVE
        contact = self.contacts.get(peer.person)
        return contact is not None and bool(contact.pairings) and self._stands(peer) is Standing.LIVE

    def holds(self, person: bytes, psk: ContactPsk | None, *, initiates: bool) -> bool:
        if person == self.own.person and psk is not None:
            return any(
                equal(psk.psk, one.psk)
                for one in (own_secret(person, key).link_psk(key) for key in self.self_keys)
                if one.own == psk.own
            )
        return psk is not None and any(pair.opened(psk, initiates=initiates) for pair in self.pairs(person))

    def at(self, link: LiveLink) -> bytes:
        """The terminal at the other end of a link, b"" if it was removed meanwhile."""
        if link.person == self.own.person:
            return terminal_of(self.own_log, link)
        return terminal_at(self.contacts.get(link.person), link)

    def other_live(self) -> set[bytes]:
        """The live terminals of this person but this one."""
        return self.own_log.live.keys() - {self.own.terminal}

    def hints(self, peer: Peer) -> Sequence[tuple[str, int]]:
        found, worked = self.found.get(peer, ()), self.remembered.get(peer, ())
        return list(dict.fromkeys((*worked[:1], *found, *worked)))

    def known_at(self, host: str) -> Sequence[Peer]:
        return [
            peer
            for peer in {**self.found, **self.remembered}
            if any(
                place.partition("%")[0] == host
                for place, _ in (*self.found.get(peer, ()), *self.remembered.get(peer, ()))
            )
        ]

    def forget_addresses(self, person: bytes) -> None:
        """The person is no contact any more."""
        for memory in (self.found, self.remembered):
            for peer in [peer for peer in memory if peer.person == person]:
                del memory[peer]

    # Relays.

    def waiting_tokens(self, relay: bytes, day: int) -> Sequence[bytes]:
        own, static = self.identity.person, self.identity.static.public
        if self.is_removed:
            return []
        keys = [
            secret.meeting_key(own, person)
            for person in self.linkable()
            for pair in self.named(person)
            for secret in pair.announced()
        ]
        if self.siblings():
            keys.append(self._own_secret().meeting_key())
        joiners = [
            invitation_token(opened.invitation, day, relay)
            for opened in self.invitations.values()
            if not opened.invitation.expired(self._now() // 1000)
        ]
        return [*joiners, *(contact_token(key, day, relay, static) for key in keys)]

    def dial_tokens(self, peer: Peer, relay: bytes, day: int) -> Sequence[bytes]:
        if not self.may_link(peer):
            return []
        if peer.person == self.own.person:
            own_keys = [secret.meeting_key() for secret in self._own_secrets()]
            return [contact_token(key, day, relay, peer.static) for key in own_keys]
        pairs, own = self.named(peer.person), self.identity.person
        secrets = [secret for pair in pairs for secret in pair.secrets()]
        meeting = [secret.meeting_key(peer.person, own) for secret in secrets]
        return [contact_token(key, day, relay, peer.static) for key in meeting]

    # Discovery and pairing.

    def linkable(self) -> list[bytes]:
        """All contacts with a pairing who are not blocked, in a fixed order. One of a backup has none yet."""
        return sorted(
            person for person, contact in self.contacts.items() if contact.pairings and not contact.blocked
        )

    def viewers(self, spoken_to: Sequence[bytes] = ()) -> list[bytes]:
        """The discovery keys for announcements: the own terminals', the best per contact, then all others.

        Those of `spoken_to` come first, in its order: there may be fewer slots than contacts (SPEC §13). The
        other side may not have the newest pairing or share, and would find this terminal no more.
        """
        own = self.identity.person
        if self.is_removed:
            return []
        place = {person: number for number, person in enumerate(spoken_to)}
        persons = sorted(self.linkable(), key=lambda person: place.get(person, len(place)))
        found = [
            [secret.discovery_key(own, person) for pair in self.named(person) for secret in pair.announced()]
            for person in persons
        ]
        # Always: an own terminal of which this one does not know yet has to find it.
        keys = [self._own_secret().discovery_key(), *(of[0] for of in found)]
        return [*keys, *(key for of in found for key in of[1:])]

    def announcers(self) -> list[Known]:
        """The keys with which terminals that are dialled announce themselves to this person."""
        own = self.identity.person
        siblings = self.siblings()
        keys = [secret.discovery_key() for secret in self._own_secrets()] if siblings else []
        return [Known(own, one.id, one.static, key) for key in keys for one in siblings] + [
            Known(person, terminal.id, terminal.static, key)
            for person in self.linkable()
            for key in self._announced_under(person)
            for terminal in self.contacts[person].dialled()
        ]

    def _announced_under(self, person: bytes) -> list[bytes]:
        secrets = [secret for pair in self.pairs(person) for secret in pair.secrets()]
        return [secret.discovery_key(person, self.identity.person) for secret in secrets]

    def partner(self, passed_on: Sequence[Message]) -> bytes:
        """The person of the conversation of entries that an own terminal passes on, as `talks_with`.

        Raises ProtocolError for what is no entry.
        """
        first = passed_on[0]
        if not isinstance(first, Entry):
            raise Unexpected("not an entry")
        # Each entry is parsed where it is stored, so that a history that moves is parsed once.
        return self.talks_with(conversation_in(first)) or self.talks_with(
            parse_entry(first).header.conversation
        )

    def talks_with(self, conversation: bytes) -> bytes:
        """The contact of a conversation, this person of its notes, b"" for one of others."""
        if conversation == notes_of(self.own.person):
            return self.own.person
        # One message of an own terminal can name 256 conversations.
        if self._talks.get(conversation) not in self.contacts and self._talking != self.contacts.keys():
            self._talking = set(self.contacts)
            self._talks = {conversation_of_two(self.own.person, one): one for one in self._talking}
        return self._talks.get(conversation, b"")

    def await_logs(self, persons: Set[bytes]) -> None:
        """No log is held here of these persons, who are contacts of another own terminal."""
        self.awaited = set(persons)

    def follow_own_log(self, state: PersonState, confirmed: frozenset[bytes]) -> None:
        """Operations were added to this person's own log or confirmed; `confirmed` are now the ids of those
        that were made here or confirmed, and no others."""
        self.own_log, self.own_confirmed = state, confirmed
        self._order_drawn()
        self.is_removed = self.own.terminal in state.gone
        self.own_terminals.update(terminal.id for terminal in state.terminals())
        self.own_signing.update((one.id, one.signing) for one in state.terminals())

    def take_keys(self, own: OwnRow) -> None:
        """This terminal has other keys now, and no invitation any more."""
        self.own = own
        self.own_terminals.add(own.terminal)
        self.identity = Identity(own.person, X25519Pair(own.static_secret))
        self.invitations.clear()

    def forget_seed(self) -> None:
        """The recovery seed was erased from the database."""
        self._seed_key = None

    @property
    def keeps_seed(self) -> bool:
        """Whether the database has a recovery seed that no recovery of this person has replaced."""
        log = self.own_log
        replaced = self._seed_key != log.recovery and log.newest in self.own_confirmed
        return self._seed_key is not None and not replaced

    def held(self, person: bytes) -> tuple[bytes, ...]:
        """The operations of a contact's log, none for a stranger."""
        contact = self.contacts.get(person)
        return contact.operations if contact is not None else ()

    def prove(self, person: bytes, static: bytes) -> None:
        """A contact has proven to hold a static key."""
        self.proven.setdefault(static, set()).add(person)
        if len(self.proven[static]) > 1:
            self.shared.add(static)

    def forget_proofs(self, person: bytes) -> None:
        for holders in self.proven.values():
            holders.discard(person)
        self.shared = {static for static in self.shared if len(self.proven[static]) > 1}

    def holders_of_same_key(self, person: bytes) -> list[bytes]:
        """The other contacts who have proven a key that a live terminal of this one has proven, too."""
        contact = self.contacts.get(person)
        live = {terminal.static for terminal in contact.state.live.values()} if contact is not None else set()
        proven = (self.proven[static] for static in self.shared & live)
        return sorted({one for holders in proven if person in holders for one in holders} - {person})

    def pins(self, person: bytes) -> Pins:
        """The pinned recoveries of a contact's log, none for a stranger."""
        contact = self.contacts.get(person)
        return contact.pins if contact is not None else NO_PINS


NOT_LIVE: Final = phrase(
    "This device no longer belongs to your identity. It compares no safety number and does not pair. Use"
    " another device of yours. If you have none, recover with 'parlour recovery use', then pair with your"
    " contacts again."
)
REMOVED: Final = phrase(
    "This device was removed from your identity: it sends and receives nothing any more, and keeps what is on"
    " it. If you did not remove it, recover with 'parlour recovery use'. To use it again, link it in a new"
    " folder: 'parlour --profile FOLDER terminal link'."
)
ASKS: Final = phrase(
    "Your identity has changed, and not by this device. Say first whether that was you: see 'parlour verify"
    " --own'. If it was not you, recover with 'parlour recovery use'."
)


def own_problem(log: PersonState, terminal: bytes, confirmed: Set[bytes]) -> Phrase | None:
    """Why a terminal of this person shows no safety number and sends no Record (SPEC §7.7)."""
    if terminal in log.gone:
        return REMOVED
    if open_questions(log, confirmed):
        return ASKS
    return None if terminal in log.live else NOT_LIVE


def own_operations(database: Database, own: OwnRow) -> tuple[tuple[bytes, ...], Pins]:
    """The operations and pins of the own log, for a Record. Raises Unconfirmed."""
    operations, pins = persons.operations_of(database, own.person), persons.pins_of(database, own.person)
    problem = own_problem(reduce(operations, pins), own.terminal, pins.confirmed)
    if problem is not None:
        raise Unconfirmed(problem)
    return tuple(operations), pins


def contact_keys(database: Database, row: ContactRow) -> ContactKeys:
    operations = tuple(persons.operations_of(database, row.person))
    pins = persons.pins_of(database, row.person)
    return ContactKeys(
        operations=operations,
        state=reduce(operations, pins),
        pairings=keys.pairings_of(database, row.person),
        pending=row.state == contacts.PENDING,
        blocked=row.blocked,
        pins=pins,
    )


def best_first(operations: Collection[bytes], state: PersonState) -> list[bytes]:
    """Operations that draw shares, those that are used first before others. Those that the log names no more
    come last."""
    best = [one for one in state.drawn if one in operations]
    return [*best, *sorted(set(operations) - set(best))]


def remembered(database: Database, state: PersonState) -> dict[Peer, Addresses]:
    """The addresses at which a person's terminals were reached, latest first."""
    return {
        Peer(state.person, terminal.static): tuple(
            (row.host, row.port) for row in persons.addresses_of(database, terminal.id)
        )
        for terminal in state.live.values()
    }


def terminal_at(contact: ContactKeys | None, link: LiveLink) -> bytes:
    """The id of the live terminal at the other end; b"" if it or the contact was removed meanwhile."""
    return b"" if contact is None else terminal_of(contact.state, link)


def terminal_of(state: PersonState, link: LiveLink) -> bytes:
    """The id of the live terminal of a person at the other end of a link; b"" if it is removed meanwhile."""
    for terminal in state.live.values():
        if terminal.static == link.terminal:
            return terminal.id
    return b""
