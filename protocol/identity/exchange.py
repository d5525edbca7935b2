"""What operations that two terminals exchange add to a person log (SPEC §7.3).

`extend` is the only entry point for operations received from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Final

from protocol import limits
from protocol.errors import LimitExceeded, Malformed, Untrusted
from protocol.identity import log
from protocol.identity.log import Graph, LoggedOperation, bits
from protocol.identity.reduction import NO_PINS, Cause, CauseKind, PersonState, Pins, Reduction
from protocol.messages import LogOperations

Foreign = Callable[[bytes, bytes], bool]
"""foreign(key, person): whether this public key is in the receiver's own log, and `person` is another one."""


@dataclass(frozen=True, slots=True)
class Extension:
    """New operations to store, in causal order, those held that go, and the state that follows.

    What goes can never count again.
    """

    new: tuple[bytes, ...]
    dropped: tuple[bytes, ...]
    state: PersonState


def extend(
    held: Iterable[bytes],
    received: Iterable[bytes],
    foreign: Foreign = lambda _key, _person: False,
    pins: Pins = NO_PINS,
) -> Extension:
    """What received operations add to those held.

    Operations that change nothing, and that no kept one follows, are left out. Errors as in `load`, and
    Malformed if an ancestor is missing, Untrusted for one of the receiver's own keys, LimitExceeded beyond
    the bounds of SPEC §7.3.
    """
    known = list(held)
    graph = log.load([*known, *received])
    if graph.pending:
        raise Malformed("operations whose ancestors are missing")
    taken = take(graph, {log.parse_operation(signed).id for signed in known}, pins)
    state = taken.reduction.state()
    if any(foreign(key, state.person) for logged in taken.new for key in logged.keys):
        raise Untrusted("a key of this person")
    return Extension(tuple(logged.signed for logged in taken.new), taken.dropped, state)


@dataclass(frozen=True, slots=True)
class Taken:
    """The reduction of a graph, what of it is to be stored, and which of those held go."""

    reduction: Reduction
    new: tuple[LoggedOperation, ...]
    dropped: tuple[bytes, ...]


def take(graph: Graph, held: Set[bytes], pins: Pins = NO_PINS) -> Taken:
    """What of a graph is kept; `held` are ids of it. LimitExceeded as in `extend`."""
    reduction = Reduction(graph, pins)
    kept = (graph.order[index] for index in bits(reduction.kept))
    new = tuple(logged for logged in kept if logged.id not in held)
    _check_bounds(reduction, {logged.id for logged in new})
    return Taken(reduction, new, tuple(one for one in _lost(reduction) if one in held))


def _lost(reduction: Reduction) -> tuple[bytes, ...]:
    """The ids of the operations that can never count again."""
    graph = reduction.graph
    # A recovery that is confirmed later can bring back what is not in view.
    return graph.ids(reduction.view & ~graph.closure(reduction.kept | graph.all & ~reduction.view))


def settle(held: Iterable[bytes], pins: Pins = NO_PINS) -> tuple[PersonState, tuple[bytes, ...]]:
    """The state of operations that are held, and the ids of those that go. Errors as in `load`.

    They can never count again, or lack an ancestor: it went while a Record that follows it was checked.
    """
    reduction = Reduction(log.load(held), pins)
    return reduction.state(), (*_lost(reduction), *sorted(reduction.graph.pending))


def _check_bounds(reduction: Reduction, new: Set[bytes]) -> None:
    """LimitExceeded if a class of authors with a new operation is over its bound (SPEC §7.3).

    The classes are the most senior terminal, the others, and those that are gone. What the recovery in force
    knows is not counted. So the holder of a terminal cannot fill the log and keep out its own removal, or the
    recovery.
    """
    graph = reduction.graph
    known = graph.past[reduction.path[-1]] if reduction.path else 0
    senior = reduction.senior()
    counts = dict.fromkeys(_BOUNDS, 0)
    growing = set()
    for index in bits(reduction.kept & ~known & ~1):
        logged = graph.order[index]
        if not logged.author:
            continue
        standing = "gone" if reduction.is_gone(logged.author) else "other"
        author = "senior" if logged.author == senior else standing
        counts[author] += 1
        if logged.id in new:
            growing.add(author)
    over = any(counts[author] > _BOUNDS[author] for author in growing)
    if over or len(reduction.path) > limits.LOG_RECOVERIES_MAX:
        raise LimitExceeded("a person log over its limits")


_BOUNDS: Final = {
    "senior": limits.LOG_OPERATIONS_MAX,
    "other": limits.LOG_OPERATIONS_MAX,
    "gone": limits.LOG_GONE_MAX,
}


def changes(before: PersonState, after: PersonState) -> tuple[Cause, ...]:
    """Changes between two states of one person, to display.

    VOIDED is a terminal whose addition no longer counts, because its author was cut off before it.
    """
    gone = [
        Cause(CauseKind.VOIDED, terminal.operation, terminal.id, b"")
        for terminal in before.terminals()
        if terminal.id not in after.live
        and terminal.id not in after.frozen
        and terminal.id not in after.removed
    ]
    return (*(cause for cause in after.causes if cause not in before.causes), *gone)


def owner_named(person: bytes, own: bytes, peer: bytes) -> bytes:
    """The person whose log LogHeads is about. Untrusted unless it is one of the link's two (V-LH-01)."""
    if person not in (own, peer):
        raise Untrusted("the log of a third person")
    return person


def missing(operations: Iterable[bytes], heads: Sequence[bytes], pins: Pins = NO_PINS) -> tuple[bytes, ...]:
    """The operations, in causal order, that a peer with these heads lacks. Errors as in `load`."""
    reduction = Reduction(log.load(operations), pins)
    graph = reduction.graph
    theirs = 0
    for head in heads:
        theirs |= graph.upto(head)
    return tuple(graph.order[index].signed for index in bits(reduction.kept & ~theirs))


def in_messages(operations: Sequence[bytes]) -> list[LogOperations]:
    """As many LogOperations as the operations need, each but the last with LOG_OPERATIONS_MAX of them."""
    starts = range(0, len(operations), limits.LOG_OPERATIONS_MAX)
    return [LogOperations(list(operations[start : start + limits.LOG_OPERATIONS_MAX])) for start in starts]


def in_view(operations: Iterable[bytes], pins: Pins = NO_PINS) -> tuple[bytes, ...]:
    """The kept operations, in causal order, without the rivals of the recoveries in force (SPEC §7.4).

    Without pins, a rival would leave none of the recoveries in force. Errors as in `load`.
    """
    reduction = Reduction(log.load(operations), pins)
    return tuple(reduction.graph.order[index].signed for index in bits(reduction.kept & reduction.view))


def share_is_stale(operations: Iterable[bytes], heads: Sequence[bytes], pins: Pins = NO_PINS) -> bool:
    """Whether a valid removal is not an ancestor of `heads`, under which a share was drawn (SPEC §7.6)."""
    reduction = Reduction(log.load(operations), pins)
    seen = 0
    for head in heads:
        seen |= reduction.graph.upto(head)
    removals = (index for indices in reduction.graph.removals.values() for index, _ in indices)
    valid = reduction.context & reduction.kept
    return any(valid >> index & 1 and not seen >> index & 1 for index in removals)
