"""The contact secret of two persons, and keys derived from it for links, discovery and relays (SPEC §7.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import force_setattr

from protocol import labels, primitives
from protocol.codec import low_high
from protocol.errors import LocalMisuse
from protocol.identity.drawing import share_name, share_of
from protocol.keys import Secret
from protocol.limits import SHARES_NAMED_MAX
from protocol.link.states import ContactPsk
from protocol.messages import SharedDrawn, ShareNames
from protocol.primitives import KEY_SIZE
from protocol.redacting import Redacted, Redacting


class Share(Redacting, frozen=True):
    """A person's share (32 bytes) in a pairing, and the operation (id) of its log whose secret gives it.

    `name`, 16 bytes, which the others give: what message 1 calls it. A thief that makes up another share
    cannot give it the same.
    """

    operation: bytes
    share: Redacted[bytes]
    name: bytes = b""

    def __post_init__(self) -> None:
        # Not when it is compared, or the time of an answer would tell who has how many shares (SPEC §6.3).
        force_setattr(self, "name", share_name(self.share, self.operation))


def pairing_id(root: bytes) -> bytes:
    """What names a pairing root: 32 bytes that do not tell the root."""
    return primitives.b2b(b"", personal=labels.PAIRING_ID, key=root)


def own_share(root: bytes, drawn: SharedDrawn) -> Share:
    """The share of this person in the pairing with this root (32 bytes) that a drawn secret gives."""
    return Share(drawn.operation, share_of(drawn.secret, pairing_id(root)))


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

    Of each person the best share comes first (SPEC §7.3, *drawn*), and the first `fresh` own ones are fresh.
    `first_own` and `first_theirs` are the operations of the shares of the Records. `retired`: all terminals
    of the contact know a better one of its shares than the first.
    """

    root: Redacted[bytes]
    own_person: bytes
    their_person: bytes
    own: tuple[Share, ...]
    theirs: tuple[Share, ...]
    first_own: bytes
    first_theirs: bytes
    fresh: int = 0
    retired: bool = False

    def announced(self) -> tuple[ContactSecret, ...]:
        """The secrets under which this person is found, the best first. LocalMisuse if one side has no share.

        Who was removed knows those of earlier own shares, and the first one of the contact.
        """
        own, theirs = _some(self.own)[: max(1, self.fresh)], _some(self._not_retired())
        return tuple(self._secret(mine, yours) for mine, yours in _by_places(own, theirs))

    def secrets(self) -> tuple[ContactSecret, ...]:
        """The secrets under which the contact may be found, the best first, at most 16."""
        own = _named(_some(self.own), self.first_own)
        theirs = _named(_some(self._not_retired()), self.first_theirs)
        return tuple(self._secret(mine, yours) for mine, yours in _by_places(own, theirs))

    def candidates(self, of_each: int = SHARES_NAMED_MAX) -> tuple[ContactPsk, ...]:
        """The psks that this person tries as initiator, the best first, at most 16.

        They are those of the best `of_each` shares of each person, the first among them if there is room.
        """
        own, theirs = (
            _named(_some(shares), first, of_each)
            for shares, first in ((self.own, self.first_own), (self.theirs, self.first_theirs))
        )
        return tuple(self._psk(mine, yours, initiates=True) for mine, yours in _by_places(own, theirs))

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

    def _not_retired(self) -> tuple[Share, ...]:
        kept = tuple(one for one in self.theirs if one.operation != self.first_theirs)
        return kept if self.retired and kept else self.theirs

    def _secret(self, own: Share, theirs: Share) -> ContactSecret:
        return contact_secret(self.root, self.own_person, own.share, self.their_person, theirs.share)

    def _psk(self, own: Share, theirs: Share, *, initiates: bool) -> ContactPsk:
        ends = (self.own_person, self.their_person) if initiates else (self.their_person, self.own_person)
        return ContactPsk(self._secret(own, theirs).link_psk(*ends), own.name, theirs.name)


_SOMEBODY = Share(bytes(KEY_SIZE), bytes(KEY_SIZE))
_NOBODY = Pair(
    *(bytes(KEY_SIZE), bytes(KEY_SIZE), bytes([1]) * KEY_SIZE, (_SOMEBODY,), (_SOMEBODY,)),
    *(_SOMEBODY.operation, _SOMEBODY.operation),
)


def answer_nobody() -> None:
    """Do the work of a `Pair.answer` that finds a psk, for a caller who gets none (SPEC §6.3)."""
    _NOBODY.answer(ShareNames([_SOMEBODY.name], [_SOMEBODY.name]))


def _named(shares: Sequence[Share], first: bytes, most: int = SHARES_NAMED_MAX) -> Sequence[Share]:
    """The best shares, and the first one of the pairing in place of the last of them if there is room."""
    best = shares[:most]
    kept = next((one for one in shares[most:] if one.operation == first), None)
    return best if kept is None or most == 1 else (*best[:-1], kept)


def _by_places(own: Sequence[Share], theirs: Sequence[Share]) -> Iterable[tuple[Share, Share]]:
    """All pairs of shares, the best first: by the sum of their places, then by that of the own one."""
    places = [(mine, yours) for mine in range(len(own)) for yours in range(len(theirs))]
    places.sort(key=lambda place: (sum(place), place))
    return ((own[mine], theirs[yours]) for mine, yours in places)


def _some(shares: tuple[Share, ...]) -> tuple[Share, ...]:
    if not shares:
        raise LocalMisuse("no share of the contact secret is held")
    return shares
