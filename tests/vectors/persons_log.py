"""Persons for vectors: keys from the seed, a log of named operations, a group of tests that read one history.

An operation may follow an older state than the newest, which makes concurrent and backdated ones. Its fields
make what is wrong on purpose. The inputs of a group are the person's operations when the group is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocol.codec import encode
from protocol.identity.author import (
    add_operation,
    create_person,
    recover_operation,
    remove_operation,
    rename_operation,
    sign_recovery,
)
from protocol.identity.drawing import renew_operation, self_key
from protocol.identity.log import (
    Operation,
    TerminalKeys,
    load,
    parse_operation,
    sign_operation,
    terminal_id,
)
from protocol.identity.reduction import PersonState, Reduction
from protocol.primitives import ed25519_from_seed, x25519_public
from protocol.vectors.frame import SUCCESS, Json
from protocol.vectors.persons import ACTIONS
from tests.vectors.files import Group, Seed, one_step
from tests.vectors.mldsa import recorded
from tests.vectors.persons_signed import signed_bytes

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
    """A person who writes its log, whose `first` terminal founded it.

    `recoveries` has, by genesis and recovery, the seed of the key that it names, and `drawn`, by name of the
    operation, the secret that it draws.
    """

    seed: Seed
    label: str
    name: str
    log: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        made = create_person(self.name, self.seed.random(self.label))
        self.id, self.drawn = made.person, {"genesis": bytes(made.drawn)}
        self.recoveries = {made.person: bytes(made.recovery_seed)}
        self.first = Terminal(made.signing_seed, made.static_secret)
        self.log["genesis"], self.log["rename"] = made.operations

    def next_recovery(self) -> bytes:
        """The seed that the next recovery names."""
        return self.seed.bytes(f"{self.label} recovery {len(self.recoveries)}")

    def terminal(self, label: str) -> Terminal:
        """Another terminal's keys."""
        return Terminal.of(self.seed, f"{self.label} {label}")

    def reduction(self, upon: Sequence[str] = ()) -> Reduction:
        """What is after these operations by name, after all by default."""
        return Reduction(load([self.log[name] for name in upon] if upon else self.log.values()))

    def state(self, upon: Sequence[str] = ()) -> PersonState:
        """The state after these operations by name, after all by default."""
        return self.reduction(upon).state()

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

    def renew(self, name: str, by: Terminal, upon: Sequence[str] = ()) -> None:
        """`by` draws a secret, which derives from the name."""
        random = self.seed.random(f"{self.label} {name}")
        drawn = self.drawn[name] = random(32)
        first = self_key(self.drawn["genesis"])
        self.write(name, renew_operation(self.reduction(upon), by.id, first, drawn, random), by.seed)

    def remove(
        self,
        name: str,
        by: Terminal,
        removed: Terminal,
        keep: Sequence[str] = (),
        upon: Sequence[str] = (),
    ) -> None:
        """`by` removes `removed`, of whose grants counts what these operations have in upto."""
        kept = [self.id_of(one) for one in keep]
        self.write(name, remove_operation(self.reduction(upon), by.id, removed.id, kept), by.seed)

    def later(self, name: str, by: Terminal, upon: Sequence[str] = (), fields: Sequence[Any] = ()) -> None:
        """`by` signs an operation of a later version with these further fields."""
        place = self.id, by.id, list(self.state(upon).heads)
        self.log[name] = signed_bytes(encode([LATER, *place, *fields]), by.seed)

    def recover(
        self,
        name: str,
        removed: Mapping[Terminal, Sequence[str]] | None = None,
        new: Terminal | None = None,
        upon: Sequence[str] = (),
        following: bytes | None = None,
    ) -> None:
        """The seed in force names the key of another one. `removed` has, by terminal, what is kept of it."""
        reduction = self.reduction(upon)
        keys = TerminalKeys(new.signing, new.static) if new else None
        listed = {one.id: [self.id_of(each) for each in keep] for one, keep in (removed or {}).items()}
        present = self.recoveries[reduction.state().newest]
        following = following if following is not None else self.next_recovery()
        operation = recover_operation(reduction, present, following, listed, keys)
        self.log[name] = recorded(sign_recovery(operation, present, *([new.seed] if new else [])))
        self.recoveries[self.id_of(name)] = following

    def named(self) -> Json:
        """The log as it stands in a file: signed operations in hex by their names."""
        return {name: signed.hex() for name, signed in self.log.items()}


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
