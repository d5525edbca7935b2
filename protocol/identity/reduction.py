"""Reduction of a person log to the person's state: a pure function of a set of operations (SPEC §7.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct

from protocol import limits
from protocol.identity import log
from protocol.identity.log import Graph, bits

# --- Results ---


class Terminal(Struct, frozen=True):
    """A terminal of a person. `operation` is the id of the one that added it, `name` that of its Add.

    `adder` is the id of the terminal that signed that one, empty for a genesis and for the recovery key.

    The lower `rank` is senior: the number of the recovery that added it, negative, or 0; then the depth of
    the operation in the graph; then the terminal id.
    """

    id: bytes
    signing: bytes
    static: bytes
    rank: tuple[int, int, bytes]
    operation: bytes
    adder: bytes
    name: str = ""

    @property
    def depth(self) -> int:
        """The depth of that operation in the graph."""
        return self.rank[1]


class Fork(Struct, frozen=True):
    """Valid operations of one terminal with one sequence: its key was copied."""

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
    CONTESTED = "contested"
    VOIDED = "voided"


class Cause(Struct, frozen=True):
    """A change to a person, and the id of the signed operation behind it.

    `terminal` is the terminal concerned (empty: none), `author` the signer (empty: the recovery key). They
    are equal if a terminal removed itself. `name` is text of a peer: the person's of RENAMED, the terminal's
    of ADDED.
    """

    kind: CauseKind
    operation: bytes
    terminal: bytes
    author: bytes
    name: str = ""


class PersonState(Struct, frozen=True):
    """State of a person. Mappings are by terminal id, with the most senior terminal first.

    `name` is empty if no rename counts. `newest` is the id of the recovery in force, or the person id,
    `recoveries` its number, `path` all recoveries in force in their order, and `recovery` the key (Ed25519
    public) for the next one. `rivals` are recoveries not in force that follow the same one as another.
    `contested` is whether no confirmed one excludes them, and `contenders` are, ascending, the first of those
    that follow one recovery and of which none is confirmed. `live`, `frozen` and `removed` terminals are
    disjoint; a frozen one has an open fork. `heads`, ascending, are what the author of the next operation
    names as parents, and `tips` by terminal the one that covers its operations. `pending` operations lack an
    ancestor and do not count.
    """

    person: bytes
    name: str
    newest: bytes
    recovery: bytes
    recoveries: int
    path: tuple[bytes, ...]
    rivals: frozenset[bytes]
    contested: bool
    contenders: tuple[bytes, ...]
    live: Mapping[bytes, Terminal]
    frozen: Mapping[bytes, Terminal]
    removed: Mapping[bytes, Terminal]
    sequences: Mapping[bytes, int]
    last: Mapping[bytes, bytes]
    forks: tuple[Fork, ...]
    heads: tuple[bytes, ...]
    tips: Mapping[bytes, bytes]
    counting: frozenset[bytes]
    pending: frozenset[bytes]
    causes: tuple[Cause, ...]

    def terminals(self) -> tuple[Terminal, ...]:
        """All terminals: live, frozen and removed."""
        return (*self.live.values(), *self.frozen.values(), *self.removed.values())

    def __contains__(self, terminal: bytes) -> bool:
        """Whether a terminal (id) is, or was, one of the person's."""
        return terminal in self.live or terminal in self.frozen or terminal in self.removed


# --- Which operations count ---


class Pins(Struct, frozen=True):
    """Recoveries that this terminal saw first, and those that its person confirmed."""

    seen: frozenset[bytes] = frozenset()
    confirmed: frozenset[bytes] = frozenset()


NO_PINS: Final = Pins()


class _Denial(Struct, frozen=True):
    """A removal in an operation. `kept` are the target's operations up to `last`, which still count."""

    index: int
    author: bytes
    kept: int


