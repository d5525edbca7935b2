"""A person log as a graph of verified operations (SPEC §7.2).

Rules: whether an operation is valid depends on its ancestors alone, so nothing that comes later changes it;
whether it counts is decided in person.py. Sets of operations are integers, one bit an operation, in the one
order that every reader of a log arrives at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from protocol import limits
from protocol.errors import LimitExceeded, Malformed, Untrusted
from protocol.person_log import (
    Genesis,
    LoggedOperation,
    Recover,
    TerminalKeys,
    parse_operation,
    verify_signatures,
)


def bits(mask: int) -> Iterator[int]:
    """Positions of the bits set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Graph:
    """The operations whose ancestors are all there, by depth, then id; past[i] are those before the i-th."""

    def __init__(self, operations: Mapping[bytes, LoggedOperation]) -> None:
        self.order: list[LoggedOperation] = []
        self.depth: list[int] = []
        self.past: list[int] = []
        self.position: dict[bytes, int] = {}
        self._place(operations)
        self.pending = frozenset(operations) - frozenset(self.position)
        self.all = (1 << len(self.order)) - 1
        self.by_author: dict[bytes, int] = {}
        self.removals: dict[bytes, list[tuple[int, bytes]]] = {}
        for index, logged in enumerate(self.order):
            if logged.sequence:
                self.by_author[logged.author] = self.by_author.get(logged.author, 0) | 1 << index
            for removal in logged.removals:
                self.removals.setdefault(removal.terminal, []).append((index, removal.last))

    def _place(self, operations: Mapping[bytes, LoggedOperation]) -> None:
        """Level by level: an operation stands one deeper than its deepest parent."""
        children: dict[bytes, list[bytes]] = {}
        waiting = {identity: len(logged.parents) for identity, logged in operations.items()}
        for identity, logged in operations.items():
            for parent in logged.parents:
                children.setdefault(parent, []).append(identity)
        level = [identity for identity, count in waiting.items() if count == 0]
        depth = 0
        while level:
            following: list[bytes] = []
            for identity in sorted(level):
                self._append(operations[identity], depth)
                for child in children.get(identity, ()):
                    waiting[child] -= 1
                    if waiting[child] == 0:
                        following.append(child)
            level, depth = following, depth + 1

    def _append(self, logged: LoggedOperation, depth: int) -> None:
        past = 0
        for parent in logged.parents:
            past |= self.upto(parent)
        self.position[logged.id] = len(self.order)
        self.order.append(logged)
        self.depth.append(depth)
        self.past.append(past)

    def upto(self, identity: bytes) -> int:
        """An operation and all before it; nothing for the empty or an unknown id."""
        index = self.position.get(identity)
        return 0 if index is None else self.past[index] | 1 << index

    def closure(self, mask: int) -> int:
        """A set and all before it."""
        for index in bits(mask):
            mask |= self.past[index]
        return mask

    def tips(self, mask: int) -> int:
        """Those of a set that no other of it stands upon."""
        for index in bits(mask):
            mask &= ~self.past[index]
        return mask

    def ids(self, mask: int) -> tuple[bytes, ...]:
        """Ids of a set, ascending."""
        return tuple(sorted(self.order[index].id for index in bits(mask)))

    def newest_recovery(self, mask: int) -> Recover | None:
        """The recovery of a set with the highest sequence; of several, the one with the lowest id."""
        found = [self.order[index] for index in bits(mask & self.by_author.get(b"", 0))]
        newest = min(found, key=lambda logged: (-logged.sequence, logged.id), default=None)
        return newest.operation if newest and isinstance(newest.operation, Recover) else None

    def recovery_key(self, mask: int) -> bytes:
        """The recovery key (Ed25519 public) that holds after a set."""
        newest = self.newest_recovery(mask)
        return newest.recovery if newest else self.order[0].recovery or b""


def load(operations: Iterable[bytes]) -> Graph:
    """The graph of one person's signed operations, each one verified.

    Errors: LimitExceeded (more than LOG_HELD_MAX), Malformed, AuthenticationFailed, Untrusted (an author
    who is no terminal of this person).
    """
    distinct = set(operations)
    if len(distinct) > limits.LOG_HELD_MAX:
        raise LimitExceeded(f"{len(distinct)} operations where {limits.LOG_HELD_MAX} are allowed")
    # One operation may come with several signatures that are right, so all are verified and any is kept.
    parsed = [parse_operation(signed) for signed in sorted(distinct)]
    people = {logged.person for logged in parsed}
    if len(people) != 1 or not people <= {logged.id for logged in parsed}:
        raise Malformed("not the log of one person with its genesis")
    graph = Graph({logged.id: logged for logged in parsed})
    for logged in parsed:
        if logged.id in graph.position:
            _verify(graph, logged)
    return graph


# --- Validity: by the ancestors alone ---


def _verify(graph: Graph, logged: LoggedOperation) -> None:
    """Raise unless `logged` is a valid operation upon its ancestors."""
    past = graph.past[graph.position[logged.id]]
    known = terminals_in(graph, past)
    _verify_signatures(graph, logged, past, known)
    if logged.sequence != (0 if past == 0 else 1 + sequence_in(graph, past, logged.author)):
        raise Malformed("not the author's next operation")
    used = {key for index in bits(past) for key in graph.order[index].keys}
    if not used.isdisjoint(logged.keys):
        raise Malformed("a key that this person has used before")
    for removal in logged.removals:
        if removal.terminal not in known:
            raise Untrusted("the removal of a terminal that its author cannot know")
        last = graph.position.get(removal.last)
        known_last = last is not None and past >> last & 1 and graph.order[last].author == removal.terminal
        if removal.last and not known_last:
            raise Malformed("a removal that names no operation of its terminal")


def _verify_signatures(
    graph: Graph, logged: LoggedOperation, past: int, known: Mapping[bytes, TerminalKeys]
) -> None:
    introduced = logged.introduces
    newcomer = (introduced.signing,) if introduced else ()
    if isinstance(logged.operation, Genesis):
        verify_signatures(logged, *newcomer, logged.operation.recovery)
    elif isinstance(logged.operation, Recover):
        verify_signatures(logged, graph.recovery_key(past), *newcomer)
    elif logged.author not in known:
        raise Untrusted("the author is no terminal of this person")
    else:
        verify_signatures(logged, known[logged.author].signing, *newcomer)


def terminals_in(graph: Graph, mask: int) -> dict[bytes, TerminalKeys]:
    """Keys of the terminals that a set brings in, by terminal id."""
    introduced = (graph.order[index].introduces for index in bits(mask))
    return {keys.id: keys for keys in introduced if keys is not None}


def sequence_in(graph: Graph, mask: int, author: bytes) -> int:
    """The highest sequence of an author in a set, 0 if there is none."""
    own = mask & graph.by_author.get(author, 0)
    return max((graph.order[index].sequence for index in bits(own)), default=0)
