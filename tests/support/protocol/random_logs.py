"""Person logs that grow at random or by every choice, without signatures, and the same logs for the model.

PARLOUR_MODEL_SETS and PARLOUR_MODEL_FREE set the number of random sets and of concurrent operations, and
PARLOUR_MODEL_SEED which sets are drawn, so that several ranges can run at one time.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any, Final

from protocol.codec import encode
from protocol.identity.exchange import take
from protocol.identity.log import (
    Add,
    Genesis,
    Graph,
    LoggedOperation,
    Operation,
    Recover,
    RecoveryKey,
    Removal,
    Remove,
    Rename,
    Renew,
    TerminalKeys,
    Unknown,
    operation_id,
)
from protocol.identity.reduction import NO_PINS, PersonState, Pins, Reduction
from protocol.primitives import b2b
from tests.vectors.persons_log import LATER

Log = dict[bytes, LoggedOperation]
SETS: Final = int(os.environ.get("PARLOUR_MODEL_SETS", "0"))
"""Random sets, 0 for what a test draws by default."""

SEED: Final = int(os.environ.get("PARLOUR_MODEL_SEED", "20"))
FREE: Final = int(os.environ.get("PARLOUR_MODEL_FREE", "2"))


@cache
def terminal(number: int) -> TerminalKeys:
    """Keys of a terminal. They are only names here, since nothing is signed."""
    return TerminalKeys(_name(f"signing {number}"), _name(f"static {number}"))


@cache
def _name(text: str) -> bytes:
    return b2b(text.encode(), personal=b"tests.log")


def _recovery(number: str) -> RecoveryKey:
    return RecoveryKey(_name(f"recovery {number}"), bytes(32))


@dataclass
class Growing:
    """A log whose every operation `load` would take."""

    log: Log = field(default_factory=dict)
    past: dict[bytes, frozenset[bytes]] = field(default_factory=dict)
    terminals: int = 0

    def __post_init__(self) -> None:
        """A founder A (0), who added T (1), which added B (2)."""
        first = terminal(0)
        self.terminals = 1
        genesis = Genesis(bytes(32), _recovery("0"), bytes(32), first.signing, first.static)
        self.person = self._write(genesis, b"")
        self.add(first.id, self.tips())
        self.add(terminal(1).id, self.tips())
        self.base = len(self.log)

    def _write(self, operation: Operation, person: bytes) -> bytes:
        return self._keep(operation, encode(operation), person)

    def _keep(self, operation: Operation | Unknown, encoded: bytes, person: bytes) -> bytes:
        identity = operation_id(encoded, genesis=not person)
        logged = LoggedOperation(identity, person or identity, operation, (), encoded)
        self.log[identity] = logged
        self.past[identity] = self.before(logged.parents)
        return identity

    def before(self, parents: Sequence[bytes]) -> frozenset[bytes]:
        """These operations and their ancestors."""
        return frozenset(parents).union(*(self.past[parent] for parent in parents))

    def tips(self) -> list[bytes]:
        """The operations that no other one follows."""
        return self.highest(self.log)

    def highest(self, chosen: Sequence[bytes] | Log) -> list[bytes]:
        """Those that are not ancestors of others."""
        return sorted(one for one in chosen if not any(one in self.past[other] for other in chosen))

    def write(
        self, author: bytes, kind: Callable[..., Operation], parents: Sequence[bytes], **fields: Any
    ) -> bytes:
        """An operation of the author upon these parents."""
        return self._write(kind(self.person, author, list(parents), **fields), self.person)

    def later(self, author: bytes, parents: Sequence[bytes], number: int) -> bytes:
        """An operation of a later version."""
        operation = Unknown(LATER, self.person, author, tuple(parents))
        encoded = encode([LATER, *(getattr(operation, name) for name in Add.__struct_fields__[:3]), number])
        return self._keep(operation, encoded, self.person)

    def renew(self, author: bytes, parents: Sequence[bytes], number: int) -> bytes:
        """The author draws keys."""
        return self.write(author, Renew, parents, drawn=_name(f"{number}"), once=bytes(32), sealed=[])

    def add(self, author: bytes, parents: Sequence[bytes], new: TerminalKeys | None = None) -> bytes:
        """The author adds a new terminal, or this one."""
        if new is None:
            new = terminal(self.terminals)
            self.terminals += 1
        return self.write(author, Add, parents, signing=new.signing, static=new.static, name="device")

    def recover(
        self, parents: Sequence[bytes], removed: Mapping[bytes, Sequence[bytes]], new: bool, key: str = ""
    ) -> bytes:
        """A recovery that follows one of those of the past that no other one of these follows."""
        past = self.before(parents)
        known = [one for one in past if isinstance(self.log[one].operation, Genesis | Recover)]
        previous = max(known, key=lambda one: (len(self.past[one]), one))
        keys = (b"", b"")
        if new:
            keys = terminal(self.terminals).signing, terminal(self.terminals).static
            self.terminals += 1
        removals = [Removal(one, sorted(keep)) for one, keep in sorted(removed.items())]
        # One of an even depth names the key before it again, as where the words did not leak.
        following = _recovery(f"{len(self.past[previous]) // 2}{key}")
        operation = Recover(self.person, previous, bytes(1952), list(parents), following, removals, *keys)
        return self._write(operation, self.person)

    def known(self, past: frozenset[bytes]) -> list[bytes]:
        """The terminals that these operations introduce."""
        keys = (self.log[one].introduces for one in past)
        return sorted({one.id for one in keys if one is not None})

    def by(self, author: bytes, past: frozenset[bytes]) -> list[bytes]:
        """The author's operations among these."""
        return sorted(one for one in past if self.log[one].author == author)


