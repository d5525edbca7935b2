"""The own secret of a person, and keys derived from it for links among its terminals (SPEC §7.8.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from protocol import labels, primitives
from protocol.keys import Secret
from protocol.link.states import ContactPsk
from protocol.messages import ShareNumbers

FIRST_NUMBER: Final = 1
"""Number of a person's first self key. A renewed one will have the number of the one before plus one."""


class OwnSecret(Secret):
    """The own secret, 32 bytes, known to the terminals of one person. Its keys have no direction."""

    def link_psk(self) -> ContactPsk:
        """The psk of links among the person's terminals."""
        return ContactPsk(self._derive(labels.OWN_PSK), FIRST_NUMBER, FIRST_NUMBER)

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


def answer_sibling(secret: OwnSecret, numbers: ShareNumbers) -> ContactPsk | None:
    """The psk that a responder uses towards an own terminal that names these numbers, None for others."""
    common: Sequence[int] = [one for one in numbers.own if one in numbers.theirs]
    return secret.link_psk() if FIRST_NUMBER in common else None
