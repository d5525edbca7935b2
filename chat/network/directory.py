"""Who may link with this terminal, and the keys for it: what the network asks of the engine.

Rules: an interface only; everything here is answered from memory, at once.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from protocol.events import ContactPsk
from protocol.handshake import Policy
from protocol.keys import X25519Pair


@dataclass(frozen=True, slots=True)
class DialKeys:
    """What is needed to link with a contact: its terminal's static key, and psks newest first."""

    terminal: bytes
    candidates: tuple[ContactPsk, ...]


@dataclass(slots=True)
class Identity:
    """This terminal on links. `static_dh` keeps the constant DH of each contact."""

    person: bytes
    static: X25519Pair
    static_dh: MutableMapping[bytes, bytes] = field(default_factory=dict, repr=False)


class Directory(Policy, Protocol):
    """The persons that this terminal links with. `Policy` is what a responder asks."""

    identity: Identity

    def dial_keys(self, person: bytes) -> DialKeys | None:
        """The keys to dial a contact with, None where it is unknown or blocked."""

    def may_link(self, person: bytes, static: bytes) -> bool:
        """Whether a terminal's link is wanted (still): a contact may be blocked, a terminal removed."""

    def known_addresses(self) -> Iterable[str]:
        """Hosts where contacts are or were: they keep a share of the handshakes."""

    def hints(self, person: bytes) -> Sequence[tuple[str, int]]:
        """Where the contact may be, most likely first."""

    def waiting_tokens(self, relay: bytes, day: int) -> Sequence[bytes]:
        """On what this terminal waits that day at the relay with this key: for contacts and for joiners."""

    def dial_tokens(self, person: bytes, relay: bytes, day: int) -> Sequence[bytes]:
        """On what the contact's terminal waits there that day, most likely first."""
