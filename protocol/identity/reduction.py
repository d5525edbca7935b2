"""Reduction of a person log to the person's state: a pure function of a set of operations (SPEC §7.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum, StrEnum
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


class CauseKind(StrEnum):
    """Kind of a change to a person."""

    FOUNDED = "founded"
    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    RECOVERED = "recovered"
    COPIED = "copied"
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


class Standing(IntEnum):
    """How good the keys of an operation are; the greater are used first (SPEC §7.6).

    The drawer of fallen ones is gone, or was when it drew them. Fresh ones are known to the live terminals
    alone, and to each of them.
    """

    FALLEN = 0
    COUNTS = 1
    FRESH = 2


class PersonState(Struct, frozen=True):
    """State of a person. Mappings are by terminal id, with the most senior terminal first.

    `name` is empty if no rename counts. `newest` is the id of the recovery in force, or the person id, `path`
    all recoveries in force in their order, and `recovery` the key for the next one. `rivals`
    are recoveries not in force that follow the same one as another. `contested` is whether no confirmed one
    excludes them, and `contenders` are, ascending, the first of those that follow one recovery and of which
    none is confirmed. A terminal is `live` or `gone`: `removed` are those of the latter that a removal names.
    `copied` are, by terminal that is not gone, two operations of which neither knows the other. `drawn` has
    the operations whose keys are used, best first, with their standing. `heads`, ascending, are what the
    author of the next operation names as parents. `pending` operations lack an ancestor and do not count.
    """

    person: bytes
    name: str
    newest: bytes
    recovery: log.RecoveryKey
    path: tuple[bytes, ...]
    rivals: frozenset[bytes]
    contested: bool
    contenders: tuple[bytes, ...]
    live: Mapping[bytes, Terminal]
    gone: Mapping[bytes, Terminal]
    removed: frozenset[bytes]
    copied: Mapping[bytes, tuple[bytes, bytes]]
    drawn: Mapping[bytes, Standing]
    heads: tuple[bytes, ...]
    counting: frozenset[bytes]
    pending: frozenset[bytes]
    causes: tuple[Cause, ...]

    @property
    def recoveries(self) -> int:
        """How many recoveries are in force."""
        return len(self.path)

    @property
    def fresh(self) -> bytes:
        """The best operation that draws keys where nobody who is not live knows them, else b""."""
        best = next(iter(self.drawn), b"")
        return best if self.drawn.get(best) is Standing.FRESH else b""

    def terminals(self) -> tuple[Terminal, ...]:
        """All terminals, the live ones first."""
        return (*self.live.values(), *self.gone.values())

    def __contains__(self, terminal: bytes) -> bool:
        """Whether a terminal (id) is, or was, one of the person's."""
        return terminal in self.live or terminal in self.gone


# --- Which operations count ---


class Pins(Struct, frozen=True):
    """Recoveries that this terminal saw first, and those that its person confirmed."""

    seen: frozenset[bytes] = frozenset()
    confirmed: frozenset[bytes] = frozenset()


NO_PINS: Final = Pins()


class _Denial(Struct, frozen=True):
    """A removal in an operation. `kept` are the target's operations that still count."""

    index: int
    kept: int


