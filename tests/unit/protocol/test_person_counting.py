"""Which operations of a person log count, and what recovery and forks come to (SPEC §7.3)."""

from __future__ import annotations

import pytest

from protocol import limits, primitives
from protocol.errors import AuthenticationFailed, LimitExceeded, Malformed, Untrusted
from protocol.identity.log import Rename, sign_operation
from protocol.identity.reduction import CauseKind, changes, extend, missing, reduce, share_is_stale
from tests.support.protocol.pairings import FOURTH, SECOND, THIEF, THIRD, Person, Terminal, id_of
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


# --- Exchange ---


def test_extend_gives_what_is_new_in_causal_order(anna: Person) -> None:
    held = list(anna.operations)
    anna.add(anna.first, SECOND)
    anna.rename(SECOND, "Anne")
    extension = extend(held, reversed(anna.operations))
    assert extension.new == tuple(anna.operations[2:])
    assert extension.state == anna.state
    assert extend(anna.operations, anna.operations).new == ()


def test_extend_refuses_what_lacks_a_parent(anna: Person) -> None:
    held = list(anna.operations)
    anna.add(anna.first, SECOND)
    anna.rename(SECOND, "Anne")
    with pytest.raises(Malformed):
        extend(held, anna.operations[3:])


def test_attack_09_extend_refuses_keys_of_another_person(anna: Person) -> None:
    bob = Person("Bob")
    bobs = {bob.first.signing, bob.first.static}

    def foreign(key: bytes, person: bytes) -> bool:
        return person != bob.id and key in bobs

    held = list(anna.operations)
    mixed = Terminal(SECOND.seed, bob.first.secret)
    anna.add(anna.first, mixed)
    with pytest.raises(Untrusted):
        extend(held, anna.operations, foreign)
    extend((), bob.operations, foreign)


def test_a_key_that_two_adds_claim_at_once_is_the_seniors(anna: Person) -> None:
    """A thief who has heard of a key cannot have a link with it taken for a link with itself."""
    anna.add(anna.first, THIEF)
    upon = anna.state
    anna.add(anna.first, SECOND, upon=upon)
    anna.rename(THIEF, "x", upon=upon)
    claimed = Terminal(THIRD.seed, SECOND.secret)
    anna.add(THIEF, claimed, upon=reduce(anna.operations[:3] + anna.operations[4:]))
    statics = [terminal.static for terminal in anna.state.live.values()]
    assert len(statics) == len(set(statics)) == 3
    assert SECOND.id in anna.state.live
    assert claimed.id not in anna.state.live


def test_what_neither_counts_nor_carries_is_not_stored(anna: Person) -> None:
    anna.add(anna.first, THIEF)
    upon = anna.state
    removal = anna.remove(anna.first, THIEF, last=b"", upon=upon)
    held = list(anna.operations)
    anna.rename(THIEF, "Ghost", upon=upon)
    assert extend(held, anna.operations).new == ()
    assert missing(anna.operations, upon.heads) == (removal,)


def test_missing_is_what_the_other_side_lacks(anna: Person) -> None:
    heads = anna.state.heads
    anna.add(anna.first, SECOND)
    anna.rename(SECOND, "Anne")
    assert missing(anna.operations, heads) == tuple(anna.operations[2:])
    assert missing(anna.operations, anna.state.heads) == ()
    assert missing(anna.operations, [bytes(32)]) == tuple(anna.operations)


def test_a_share_is_stale_after_a_removal_outside_its_heads(anna: Person) -> None:
    anna.add(anna.first, SECOND)
    before = anna.state.heads
    anna.rename(anna.first, "Anne")
    assert not share_is_stale(anna.operations, before)
    anna.remove(anna.first, SECOND)
    assert share_is_stale(anna.operations, before)
    assert not share_is_stale(anna.operations, anna.state.heads)


# --- Bounds ---


def spam(anna: Person, by: Terminal, count: int) -> list[bytes]:
    """`count` renames in a chain, made without reducing the log each time."""
    state = anna.state
    parent, made = list(state.heads), []
    for index in range(count):
        operation = Rename(anna.id, by.id, state.sequences[by.id] + 1 + index, parent, f"spam {index}")
        made.append(sign_operation(operation, by.seed))
        parent = [id_of(made[-1])]
    return made


def test_a_thief_cannot_fill_the_log_to_keep_its_removal_out(anna: Person) -> None:
    anna.add(anna.first, THIEF)
    upon = anna.state
    held = list(anna.operations)
    made = spam(anna, THIEF, limits.LOG_OPERATIONS_MAX)
    with pytest.raises(LimitExceeded):
        extend(held, [*made, *spam(Person("Anna"), anna.first, 0), anna.add(THIEF, SECOND, upon=upon)])
    held += extend(held, made).new
    assert len(held) == limits.LOG_OPERATIONS_MAX + 3
    anna.operations = list(held)
    removal = anna.remove(anna.first, THIEF, last=b"")
    assert extend(held, [removal]).state.live.keys() == {anna.first.id}


def test_attack_36_a_log_of_too_many_operations_is_refused_before_any_is_looked_at() -> None:
    with pytest.raises(LimitExceeded):
        reduce(index.to_bytes(2, "big") for index in range(limits.LOG_HELD_MAX + 1))


def test_more_heads_than_an_operation_can_name_are_refused(anna: Person) -> None:
    anna.add(anna.first, THIEF)
    upon = anna.state
    held = list(anna.operations)
    for index in range(limits.PARENTS_MAX + 1):
        anna.rename(THIEF, f"fork {index}", upon=upon)
    assert len(extend(held, anna.operations[:-1]).state.heads) == limits.PARENTS_MAX
    with pytest.raises(LimitExceeded):
        extend(held, anna.operations)
