"""What operations that two terminals exchange add to a person log (SPEC §7.3).

`extend` is the only entry point for operations received from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from contextlib import suppress
from typing import Final

from msgspec import Struct

from protocol import limits
from protocol.errors import LimitExceeded, Malformed, Untrusted
from protocol.identity import log
from protocol.identity.log import Add, Graph, LoggedOperation, Recover, Remove, bits
from protocol.identity.reduction import (
    NO_PINS,
    Cause,
    CauseKind,
    PersonState,
    Pins,
    Reduction,
    Terminal,
)
from protocol.messages import LogOperations


class Extension(Struct, frozen=True):
    """New operations to store, in causal order, those held that go, and the state that follows.

    What goes can never count again. `whole`: the bounds leave room for everything that was received.
    """

    new: tuple[bytes, ...]
    dropped: tuple[bytes, ...]
    state: PersonState
    whole: bool


def extend(
    held: Iterable[bytes],
    received: Iterable[bytes],
    pins: Pins = NO_PINS,
) -> Extension:
    """What received operations add to those held.

    Operations that change nothing, and that no kept one follows, are left out. Errors as in `load`, and
    Malformed if an ancestor is missing, LimitExceeded beyond the bounds of SPEC §7.3. Beyond them removals
    and recoveries are taken without what came with them, else recoveries alone.
    """
    known = list(held)
    ids = {log.parse_operation(signed).id for signed in known}
    # Signatures are not unique: an author could double a log that is held with others (SPEC §5.13).
    received = [signed for signed in received if log.parse_operation(signed).id not in ids]
    graph = log.load([*known, *received])
    if graph.pending:
        raise Malformed("operations whose ancestors are missing")
    whole = True
    try:
        taken = take(graph, ids, pins)
    except LimitExceeded:
        taken, whole = _take_some(graph, ids, pins), False
    state = taken.reduction.state()
    return Extension(tuple(logged.signed for logged in taken.new), taken.dropped, state, whole)


def read_whole(operations: Iterable[bytes], pins: Pins) -> PersonState:
    """The state of a log that another terminal of the same person holds.

    It has checked the bounds operation by operation: read at once, a log that grew within them can exceed
    them. Errors as in `load`, and Malformed if an ancestor is missing.
    """
    graph = log.load(operations)
    if graph.pending:
        raise Malformed("operations whose ancestors are missing")
    return Reduction(graph, pins).state()


class Taken(Struct, frozen=True):
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


def _take_some(graph: Graph, held: Set[bytes], pins: Pins) -> Taken:
    """What of a graph is kept whose bounds leave no room for all of it. LimitExceeded where none has room.

    Removals that a thief signs must not keep out the recovery that came with them.
    """
    tried = {logged.id for logged in graph.order} - held
    for kinds in ((Remove, Recover), (Recover,)):
        denying = _denying(graph, held, kinds)
        if not denying or denying == tried:
            continue
        tried = denying
        some = [logged.signed for logged in graph.order if logged.id in held or logged.id in denying]
        with suppress(LimitExceeded):
            return take(log.load(some), held, pins)
    raise LimitExceeded("a person log over its limits")


def _denying(graph: Graph, held: Set[bytes], kinds: tuple[type[Remove | Recover], ...]) -> set[bytes]:
    """The ids of the operations of these kinds that are not held, and of what they follow."""
    found = 0
    for index, logged in enumerate(graph.order):
        if isinstance(logged.operation, kinds) and logged.id not in held:
            found |= 1 << index
    return set(graph.ids(graph.closure(found))) - held


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
        if isinstance(logged.operation, Recover):
            continue
        standing = "gone" if reduction.is_gone(logged.author) else "other"
        author = "senior" if logged.author == senior else standing
        counts[author] += 1
        if logged.id in new:
            growing.add(author)
    over = any(counts[author] > _BOUNDS[author] for author in growing)
    if over or _is_full(reduction, new, known) or len(reduction.path) > limits.LOG_RECOVERIES_MAX:
        raise LimitExceeded("a person log over its limits")


def _is_full(reduction: Reduction, new: Set[bytes], known: int) -> bool:
    """Whether all that is kept leaves no room for one of the new operations.

    A removal that a thief signs keeps what it follows, so each theft leaves some for ever. Recoveries always
    have room, and removals have more than the rest.
    """
    graph, size = reduction.graph, reduction.kept.bit_count()
    if size <= limits.LOG_KEPT_MAX:
        return False
    fresh = [index for index in bits(reduction.kept & ~known) if graph.order[index].id in new]
    bounded = sum(1 << one for one in fresh if not isinstance(graph.order[one].operation, Recover))
    removals = sum(1 << one for one in fresh if isinstance(graph.order[one].operation, Remove))
    if bounded & ~graph.closure(removals):
        return True
    return bool(bounded) and size > limits.LOG_KEPT_MAX + limits.LOG_REMOVALS_ROOM


_BOUNDS: Final = {
    "senior": limits.LOG_OPERATIONS_MAX,
    "other": limits.LOG_OPERATIONS_MAX,
    "gone": limits.LOG_GONE_MAX,
}


def before_recovery(operations: Iterable[bytes], pins: Pins, removed: Iterable[bytes]) -> Reduction:
    """The log that a recovery which removes these terminals (ids) has to know. Errors as in `load`.

    It lacks what they signed and nothing else needs. Else the past of each recovery would keep for ever what
    a thief filled the log with.
    """
    reduction = Reduction(log.load(operations), pins)
    graph, state = reduction.graph, reduction.state()
    needed = 1 | reduction.on_path | reduction.removals()
    for terminal in state.terminals():
        needed |= 1 << graph.position[terminal.operation]
    for author in state.live.keys() - set(removed):
        needed |= reduction.context & reduction.kept & graph.by_author.get(author, 0)
    needed = graph.closure(needed)
    return Reduction(log.load(graph.order[index].signed for index in bits(needed)), pins)


def default_keep(
    reduction: Reduction, removed: bytes, signer: bytes, confirmed: Set[bytes]
) -> tuple[bytes, ...]:
    """What a removal by `signer` keeps of the grants of a terminal unless its person chooses otherwise.

    These are all of a terminal that removes itself. Of another one they are the last Adds that were
    `confirmed` (ids) on the signer with all its Adds before, and those that brought the signer in. What was
    confirmed on a signer whom the removed one brought in counts for nothing. More than KEEP_MAX that are
    apart from each other are only where its key was copied: then the first of them.
    """
    graph, terminals = reduction.graph, reduction.terminals()
    own = graph.by_author.get(removed, 0) & reduction.counting
    if removed == signer:
        return graph.ids(graph.tips(own))[: limits.KEEP_MAX]
    way, terminal = set[bytes](), terminals.get(signer)
    while terminal is not None:
        way.add(terminal.operation)
        if terminal.adder == removed:
            confirmed = frozenset()
        terminal = terminals.get(terminal.adder)
    kept = unconfirmed = 0
    for index in bits(own):
        if not isinstance(graph.order[index].operation, Add):
            continue
        added = graph.order[index].id
        if added not in confirmed and added not in way:
            unconfirmed |= 1 << index
        if added in way or not (graph.past[index] | 1 << index) & unconfirmed:
            kept |= 1 << index
    return graph.ids(graph.tips(kept))[: limits.KEEP_MAX]


def left_behind(state: PersonState, signer: bytes, confirmed: Set[bytes]) -> set[bytes]:
    """The terminals (ids) that are gone, and added live ones which a removal by `signer` would take away now.

    `confirmed`: as in `default_keep`. What brought the signer in stays in any case.
    """
    terminals, way = {one.id: one for one in state.terminals()}, set[bytes]()
    above = terminals.get(signer)
    while above is not None:
        way.add(above.operation)
        above = terminals.get(above.adder)
    found = set[bytes]()
    for live in state.live.values():
        one: Terminal | None = live
        while one is not None:
            if one.adder in state.gone and one.operation not in confirmed and one.operation not in way:
                found.add(one.adder)
            one = terminals.get(one.adder)
    return found


def changes(before: PersonState, after: PersonState) -> tuple[Cause, ...]:
    """Changes between two states of one person, to display.

    VOIDED is a terminal whose addition no longer counts, because its author was cut off before it.
    """
    gone = [
        Cause(CauseKind.VOIDED, terminal.operation, terminal.id, b"")
        for terminal in before.live.values()
        if terminal.id not in after.live and terminal.id not in after.removed
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


def farewell(operations: Iterable[bytes], static: bytes, pins: Pins = NO_PINS) -> tuple[bytes, ...]:
    """What tells a terminal with this static key (32 bytes) that it is gone, in causal order.

    It is the first removal of it, or of the one whose removal felled it, and what that follows, but for what
    the terminal signed or followed itself. Empty for a terminal that is not gone. Errors as in `load`.
    """
    reduction = Reduction(log.load(operations), pins)
    graph, valid, terminals = reduction.graph, reduction.context & reduction.kept, reduction.terminals()
    said = 0
    for terminal in terminals.values():
        if terminal.static != static or not reduction.is_gone(terminal.id):
            continue
        felled: Terminal | None = terminal
        removals: list[int] = []
        while felled is not None and not removals:
            removals = [index for index, _ in graph.removals.get(felled.id, ()) if valid >> index & 1]
            felled = terminals.get(felled.adder)
        if removals:
            known = graph.upto(terminal.operation) | graph.closure(graph.by_author.get(terminal.id, 0))
            removal = min(removals)
            said |= (graph.past[removal] | 1 << removal) & ~(known & ~(1 << removal))
    return tuple(graph.order[index].signed for index in bits(said))


def in_messages(operations: Sequence[bytes]) -> list[LogOperations]:
    """As many LogOperations as the operations need, in their order."""
    return [LogOperations(batch) for batch in in_batches(operations)]


def in_batches(operations: Sequence[bytes]) -> list[list[bytes]]:
    """The operations in their order, cut to what one message or one record of a backup has room for."""
    batches: list[list[bytes]] = []
    room = 0
    for signed in operations:
        if len(signed) > room or len(batches[-1]) == limits.LOG_OPERATIONS_MAX:
            batches.append([])
            room = limits.LOG_MESSAGE_BYTES
        batches[-1].append(signed)
        room -= len(signed)
    return batches


def in_view(operations: Iterable[bytes], pins: Pins = NO_PINS) -> tuple[bytes, ...]:
    """The kept operations, in causal order, without the rivals of the recoveries in force (SPEC §7.4).

    Without pins, a rival would leave none of the recoveries in force. Errors as in `load`.
    """
    reduction = Reduction(log.load(operations), pins)
    return tuple(reduction.graph.order[index].signed for index in bits(reduction.kept & reduction.view))
