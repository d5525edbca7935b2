"""Persons with several terminals, and pairs of them, for tests: every operation is truly signed.

Rules: all keys come from labels, so that every run has the same ids; an operation may be written upon an
older state than the newest, which is how concurrent and backdated ones come about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from protocol.identity.author import (
    add_operation,
    create_person,
    recover_operation,
    remove_operation,
    rename_operation,
)
from protocol.identity.log import Operation, parse_operation, sign_operation, terminal_id
from protocol.identity.reduction import PersonState, reduce
from protocol.primitives import ed25519_from_seed, x25519_public
from tests.support.protocol.points import seeded


@dataclass(frozen=True)
class Terminal:
    """A terminal's secrets."""

    seed: bytes
    secret: bytes

    @classmethod
    def named(cls, label: str) -> Terminal:
        random = seeded(f"terminal {label}")
        return cls(random(32), random(32))

    @property
    def signing(self) -> bytes:
        return ed25519_from_seed(self.seed)

    @property
    def static(self) -> bytes:
        return x25519_public(self.secret)

    @property
    def id(self) -> bytes:
        return terminal_id(self.signing, self.static)


@dataclass
class Person:
    """A person who writes its own log; `first` is the founding terminal, `recovery` the present seed."""

    name: str = "Anna"
    operations: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.new = create_person(self.name, seeded(f"person {self.name}"))
        self.operations += self.new.operations
        self.first = Terminal(self.new.signing_seed, self.new.static_secret)
        self.recovery = self.new.recovery_seed

    @property
    def id(self) -> bytes:
        return self.new.person

    @property
    def state(self) -> PersonState:
        return reduce(self.operations)

    def write(self, operation: Operation, *seeds: bytes) -> bytes:
        """Sign, append, and return the signed operation."""
        signed = sign_operation(operation, *seeds)
        self.operations.append(signed)
        return signed

    def add(self, by: Terminal, new: Terminal, upon: PersonState | None = None) -> bytes:
        operation = add_operation(upon or self.state, by.id, new.signing, new.static)
        return self.write(operation, by.seed, new.seed)

    def rename(self, by: Terminal, name: str, upon: PersonState | None = None) -> bytes:
        return self.write(rename_operation(upon or self.state, by.id, name), by.seed)

    def remove(
        self, by: Terminal, removed: Terminal, last: bytes | None = None, upon: PersonState | None = None
    ) -> bytes:
        return self.write(remove_operation(upon or self.state, by.id, removed.id, last), by.seed)

    def recover(
        self,
        removed: Sequence[tuple[Terminal, bytes]] = (),
        new: Terminal | None = None,
        upon: PersonState | None = None,
        seed: bytes = b"",
        following: str = "next recovery",
    ) -> bytes:
        """A recovery by `seed` (the present key by default), which names the key of `following` next."""
        next_seed = seeded(following)(32)
        keys = (new.signing, new.static) if new else (b"", b"")
        listed = [(terminal.id, last) for terminal, last in removed]
        operation = recover_operation(upon or self.state, ed25519_from_seed(next_seed), listed, *keys)
        signed = self.write(operation, seed or self.recovery, *([new.seed] if new else []))
        self.recovery = next_seed
        return signed


def id_of(signed: bytes) -> bytes:
    """The id of a signed operation."""
    return parse_operation(signed).id


SECOND, THIRD, FOURTH, THIEF = (Terminal.named(name) for name in ("second", "third", "fourth", "thief"))