class Reduction:
    """Decides which operations of a graph count (SPEC §7.3).

    Sets of operations are integers with one bit per operation, as in Graph; a context is such a set that
    contains the ancestors of its members.
    """

    def __init__(self, graph: Graph, pins: Pins = NO_PINS) -> None:
        self.graph = graph
        self._introductions = [
            (index, keys.id)
            for index, logged in enumerate(graph.order)
            if (keys := logged.introduces) is not None
        ]
        self.introducing: dict[bytes, int] = {}
        for index, terminal in self._introductions:
            self.introducing[terminal] = self.introducing.get(terminal, 0) | 1 << index
        self._grants = sum(
            1 << index
            for index, logged in enumerate(graph.order)
            if isinstance(logged.operation, log.Add | log.Rename | log.Unknown)
        )
        self._denials: dict[bytes, list[_Denial]] = {}
        for terminal, removals in graph.removals.items():
            self._denials[terminal] = [
                _Denial(index, graph.order[index].author, graph.upto(last)) for index, last in removals
            ]
        self._in_order: dict[bytes, dict[int, int]] = {}
        """By author and sequence: the operations that are valid but for a fork that their author knows."""
        self._contexts: dict[int, int] = {}
        self.path: list[int] = []
        self.valid = self.on_path = self.view = self.rivals = 0
        self.contenders: tuple[int, ...] = ()
        self._walk_recoveries(pins)
        self.context = self.view & self.valid
        self.counting = self._counting(self.context)
        self.thawed = self._counting(self.context, frozen=False)
        """What counts or can count again: a settled fork brings back what `last` covers."""
        self.kept = self._kept()

    def _walk_recoveries(self, pins: Pins) -> None:
        """Find the recoveries in force, and validate what is in view of them.

        Where several follow one, the confirmed one counts, else the one seen first, else none. A recovery
        whose past is not valid follows nothing.
        """
        graph = self.graph
        recoveries = graph.by_author.get(b"", 0)
        following: dict[bytes, list[int]] = {}
        for index in bits(recoveries):
            operation = graph.order[index].operation
            assert isinstance(operation, log.Recover)
            following.setdefault(operation.previous, []).append(index)
        last = 0
        while True:
            self._validate(recoveries & ~self.on_path)
            children = following.get(graph.order[last].id, [])
            children = [index for index in children if not graph.past[index] & ~self.valid]
            if len(children) > 1:
                self.rivals |= sum(1 << index for index in children)
                confirmed = [index for index in children if graph.order[index].id in pins.confirmed]
                self.contenders = self.contenders or (() if confirmed else tuple(children))
                children = confirmed or [one for one in children if graph.order[one].id in pins.seen]
            if not children:
                break
            last = children[0]
            self.path.append(last)
            self.on_path |= 1 << last
        self.rivals &= ~self.on_path

    def _validate(self, outside: int) -> None:
        """Validate what has none of these recoveries in its past, in order."""
        for index, past in enumerate(self.graph.past):
            bit = 1 << index
            if self.view & bit or (past | bit) & outside:
                continue
            self.view |= bit
            if self._is_valid(index):
                self.valid |= bit

    def _is_valid(self, index: int) -> bool:
        """Whether an operation has the standing that it needs, by its own past alone."""
        graph, bit = self.graph, 1 << index
        logged, past = graph.order[index], graph.past[index]
        if past & ~self.valid:
            return False
        if index == 0 or self.on_path & bit:
            return True
        author, counting = logged.author, self._counting_before(index)
        if not self.introducing[author] & counting or self._is_denied(author, past):
            return False
        self._in_order.setdefault(author, {}).setdefault(logged.sequence, 0)
        self._in_order[author][logged.sequence] |= bit
        if self._forked_from(author, past) is not None:
            return False
        target = logged.operation.terminal if isinstance(logged.operation, log.Remove) else author
        if target == author:
            return True
        rank = self._rank(target, counting)
        own = self._rank(author, counting)
        return rank is not None and own is not None and own < rank

    def _counting_before(self, index: int) -> int:
        """What counts in the past of an operation whose past is valid."""
        past, parents = self.graph.past[index], self.graph.order[index].parents
        found = self._contexts.get(past)
        if found is None:
            last = self.graph.position[parents[0]]
            if len(parents) == 1 and self._grants >> last & 1:
                # A valid grant adds itself to what counts in its own past, and changes nothing else.
                found = self._counting_before(last) | 1 << last
            else:
                found = self._counting(past)
            self._contexts[past] = found
        return found

    def _counting(self, context: int, *, frozen: bool = True) -> int:
        """The operations that add or rename and count, with everything in a context known.

        Without `frozen`, forks freeze nothing.
        """
        counting = context & (1 | self.on_path)
        for index, terminal in self._introductions:
            if not counting >> index & 1:
                continue
            own = self.graph.by_author.get(terminal, 0) & self._grants & self.valid & context
            if not own:
                continue
            settled = not frozen
            for denial in self._denials.get(terminal, ()):
                if self.valid & context & 1 << denial.index:
                    own &= denial.kept
                    settled = settled or denial.author != terminal
            if not settled and (fork := self._forked_from(terminal, context)) is not None:
                own &= self._before(terminal, fork)
            if self.introducing[terminal].bit_count() > 1:
                own = sum(1 << one for one in bits(own) if self.graph.past[one] >> index & 1)
            counting |= own
        return counting

    def _before(self, terminal: bytes, sequence: int) -> int:
        groups = self._in_order[terminal].items()
        return sum(mask for number, mask in groups if number < sequence)

    def _is_denied(self, terminal: bytes, context: int) -> bool:
        denials = self._denials.get(terminal, ())
        return any(self.valid & context & 1 << denial.index for denial in denials)

    def _forked_from(self, terminal: bytes, context: int) -> int | None:
        """The lowest sequence of which a context holds several operations of the terminal."""
        groups = self._in_order.get(terminal, {}).items()
        return min((number for number, mask in groups if (mask & context).bit_count() > 1), default=None)

    def _rank(self, terminal: bytes, counting: int) -> tuple[int, int, bytes] | None:
        found = self._introduction(terminal, counting)
        return found[0] if found is not None else None

    def _introduction(self, terminal: bytes, counting: int) -> tuple[tuple[int, int, bytes], int] | None:
        """The terminal's rank, and the operation that gives it."""
        graph = self.graph
        return min(
            (
                (
                    (
                        -1 - self.path.index(index) if self.on_path >> index & 1 else 0,
                        graph.depth[index],
                        terminal,
                    ),
                    index,
                )
                for index in bits(self.introducing.get(terminal, 0) & counting)
            ),
            default=None,
        )

    # --- What is kept ---

    def forks(self) -> tuple[Fork, ...]:
        """Of each open fork of a terminal the two first operations with the lowest such sequence."""
        return tuple(
            Fork(terminal, sequence, self.graph.ids(self._evidence(terminal, sequence)))
            for terminal, sequence in sorted(self._open_forks())
        )

    def _evidence(self, terminal: bytes, sequence: int) -> int:
        first, second, *_ = bits(self._in_order[terminal][sequence] & self.context)
        return 1 << first | 1 << second

    def _open_forks(self) -> Iterator[tuple[bytes, int]]:
        for terminal in self._in_order:
            sequence = self._forked_from(terminal, self.context)
            if sequence is None or not self.introducing[terminal] & self.thawed:
                continue
            denials = [one for one in self._denials.get(terminal, ()) if self.context >> one.index & 1]
            if any(one.author != terminal for one in denials):
                continue
            # What a terminal that removed itself signed after its last operation changes nothing.
            own = self.thawed & self.graph.by_author.get(terminal, 0)
            if not denials or any(self.graph.order[one].sequence >= sequence for one in bits(own)):
                yield terminal, sequence

    def is_gone(self, author: bytes) -> bool:
        """Whether no grant that a terminal signs can count, now or later."""
        return self._is_denied(author, self.context) or not self.introducing[author] & self.thawed

    def _kept(self) -> int:
        """The operations to store and pass on, with their past.

        They are: what counts or can count again, all of an author who is not gone, the removals that matter,
        and evidence. Evidence are two operations of each open fork, and the first rivals of the recoveries in
        force.
        """
        kept = self.thawed | self.removals()
        for author in self.introducing:
            if not self.is_gone(author):
                kept |= self.context & self.graph.by_author.get(author, 0)
        for terminal, sequence in self._open_forks():
            kept |= self._evidence(terminal, sequence)
        shown: dict[int, int] = {}
        for index in bits(self.rivals):
            previous = self.graph.position[self._previous(index)]
            shown[previous] = shown.get(previous, 0) + 1
            if shown[previous] <= limits.LOG_RIVALS_MAX:
                kept |= 1 << index
        return self.graph.closure(kept)

    def _previous(self, index: int) -> bytes:
        operation = self.graph.order[index].operation
        assert isinstance(operation, log.Recover)
        return operation.previous

    def removals(self) -> int:
        """The removals by recoveries, and those that each keep less of a terminal than the ones before.

        So a copied key cannot fill a log with removals.
        """
        found = 0
        for terminal, denials in self._denials.items():
            matters = bool(self.introducing[terminal] & self.thawed)
            own = self.graph.by_author.get(terminal, 0) & self._grants
            covered = {True: -1, False: -1}
            for denial in denials:
                if not self.context >> denial.index & 1:
                    continue
                by_itself = denial.author == terminal
                narrower = covered[by_itself] & denial.kept & own
                if not denial.author or (matters and narrower != covered[by_itself]):
                    found |= 1 << denial.index
                covered[by_itself] = narrower
        return found

    def tips(self) -> int:
        """The kept operations in view that no other one follows."""
        return self.graph.tips(self.kept & self.view)

    def heads(self) -> tuple[bytes, ...]:
        """The tips, ascending, at most PARENTS_MAX.

        Where there are more, those go first that have the recovery in force or the last operation of a live
        terminal in their past: they are what an author must know. A fork can make any number of others.
        """
        graph, tips = self.graph, self.tips()
        if tips.bit_count() <= limits.PARENTS_MAX:
            return graph.ids(tips)
        needed = self.on_path
        for terminal in self.live():
            own = graph.by_author.get(terminal, 0) & self.kept
            needed |= 1 << own.bit_length() - 1 if own else 0
        ordered = sorted(
            bits(tips), key=lambda one: (-((graph.past[one] | 1 << one) & needed).bit_count(), -one)
        )
        return graph.ids(sum(1 << one for one in ordered[: limits.PARENTS_MAX]))

    # --- Results ---

    def terminals(self) -> dict[bytes, Terminal]:
        """All terminals that counting operations add, the most senior first."""
        found: dict[bytes, Terminal] = {}
        for terminal in self.introducing:
            introduction = self._introduction(terminal, self.counting)
            if introduction is None:
                continue
            rank, index = introduction
            added = self.graph.order[index]
            keys = added.introduces
            assert keys is not None
            name = added.operation.name if isinstance(added.operation, log.Add) else ""
            found[terminal] = Terminal(
                terminal, keys.signing, keys.static, rank, added.id, added.author, name
            )
        return dict(sorted(found.items(), key=lambda item: item[1].rank))

    def senior(self) -> bytes:
        """The id of the most senior terminal that no valid operation removes, or empty."""
        standing = (one for one in self.terminals() if not self._is_denied(one, self.context))
        return next(standing, b"")

    def live(self) -> dict[bytes, Terminal]:
        """The terminals that no valid operation removes and that have no open fork."""
        frozen = {terminal for terminal, _ in self._open_forks()}
        return {
            identity: terminal
            for identity, terminal in self.terminals().items()
            if identity not in frozen and not self._is_denied(identity, self.context)
        }

    def state(self) -> PersonState:
        """The state of the person."""
        graph, kept = self.graph, self.kept
        tips = list(bits(self.tips()))
        renames = [graph.order[index].operation for index in bits(self.counting)]
        newest = graph.order[self.path[-1] if self.path else 0]
        forks, terminals = self.forks(), self.terminals()
        frozen = {fork.author for fork in forks}
        removed = {one for one in terminals if self._is_denied(one, self.context)}
        return PersonState(
            person=graph.order[0].id,
            # The deepest counting rename, and among equals the one with the highest id.
            name=next((one.name for one in reversed(renames) if isinstance(one, log.Rename)), ""),
            newest=newest.id,
            recovery=newest.recovery or b"",
            recoveries=len(self.path),
            path=tuple(graph.order[index].id for index in self.path),
            rivals=frozenset(graph.ids(self.rivals & kept)),
            contested=bool(self.contenders),
            contenders=graph.ids(sum(1 << index for index in self.contenders)),
            live={key: one for key, one in terminals.items() if key not in frozen | removed},
            frozen={key: one for key, one in terminals.items() if key in frozen - removed},
            removed={key: one for key, one in terminals.items() if key in removed},
            sequences={author: log.sequence_in(graph, kept, author) for author in terminals},
            last={author: self._last(author) for author in terminals},
            forks=forks,
            heads=self.heads(),
            tips={author: self._tip(author, tips) for author in terminals},
            counting=frozenset(graph.ids(self._in_force())),
            pending=graph.pending,
            causes=(
                *self._causes(),
                *(Cause(CauseKind.FORKED, one.operations[0], one.author, one.author) for one in forks),
                *(Cause(CauseKind.CONTESTED, one, b"", b"") for one in graph.ids(self.rivals & kept)),
            ),
        )

    def _in_force(self) -> int:
        return self.counting | self.context & self.kept & ~self._grants

    def _last(self, author: bytes) -> bytes:
        own = self.kept & self.context & self.graph.by_author.get(author, 0)
        return self.graph.order[own.bit_length() - 1].id if own else b""

    def _tip(self, author: bytes, tips: Sequence[int]) -> bytes:
        """The tip that has the author's last operation in its past, or empty."""
        last = self.graph.position.get(self._last(author))
        covering = (one for one in tips if last is not None and (self.graph.past[one] | 1 << one) >> last & 1)
        return next((self.graph.order[one].id for one in covering), b"")

    def _causes(self) -> Iterator[Cause]:
        """Changes by the counting operations, in the order of the graph."""
        for index in bits(self._in_force()):
            logged = self.graph.order[index]
            keys, operation = logged.introduces, logged.operation
            if isinstance(operation, log.Unknown):
                continue
            kind = _KINDS[type(operation)]
            if isinstance(operation, log.Rename):
                yield Cause(kind, logged.id, b"", logged.author, operation.name)
            elif not isinstance(operation, log.Remove):
                name = operation.name if isinstance(operation, log.Add) else ""
                yield Cause(kind, logged.id, keys.id if keys else b"", logged.author, name)
            for removal in logged.removals:
                yield Cause(CauseKind.REMOVED, logged.id, removal.terminal, logged.author)


_KINDS: Mapping[type, CauseKind] = {
    log.Genesis: CauseKind.FOUNDED,
    log.Add: CauseKind.ADDED,
    log.Remove: CauseKind.REMOVED,
    log.Rename: CauseKind.RENAMED,
    log.Recover: CauseKind.RECOVERED,
}


def reduce(operations: Iterable[bytes], pins: Pins = NO_PINS) -> PersonState:
    """The state of a person from signed operations in any order, duplicates included. Errors as in `load`."""
    return Reduction(log.load(operations), pins).state()
