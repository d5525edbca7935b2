"""What of a person log is taken from others and handed on, and its bounds (SPEC §7.2, §7.6)."""

from __future__ import annotations

import pytest

from protocol import limits
from protocol.errors import (
    LimitExceeded,
    Malformed,
    Untrusted,
)
from protocol.identity.log import Rename, sign_operation
from protocol.identity.reduction import extend, missing, reduce, share_is_stale
from tests.support.protocol.pairings import SECOND, THIEF, THIRD, Person, Terminal, id_of


@pytest.fixture
def anna() -> Person:
    return Person("Anna")


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
