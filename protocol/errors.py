"""Every error the protocol raises, by whose fault it is (SPEC §15).

A peer's fault is one of five classes; our own is LocalMisuse and never caused by received bytes.
A peer is told the same error for all five: `error_class` is for us, vectors and tests, not for the wire.
Texts carry sizes and limits, never key bytes and never a peer's text.
"""

from __future__ import annotations

from typing import ClassVar


class ProtocolError(Exception):
    """The peer broke the protocol; abstract, raise one of its five subclasses (TypeError otherwise).

    A caller can do the same for all: drop what was received, close the link, tell the peer nothing more.
    """

    error_class: ClassVar[str] = ""

    def __init__(self, reason: str = "") -> None:
        if not self.error_class:
            raise TypeError("ProtocolError is abstract: raise one of its subclasses")
        super().__init__(reason)


class Malformed(ProtocolError):
    """Bytes that no correct sender makes: wrong length, not canonical, not a valid key."""

    error_class = "malformed"


class Unexpected(ProtocolError):
    """Well-formed, but not now: wrong state or order, replayed, reflected, skipped on a link."""

    error_class = "unexpected"


class AuthenticationFailed(ProtocolError):
    """A tag, a signature or a shared secret that is not right. Never says which."""

    error_class = "authentication"


class LimitExceeded(ProtocolError):
    """More than a constant of SPEC §16 allows; raised before the work or the memory is spent."""

    error_class = "limit"


class Untrusted(ProtocolError):
    """Authentic, but from somebody who may not do this: removed, unknown, not an admin."""

    error_class = "untrusted"


class LocalMisuse(Exception):
    """Our own code called the protocol wrongly (a wrong key size, a finished state): a bug, not a peer."""
