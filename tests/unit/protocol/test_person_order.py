"""A person log means the same in any order of arrival, and what is valid stays so (SPEC §7.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import (
    Malformed,
)
from protocol.identity.log import parse_operation
from protocol.identity.reduction import CauseKind, extend, reduce
from tests.support.protocol.pairings import FOURTH, SECOND, THIEF, THIRD, Person, Terminal, id_of


@pytest.fixture
def anna() -> Person:
    return Person("Anna")


# --- Any order, any repetition, pending ---


def eventful() -> Person:
    """A log in which everything happens: adds at once, cuts, a fork, a thief, a recovery."""
    anna = Person("Anna")
    anna.add(anna.first, SECOND)
    upon = anna.state
    anna.add(anna.first, THIRD, upon=upon)
    anna.add(SECOND, THIEF, upon=upon)
    stolen = anna.state
    anna.rename(THIEF, "Eve", upon=stolen)
    anna.rename(THIEF, "Mallory", upon=stolen)
    anna.remove(THIEF, THIRD)
    anna.remove(THIRD, THIEF, last=b"", upon=stolen)
    anna.remove(SECOND, SECOND)
    anna.remove(anna.first, THIEF, last=b"", upon=stolen)
    anna.recover([(THIRD, b"")], FOURTH)
    anna.rename(FOURTH, "Anne")
    return anna


EVENTFUL = eventful().operations


@given(st.permutations(EVENTFUL), st.lists(st.sampled_from(EVENTFUL), max_size=8))
def test_reduction_is_the_same_in_any_order_and_with_repetitions(
    shuffled: list[bytes], again: list[bytes]
) -> None:
    assert reduce([*again, *shuffled]) == reduce(EVENTFUL)


@given(st.data())
def test_arrival_in_any_causal_portions_ends_in_the_same_state(data: st.DataObject) -> None:
    """Whoever extends step by step, in whatever order is causal, arrives at the reduction of all."""
    held: list[bytes] = [EVENTFUL[0]]
    rest = list(EVENTFUL[1:])
    while rest:
        known = {id_of(signed) for signed in held}
        ready = [signed for signed in rest if known.issuperset(parse_operation(signed).parents)]
        chosen = data.draw(st.sampled_from(ready))
        rest.remove(chosen)
        held.append(chosen)
        reduce(held)
    assert reduce(held) == reduce(EVENTFUL)


@given(st.sets(st.sampled_from(EVENTFUL[1:])))
def test_what_lacks_a_parent_is_pending_and_does_not_count(chosen: set[bytes]) -> None:
    operations = [EVENTFUL[0], *chosen]
    state = reduce(operations)
    known = {EVENTFUL[0]}
    complete = {id_of(EVENTFUL[0])}
    for _ in operations:
        for signed in operations:
            if complete.issuperset(parse_operation(signed).parents):
                known.add(signed)
                complete.add(id_of(signed))
    assert state.pending == {id_of(signed) for signed in operations} - complete
    assert not state.pending & state.counting
    assert reduce(known) == reduce(operations) or state.pending
    assert reduce(known).counting == state.counting


@given(st.sets(st.sampled_from(EVENTFUL[1:]), min_size=1))
def test_what_is_valid_stays_valid_beside_anything_else(chosen: set[bytes]) -> None:
    """Validity hangs on ancestors alone: no operation can make another one's log unreadable."""
    reduce([EVENTFUL[0], *chosen])


@dataclass
class History:
    """A log that grows by random choices of who does what upon which older state."""

    data: st.DataObject
    person: Person = field(default_factory=lambda: Person("Anna"))

    def __post_init__(self) -> None:
        self.known = {self.person.first.id: self.person.first}
        self.states = [self.person.state]

    def step(self) -> None:
        """One more operation; one that its author could not have made is left out."""
        state = self.data.draw(st.sampled_from(self.states))
        author = self.known[self.data.draw(st.sampled_from(sorted(state.sequences.keys() - {b""})))]
        target = self.known[self.data.draw(st.sampled_from(sorted(state.last)))]
        match self.data.draw(st.sampled_from(["add", "rename", "remove", "cut"])):
            case "add":
                new = Terminal.named(f"random {len(self.known)}")
                self.known[new.id] = new
                self.person.add(author, new, upon=state)
            case "rename":
                self.person.rename(author, f"name {len(self.states)}", upon=state)
            case "remove":
                self.person.remove(author, target, upon=state)
            case "cut":
                self.person.remove(author, target, last=b"", upon=state)
        self.states.append(self.person.state)


@given(st.data())
def test_any_history_is_read_the_same_and_keeps_its_founder(data: st.DataObject) -> None:
    history = History(data)
    for _ in range(data.draw(st.integers(1, 12))):
        history.step()
    person, state = history.person, history.person.state
    assert reduce(data.draw(st.permutations(person.operations))) == state
    assert not state.pending
    everybody = [*state.live.values(), *state.removed.values()]
    ranks = {terminal.id: (terminal.depth, terminal.id) for terminal in everybody}
    for cause in state.causes:
        if cause.kind is CauseKind.REMOVED:
            assert ranks[cause.author] <= ranks[cause.terminal]
    by_others = {c.terminal for c in state.causes if c.kind is CauseKind.REMOVED and c.author != c.terminal}
    assert person.first.id not in by_others
    assert reduce(extend((), person.operations).new) == state


def test_a_log_without_its_genesis_or_with_two_is_refused(anna: Person) -> None:
    with pytest.raises(Malformed):
        reduce(anna.operations[1:])
    with pytest.raises(Malformed):
        reduce([])
    with pytest.raises(Malformed):
        reduce([*anna.operations, Person("Bob").operations[0]])