def random_logs(count: int) -> Iterator[tuple[Growing, Pins, list[bytes]]]:
    """So many logs, pins of one recovery or none, and an order of arrival. Each test draws the same ones."""
    random = Random(SEED)
    for number in range(SETS or count):
        growing, pins = _grow_at_random(random, random.randint(1, 12), recoveries=number % 2 == 0)
        order = list(growing.log)
        random.shuffle(order)
        yield growing, pins, order


def every_order(growing: Growing) -> Iterator[list[bytes]]:
    """The base, and the others in each order of arrival."""
    ids = list(growing.log)
    for order in itertools.permutations(ids[growing.base :]):
        yield [*ids[: growing.base], *order]


def _grow_at_random(random: Random, steps: int, recoveries: bool) -> tuple[Growing, Pins]:
    """A log with this many operations upon the base."""
    growing = Growing()
    for number in range(steps):
        _step(growing, random, recoveries, number)
    pins = [one for one, logged in growing.log.items() if isinstance(logged.operation, Recover)]
    if not pins or random.random() < 0.3:
        return growing, Pins()
    pinned = frozenset([random.choice(pins)])
    return growing, Pins(seen=pinned) if random.random() < 0.5 else Pins(confirmed=pinned)


def _step(growing: Growing, random: Random, recoveries: bool, number: int) -> None:
    parents = growing.tips()[:16]
    if random.random() < 0.6:
        parents = random.sample(sorted(growing.log), min(len(growing.log), random.choice((1, 1, 2, 3))))
        parents = growing.highest(parents)
    past = growing.before(parents)
    terminals = growing.known(past)
    kinds = ["add", "add", "remove", "remove", "remove", "rename", "renew", "renew", "later"]
    kind, author = random.choice([*kinds, *(["recover"] * 2 * recoveries)]), random.choice(terminals)

    def keep(target: bytes) -> list[bytes]:
        own = growing.by(target, past)
        return sorted(random.sample(own, min(len(own), random.choice((0, 1, 1, 2)))))

    if kind == "add":
        elsewhere = sorted(set(growing.known(frozenset(growing.log))) - set(terminals))
        new = None
        if elsewhere and random.random() < 0.2:
            claimed = random.choice(elsewhere)
            new = next(one for n in range(growing.terminals) if (one := terminal(n)).id == claimed)
        growing.add(author, parents, new)
    elif kind == "remove":
        target = random.choice(terminals)
        growing.write(author, Remove, parents, terminal=target, keep=keep(target))
    elif kind == "rename":
        growing.write(author, Rename, parents, name=f"name {number}")
    elif kind == "renew":
        growing.renew(author, parents, number)
    elif kind == "later":
        growing.later(author, parents, number)
    else:
        targets = random.sample(terminals, random.randint(0, min(3, len(terminals))))
        key = random.choice(("", "", " of a thief"))
        growing.recover(parents, {one: keep(one) for one in targets}, random.random() < 0.8, key)


def every_log(free: int) -> Iterator[Growing]:
    """Every log with up to this many operations upon the base, each after any that are there."""
    yield from _every(Growing(), free)


def _every(growing: Growing, free: int) -> Iterator[Growing]:
    ids = list(growing.log)
    for count in (1, 2, 3):
        for parents in itertools.combinations(ids, count):
            if len(growing.highest(parents)) < count:
                continue
            for act in _ACTS:
                before = len(growing.log), growing.terminals
                if not act(growing, sorted(parents)) or len(growing.log) == before[0]:
                    continue
                yield growing
                if free > 1:
                    yield from _every(growing, free - 1)
                for one in list(growing.log)[before[0] :]:
                    del growing.log[one], growing.past[one]
                growing.terminals = before[1]


Act = Callable[[Growing, Sequence[bytes]], bool]


