"""The keys of all persons in memory: what links, discovery and pairing ask, at once and without the disk.

Rules: written only by the use cases, after their commit; it never reads the database itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from chat.network.directory import DialKeys, Identity
from chat.service.visibility import Visibility
from protocol.contact_secret import Pair
from protocol.discovery import Known
from protocol.errors import Untrusted
from protocol.events import ContactPsk
from protocol.invitation import Invitation
from protocol.messages import ContactHello
from protocol.person import PersonState, Terminal
from protocol.relay_tokens import contact_token, invitation_token

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

    # What a responder asks (protocol.handshake.Policy).

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
