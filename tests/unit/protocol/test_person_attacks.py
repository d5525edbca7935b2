"""Attacks on a person log: competing recoveries, copied keys, and logs that are filled (SPEC §7.3)."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Sequence

import pytest
from msgspec import msgpack
from nacl import bindings

from protocol import labels, limits
from protocol.codec import encode
from protocol.errors import AuthenticationFailed, LimitExceeded, Malformed, Untrusted
from protocol.identity.author import recover_operation, recovery_key, rename_operation, sign_recovery
from protocol.identity.exchange import Extension, before_recovery, changes, extend, missing
from protocol.identity.log import (
    Add,
    Remove,
    Rename,
    load,
    parse_operation,
    sign_operation,
    terminal_id,
)
from protocol.identity.reduction import NO_PINS, CauseKind, Pins, reduce
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.primitives import ed25519_from_seed
from tests.support.protocol.pairings import FOURTH, SECOND, THIEF, THIRD, Person, Terminal, chain, id_of
from tests.vectors.persons_log import LATER, signed_bytes


@pytest.fixture
def anna() -> Person:
    person = Person("Anna")
    person.add(person.first, SECOND)
    return person


# --- Recoveries that compete ---


def rivals(anna: Person, count: int) -> list[bytes]:
    """So many recoveries by the thief of an old backup of the seed, each with a terminal of its own."""
    upon = reduce(anna.operations[:3])
    return [
        anna.recover([(anna.first, b""), (SECOND, b"")], Terminal.named(f"rival {number}"), upon=upon)
        for number in range(count)
    ]


def test_case_84_a_ground_recovery_changes_nothing_for_those_who_saw_another_first(anna: Person) -> None:
    own = id_of(anna.recover([(anna.first, anna.state.last[anna.first.id])], FOURTH))
    before = anna.state
    assert list(before.live) == [FOURTH.id, SECOND.id]
    # An id can be ground, so some of these are lower than the owner's.
    ground = [id_of(signed) for signed in rivals(anna, 6)]
    assert min(ground) < own < max(ground)
    for pins in (Pins(seen=frozenset([own])), Pins(confirmed=frozenset([own]))):
        after = reduce(anna.operations, pins)
        assert (after.live, after.newest, after.recovery) == (before.live, own, before.recovery)
        assert after.rivals == set(ground)
        assert after.contested == (own not in pins.confirmed)
    confirmed = reduce(anna.operations, Pins(frozenset([own]), frozenset(ground[:1])))
    assert confirmed.newest == ground[0]
    assert own in confirmed.rivals


def test_case_84_of_recoveries_that_nobody_saw_first_none_is_in_force(anna: Person) -> None:
    before = anna.state
    own = id_of(anna.recover([(anna.first, b"")], THIRD))
    (ground,) = map(id_of, rivals(anna, 1))
    state = anna.state
    assert (state.live, state.newest, state.recoveries) == (before.live, anna.id, 0)
    assert state.contested
    assert state.rivals == {own, ground}
    assert [cause.kind for cause in state.causes[-2:]] == [CauseKind.CONTESTED] * 2


def test_case_84_a_new_recovery_follows_one_line_only(anna: Person) -> None:
    own = anna.recover([(anna.first, b"")], THIRD)
    upon = reduce(anna.operations)
    (ground,) = rivals(anna, 1)
    seed = anna.new.recovery_seed
    both = recover_operation(upon, seed, [])
    both = type(both)(
        **{name: getattr(both, name) for name in both.__struct_fields__}
        | {"parents": sorted([id_of(own), id_of(ground)])}
    )
    with pytest.raises(Malformed):
        reduce([*anna.operations, sign_recovery(both, seed)])


def test_many_rivals_are_not_all_kept_and_do_not_keep_the_owner_out(anna: Person) -> None:
    own = id_of(anna.recover([(anna.first, b"")], THIRD))
    pins = Pins(seen=frozenset([own]))
    held = list(anna.operations)
    flood = rivals(anna, limits.LOG_RIVALS_MAX + 12)
    for signed in flood:
        held = after(held, extend(held, [signed], pins=pins))
    state = reduce(held, pins)
    assert len(state.rivals) == limits.LOG_RIVALS_MAX
    again = sign_recovery(recover_operation(state, anna.new.recovery_seed, []), anna.new.recovery_seed)
    assert extend(held, [again], pins=pins).state.recoveries == 2


def test_case_97_an_operation_of_a_later_version_is_kept_and_changes_nothing(anna: Person) -> None:
    before = anna.state
    later = anna.later(anna.first, b"fields", ["more"])
    anna.add(anna.first, THIRD)
    theirs = anna.later(SECOND)
    state = extend(anna.operations[:3], anna.operations[3:]).state
    assert (state.name, state.newest, state.forks) == (before.name, before.newest, before.forks)
    assert list(state.live) == [anna.first.id, SECOND.id, THIRD.id]
    assert state.heads == (id_of(theirs),)
    assert state.sequences == {anna.first.id: 4, SECOND.id: 1, THIRD.id: 0}
    assert set(missing(anna.operations, before.heads)) == set(anna.operations[3:])
    assert later in extend((), anna.operations).new
    kinds = [cause.kind for cause in changes(before, state)]
    assert kinds == [CauseKind.ADDED]


def test_case_97_a_later_operation_of_a_removed_terminal_counts_as_its_renames_do(anna: Person) -> None:
    kept = anna.later(SECOND)
    seen = anna.state
    cut = anna.later(SECOND, upon=seen)
    anna.remove(anna.first, SECOND, id_of(kept), upon=seen)
    taken = extend(anna.operations[:3], anna.operations[3:])
    assert kept in taken.new
    assert cut not in taken.new
    with pytest.raises(Untrusted):
        extend(anna.operations, [_by(THIEF, anna)])


def _by(nobody: Terminal, anna: Person) -> bytes:
    operation = encode([LATER, anna.id, nobody.id, 1, list(anna.state.heads)])
    return signed_bytes(operation, nobody.seed)


def test_case_97_a_thief_who_sends_many_later_operations_keeps_no_removal_out(anna: Person) -> None:
    held, flood = list(anna.operations), list[bytes]()
    for _ in range(LOG_OPERATIONS_MAX + 1):
        flood.append(anna.later(SECOND))
    with pytest.raises(LimitExceeded):
        extend(held, flood)
    held = [*held, *extend(held, flood[:-1]).new]
    owner = Person("Anna")
    owner.operations = list(held)
    removal = owner.remove(owner.first, SECOND, b"")
    assert list(extend(held, [removal]).state.live) == [owner.first.id]


def test_the_recovery_keys_come_from_one_seed_by_number(anna: Person) -> None:
    seed = anna.new.recovery_seed
    for number in range(3):
        assert anna.state.recovery == ed25519_from_seed(recovery_key(seed, number))
        anna.recover()
    operation = recover_operation(anna.state, seed, [])
    present, following = recovery_key(seed, 3), recovery_key(seed, 4)
    for wrong in ((present,), (following, present), (present, present), (following, following)):
        with pytest.raises(AuthenticationFailed):
            reduce([*anna.operations, sign_operation(operation, *wrong)])
    assert reduce([*anna.operations, sign_operation(operation, present, following)]).recoveries == 4


# --- Forks ---


def test_case_92_a_fork_freezes_the_terminal_and_not_the_person(anna: Person) -> None:
    upon = anna.state
    anna.add(SECOND, THIEF, upon=upon)
    anna.rename(SECOND, "Mallory", upon=upon)
    state = anna.state
    assert (list(state.live), list(state.frozen), list(state.removed)) == ([anna.first.id], [SECOND.id], [])
    assert state.name == "Anna"
    (fork,) = state.forks
    assert (fork.author, len(fork.operations)) == (SECOND.id, 2)
    anna.add(anna.first, THIRD)
    assert list(anna.state.live) == [anna.first.id, THIRD.id]
    anna.remove(anna.first, SECOND, last=b"")
    assert (list(anna.state.live), anna.state.forks) == ([anna.first.id, THIRD.id], ())


def test_case_92_the_removal_that_settles_a_fork_says_which_branch_counts(anna: Person) -> None:
    upon = anna.state
    added = id_of(anna.add(SECOND, THIRD, upon=upon))
    anna.rename(SECOND, "Mallory", upon=upon)
    assert THIRD.id not in anna.state.live
    anna.remove(anna.first, SECOND, last=added)
    assert (list(anna.state.live), anna.state.name) == ([anna.first.id, THIRD.id], "Anna")


def test_case_92_a_thief_cannot_settle_its_own_fork(anna: Person) -> None:
    upon = anna.state
    anna.add(SECOND, THIEF, upon=upon)
    anna.rename(SECOND, "Mallory", upon=upon)
    anna.remove(SECOND, SECOND, upon=reduce(anna.operations[:4]))
    assert THIEF.id not in anna.state.live
    assert SECOND.id not in anna.state.live


# --- Logs that are filled ---


def after(held: Sequence[bytes], extension: Extension) -> list[bytes]:
    """What a terminal stores then."""
    return [one for one in held if id_of(one) not in extension.dropped] + list(extension.new)


def renames(anna: Person, by: Terminal, count: int) -> list[bytes]:
    """So many renames at once, all with one sequence."""
    state = anna.state
    sequence, parents = state.sequences[by.id] + 1, list(state.heads)
    return [
        sign_operation(Rename(anna.id, by.id, sequence, parents, f"n {number}"), by.seed)
        for number in range(count)
    ]


def removals(anna: Person, by: Terminal, count: int, target: bytes = b"") -> list[bytes]:
    """So many removals at once, of the author itself by default, each upon a rename of its own."""
    made = renames(anna, by, count)
    sequence = anna.state.sequences[by.id] + 2
    return [
        signed
        for rename in made
        for signed in (
            rename,
            sign_operation(Remove(anna.id, by.id, sequence, [id_of(rename)], target or by.id, b""), by.seed),
        )
    ]


def expelling(anna: Person, by: Terminal, count: int) -> list[bytes]:
    return removals(anna, by, count, SECOND.id)


def puppets(anna: Person, by: Terminal, count: int) -> list[bytes]:
    """A chain of terminals that each add the next one, and then remove the owner's junior terminal."""
    operations, author, made = list(anna.operations), by, []
    heads, sequence = list(anna.state.heads), anna.state.sequences[by.id] + 1
    for number in range(count // 2):
        new = Terminal.named(f"puppet {number}")
        add = Add(anna.id, author.id, sequence, heads, new.signing, new.static, "laptop")
        made.append(sign_operation(add, author.seed, new.seed))
        heads, author, sequence = [id_of(made[-1])], new, 1
    assert operations == anna.operations
    return made


FLOODS = [chain, renames, removals, expelling, puppets]
Flood = Callable[[Person, Terminal, int], list[bytes]]


def flooded(held: list[bytes], flood: Sequence[bytes]) -> list[bytes]:
    """What a terminal holds after a flood of which it takes what it can, up to the first that it refuses."""
    size = len(flood)
    while flood and size:
        try:
            extension = extend(held, flood[:size])
        except LimitExceeded:
            size //= 2
            continue
        held, flood = after(held, extension), flood[size:]
        if not extension.whole:
            break
    return held


@pytest.mark.parametrize("flood", FLOODS)
def test_the_thief_of_the_senior_terminal_cannot_keep_the_recovery_out(flood: Flood, anna: Person) -> None:
    """It sends all to one contact, half to another one, and nothing to the owner."""
    owner, made = list(anna.operations), flood(anna, anna.first, 300)
    one, two = flooded(owner, made), flooded(owner, made[: len(made) // 2])
    seed, last = anna.new.recovery_seed, anna.state.last[anna.first.id]
    recovery = recover_operation(anna.state, seed, [(anna.first.id, last)], THIRD.signing, THIRD.static)
    signed = sign_recovery(recovery, seed, THIRD.seed)
    joined = Person("Anna", [])
    joined.operations = [*owner, signed]
    later = joined.add(THIRD, FOURTH)
    for contact in (owner, one, two):
        recovered = after(contact, extend(contact, [signed]))
        state = extend(recovered, [later]).state
        assert next(iter(state.live)) == THIRD.id
        assert FOURTH.id in state.live
        assert anna.first.id in state.removed


@pytest.mark.parametrize("flood", FLOODS)
def test_the_thief_of_a_junior_terminal_cannot_keep_its_removal_out(flood: Flood, anna: Person) -> None:
    anna.add(anna.first, THIEF)
    anna.add(anna.first, THIRD)
    owner, made = list(anna.operations), flood(anna, THIEF, 300)
    filled = flooded(owner, made)
    removal = anna.remove(anna.first, THIEF, last=b"")
    state = extend(filled, [removal]).state
    assert THIEF.id in state.removed
    assert anna.first.id in state.live
    # What the thief wrote makes no room and takes none: the owner's other terminals go on.
    held = after(filled, extend(filled, [removal]))
    later = anna.rename(THIRD, "Anne")
    assert extend(held, [later]).state.name == "Anne"


def test_the_senior_thief_who_sends_510_renames_is_refused_and_the_recovery_taken(anna: Person) -> None:
    held, made, last = list(anna.operations), chain(anna, anna.first, 510), id_of(anna.operations[-1])
    with pytest.raises(LimitExceeded):
        extend(held, made)
    held = flooded(held, made)
    assert len(held) == limits.LOG_OPERATIONS_MAX + 1
    recovery = recover_operation(reduce(held), anna.new.recovery_seed, [(anna.first.id, last)])
    signed = sign_recovery(recovery, anna.new.recovery_seed)
    for contact in (anna.operations, held, [*held[:100]]):
        state = extend(contact, [*missing([*held, signed], reduce(contact).heads)]).state
        assert list(state.live) == [SECOND.id]
        assert state.name == "Anna"


def test_what_a_recovery_knows_takes_no_room_in_a_log_that_was_filled_three_times(anna: Person) -> None:
    """A new contact gets the whole log at once, with what three thieves wrote."""
    senior, seed = anna.first, anna.new.recovery_seed
    for number in range(3):
        anna.operations += chain(anna, senior, limits.LOG_OPERATIONS_MAX - 3)
        new, state = Terminal.named(f"recovered {number}"), anna.state
        lost = [(senior.id, state.last[senior.id])]
        operation = recover_operation(state, seed, lost, new.signing, new.static)
        anna.operations.append(sign_recovery(operation, seed, new.seed))
        senior = new
    assert next(iter(extend((), anna.operations).state.live)) == senior.id


def pinned(anna: Person, by: Terminal, count: int) -> list[bytes]:
    """Renames that a removal of the owner's junior terminal follows, so that they stay for ever."""
    made, juniors = chain(anna, by, count - 2), [one for one in anna.state.live if one != by.id]
    if not juniors:
        return made
    sequence = anna.state.sequences[by.id] + 1 + len(made)
    removal = Remove(anna.id, by.id, sequence, [id_of(made[-1])], juniors[0], b"")
    return [*made, sign_operation(removal, by.seed)]


def after_thefts(anna: Person, flood: Flood, count: int) -> list[bytes]:
    """What everybody holds after so many thieves of the senior terminal, each ended by a recovery.

    The recovery removes all terminals that are left, and brings one, which adds a junior one.
    """
    senior, seed, held = anna.first, anna.new.recovery_seed, anna.operations
    for number in range(count):
        made = flood(anna, senior, limits.LOG_OPERATIONS_MAX - 4)
        held = anna.operations = flooded(held, made)
        state = anna.state
        lost = {*state.live, *state.frozen}
        base = before_recovery(held, NO_PINS, lost)
        new = Terminal.named(f"senior {number}")
        removed = [(terminal, base.last[terminal]) for terminal in sorted(lost)]
        signed = sign_recovery(
            recover_operation(base, seed, removed, new.signing, new.static), seed, new.seed
        )
        senior, held = new, after(held, extend(held, [signed]))
        anna.operations = held
        assert list(anna.state.path)[-1] == id_of(signed)
        assert list(anna.state.live) == [senior.id]
        if len(held) < limits.LOG_KEPT_MAX:
            anna.add(senior, Terminal.named(f"junior {number}"))
    return list(held)


@pytest.mark.parametrize("flood", [chain, renames, expelling])
def test_what_a_thief_signed_makes_no_later_recovery_longer(flood: Flood, anna: Person) -> None:
    assert len(after_thefts(anna, flood, 3)) < 30
    assert anna.state.name == "Anna"


def test_a_recovery_follows_all_that_its_live_terminals_signed_and_nothing_of_those_it_removes(
    anna: Person,
) -> None:
    anna.add(anna.first, THIEF)
    made = [anna.rename(SECOND, f"Anne {number}") for number in range(3)]
    anna.later(SECOND, b"of a later version")
    anna.rename(THIEF, "Mallory")
    base = before_recovery(anna.operations, NO_PINS, [THIEF.id])
    assert set(map(id_of, [*made, anna.operations[-2]])) <= base.counting
    assert (base.sequences[SECOND.id], base.last[SECOND.id]) == (4, id_of(anna.operations[-2]))
    assert (base.sequences[THIEF.id], base.name) == (0, "Anne 2")


@pytest.mark.slow
def test_what_thieves_pinned_by_removals_keeps_no_recovery_and_no_removal_out(anna: Person) -> None:
    held, senior = after_thefts(anna, pinned, 7), Terminal.named("senior 6")
    assert limits.LOG_KEPT_MAX < len(held) < limits.LOG_KEPT_MAX + limits.LOG_REMOVALS_ROOM
    renamed = sign_operation(rename_operation(anna.state, senior.id, "Anne"), senior.seed)
    with pytest.raises(LimitExceeded):
        extend(held, [renamed])
    recovery = anna.recover()
    anna.operations = list(held)
    removal = anna.remove(senior, senior)
    for alone in (recovery, removal):
        extension = extend(held, [alone])
        assert (extension.new, extension.whole) == ((alone,), True)
    extension = extend(held, [renamed, recovery])
    assert (extension.new, extension.whole) == ((recovery,), False)
    anna.operations = list(held)
    sequence, made = anna.state.sequences[senior.id], chain(anna, senior, 60)
    last = id_of(made[-1])
    expelled = Remove(anna.id, senior.id, sequence + 61, [last], senior.id, last)
    came = [*made, sign_operation(expelled, senior.seed), recovery]
    extension = extend(held, came)
    assert (extension.new, extension.whole) == ((recovery,), False)


def signed_otherwise(signed: bytes, seed: bytes) -> bytes:
    """The same operation of one author with another valid signature (RFC 8032 with a random nonce)."""
    operation, signatures = msgpack.decode(signed)
    scalar = bytearray(hashlib.sha512(seed).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 63 | 64
    key = bindings.crypto_core_ed25519_scalar_reduce(bytes(scalar) + bytes(32))
    nonce = bindings.crypto_core_ed25519_scalar_reduce(os.urandom(64))
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
    message = labels.SIGN_OPERATION + id_of(signed)
    digest = hashlib.sha512(point + ed25519_from_seed(seed) + message).digest()
    product = bindings.crypto_core_ed25519_scalar_mul(bindings.crypto_core_ed25519_scalar_reduce(digest), key)
    made = point + bindings.crypto_core_ed25519_scalar_add(nonce, product)
    assert len(signatures) == 1
    assert made != signatures[0]
    return msgpack.encode([operation, [made]])


def test_operations_that_are_held_with_other_signatures_use_up_no_room(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their author could double a log at half of its contacts, so that no record fits next to it there."""
    base, made = list(anna.operations), chain(anna, anna.first, 200)
    held, others = [*base, *made], [*base, *(signed_otherwise(one, anna.first.seed) for one in made)]
    assert reduce(others).heads == reduce(held).heads
    monkeypatch.setattr(limits, "LOG_HELD_MAX", 300)
    assert extend(held, others).new == ()
    anna.operations = others
    late = anna.rename(anna.first, "Anne")
    assert extend(held, [*others, late]).new == (late,)


def test_a_thief_who_removes_itself_again_and_again_leaves_no_trace_of_what_it_cut(anna: Person) -> None:
    """Else operations that once counted would fill the store of everybody who saw them."""
    anna.add(anna.first, THIEF)
    held, author = list(anna.operations), THIEF
    for number in range(12):
        person = Person("Anna")
        person.operations = list(held)
        new = Terminal.named(f"next {number}")
        added = person.add(author, new)
        cut = sign_operation(
            Remove(anna.id, author.id, 2, [id_of(added)], author.id, id_of(added)), author.seed
        )
        held = after(held, extend(held, [added]))
        person.operations = list(held)
        held = flooded(held, chain(person, author, 200))
        held = after(held, extend(held, [cut]))
        author = new
    assert len(held) < 100


def test_many_heads_do_not_make_a_recovery_too_long(anna: Person) -> None:
    for number in range(7):
        anna.add(anna.first, Terminal.named(f"lost {number}"))
    anna.operations += renames(anna, SECOND, 40)
    state = anna.state
    assert len(state.heads) == limits.PARENTS_MAX
    removed = [(terminal, state.last[terminal]) for terminal in list(state.sequences)[:8]]
    seed = anna.new.recovery_seed
    operation = recover_operation(state, seed, removed, THIRD.signing, THIRD.static)
    signed = sign_recovery(operation, seed, THIRD.seed)
    assert len(signed) <= limits.OPERATION_BYTES_MAX
    assert THIRD.id in extend(anna.operations, [signed]).state.live


def test_more_heads_than_an_operation_names_hide_nobody(anna: Person) -> None:
    anna.add(anna.first, THIRD)
    for signed in renames(anna, SECOND, 40):
        anna.operations.append(signed)
    state = anna.state
    assert len(state.heads) == limits.PARENTS_MAX
    last = id_of(anna.rename(THIRD, "Anne", upon=reduce(anna.operations[:5])))
    state = anna.state
    assert len(state.heads) == limits.PARENTS_MAX
    assert last in state.heads
    # Each of twenty terminals goes on from its own last operation.
    crowd = [Terminal.named(f"crowd {number}") for number in range(20)]
    for terminal in crowd:
        anna.add(THIRD, terminal)
    upon = anna.state
    for terminal in crowd:
        anna.rename(terminal, "all at once", upon=upon)
    for terminal in crowd:
        operation = parse_operation(anna.rename(terminal, "again"))
        assert operation.sequence == 2
    assert [fork.author for fork in anna.state.forks] == [SECOND.id]


@pytest.mark.parametrize("count", [50, 100, 200])
def test_case_94_to_check_a_log_takes_as_much_for_each_operation(
    count: int, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many terminals its author may know: a contact can make its log as long as the bounds allow."""
    made, asked = puppets(anna, anna.first, 2 * count), itertools.count()

    def identify(signing: bytes, static: bytes) -> bytes:
        next(asked)
        return terminal_id(signing, static)

    monkeypatch.setattr("protocol.identity.log.terminal_id", identify)
    load([*anna.operations, *made])
    assert next(asked) <= 2 * (len(made) + 3)


def test_the_last_operation_of_a_live_terminal_is_named_before_forks_that_came_after_it(anna: Person) -> None:
    anna.add(anna.first, THIRD)
    forks = renames(anna, SECOND, 40)
    last = id_of(anna.rename(THIRD, "Anne"))
    anna.operations += forks
    heads = anna.state.heads
    assert len(heads) == limits.PARENTS_MAX
    assert last in heads
