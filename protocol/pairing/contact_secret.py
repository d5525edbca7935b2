"""The contact secret of two persons, and keys derived from it for links, discovery and relays (SPEC §7.6)."""

from __future__ import annotations

from collections.abc import Iterable

from protocol import labels, primitives
from protocol.codec import low_high
from protocol.errors import LocalMisuse
from protocol.identity.drawing import share_name
from protocol.keys import Secret
from protocol.limits import SHARES_NAMED_MAX
from protocol.link.states import ContactPsk
from protocol.messages import ShareNames
from protocol.primitives import KEY_SIZE, Random
from protocol.redacting import Redacted, Redacting


class Share(Redacting, frozen=True):
    """One person's share (32 bytes), and the heads of the owner's log at that time.

    `terminal` drew and signed it; both are empty for a first share (SPEC §7.6).
    """

    share: Redacted[bytes]
    heads: tuple[bytes, ...]
    terminal: bytes = b""
    signature: bytes = b""

    @property
    def name(self) -> bytes:
        """What message 1 calls it, 16 bytes: a thief that draws another one cannot give it the same."""
        return share_name(self.share)


def new_share(heads: Iterable[bytes], random: Random) -> Share:
    """A new random share under these heads of the owner's log."""
    return Share(random(KEY_SIZE), tuple(heads))


class ContactSecret(Secret):
    """The contact secret, 32 bytes, known only to the terminals of two persons. Its keys have a direction."""

    def link_psk(self, initiator: bytes, responder: bytes) -> bytes:
        """The psk, 32 bytes, of links from terminals of `initiator`."""
        return self._derive(labels.LINK_PSK, initiator, responder)

    def discovery_key(self, announcer: bytes, viewer: bytes) -> bytes:
        """The key, 32 bytes, of the slots by which `viewer` recognizes terminals of `announcer`."""
        return self._derive(labels.DISCOVER, announcer, viewer)

    def meeting_key(self, waiter: bytes, dialler: bytes) -> bytes:
        """The key, 32 bytes, of the tokens with which terminals of `waiter` wait for those of `dialler`."""
        return self._derive(labels.RELAY_KEY, waiter, dialler)

    def _derive(self, label: bytes, first: bytes, second: bytes) -> bytes:
        return primitives.b2b(first + second, personal=label, key=self.reveal())


def contact_secret(
    root: bytes, own_person: bytes, own_share: bytes, their_person: bytes, their_share: bytes
) -> ContactSecret:
    """The secret of two persons from their pairing root and a share of each, 32 bytes each.

    Both persons compute the same secret. LocalMisuse if the person ids are equal.
    """
    shares = {own_person: own_share, their_person: their_share}
    ordered = b"".join(shares[person] for person in low_high(own_person, their_person))
    return ContactSecret(primitives.b2b(ordered, personal=labels.CONTACT, key=root))


class Pair(Redacting, frozen=True):
    """The pairing root (32 bytes) and the shares of both persons that this person holds from one pairing.

    Of each person the newest share comes first.
    """

    root: Redacted[bytes]
    own_person: bytes
    their_person: bytes
    own: tuple[Share, ...]
    theirs: tuple[Share, ...]

    def newest(self) -> ContactSecret:
        """The secret of the newest shares. LocalMisuse if one side has none."""
        return self._secret(_some(self.own)[0], _some(self.theirs)[0])

    def secrets(self) -> tuple[ContactSecret, ...]:
        """The secrets of all pairs of shares, the newest first, at most 16. LocalMisuse as `newest`."""
        return tuple(self._secret(own, theirs) for own, theirs in self._pairs())

    def is_superseded(self, psk: ContactPsk) -> bool:
        """Whether a psk of this pairing is of a share that was renewed."""
        return (psk.own, psk.theirs) != (self.own[0].name, self.theirs[0].name)

    def holds(self, own: bytes, theirs: bytes) -> bool:
        """Whether shares with these names are held."""
        return any(one.name == own for one in self.own) and any(one.name == theirs for one in self.theirs)

    def candidates(self, of_each: int = SHARES_NAMED_MAX) -> tuple[ContactPsk, ...]:
        """The psks that this person tries as initiator, newest first, at most 16.

        They are those of the newest `of_each` shares of each person.
        """
        return tuple(self._psk(mine, yours, initiates=True) for mine, yours in self._pairs(of_each))

    def _pairs(self, of_each: int = SHARES_NAMED_MAX) -> list[tuple[Share, Share]]:
        own, theirs = (_some(shares)[:of_each] for shares in (self.own, self.theirs))
        places = [(mine, yours) for mine in range(len(own)) for yours in range(len(theirs))]
        places.sort(key=lambda place: (sum(place), place))
        return [(own[mine], theirs[yours]) for mine, yours in places]

    def opened(self, psk: ContactPsk, *, initiates: bool) -> bool:
        """Whether a psk, which opened a link that this person initiated or answered, is of this pairing."""
        held = (
            self._psk(own, theirs, initiates=initiates)
            for own in self.own
            for theirs in self.theirs
            if (own.name, theirs.name) == (psk.own, psk.theirs)
        )
        return any(primitives.equal(one.psk, psk.psk) for one in held)

    def answer(self, names: ShareNames) -> ContactPsk | None:
        """The psk that this person uses as responder, or None without a common share."""
        own = next((share for share in self.own if share.name in names.theirs), None)
        theirs = next((share for share in self.theirs if share.name in names.own), None)
        if own is None or theirs is None:
            return None
        return self._psk(own, theirs, initiates=False)

    def _secret(self, own: Share, theirs: Share) -> ContactSecret:
        return contact_secret(self.root, self.own_person, own.share, self.their_person, theirs.share)

    def _psk(self, own: Share, theirs: Share, *, initiates: bool) -> ContactPsk:
        ends = (self.own_person, self.their_person) if initiates else (self.their_person, self.own_person)
        return ContactPsk(self._secret(own, theirs).link_psk(*ends), own.name, theirs.name)


_SOMEBODY = Share(bytes(KEY_SIZE), ())
_NOBODY = Pair(bytes(KEY_SIZE), bytes(KEY_SIZE), bytes([1]) * KEY_SIZE, (_SOMEBODY,), (_SOMEBODY,))


def answer_nobody() -> None:
    """Do the work of a `Pair.answer` that finds a psk, for a caller who gets none (SPEC §6.3)."""
    _NOBODY.answer(ShareNames([bytes(16)], [bytes(16)]))


def _some(shares: tuple[Share, ...]) -> tuple[Share, ...]:
    if not shares:
        raise LocalMisuse("no share of the contact secret is held")
    return shares