def _acts() -> Iterator[Act]:
    """What A, T, B, the newest of the others and the recovery key do, as in the model's own check."""
    senior, thief, other = (terminal(number).id for number in range(3))

    def knows(growing: Growing, parents: Sequence[bytes], *terminals: bytes) -> bool:
        return {*terminals} <= set(growing.known(growing.before(parents)))

    def removal(author: bytes, target: bytes, keeps: bool) -> Act:
        def act(growing: Growing, parents: Sequence[bytes]) -> bool:
            keep = [list(growing.log)[2]] if keeps else []
            known = knows(growing, parents, author, target) and growing.before(parents).issuperset(keep)
            return known and bool(growing.write(author, Remove, parents, terminal=target, keep=keep))

        return act

    def adding(author: bytes) -> Act:
        return lambda growing, parents: knows(growing, parents, author) and bool(growing.add(author, parents))

    def renewing(author: bytes) -> Act:
        return lambda growing, parents: (
            knows(growing, parents, author) and bool(growing.renew(author, parents, 0))
        )

    def renaming(growing: Growing, parents: Sequence[bytes]) -> bool:
        return knows(growing, parents, other) and bool(growing.write(other, Rename, parents, name="Anne"))

    def recovering(keeps: bool) -> Act:
        def act(growing: Growing, parents: Sequence[bytes]) -> bool:
            keep = [list(growing.log)[2]] if keeps else []
            known = knows(growing, parents, thief) and growing.before(parents).issuperset(keep)
            return known and bool(growing.recover(parents, {thief: keep}, new=True))

        return act

    def newest(act: Callable[[bytes], Act]) -> Act:
        def by_newest(growing: Growing, parents: Sequence[bytes]) -> bool:
            new = [keys.id for one in list(growing.log)[3:] if (keys := growing.log[one].introduces)]
            return bool(new) and act(new[-1])(growing, parents)

        return by_newest

    yield from (removal(senior, thief, keeps) for keeps in (False, True))
    pairs = [(senior, other), (thief, senior), (thief, other), (other, thief)]
    yield from (removal(*pair, False) for pair in pairs)
    yield removal(thief, thief, True)
    yield from (adding(author) for author in (senior, thief, other))
    yield from (renewing(author) for author in (senior, thief, other))
    yield renaming
    yield from (recovering(keeps) for keeps in (False, True))
    yield newest(adding)
    yield from (newest(lambda author, one=one: removal(author, one, False)) for one in (senior, other))  # type: ignore[misc]


_ACTS = tuple(_acts())


# --- What they come to ---


def at_once(log: Log, pins: Pins = NO_PINS) -> PersonState:
    """The state of a whole log."""
    return Reduction(Graph(log), pins).state()


def one_by_one(growing: Growing, order: Sequence[bytes], pins: Pins = NO_PINS) -> PersonState:
    """The state where operations arrive in this order, each with its ancestors.

    Where recoveries compete, or several operations introduce one terminal, they arrive twice: what was
    in force for a while may have cut what counts in the end, and a next exchange brings that back.
    """
    held: Log = {}
    recoveries = [one.operation for one in growing.log.values() if isinstance(one.operation, Recover)]
    terminals = [keys for one in growing.log.values() if (keys := one.introduces) is not None]
    followed = {one.previous for one in recoveries}
    compete = len(followed) < len(recoveries) or len(set(terminals)) < len(terminals)
    for identity in [*order, *order] if compete else order:
        arrived = {one: growing.log[one] for one in (*growing.past[identity], identity)}
        taken = take(Graph(held | arrived), held.keys(), pins)
        held |= {logged.id: logged for logged in taken.new}
        for dropped in taken.dropped:
            del held[dropped]
    return at_once(held, pins)


def for_the_model(growing: Growing, operation: type) -> list[Any]:
    """The log as the model reads it; `operation` is its type of operations."""
    return [_for_the_model(growing.log, logged, operation) for logged in growing.log.values()]


def _for_the_model(log: Log, logged: LoggedOperation, made: type) -> Any:
    operation, introduced = logged.operation, logged.introduces
    recovery = logged.recovery
    common: dict[str, Any] = {
        "id": logged.id.hex(),
        # The model knows a rename, and an operation of a later version is one without a name.
        "kind": "rename" if isinstance(operation, Unknown) else type(operation).__name__.lower(),
        "author": logged.author.hex() or None,
        "parents": tuple(parent.hex() for parent in logged.parents),
        "new": introduced.id.hex() if introduced else None,
        "key": recovery.ed25519.hex() if recovery is not None else None,
    }
    match operation:
        case Remove():
            common |= {"target": operation.terminal.hex(), "keep": _hex(operation.keep)}
        case Rename():
            common |= {"target": operation.name}
        case Recover():
            signer = log[operation.previous].recovery
            assert signer is not None
            removed = tuple((one.terminal.hex(), _hex(one.keep)) for one in operation.removed)
            common |= {"author": signer.ed25519.hex(), "removed": removed}
            common |= {"prev": operation.previous.hex()}
    return made(**common)


def _hex(ids: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(one.hex() for one in ids)