class Reduction:
    """Decides which operations of a graph count (SPEC §7.3).

    Sets of operations are integers with one bit per operation, as in Graph; a context is such a set that
    contains the ancestors of its members. `valid` depends on no pin.
    """

    def __init__(self, graph: Graph, pins: Pins = NO_PINS) -> None:
        self.graph = graph
        self._introductions = sorted(
            (index, terminal) for terminal, mask in graph.introducing.items() for index in bits(mask)
        )
        self._grants = sum(
            1 << index
            for index, logged in enumerate(graph.order)
            if not isinstance(logged.operation, log.Genesis | log.Remove | log.Recover)
        )
        self._denials: dict[bytes, list[_Denial]] = {
            terminal: [_Denial(index, self._upto_all(keep)) for index, keep in removals]
            for terminal, removals in graph.removals.items()
        }
        self._numbers: dict[int, int] = {}
        """By valid recovery: how many it is, itself included."""
        self._chains: dict[int, int] = {0: 0}
        """By valid recovery, and the genesis: all that it follows, itself included."""
        self._contexts: dict[int, int] = {}
        self.valid = 0
        for index in range(len(graph.order)):
            if self._is_valid(index):
                self.valid |= 1 << index
        self.path: list[int] = []
        self.rivals = 0
        self.contenders: tuple[int, ...] = ()
        self._choose(pins)
        off = self.valid & graph.recoveries & ~self.on_path
        self.view = sum(1 << index for index, past in enumerate(graph.past) if not (past | 1 << index) & off)
        self.context = self.view & self.valid
        self.counting = self._counting(self.context)
        self.kept = self._kept()

    def _upto_all(self, operations: Iterable[bytes]) -> int:
        found = 0
        for one in operations:
            found |= self.graph.upto(one)
        return found

    @property
    def on_path(self) -> int:
        """The recoveries in force."""
        return sum(1 << index for index in self.path)

    # Validity, by the past of an operation alone.

    def _is_valid(self, index: int) -> bool:
        graph = self.graph
        logged, past = graph.order[index], graph.past[index]
        if index == 0:
            return True
        if past & ~self.valid:
            return False
        known = past & graph.recoveries
        newest = max(bits(known), key=self._numbers.__getitem__, default=0)
        if known != self._chains[newest]:
            return False
        if isinstance(logged.operation, log.Recover):
            if graph.position[logged.operation.previous] != newest:
                return False
            self._numbers[index] = 1 + self._numbers.get(newest, 0)
            self._chains[index] = known | 1 << index
            return True
        counting = self._counting_before(index)
        own = self._rank(logged.author, counting)
        if own is None or self.is_denied(logged.author, past):
            return False
        if isinstance(logged.operation, log.Remove) and logged.operation.terminal != logged.author:
            rank = self._rank(logged.operation.terminal, counting)
            return rank is not None and own < rank
        return True

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

    # What counts in a context.

    def _counting(self, context: int, denying: int = -1) -> int:
        """The grants that count in a context of valid operations, by the removals among `denying`."""
        graph, denying = self.graph, denying & context
        counting = context & (1 | graph.recoveries)
        for index, terminal in self._introductions:
            if not counting >> index & 1:
                continue
            own = graph.by_author.get(terminal, 0) & self._grants & context
            for denial in self._denials.get(terminal, ()) if own else ():
                if denying >> denial.index & 1:
                    own &= denial.kept
            if graph.introducing[terminal].bit_count() > 1:
                own = sum(1 << one for one in bits(own) if graph.past[one] >> index & 1)
            counting |= own
        return counting

    def is_denied(self, terminal: bytes, context: int) -> bool:
        """Whether a context of valid operations removes a terminal."""
        return any(context >> denial.index & 1 for denial in self._denials.get(terminal, ()))

    def _rank(self, terminal: bytes, counting: int) -> tuple[int, int, bytes] | None:
        found = self._introduction(terminal, counting)
        return found[0] if found is not None else None

    def _introduction(self, terminal: bytes, counting: int) -> tuple[tuple[int, int, bytes], int] | None:
        """The terminal's rank, and the operation that gives it."""
        found = bits(self.graph.introducing.get(terminal, 0) & counting)
        return min(
            (((-self._numbers.get(one, 0), self.graph.depth[one], terminal), one) for one in found),
            default=None,
        )

    def _live_in(self, context: int, denying: int = -1) -> set[bytes]:
        counting, denying = self._counting(context, denying), denying & context
        return {
            terminal
            for terminal, mask in self.graph.introducing.items()
            if mask & counting and not self.is_denied(terminal, denying)
        }

    def live_upto(self, operations: Iterable[bytes]) -> list[bytes]:
        """The terminals that are live in operations (ids) and their past, the most senior there first."""
        context = self._upto_all(operations)
        counting = self._counting(context)
        ranks = (self._rank(one, counting) for one in self._live_in(context))
        return [terminal for *_, terminal in sorted(filter(None, ranks))]

    # Recoveries.

    def _choose(self, pins: Pins) -> None:
        """Find the recoveries in force.

        Where several follow one, the confirmed one counts, else the one seen first, else none.
        """
        following: dict[int, list[int]] = {}
        for index in self._numbers:
            operation = self.graph.order[index].operation
            assert isinstance(operation, log.Recover)
            following.setdefault(self.graph.position[operation.previous], []).append(index)
        children = following.get(0, [])
        while children:
            if len(children) > 1:
                self.rivals |= sum(1 << index for index in children)
                confirmed = [one for one in children if self.graph.order[one].id in pins.confirmed]
                self.contenders = self.contenders or (() if confirmed else tuple(children))
                children = confirmed or [one for one in children if self.graph.order[one].id in pins.seen]
            if not children:
                break
            self.path.append(children[0])
            children = following.get(children[0], [])
        self.rivals &= ~self.on_path

    # --- What is kept ---

    def is_gone(self, author: bytes) -> bool:
        """Whether no grant that a terminal signs can count, now or later."""
        introducing = self.graph.introducing[author] & self.counting
        return self.is_denied(author, self.context) or not introducing

    def _kept(self) -> int:
        """The operations to store and pass on, with their past.

        They are: what counts, all of an author who is not gone, the removals that matter, and the first
        rivals of the recoveries in force.
        """
        kept = self.counting | self.removals()
        for author in self.graph.introducing:
            if not self.is_gone(author):
                kept |= self.context & self.graph.by_author.get(author, 0)
        shown: dict[bytes, int] = {}
        for index in bits(self.rivals):
            operation = self.graph.order[index].operation
            assert isinstance(operation, log.Recover)
            shown[operation.previous] = shown.get(operation.previous, 0) + 1
            if shown[operation.previous] <= limits.LOG_RIVALS_MAX:
                kept |= 1 << index
        return self.graph.closure(kept)

    def removals(self) -> int:
        """Those that each keep less of a terminal than the ones before.

        So a copied key cannot fill a log with removals.
        """
        found = 0
        for terminal, denials in self._denials.items():
            own = self.graph.by_author.get(terminal, 0) & self._grants & self.context
            covered = -1
            for denial in denials:
                if not self.context >> denial.index & 1:
                    continue
                narrower = covered & denial.kept & own
                if narrower != covered:
                    found |= 1 << denial.index
                covered = narrower
        return found

    def heads(self, *needed: bytes) -> tuple[bytes, ...]:
        """The kept operations in view that no other one follows, ascending, at most PARENTS_MAX.

        Where there are more, those go first that have `needed` operations (ids), the recovery in force or the
        last operation of a live terminal in their past: they are what an author must know. A copied key can
        make any number of others.
        """
        graph = self.graph
        tips = graph.tips(self.kept & self.view)
        if tips.bit_count() <= limits.PARENTS_MAX:
            return graph.ids(tips)
        first = sum(1 << graph.position[one] for one in needed)
        then = self.on_path
        for terminal in self._live_in(self.context):
            own = graph.by_author.get(terminal, 0) & self.kept
            then |= 1 << own.bit_length() - 1 if own else 0

        def order(one: int) -> tuple[int, int, int]:
            upto = graph.past[one] | 1 << one
            return -(upto & first).bit_count(), -(upto & then).bit_count(), -one

        return graph.ids(sum(1 << one for one in sorted(bits(tips), key=order)[: limits.PARENTS_MAX]))

    # --- Results ---

    def terminals(self) -> dict[bytes, Terminal]:
        """All terminals that valid operations that are kept bring in, the most senior first."""
        found = {}
        for terminal, mask in self.graph.introducing.items():
            best = self._introduction(terminal, mask & self.counting)
            best = best or self._introduction(terminal, mask & self.context & self.kept)
            if best is None:
                continue
            rank, index = best
            added = self.graph.order[index]
            keys = added.introduces
            assert keys is not None
            name = added.operation.name if isinstance(added.operation, log.Add) else ""
            found[terminal] = Terminal(
                terminal, keys.signing, keys.static, rank, added.id, added.author, name
            )
        return dict(sorted(found.items(), key=lambda item: item[1].rank))

    def senior(self) -> bytes:
        """The id of the most senior live terminal, or empty."""
        live = self._live_in(self.context)
        return next((one for one in self.terminals() if one in live), b"")

    def copied(self) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
        """Of each terminal that is not gone the first two operations of which neither knows the other."""
        graph = self.graph
        for terminal, mask in graph.by_author.items():
            earlier = 0
            for index in () if self.is_gone(terminal) else bits(mask & self.context):
                if apart := earlier & ~graph.past[index]:
                    first = (apart & -apart).bit_length() - 1
                    yield terminal, (graph.order[first].id, graph.order[index].id)
                    break
                earlier |= 1 << index

    def drawn(self) -> dict[bytes, Standing]:
        """The operations that draw keys, best first, with the standing of these (SPEC §7.6)."""
        graph, live = self.graph, self._live_in(self.context)
        drawing = [
            index
            for index in bits(self.context & self.kept)
            if isinstance(graph.order[index].operation, log.Genesis | log.Renew)
        ]
        standings = {index: self._standing(index, live) for index in drawing}
        best = sorted(drawing, key=lambda index: (standings[index], index), reverse=True)
        return {graph.order[index].id: standings[index] for index in best}

    def _standing(self, index: int, live: set[bytes]) -> Standing:
        graph, upto = self.graph, self.graph.past[index] | 1 << index
        if not self.counting >> index & 1:
            return Standing.FALLEN
        if self._live_in(self.context, upto) != live:
            return Standing.COUNTS
        later = live - self._live_in(upto)
        brought = (bits(graph.introducing[terminal] & self.counting) for terminal in later)
        whole = all(any(graph.past[one] >> index & 1 for one in each) for each in brought)
        return Standing.FRESH if whole else Standing.COUNTS

    def state(self) -> PersonState:
        """The state of the person."""
        graph, kept = self.graph, self.kept
        terminals, live = self.terminals(), self._live_in(self.context)
        renames = [graph.order[index].operation for index in bits(self.counting)]
        newest = graph.order[self.path[-1] if self.path else 0]
        recovery = newest.recovery
        assert recovery is not None
        copied = dict(self.copied())
        rivals = graph.ids(self.rivals & kept)
        return PersonState(
            person=graph.order[0].id,
            # The deepest counting rename, and among equals the one with the highest id.
            name=next((one.name for one in reversed(renames) if isinstance(one, log.Rename)), ""),
            newest=newest.id,
            recovery=recovery,
            path=tuple(graph.order[index].id for index in self.path),
            rivals=frozenset(rivals),
            contested=bool(self.contenders),
            contenders=graph.ids(sum(1 << index for index in self.contenders)),
            live={key: one for key, one in terminals.items() if key in live},
            gone={key: one for key, one in terminals.items() if key not in live},
            removed=frozenset(one for one in terminals if self.is_denied(one, self.context)),
            copied=copied,
            drawn=self.drawn(),
            heads=self.heads(),
            counting=frozenset(graph.ids(self._in_force())),
            pending=graph.pending,
            causes=(
                *self._causes(),
                *(Cause(CauseKind.COPIED, pair[1], one, one) for one, pair in copied.items()),
                *(Cause(CauseKind.CONTESTED, one, b"", b"") for one in rivals),
            ),
        )

    def _in_force(self) -> int:
        return self.counting | self.context & self.kept & ~self._grants

    def _causes(self) -> Iterator[Cause]:
        """Changes by the counting operations, in the order of the graph."""
        for index in bits(self._in_force()):
            logged = self.graph.order[index]
            keys, operation = logged.introduces, logged.operation
            if isinstance(operation, log.Unknown | log.Renew):  # keys that nobody sees
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
