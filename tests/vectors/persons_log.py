"""Persons for vectors: keys from the seed, a log of named operations, a group of tests that read one history.

An operation may follow an older state than the newest, which makes concurrent and backdated ones. Its fields
make what is wrong on purpose. The inputs of a group are the person's operations when the group is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from protocol import labels
from protocol.codec import encode
from protocol.identity.author import (
    add_operation,
    create_person,
    recover_operation,
    recovery_key,
    remove_operation,
    rename_operation,
    sign_recovery,
)
from protocol.identity.log import Operation, operation_id, parse_operation, sign_operation, terminal_id
from protocol.identity.reduction import PersonState, reduce
from protocol.primitives import ed25519_from_seed, ed25519_sign, x25519_public
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.persons import ACTIONS
from tests.vectors.files import Group, Seed, one_step

LATER = 200
"""Number of an operation of a later version."""


@dataclass(frozen=True)
class Terminal:
    """The secrets of a terminal, 32 bytes each."""

    seed: bytes
    secret: bytes

    @classmethod
    def of(cls, seed: Seed, label: str) -> Terminal:
        """The terminal of a label."""
        return cls(seed.bytes(f"{label} signing"), seed.bytes(f"{label} static"))

    @property
    def signing(self) -> bytes:
        """The public signing key, 32 bytes."""
        return ed25519_from_seed(self.seed)

    @property
    def static(self) -> bytes:
        """The public static key, 32 bytes."""
        return x25519_public(self.secret)

    @property
    def id(self) -> bytes:
        """The terminal id, 32 bytes."""
        return terminal_id(self.signing, self.static)


@dataclass
class Person:
    """A person who writes its log; `first` founded it, `recovery` is the seed of its recovery keys."""

    seed: Seed
    label: str
    name: str
    log: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        made = create_person(self.name, self.seed.random(self.label))
        self.id, self.self_key, self.recovery = made.person, made.self_key, made.recovery_seed
        self.first = Terminal(made.signing_seed, made.static_secret)
        self.log["genesis"], self.log["rename"] = made.operations

    def key(self, number: int) -> bytes:
        """The seed of the recovery key with this number."""
        return recovery_key(self.recovery, number)

    def terminal(self, label: str) -> Terminal:
        """Another terminal's keys."""
        return Terminal.of(self.seed, f"{self.label} {label}")

    def state(self, upon: Sequence[str] = ()) -> PersonState:
        """The state after these operations by name, after all by default."""
        return reduce([self.log[name] for name in upon] if upon else self.log.values())

    def id_of(self, name: str) -> bytes:
        """The id of an operation."""
        return parse_operation(self.log[name]).id

    def write(self, name: str, operation: Operation, *seeds: bytes) -> bytes:
        """Sign and keep an operation under a name; returns it signed."""
        self.log[name] = sign_operation(operation, *seeds)
        return self.log[name]

    def add(self, name: str, by: Terminal, new: Terminal, upon: Sequence[str] = ()) -> None:
        """`by` adds `new`."""
        operation = add_operation(self.state(upon), by.id, new.signing, new.static, "laptop")
        self.write(name, operation, by.seed, new.seed)

    def rename(self, name: str, by: Terminal, to: str, upon: Sequence[str] = ()) -> None:
        """`by` renames the person."""
        self.write(name, rename_operation(self.state(upon), by.id, to), by.seed)

    def remove(
        self,
        name: str,
        by: Terminal,
        removed: Terminal,
        last: bytes | None = None,
        upon: Sequence[str] = (),
    ) -> None:
        """`by` removes `removed`, whose operations count up to `last`."""
        self.write(name, remove_operation(self.state(upon), by.id, removed.id, last), by.seed)

    def later(self, name: str, by: Terminal, upon: Sequence[str] = (), fields: Sequence[Any] = ()) -> None:
        """`by` signs an operation of a later version with these further fields."""
        state = self.state(upon)
        place = self.id, by.id, state.sequences[by.id] + 1, list(state.heads)
        self.log[name] = signed_bytes(encode([LATER, *place, *fields]), by.seed)

    def recover(
        self,
        name: str,
        removed: Sequence[tuple[Terminal, bytes]] = (),
        new: Terminal | None = None,
        upon: Sequence[str] = (),
    ) -> None:
        """The present recovery key names the next."""
        keys = (new.signing, new.static) if new else (b"", b"")
        listed = [(terminal.id, last) for terminal, last in removed]
        operation = recover_operation(self.state(upon), self.recovery, listed, *keys)
        self.log[name] = sign_recovery(operation, self.recovery, *([new.seed] if new else []))

    def named(self) -> Json:
        """The log as it stands in a file: signed operations in hex by their names."""
        return {name: signed.hex() for name, signed in self.log.items()}


def signed_bytes(operation: bytes, *seeds: bytes, genesis: bool = False) -> bytes:
    """Any bytes in the place of an operation, truly signed, whatever is wrong with them."""
    identity = operation_id(operation, genesis=genesis)
    return encode([operation, [ed25519_sign(seed, labels.SIGN_OPERATION + identity) for seed in seeds]])


def with_signatures(signed: bytes, *signatures: bytes) -> bytes:
    """The operation of a signed one under other signatures."""
    operation, _ = msgspec.msgpack.decode(signed)
    return encode([operation, list(signatures)])


def signatures_of(signed: bytes) -> list[bytes]:
    """The signatures of an operation, 64 bytes each."""
    return list(parse_operation(signed).signatures)


class History:
    """A group of tests that read one person's history."""

    def __init__(self, person: Person, section: str = "7.3") -> None:
        self.person = person
        self.group = Group(section, {})

    def reads(self, comment: str, flag: str, names: Sequence[str] = (), **pins: Sequence[str]) -> None:
        """What these operations, or all, come to; `pins` by `seen` and `confirmed` name recoveries."""
        given = {kind: [self.person.id_of(name).hex() for name in pins[kind]] for kind in pins}
        self._succeeds(comment, flag, "reduce", operations=list(names or self.person.log), **given)

    def refuses(self, rule: str, expect: str, comment: str, names: Sequence[str]) -> None:
        """These operations are no log."""
        step = {"do": "reduce", "operations": list(names)}
        self.group.add(comment, ["BadLog"], expect, [step], rule=rule)

    def takes(self, comment: str, held: Sequence[str], received: Sequence[str], **given: Any) -> None:
        """What is added by what is received."""
        step = {"held": list(held), "received": list(received)} | given
        self._succeeds(comment, "Exchange", "extend", **step)

    def turns_away(
        self, rule: tuple[str, str], comment: str, flag: str, received: Sequence[str], **given: Any
    ) -> None:
        """Nothing of what is received is taken."""
        step = {"do": "extend", "held": [], "received": list(received)} | given
        self.group.add(comment, [flag], rule[1], [step], rule=rule[0])

    def _succeeds(self, comment: str, flag: str, do: str, **given: Any) -> None:
        steps = one_step(ACTIONS, {"operations": self.person.named()}, do, **given)
        self.group.add(comment, [flag], SUCCESS, steps)

    def computes(self, comment: str, flag: str, do: str, **given: Any) -> None:
        """Any other action that succeeds."""
        self._succeeds(comment, flag, do, **given)

    def done(self) -> Group:
        """The group, its operations in hex."""
        self.group.inputs = {"operations": self.person.named()}
        return self.group
