"""Which operations of a person log count, and what recovery and forks come to (SPEC §7.3)."""

from __future__ import annotations

import pytest

from protocol import primitives
from protocol.errors import (
    AuthenticationFailed,
)
from protocol.identity.reduction import CauseKind, changes, extend, reduce
from tests.support.protocol.pairings import FOURTH, SECOND, THIEF, THIRD, Person, id_of
from tests.support.protocol.samples import seeded


@pytest.fixture
def anna() -> Person:
    return Person("Anna")


# --- What counts ---


def test_two_adds_at_once_merge(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    both = anna.state
    anna.add(anna.first, THIRD, upon=both)
    anna.add(SECOND, FOURTH, upon=both)
    state = anna.state
    assert set(state.live) == {anna.first.id, SECOND.id, THIRD.id, FOURTH.id}
    assert len(state.heads) == 2
    assert not state.forks
    anna.rename(FOURTH, "Anne")
    assert len(anna.state.heads) == 1


def test_the_same_terminal_added_twice_at_once_is_one(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    both = anna.state
    anna.add(SECOND, THIRD, upon=both)
    anna.rename(anna.first, "Anne", upon=both)
    anna.add(anna.first, THIRD, upon=reduce(anna.operations[:3] + anna.operations[4:]))
    assert sorted(anna.state.live) == sorted([anna.first.id, SECOND.id, THIRD.id])
    assert anna.state.live[THIRD.id].depth == 3


def test_seniority_is_depth_then_id(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    upon = anna.state
    anna.add(anna.first, THIRD, upon=upon)
    anna.add(SECOND, FOURTH, upon=upon)
    low, high = sorted([THIRD.id, FOURTH.id])
    assert list(anna.state.live) == [anna.first.id, SECOND.id, low, high]
    by_id = {THIRD.id: THIRD, FOURTH.id: FOURTH}
    anna.remove(by_id[low], by_id[high])
    assert high in anna.state.removed


def test_a_senior_removes_a_junior_and_not_the_other_way_round(anna: Person) -> None:
    anna.add(anna.first, THIEF)
    upon = anna.state
    blow = anna.remove(THIEF, anna.first, upon=upon)
    assert list(anna.state.live) == [anna.first.id, THIEF.id]
    assert id_of(blow) not in anna.state.counting
    assert CauseKind.REMOVED not in {cause.kind for cause in anna.state.causes}
    anna.remove(anna.first, THIEF, last=b"", upon=upon)
    assert list(anna.state.live) == [anna.first.id]
    assert list(anna.state.removed) == [THIEF.id]
    removed = [cause for cause in anna.state.causes if cause.kind is CauseKind.REMOVED]
    assert [(cause.terminal, cause.author) for cause in removed] == [(THIEF.id, anna.first.id)]


def test_a_thief_cannot_become_senior_by_backdating(anna: Person) -> None:
    """An add stands upon its author's own, so a thief's accomplice is always junior to the thief."""
    anna.add(anna.first, THIEF)
    early = anna.state
    anna.rename(anna.first, "Anne")
    anna.add(anna.first, SECOND)
    anna.add(THIEF, THIRD, upon=early)
    anna.remove(THIRD, anna.first)
    anna.remove(THIRD, THIEF)
    assert list(anna.state.live)[:2] == [anna.first.id, THIEF.id]


def test_a_terminal_may_remove_itself(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    anna.remove(SECOND, SECOND)
    assert list(anna.state.live) == [anna.first.id]
    cause = anna.state.causes[-1]
    assert (cause.kind, cause.terminal, cause.author) == (CauseKind.REMOVED, SECOND.id, SECOND.id)
    anna.rename(SECOND, "Ghost")
    assert anna.state.name == "Anna"


def test_a_removal_cuts_what_is_concurrent_later_or_backdated(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    kept = anna.rename(SECOND, "Anne")
    early = anna.state
    anna.rename(SECOND, "Later")
    seen = anna.state
    anna.remove(anna.first, SECOND, last=id_of(kept), upon=seen)
    removed = anna.state
    assert removed.name == "Anne"
    assert id_of(kept) in removed.counting
    anna.rename(SECOND, "Concurrent", upon=seen)
    anna.add(SECOND, THIEF, upon=early)
    anna.rename(SECOND, "After")
    assert anna.state.name == "Anne"
    assert list(anna.state.live) == [anna.first.id]
    assert not anna.state.forks


def test_a_removal_that_names_nothing_cuts_everything_but_the_add(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    anna.add(SECOND, THIRD)
    before = anna.state
    anna.rename(THIRD, "Third")
    anna.remove(anna.first, SECOND, last=b"")
    state = anna.state
    assert list(state.live) == [anna.first.id]
    assert state.name == "Anna"
    causes = {(cause.kind, cause.terminal) for cause in changes(before, state)}
    assert causes == {(CauseKind.REMOVED, SECOND.id), (CauseKind.VOIDED, THIRD.id)}


def test_a_removal_by_somebody_who_was_cut_before_does_not_count(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    anna.add(SECOND, THIRD)
    last = anna.state.last[SECOND.id]
    upon = anna.state
    anna.remove(SECOND, THIRD, upon=upon)
    assert THIRD.id in anna.state.removed
    anna.remove(anna.first, SECOND, last=last, upon=upon)
    assert list(anna.state.live) == [anna.first.id, THIRD.id]


def test_two_operations_of_one_sequence_are_a_fork(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    upon = anna.state
    one = anna.rename(SECOND, "One", upon=upon)
    other = anna.rename(SECOND, "Other", upon=upon)
    (fork,) = anna.state.forks
    assert (fork.author, fork.sequence) == (SECOND.id, 1)
    assert fork.operations == tuple(sorted(map(id_of, (one, other))))
    assert changes(upon, anna.state)[-1].kind is CauseKind.FORKED
    # Its own removal settles nothing: whoever copied the key could write that too, to cut the other branch.
    anna.remove(SECOND, SECOND, last=id_of(other))
    assert anna.state.forks == (fork,)
    assert extend(anna.operations[:3], anna.operations).state.forks == (fork,)
    anna.remove(anna.first, SECOND, last=id_of(one), upon=reduce(anna.operations[:-1]))
    assert not anna.state.forks
    assert anna.state.name == "One"


def test_a_fork_that_a_senior_saw_whole_is_settled_by_its_removal(anna: Person) -> None:
    """Both branches may count, if the removal says so: it names an operation that stands upon both."""
    anna.add(anna.first, SECOND)
    upon = anna.state
    anna.rename(SECOND, "One", upon=upon)
    anna.rename(SECOND, "Other", upon=upon)
    both = anna.rename(SECOND, "Both")
    assert anna.state.forks
    anna.remove(anna.first, SECOND, last=id_of(both))
    assert not anna.state.forks
    assert anna.state.name == "Both"


@pytest.mark.parametrize("attempt", range(6))
def test_concurrent_operations_of_two_terminals_are_no_fork(attempt: int, anna: Person) -> None:
    """Of two names at once the one with the higher operation id holds."""
    anna.add(anna.first, SECOND)
    upon = anna.state
    anna.rename(SECOND, f"One {attempt}", upon=upon)
    anna.rename(anna.first, f"Other {attempt}", upon=upon)
    assert not anna.state.forks
    names = {
        id_of(signed): name
        for signed, name in zip(anna.operations[-2:], (f"One {attempt}", f"Other {attempt}"), strict=True)
    }
    assert anna.state.name == names[max(names)]


# --- Recovery ---


def test_a_recovery_outranks_the_founding_terminal(anna: Person) -> None:
    upon = anna.state
    anna.add(anna.first, THIEF, upon=upon)
    stolen = anna.state
    anna.recover([(anna.first, upon.last[anna.first.id])], SECOND, upon=upon)
    anna.remove(anna.first, SECOND)
    state = anna.state
    assert list(state.live) == [SECOND.id]
    assert list(state.removed) == [anna.first.id]
    assert state.recoveries == 1
    kinds = [cause.kind for cause in changes(stolen, state)]
    assert kinds == [CauseKind.RECOVERED, CauseKind.REMOVED, CauseKind.VOIDED]


def test_only_the_next_recovery_key_recovers_again(anna: Person) -> None:
    old = anna.recovery
    anna.recover(new=SECOND)
    assert anna.state.recovery == primitives.ed25519_from_seed(anna.recovery)
    after = list(anna.operations)
    anna.recover(new=THIRD, following="third recovery")
    assert anna.state.recoveries == 2
    anna.operations[:] = after
    anna.recover(new=THIRD, seed=old, following="fourth recovery")
    with pytest.raises(AuthenticationFailed):
        reduce(anna.operations)


def test_two_recoveries_at_once_are_a_fork_that_a_third_settles(anna: Person) -> None:
    upon, seed = anna.state, anna.recovery
    anna.recover(new=SECOND, upon=upon, seed=seed, following="a")
    anna.recover(new=THIRD, upon=upon, seed=seed, following="b")
    (fork,) = anna.state.forks
    assert (fork.author, fork.sequence) == (b"", 1)
    present = {primitives.ed25519_from_seed(seeded(name)(32)): seeded(name)(32) for name in "ab"}
    anna.recover(seed=present[anna.state.recovery], following="c")
    assert not anna.state.forks
    assert anna.state.recoveries == 2


@pytest.mark.parametrize("attempt", range(6))
def test_of_two_recoveries_at_once_the_lower_id_names_the_next_key(attempt: int, anna: Person) -> None:
    upon, seed = anna.state, anna.recovery
    first = anna.recover(upon=upon, seed=seed, following=f"a {attempt}")
    deeper = reduce([*anna.operations[:2], anna.rename(anna.first, "Anne", upon=upon)])
    second = anna.recover(upon=deeper, seed=seed, following=f"b {attempt}")
    named = {id_of(first): f"a {attempt}", id_of(second): f"b {attempt}"}
    following = seeded(named[min(named)])(32)
    assert anna.state.recovery == primitives.ed25519_from_seed(following)


def test_a_recovery_settles_the_fork_of_the_founding_terminal(anna: Person) -> None:
    upon = anna.state
    good = anna.rename(anna.first, "Anne", upon=upon)
    anna.rename(anna.first, "Eve", upon=upon)
    assert anna.state.forks
    anna.recover([(anna.first, id_of(good))], SECOND)
    assert not anna.state.forks
    assert anna.state.name == "Anne"
    assert list(anna.state.live) == [SECOND.id]
