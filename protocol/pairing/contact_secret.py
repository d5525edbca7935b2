"""The secret of two persons, and the keys of links, discovery and relays that come from it (SPEC §7.6).

Rules: each of the two owns one share and every share has a number; both see numbers from their own end, so
that `own` and `theirs` change places on the wire. A key names its direction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from protocol import labels, primitives
from protocol.codec import low_high
from protocol.errors import LocalMisuse
from protocol.keys import Secret
from protocol.limits import SHARE_NUMBERS_MAX
from protocol.link.states import ContactPsk
from protocol.messages import ShareNumbers
from protocol.primitives import KEY_SIZE, Random


@dataclass(frozen=True, slots=True)
class Share:
    """One person's share, 32 bytes, its number from 1, and the heads of its owner's log when it was drawn."""

    number: int
    share: bytes = field(repr=False)
    heads: tuple[bytes, ...]


def new_share(number: int, heads: Iterable[bytes], random: Random) -> Share:
    """A fresh share under these heads of its owner's log."""
    return Share(number, random(KEY_SIZE), tuple(heads))


class ContactSecret(Secret):
    """The contact secret, 32 bytes: known to all terminals of two persons and to nobody else."""

    def link_psk(self, initiator: bytes, responder: bytes) -> bytes:
        """The psk, 32 bytes, of links that a terminal of `initiator` begins."""
        return self._derive(labels.LINK_PSK, initiator, responder)

    def discovery_key(self, announcer: bytes, viewer: bytes) -> bytes:
        """The key, 32 bytes, of the slots by which `viewer` knows the terminals of `announcer`."""
        return self._derive(labels.DISCOVER, announcer, viewer)

    def meeting_key(self, waiter: bytes, dialler: bytes) -> bytes:
        """The key, 32 bytes, of the tokens on which terminals of `waiter` wait for those of `dialler`."""
        return self._derive(labels.RELAY_KEY, waiter, dialler)

    def _derive(self, label: bytes, first: bytes, second: bytes) -> bytes:
        return primitives.b2b(first + second, personal=label, key=self.reveal())


def contact_secret(
    root: bytes, own_person: bytes, own_share: bytes, their_person: bytes, their_share: bytes
) -> ContactSecret:
    """The secret of two persons from their pairing root and a share of each (32 bytes), the same for both.

    LocalMisuse for one person twice.
    """
    shares = {own_person: own_share, their_person: their_share}
    ordered = b"".join(shares[person] for person in low_high(own_person, their_person))
    return ContactSecret(primitives.b2b(ordered, personal=labels.CONTACT, key=root))


def newest_common(numbers: ShareNumbers, own: Iterable[int], theirs: Iterable[int]) -> tuple[int, int] | None:
    """The newest numbers (own, theirs) that message 1 names and this side, the responder, holds, or None.

    `numbers` is as the initiator sees it: its own are theirs here.
    """
    common_own, common_theirs = set(own) & set(numbers.theirs), set(theirs) & set(numbers.own)
    if not common_own or not common_theirs:
        return None
    return max(common_own), max(common_theirs)


@dataclass(frozen=True, slots=True)
class Pair:
    """What this person holds with one contact since one pairing: the root (32 bytes) and shares of both."""

    root: bytes = field(repr=False)
    own_person: bytes
    their_person: bytes
    own: tuple[Share, ...]
    theirs: tuple[Share, ...]

    def newest(self) -> ContactSecret:
        """The secret of the newest share of each. LocalMisuse without a share of each."""
        return self._secret(_newest_first(self.own)[0], _newest_first(self.theirs)[0])

    def candidates(self) -> tuple[ContactPsk, ...]:
        """The psks that this person, beginning a link, tries on the answer: newest first, at most 16."""
        own, theirs = (_newest_first(shares)[:SHARE_NUMBERS_MAX] for shares in (self.own, self.theirs))
        places = [(mine, yours) for mine in range(len(own)) for yours in range(len(theirs))]
        places.sort(key=lambda place: (sum(place), place))
        return tuple(self._psk(own[mine], theirs[yours], initiates=True) for mine, yours in places)

    def answer(self, numbers: ShareNumbers) -> ContactPsk | None:
        """The psk with which this person answers a link that the contact begins; None: no share in common."""
        own, theirs = ({share.number: share for share in shares} for shares in (self.own, self.theirs))
        common = newest_common(numbers, own, theirs)
        return common and self._psk(own[common[0]], theirs[common[1]], initiates=False)

    def _secret(self, own: Share, theirs: Share) -> ContactSecret:
        return contact_secret(self.root, self.own_person, own.share, self.their_person, theirs.share)

    def _psk(self, own: Share, theirs: Share, *, initiates: bool) -> ContactPsk:
        ends = (self.own_person, self.their_person) if initiates else (self.their_person, self.own_person)
        return ContactPsk(self._secret(own, theirs).link_psk(*ends), own.number, theirs.number)


def _newest_first(shares: tuple[Share, ...]) -> list[Share]:
    if not shares:
        raise LocalMisuse("no share of the contact secret is held")
    return sorted(shares, key=lambda share: -share.number)
