"""Reduction of a person log to the person's state: a pure function of a set of operations (SPEC §7.3).

`extend` is the only entry point for operations received from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from protocol import limits
from protocol.errors import LimitExceeded, Malformed, Untrusted
from protocol.identity import log
from protocol.identity.log import Graph, bits

# --- Results ---


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal that counts. Its seniority is `depth`, then id; `operation` is the one that added it."""

    id: bytes
    signing: bytes
    static: bytes
    depth: int
    operation: bytes


@dataclass(frozen=True, slots=True)
class Fork:
    """Several operations of one author (empty: the recovery key) with one sequence: its key was copied.

    All of them count, or would if their author had not removed itself.
    """

    author: bytes
    sequence: int
    operations: tuple[bytes, ...]


class CauseKind(StrEnum):
    """Kind of a change to a person."""

    FOUNDED = "founded"
    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    RECOVERED = "recovered"
    FORKED = "forked"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True)
class Cause:
    """A change to a person, and the id of the signed operation behind it.

    `terminal` is the terminal concerned (empty: none), `author` the signer (empty: the recovery key). They
    are equal if a terminal removed itself. `name` is text of a peer, and only set for RENAMED.
    """

    kind: CauseKind
    operation: bytes
    terminal: bytes
    author: bytes
    name: str = ""


@dataclass(frozen=True, slots=True)
class PersonState:
    """State of a person. Mappings are by terminal id, with the most senior terminal first.

    `name` is empty if no rename counts. `recoveries` is the sequence of the newest recovery, and `recovery`
    the key (Ed25519 public) for the next one. `forks` are the unsettled ones. `heads`, ascending, are the
    tips of the operations that only their own author may have cut off. `pending` operations lack an ancestor
    and do not count. `keys` are all keys that the kept operations introduce.
    """

    person: bytes
    name: str
    recovery: bytes
    recoveries: int
    live: Mapping[bytes, Terminal]
    removed: Mapping[bytes, Terminal]
    sequences: Mapping[bytes, int]
    last: Mapping[bytes, bytes]
    forks: tuple[Fork, ...]
    heads: tuple[bytes, ...]
    counting: frozenset[bytes]
    pending: frozenset[bytes]
    keys: frozenset[bytes]
    causes: tuple[Cause, ...]


# --- Which operations count ---


