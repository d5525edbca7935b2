"""Errors of the protocol (SPEC §15): five classes for faults of a peer, and LocalMisuse for our own bugs."""

from __future__ import annotations

from typing import ClassVar


class ProtocolError(Exception):
    """The peer broke the protocol. Abstract: raise one of the five subclasses (TypeError otherwise).

    Callers treat all subclasses alike: they discard the input, close the link and send no explanation.
    `error_class` is for vectors, tests and logs and never goes on the wire. Texts contain sizes and limits,
    but no key bytes and no text of a peer.
    """

    error_class: ClassVar[str] = ""

    def __init__(self, reason: str = "") -> None:
        if not self.error_class:
            raise TypeError("ProtocolError is abstract: raise one of its subclasses")
        super().__init__(reason)


class Malformed(ProtocolError):
    """Bytes that no correct sender produces: a wrong length, not canonical, not a valid key."""

    error_class = "malformed"


class Unexpected(ProtocolError):
    """Well-formed, but wrong in this state: out of order, replayed, reflected, or skipped on a link."""

    error_class = "unexpected"


class AuthenticationFailed(ProtocolError):
    """A tag, signature or shared secret is wrong. The error never says which."""

    error_class = "authentication"


class LimitExceeded(ProtocolError):
    """A bound of SPEC §16 is exceeded. Raised before the work is done or the memory allocated."""

    error_class = "limit"


class Untrusted(ProtocolError):
    """Authentic, but the sender has no right to it: removed, unknown, or not senior enough."""

    error_class = "untrusted"


class LocalMisuse(Exception):
    """Our own code misused the protocol, for example with a wrong key size. Never caused by a peer."""
