"""The own secret of a person, and keys derived from it for links among its terminals (SPEC §7.8.2)."""

from __future__ import annotations

from collections.abc import Sequence

from protocol import labels, primitives
from protocol.identity.drawing import share_name
from protocol.keys import Secret
from protocol.limits import SHARES_NAMED_MAX
from protocol.link.states import ContactPsk
from protocol.messages import ShareNames


class OwnSecret(Secret):
    """The own secret, 32 bytes, known to the terminals of one person. Its keys have no direction."""

    def link_psk(self, self_key: bytes) -> ContactPsk:
        """The psk of links among the person's terminals; `self_key`: of which this is the secret."""
        name = share_name(self_key)
        return ContactPsk(self._derive(labels.OWN_PSK), name, name)

    def discovery_key(self) -> bytes:
        """The key, 32 bytes, of the slot by which the person's terminals recognize each other."""
        return self._derive(labels.OWN_DISCOVER)

    def meeting_key(self) -> bytes:
        """The key, 32 bytes, of the tokens with which the person's terminals wait for each other."""
        return self._derive(labels.OWN_RELAY)

    def _derive(self, label: bytes) -> bytes:
        return primitives.b2b(b"", personal=label, key=self.reveal())


def own_secret(person: bytes, self_key: bytes) -> OwnSecret:
    """The secret of a person (id of 32 bytes) from its self key (32 bytes)."""
    return OwnSecret(primitives.b2b(person, personal=labels.OWN_SECRET, key=self_key))


def link_keys(self_keys: Sequence[bytes], first: bytes) -> Sequence[bytes]:
    """The self keys under which an own terminal is looked for: the best ones and the first, at most 4.

    `self_keys`: the best first. All terminals have the `first` one, that of the genesis, whatever a stolen
    one gave to each.
    """
    best = self_keys[:SHARES_NAMED_MAX]
    return best if first in best else (*best[: SHARES_NAMED_MAX - 1], first)


def own_psks(person: bytes, self_keys: Sequence[bytes], first: bytes) -> tuple[ContactPsk, ...]:
    """The psks that an initiator tries with an own terminal, the best first, at most 4."""
    return tuple(own_secret(person, key).link_psk(key) for key in link_keys(self_keys, first))


def answer_sibling(person: bytes, self_keys: Sequence[bytes], names: ShareNames) -> ContactPsk | None:
    """The psk that a responder uses towards an own terminal that gives these names, None for others.

    `self_keys`: the best first; the best that both lists name counts.
    """
    named = set(names.own) & set(names.theirs)
    common = next((key for key in self_keys if share_name(key) in named), None)
    return None if common is None else own_secret(person, common).link_psk(common)