class Reduction:
    """Decides which operations of a graph count, by evaluating terminals from the most senior to the least.

    An add is deeper than the add of its author, and only seniors remove juniors. So everything that can add
    or remove a terminal is decided before its turn. `standing` are the operations that only their own author
    has cut off, if anyone: they are kept and passed on as evidence.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.terminals: dict[bytes, Terminal] = {}
        self.removed: dict[bytes, list[int]] = {}
        self.settled: set[bytes] = set()
        self._keys: set[bytes] = set()
        self.counting = self.standing = 1 | graph.by_author.get(b"", 0)
        introductions = [
            (graph.depth[index], keys.id, index, keys)
            for index, logged in enumerate(graph.order)
            if (keys := logged.introduces) is not None
        ]
        for depth, _, index, keys in sorted(introductions, key=lambda row: row[:3]):
            self._establish(depth, index, keys)
        ranks = {identity: rank for rank, identity in enumerate(self.terminals)}
        for index in bits(self.counting):
            operation = graph.order[index].operation
            if isinstance(operation, log.Remove) and operation.author != operation.terminal:
                target = ranks.get(operation.terminal)
                # Only a senior may remove another terminal.
                if target is None or ranks[operation.author] >= target:
                    self.counting &= ~(1 << index)

    def _establish(self, depth: int, index: int, keys: log.TerminalKeys) -> None:
        identity = keys.id
        if identity in self.terminals or not self.counting >> index & 1:
            return
        if not self._keys.isdisjoint((keys.signing, keys.static)):
            # Two concurrent adds claim one key. The senior claim wins, so that a key identifies one terminal.
            self.counting &= ~(1 << index) if isinstance(self.graph.order[index].operation, log.Add) else -1
            return
        self._keys.update((keys.signing, keys.static))
        operation = self.graph.order[index].id
        self.terminals[identity] = Terminal(identity, keys.signing, keys.static, depth, operation)
        self.counting |= self._own_counting(identity)

    def _own_counting(self, terminal: bytes) -> int:
        """Operations of `terminal` that count after all removals by its seniors and by itself."""
        allowed = self.graph.by_author.get(terminal, 0)
        removals = self.graph.removals.get(terminal, [])
        by_others = [row for row in removals if self.counting >> row[0] & 1]
        for _, last in by_others:
            allowed &= self.graph.upto(last)
        self.standing |= allowed
        by_itself = [row for row in removals if allowed >> row[0] & 1]
        kept = sum(1 << index for index, _ in by_itself)
        for _, last in by_itself:
            allowed &= self.graph.upto(last) | kept
        if by_others:
            self.settled.add(terminal)
        if by_others or by_itself:
            self.removed[terminal] = [index for index, _ in by_others + by_itself]
        return allowed

    @property
    def kept(self) -> int:
        """The operations to keep: `standing` and their ancestors."""
        kept = self.standing
        for index in bits(kept):
            kept |= self.graph.past[index]
        return kept

    def forks(self) -> tuple[Fork, ...]:
        """Forks that no removal by a senior has settled, or for the recovery key no later recovery.

        Operations that a terminal cut off by removing itself count, since a thief of its key could do that.
        """
        groups: dict[tuple[bytes, int], int] = {}
        for index in bits(self.standing & ~1):
            logged = self.graph.order[index]
            key = logged.author, logged.sequence
            groups[key] = groups.get(key, 0) | 1 << index
        return tuple(
            Fork(author, sequence, self.graph.ids(mask))
            for (author, sequence), mask in sorted(groups.items())
            if mask.bit_count() > 1 and not self._is_settled(author, mask)
        )

    def _is_settled(self, author: bytes, fork: int) -> bool:
        if author:
            return author in self.settled
        return any(fork & ~self.graph.past[index] == 0 for index in bits(self.graph.by_author[b""]))

    def state(self) -> PersonState:
        graph, kept = self.graph, self.kept
        renames = [graph.order[index].operation for index in bits(self.counting)]
        newest, forks = graph.newest_recovery(graph.all), self.forks()
        return PersonState(
            person=graph.order[0].id,
            # The deepest counting rename, and among equals the one with the highest id.
            name=next((one.name for one in reversed(renames) if isinstance(one, log.Rename)), ""),
            recovery=graph.recovery_key(graph.all),
            recoveries=newest.sequence if newest else 0,
            live={key: value for key, value in self.terminals.items() if key not in self.removed},
            removed={key: value for key, value in self.terminals.items() if key in self.removed},
            sequences={author: log.sequence_in(graph, kept, author) for author in (b"", *self.terminals)},
            last={author: self._last(author) for author in self.terminals},
            forks=forks,
            heads=graph.ids(graph.tips(self.standing)),
            counting=frozenset(graph.ids(self.counting)),
            pending=graph.pending,
            keys=frozenset(key for index in bits(kept) for key in graph.order[index].keys),
            causes=(
                *self._causes(),
                *(Cause(CauseKind.FORKED, one.operations[0], one.author, one.author) for one in forks),
            ),
        )

    def _last(self, author: bytes) -> bytes:
        own = self.counting & self.graph.by_author.get(author, 0)
        return self.graph.order[own.bit_length() - 1].id if own else b""

    def _causes(self) -> Iterator[Cause]:
        """Changes by the counting operations, in the order of the graph."""
        for index in bits(self.counting):
            logged = self.graph.order[index]
            kind = _KINDS[type(logged.operation)]
            keys, operation = logged.introduces, logged.operation
            if isinstance(operation, log.Rename):
                yield Cause(kind, logged.id, b"", logged.author, operation.name)
            elif not isinstance(operation, log.Remove):
                yield Cause(kind, logged.id, keys.id if keys else b"", logged.author)
            for removal in logged.removals:
                if index in self.removed.get(removal.terminal, ()):
                    yield Cause(CauseKind.REMOVED, logged.id, removal.terminal, logged.author)


_KINDS: Mapping[type, CauseKind] = {
    log.Genesis: CauseKind.FOUNDED,
    log.Add: CauseKind.ADDED,
    log.Remove: CauseKind.REMOVED,
    log.Rename: CauseKind.RENAMED,
    log.Recover: CauseKind.RECOVERED,
}


def reduce(operations: Iterable[bytes]) -> PersonState:
    """The state of a person from signed operations in any order, duplicates included. Errors as in `load`."""
    return Reduction(log.load(operations)).state()


# --- Exchange of operations ---

Foreign = Callable[[bytes, bytes], bool]
"""foreign(key, person): whether this public key is in the log of another person."""


@dataclass(frozen=True, slots=True)
class Extension:
    """New operations to store, in causal order, and the state that includes them."""

    new: tuple[bytes, ...]
    state: PersonState


def extend(
    held: Iterable[bytes], received: Iterable[bytes], foreign: Foreign = lambda _key, _person: False
) -> Extension:
    """What received operations add to those held.

    Operations that a removal has cut off, and that no kept one follows, are left out. Errors as in `load`,
    Malformed for a missing ancestor, Untrusted for a key of another person, LimitExceeded (SPEC §7.2).
    """
    known = list(held)
    reduction = Reduction(log.load([*known, *received]))
    graph, kept = reduction.graph, reduction.kept
    if graph.pending:
        raise Malformed("operations whose ancestors are missing")
    state = reduction.state()
    # The recovery key and the senior terminal have room of their own. So the holder of a junior terminal
    # cannot fill the log to keep its own removal out.
    senior = next(iter(state.live), b"")
    authors = [graph.order[index].author for index in bits(kept)]
    ordinary = sum(author not in (b"", senior) for author in authors)
    if ordinary > limits.LOG_OPERATIONS_MAX or len(state.heads) > limits.PARENTS_MAX:
        raise LimitExceeded("a person log over its limits")
    held_ids = {log.parse_operation(signed).id for signed in known}
    new = [logged for logged in (graph.order[index] for index in bits(kept)) if logged.id not in held_ids]
    if any(foreign(key, state.person) for logged in new for key in logged.keys):
        raise Untrusted("a key of another person")
    return Extension(tuple(logged.signed for logged in new), state)


def changes(before: PersonState, after: PersonState) -> tuple[Cause, ...]:
    """Changes between two states of one person, to display.

    VOIDED is a terminal whose addition no longer counts, because its author was cut off before it.
    """
    gone = [
        Cause(CauseKind.VOIDED, terminal.operation, terminal.id, b"")
        for terminal in (*before.live.values(), *before.removed.values())
        if terminal.id not in after.live and terminal.id not in after.removed
    ]
    return (*(cause for cause in after.causes if cause not in before.causes), *gone)


def missing(operations: Iterable[bytes], heads: Sequence[bytes]) -> tuple[bytes, ...]:
    """The operations, in causal order, that a peer with these heads lacks. Errors as in `load`."""
    reduction = Reduction(log.load(operations))
    graph = reduction.graph
    theirs = 0
    for head in heads:
        theirs |= graph.upto(head)
    return tuple(graph.order[index].signed for index in bits(reduction.kept & ~theirs))


def share_is_stale(operations: Iterable[bytes], heads: Sequence[bytes]) -> bool:
    """Whether a counting removal is not an ancestor of `heads`, under which a share was drawn (SPEC §7.6)."""
    reduction = Reduction(log.load(operations))
    seen = 0
    for head in heads:
        seen |= reduction.graph.upto(head)
    return any(not seen >> index & 1 for indices in reduction.removed.values() for index in indices)
