"""Types of secret keys, one per role, so that a key cannot be used in place of another (SPEC §4)."""

from __future__ import annotations

from typing import ClassVar, NoReturn, Self

from protocol import primitives
from protocol.errors import LocalMisuse
from protocol.primitives import Random, system_random


class Secret:
    """Secret bytes of one role; only `reveal` returns them. LocalMisuse for a wrong size.

    repr, str and format print only the type. Pickling and hashing raise TypeError. Equality takes constant
    time. Python cannot guarantee erasure, so secrets may remain in memory (SPEC §18).
    """

    __slots__ = ("_value",)
    size: ClassVar[int] = 32

    def __init__(self, value: bytes) -> None:
        if len(value) != self.size:
            raise LocalMisuse(f"{type(self).__name__} has {len(value)} bytes, not {self.size}")
        self._value = bytes(value)

    @classmethod
    def generate(cls, random: Random = system_random) -> Self:
        """A new secret of this role."""
        return cls(random(cls.size))

    def reveal(self) -> bytes:
        """The secret bytes, to pass to a primitive."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<redacted>)"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self) or not isinstance(other, Secret):
            return NotImplemented
        return primitives.equal(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a dictionary of secrets would compare them in variable time

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{type(self).__name__} cannot be pickled")


class RootKey(Secret):
    """The root key of a session (Double Ratchet §2.1)."""


class MessageKey(Secret):
    """A skipped message key, which opens a single envelope (Double Ratchet §2.4)."""


class X25519Secret(Secret):
    """An X25519 secret of a static, ephemeral or ratchet key pair."""


class X25519Pair:
    """An X25519 key pair; `public` (32 bytes) is always derived from the secret."""

    __slots__ = ("_secret", "public")

    def __init__(self, secret: bytes) -> None:
        self._secret = X25519Secret(secret)
        self.public = primitives.x25519_public(secret)

    @classmethod
    def generate(cls, random: Random = system_random) -> Self:
        """A new pair from 32 random bytes."""
        return cls(random(primitives.KEY_SIZE))

    def dh(self, public: bytes) -> bytes:
        """The shared secret, 32 bytes. Errors as primitives.x25519."""
        return primitives.x25519(self._secret.reveal(), public)

    def reveal(self) -> bytes:
        """The secret, 32 bytes, for the encrypted database only."""
        return self._secret.reveal()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(public={self.public.hex()}, secret=<redacted>)"
