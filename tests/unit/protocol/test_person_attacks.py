"""Attacks on a person log: competing recoveries, copied keys, and logs that are filled (SPEC §7.3)."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Sequence

import pytest
from msgspec import msgpack
from msgspec.structs import replace
from nacl import bindings

from protocol import labels, limits
from protocol.codec import encode
from protocol.errors import AuthenticationFailed, LimitExceeded, Untrusted
from protocol.identity.author import recover_operation, recovery_key, rename_operation, sign_recovery
from protocol.identity.drawing import open_renew, renew_operation
from protocol.identity.exchange import (
    Extension,
    before_recovery,
    changes,
    default_keep,
    extend,
    farewell,
    missing,
)
from protocol.identity.log import (
    Add,
    Remove,
    Rename,
    TerminalKeys,
    load,
    sign_operation,
    terminal_id,
)
from protocol.identity.reduction import NO_PINS, CauseKind, Pins, Reduction, Standing, reduce
from protocol.limits import LOG_OPERATIONS_MAX
from protocol.primitives import ed25519_from_seed
from tests.support.protocol.pairings import (
    FOURTH,
    SECOND,
    THIEF,
    THIRD,
    Person,
    Terminal,
    chain,
    id_of,
    last_of,
)
from tests.support.protocol.samples import seeded
from tests.vectors.persons_log import LATER
from tests.vectors.persons_signed import signed_bytes


@pytest.fixture
def anna() -> Person:
    person = Person("Anna")
    person.add(person.first, SECOND)
    return person


# --- Recoveries that compete ---

NEW_SEED = bytes(range(32))


def rivals(anna: Person, count: int) -> list[bytes]:
    """So many recoveries by the thief of an old backup of the seed, each with a terminal of its own."""
    upon = upto(anna, 3)
    return [
        anna.recover({anna.first: [], SECOND: []}, Terminal.named(f"rival {number}"), upon=upon)
        for number in range(count)
    ]


def upto(anna: Person, count: int) -> Reduction:
    """The log of the first operations."""
    return Reduction(load(anna.operations[:count]))


def all_of(anna: Person, terminal: Terminal) -> tuple[bytes, ...]:
    """What keeps all that a terminal signed."""
    return last_of(anna.now, terminal.id)


def test_case_84_a_ground_recovery_changes_nothing_for_those_who_saw_another_first(anna: Person) -> None:
    own = id_of(anna.recover({anna.first: all_of(anna, anna.first)}, FOURTH))
    before, held = anna.state, list(anna.operations)
    assert list(before.live) == [FOURTH.id, SECOND.id]
    # An id can be ground, so one of these is lower than the owner's.
    made = {id_of(signed): signed for signed in rivals(anna, 100)}
    ground = [min(made), max(made)]
    assert ground[0] < own < ground[1]
    anna.operations = [*held, *(made[one] for one in ground)]
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
    own = id_of(anna.recover({anna.first: []}, THIRD))
    (ground,) = map(id_of, rivals(anna, 1))
    state = anna.state
    assert (state.live, state.newest, state.recoveries) == (before.live, anna.id, 0)
    assert state.contested
    assert state.rivals == {own, ground}
    assert [cause.kind for cause in state.causes[-2:]] == [CauseKind.CONTESTED] * 2


def test_case_84_what_follows_two_lines_of_recoveries_changes_nothing(anna: Person) -> None:
    """Of one length, and of two lengths, also where the longer one follows on."""
    own = id_of(anna.recover({anna.first: []}, THIRD))
    longer = id_of(anna.recover({}, None))
    (ground,) = map(id_of, rivals(anna, 1))
    pins, seed = Pins(confirmed=frozenset([own, longer])), anna.new.recovery_seed
    before = reduce(anna.operations, pins)
    for one in (own, longer):
        parents = sorted([one, ground])
        renamed = sign_operation(Rename(anna.id, THIRD.id, parents, "Eve"), THIRD.seed)
        recover = recover_operation(upto(anna, 5), seed, seed, {})
        both = sign_recovery(replace(recover, previous=one, parents=parents), seed)
        after = reduce([*anna.operations, renamed, both], pins)
        assert (after.name, after.path, after.live) == (before.name, before.path, before.live)


def test_words_that_were_replaced_open_nothing_any_more(anna: Person) -> None:
    """Attack c3: a recovery names the key of another seed."""
    old = anna.new.recovery_seed
    own = id_of(anna.recover({}, seeds=(old, NEW_SEED)))
    with pytest.raises(AuthenticationFailed):
        forged = recover_operation(anna.now, old, old, {}, TerminalKeys(THIEF.signing, THIEF.static))
        reduce([*anna.operations, sign_recovery(forged, old, THIEF.seed)])
    # What the thief of the old words can make follows the genesis: a sibling, which a confirmed one excludes.
    anna.recover({anna.first: []}, THIEF, upon=upto(anna, 3))
    state = reduce(anna.operations, Pins(confirmed=frozenset([own])))
    assert (state.newest, state.contested, THIEF.id in state.live) == (own, False, False)
    following = anna.recover({SECOND: []}, upon=Reduction(load(anna.operations[:4])), seeds=(NEW_SEED, old))
    assert reduce(anna.operations, Pins(confirmed=frozenset([own]))).newest == id_of(following)


def test_case_c3_the_thief_of_the_words_takes_part_in_nothing_after_one_recovery_with_a_new_seed(
    anna: Person,
) -> None:
    """The thief is the first to use them, and goes on upon the recovery of the owner and upon the genesis."""
    leaked, founding, new = anna.new.recovery_seed, upto(anna, 3), TerminalKeys(THIRD.signing, THIRD.static)
    anna.recover({anna.first: [], SECOND: []}, THIEF, upon=founding, seeds=(leaked, THIEF.seed))
    assert [*anna.state.live] == [THIEF.id], "until the cure"
    cure = id_of(anna.recover({anna.first: []}, FOURTH, upon=founding, seeds=(leaked, NEW_SEED)))
    pins = Pins(confirmed=frozenset([cure]))
    cured = reduce(anna.operations, pins)
    assert FOURTH.id in cured.live
    for number in range(4):
        for following in (leaked, Terminal.named(f"of the thief {number}").seed):
            upon = Reduction(load(anna.operations), pins)
            theft = recover_operation(upon, leaked, following, {FOURTH.id: []}, new)
            with pytest.raises(AuthenticationFailed):
                extend(anna.operations, [sign_recovery(theft, leaked, THIRD.seed)], pins)
            sibling = Terminal.named(f"sibling {number} {following.hex()}")
            anna.recover({SECOND: []}, sibling, upon=founding, seeds=(leaked, following))
        state = reduce(anna.operations, pins)
        assert (state.path, state.live, state.contested) == (cured.path, cured.live, False)
        assert state.recovery == recovery_key(NEW_SEED)
    again = id_of(anna.recover(upon=Reduction(load(anna.operations), pins), seeds=(NEW_SEED, NEW_SEED)))
    assert reduce(anna.operations, pins).newest == again


def test_a_recovery_has_both_signatures_of_the_key_that_the_one_before_names(anna: Person) -> None:
    old, new = anna.new.recovery_seed, NEW_SEED
    made = recover_operation(anna.now, old, new, {})
    _operation, (ed25519, mldsa) = msgpack.decode(sign_recovery(made, old))
    other = recover_operation(anna.now, new, new, {})
    _other, (other_ed25519, other_mldsa) = msgpack.decode(sign_recovery(other, new))
    for signatures in (
        [ed25519],
        [mldsa],
        [mldsa, ed25519],
        [ed25519, other_mldsa],
        [other_ed25519, mldsa],
        [ed25519, mldsa[:-1] + bytes([mldsa[-1] ^ 1])],
    ):
        with pytest.raises(AuthenticationFailed):
            reduce([*anna.operations, msgpack.encode([encode(made), signatures])])
    with pytest.raises(AuthenticationFailed):  # the ML-DSA key of another seed
        reduce([*anna.operations, sign_recovery(replace(made, mldsa=other.mldsa), old)])
    signed = msgpack.encode([encode(made), [ed25519, mldsa]])
    assert reduce([*anna.operations, signed]).recovery == recovery_key(new)


def test_many_rivals_are_not_all_kept_and_do_not_keep_the_owner_out(anna: Person) -> None:
    own = id_of(anna.recover({anna.first: []}, THIRD))
    pins, seed = Pins(seen=frozenset([own])), anna.new.recovery_seed
    held = list(anna.operations)
    flood = rivals(anna, limits.LOG_RIVALS_MAX + 12)
    for signed in flood:
        held = after(held, extend(held, [signed], pins=pins))
    assert len(reduce(held, pins).rivals) == limits.LOG_RIVALS_MAX
    again = sign_recovery(recover_operation(Reduction(load(held), pins), seed, seed, {}), seed)
    assert extend(held, [again], pins=pins).state.recoveries == 2


def test_case_97_an_operation_of_a_later_version_is_kept_and_changes_nothing(anna: Person) -> None:
    before = anna.state
    later = anna.later(anna.first, b"fields", ["more"])
    anna.add(anna.first, THIRD)
    theirs = anna.later(SECOND)
    state = extend(anna.operations[:3], anna.operations[3:]).state
    assert (state.name, state.newest) == (before.name, before.newest)
    assert list(state.live) == [anna.first.id, SECOND.id, THIRD.id]
    assert state.heads == (id_of(theirs),)
    assert set(missing(anna.operations, before.heads)) == set(anna.operations[3:])
    assert later in extend((), anna.operations).new
    kinds = [cause.kind for cause in changes(before, state)]
    assert kinds == [CauseKind.ADDED]


def test_case_97_a_later_operation_of_a_removed_terminal_counts_as_its_renames_do(anna: Person) -> None:
    kept = anna.later(SECOND)
    seen = anna.now
    cut = anna.later(SECOND)
    anna.remove(anna.first, SECOND, [id_of(kept)], upon=seen)
    taken = extend(anna.operations[:3], anna.operations[3:])
    assert kept in taken.new
    assert cut not in taken.new
    with pytest.raises(Untrusted):
        extend(anna.operations, [_by(THIEF, anna)])


def _by(nobody: Terminal, anna: Person) -> bytes:
    operation = encode([LATER, anna.id, nobody.id, list(anna.state.heads)])
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
    removal = owner.remove(owner.first, SECOND, [])
    assert list(extend(held, [removal]).state.live) == [owner.first.id]


# --- Copies ---


def test_case_92_two_operations_of_which_neither_knows_the_other_show_a_copy_and_change_nothing(
    anna: Person,
) -> None:
    upon = anna.state
    added = id_of(anna.add(SECOND, THIRD, upon=upon))
    renamed = id_of(anna.rename(SECOND, "Mallory", upon=upon))
    state = anna.state
    assert {*state.copied} == {SECOND.id}
    assert {*state.copied[SECOND.id]} == {added, renamed}
    assert list(state.live) == [anna.first.id, SECOND.id, THIRD.id]
    assert state.name == "Mallory"
    copied = [cause for cause in state.causes if cause.kind is CauseKind.COPIED]
    assert [(one.terminal, one.operation) for one in copied] == [(SECOND.id, state.copied[SECOND.id][1])]


def test_case_92_the_removal_of_a_copy_says_which_branch_counts(anna: Person) -> None:
    upon = anna.state
    added = id_of(anna.add(SECOND, THIRD, upon=upon))
    anna.add(SECOND, THIEF, upon=upon)
    anna.rename(SECOND, "Mallory", upon=upon)
    anna.remove(anna.first, SECOND, [added])
    state = anna.state
    assert (list(state.live), state.name, state.copied) == ([anna.first.id, THIRD.id], "Anna", {})
    assert {SECOND.id, THIEF.id} == state.gone.keys()


def test_a_thief_who_removes_itself_keeps_nothing_that_the_owner_fells(anna: Person) -> None:
    upon = anna.now
    added = id_of(anna.add(SECOND, THIEF))
    anna.remove(SECOND, SECOND, [added])
    assert THIEF.id in anna.state.live
    anna.remove(anna.first, SECOND, [], upon=upon)
    assert list(anna.state.live) == [anna.first.id]


def test_a_machine_that_a_removal_fells_hears_of_it(anna: Person) -> None:
    """It hears what it lacks: the removal of the one that added it."""
    anna.add(SECOND, THIEF)
    anna.add(THIEF, FOURTH)
    held = list(anna.operations)
    removal = anna.remove(anna.first, SECOND, [])
    for machine in (SECOND, THIEF, FOURTH):
        told = farewell(anna.operations, machine.static)
        assert told[-1] == removal
        assert machine.id in extend(held, told).state.gone
    for other in (anna.first, THIRD):
        assert farewell(anna.operations, other.static) == ()


# --- What a removal keeps by default ---


def default(anna: Person, removed: Terminal, confirmed: Sequence[bytes]) -> tuple[bytes, ...]:
    return default_keep(anna.now, removed.id, anna.first.id, {*confirmed})


def test_attack_c13_a_removal_fells_what_nobody_confirmed_and_all_that_came_of_it(anna: Person) -> None:
    good = id_of(anna.add(SECOND, THIRD))
    anna.add(SECOND, THIEF)
    anna.add(THIEF, FOURTH)
    anna.rename(SECOND, "Mallory")
    keep = default(anna, SECOND, [good])
    assert keep == (good,)
    anna.remove(anna.first, SECOND, keep)
    assert (list(anna.state.live), anna.state.name) == ([anna.first.id, THIRD.id], "Anna")


def test_an_add_that_follows_one_that_nobody_confirmed_falls_with_it(anna: Person) -> None:
    """Else what is kept would keep that one, too."""
    bad, good = id_of(anna.add(SECOND, THIEF)), id_of(anna.add(SECOND, THIRD))
    assert default(anna, SECOND, [good]) == ()
    assert default(anna, SECOND, [bad, good]) == (good,)


def test_what_brought_the_signer_in_stays_whatever_was_confirmed(anna: Person) -> None:
    senior = anna.first
    anna.add(SECOND, THIEF)
    way = id_of(anna.add(SECOND, THIRD))
    assert default_keep(anna.now, SECOND.id, THIRD.id, set()) == (way,)
    anna.recover({senior: default_keep(anna.now, senior.id, THIRD.id, set())})
    assert THIRD.id in anna.state.live


def test_no_more_is_kept_than_a_removal_can_name(anna: Person) -> None:
    upon = anna.state
    added = [
        id_of(anna.add(SECOND, Terminal.named(f"at once {number}"), upon=upon))
        for number in range(limits.KEEP_MAX + 2)
    ]
    keep = default(anna, SECOND, added)
    assert keep == tuple(sorted(added))[: limits.KEEP_MAX]
    anna.remove(anna.first, SECOND, keep)
    assert len(anna.state.live) == 1 + limits.KEEP_MAX


# --- Keys that are drawn ---


def secret_of(anna: Person, operation: bytes, terminal: Terminal) -> bytes | None:
    now, first = anna.now, anna.new.self_key
    return open_renew(now, operation, now.state().live[terminal.id], first, terminal.secret)


def test_a_renewal_reaches_each_live_terminal_and_no_other(anna: Person) -> None:
    anna.add(anna.first, THIEF)
    anna.remove(anna.first, THIEF, [])
    renewed = id_of(anna.renew(anna.first))
    drawn = {secret_of(anna, renewed, one) for one in (anna.first, SECOND)}
    assert len(drawn) == 1
    assert None not in drawn
    gone = anna.state.gone[THIEF.id]
    assert open_renew(anna.now, renewed, gone, anna.new.self_key, THIEF.secret) is None
    assert [*anna.state.drawn.items()] == [(renewed, Standing.FRESH), (anna.id, Standing.COUNTS)]


def test_keys_are_not_fresh_while_somebody_knows_them_who_is_gone_or_a_live_terminal_lacks_them(
    anna: Person,
) -> None:
    upon = anna.state
    renewed = id_of(anna.renew(anna.first))
    anna.add(anna.first, THIRD, upon=upon)
    assert anna.state.drawn[renewed] is Standing.COUNTS  # the Add does not follow it, so nobody hands it on
    anna.add(anna.first, FOURTH)
    again = id_of(anna.renew(anna.first))
    fresh = [(again, Standing.FRESH), (anna.id, Standing.FRESH)]  # linking hands on what was drawn before
    assert [*anna.state.drawn.items()] == [*fresh, (renewed, Standing.COUNTS)]
    anna.remove(anna.first, THIRD, [])
    assert {*anna.state.drawn.values()} == {Standing.COUNTS}
    again = id_of(anna.renew(anna.first))
    assert next(iter(anna.state.drawn)) == again


def test_the_keys_of_a_removed_drawer_come_last(anna: Person) -> None:
    fallen = id_of(anna.renew(SECOND))
    anna.remove(anna.first, SECOND, [], upon=anna.now)
    assert [*anna.state.drawn.items()] == [(anna.id, Standing.COUNTS), (fallen, Standing.FALLEN)]


def test_a_secret_that_does_not_fit_what_was_said_of_it_is_as_if_it_were_absent(anna: Person) -> None:
    made = renew_operation(anna.now, SECOND.id, anna.new.self_key, bytes(32), seeded("a thief"))
    low_order = bytes(32)
    for wrong in (
        replace(made, drawn=bytes(32)),
        replace(made, sealed=made.sealed[::-1]),
        replace(made, sealed=[]),
        replace(made, once=low_order),
    ):
        renewed = id_of(anna.write(wrong, SECOND.seed))
        assert [secret_of(anna, renewed, one) for one in (anna.first, SECOND)] == [None, None]
    few = id_of(anna.write(replace(made, sealed=made.sealed[:1]), SECOND.seed))
    assert sum(secret_of(anna, few, one) is None for one in (anna.first, SECOND)) == 1


# --- Logs that are filled ---


def after(held: Sequence[bytes], extension: Extension) -> list[bytes]:
    """What a terminal stores then."""
    return [one for one in held if id_of(one) not in extension.dropped] + list(extension.new)


def renames(anna: Person, by: Terminal, count: int) -> list[bytes]:
    """So many renames at once, of which none knows another."""
    parents = list(anna.state.heads)
    return [
        sign_operation(Rename(anna.id, by.id, parents, f"n {number}"), by.seed) for number in range(count)
    ]


def removals(anna: Person, by: Terminal, count: int, target: bytes = b"") -> list[bytes]:
    """So many removals at once, of the author itself by default, each upon a rename of its own."""
    return [
        signed
        for rename in renames(anna, by, count)
        for signed in (
            rename,
            sign_operation(Remove(anna.id, by.id, [id_of(rename)], target or by.id, []), by.seed),
        )
    ]


def expelling(anna: Person, by: Terminal, count: int) -> list[bytes]:
    return removals(anna, by, count, SECOND.id)


def puppets(anna: Person, by: Terminal, count: int) -> list[bytes]:
    """A chain of terminals that each add the next one, and then remove the owner's junior terminal."""
    operations, author, made = list(anna.operations), by, []
    heads = list(anna.state.heads)
    for number in range(count // 2):
        new = Terminal.named(f"puppet {number}")
        add = Add(anna.id, author.id, heads, new.signing, new.static, "laptop")
        made.append(sign_operation(add, author.seed, new.seed))
        heads, author = [id_of(made[-1])], new
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
    signed = anna.recover({anna.first: all_of(anna, anna.first)}, THIRD)
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
    removal = anna.remove(anna.first, THIEF, [])
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
    signed = anna.recover({anna.first: [last]}, upon=Reduction(load(held)))
    for contact in (anna.operations[:-1], held, [*held[:100]]):
        state = extend(contact, [*missing([*held, signed], reduce(contact).heads)]).state
        assert list(state.live) == [SECOND.id]
        assert state.name == "Anna"


def test_what_a_recovery_knows_takes_no_room_in_a_log_that_was_filled_three_times(anna: Person) -> None:
    """A new contact gets the whole log at once, with what three thieves wrote."""
    senior = anna.first
    for number in range(3):
        anna.operations += chain(anna, senior, limits.LOG_OPERATIONS_MAX - 3)
        new = Terminal.named(f"recovered {number}")
        anna.recover({senior: all_of(anna, senior)}, new)
        senior = new
    assert next(iter(extend((), anna.operations).state.live)) == senior.id


def pinned(anna: Person, by: Terminal, count: int) -> list[bytes]:
    """Renames that a removal of the owner's junior terminal follows, so that they stay for ever."""
    made, juniors = chain(anna, by, count - 2), [one for one in anna.state.live if one != by.id]
    if not juniors:
        return made
    removal = Remove(anna.id, by.id, [id_of(made[-1])], juniors[0], [])
    return [*made, sign_operation(removal, by.seed)]


def after_thefts(anna: Person, flood: Flood, count: int) -> list[bytes]:
    """What everybody holds after so many thieves of the senior terminal, each ended by a recovery.

    The recovery removes all terminals that are left, and brings one, which adds a junior one.
    """
    senior, seed, held = anna.first, anna.new.recovery_seed, anna.operations
    for number in range(count):
        made = flood(anna, senior, limits.LOG_OPERATIONS_MAX - 4)
        held = anna.operations = flooded(held, made)
        lost = anna.state.live.keys()
        base = before_recovery(held, NO_PINS, lost)
        new = Terminal.named(f"senior {number}")
        keys = TerminalKeys(new.signing, new.static)
        made_of = recover_operation(base, seed, seed, dict.fromkeys(lost, ()), keys)
        signed = sign_recovery(made_of, seed, new.seed)
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


def test_a_recovery_follows_all_that_its_live_terminals_signed_and_nothing_of_those_it_removes(
    anna: Person,
) -> None:
    anna.add(anna.first, THIEF)
    made = [anna.rename(SECOND, f"Anne {number}") for number in range(3)]
    anna.later(SECOND, b"of a later version")
    anna.rename(THIEF, "Mallory")
    base = before_recovery(anna.operations, NO_PINS, [THIEF.id])
    state = base.state()
    assert set(map(id_of, [*made, anna.operations[-2]])) <= state.counting
    assert id_of(anna.operations[-1]) not in base.graph.position
    assert state.name == "Anne 2"


@pytest.mark.slow
def test_what_thieves_pinned_by_removals_keeps_no_recovery_and_no_removal_out(anna: Person) -> None:
    held, senior = after_thefts(anna, pinned, 7), Terminal.named("senior 6")
    assert limits.LOG_KEPT_MAX < len(held) < limits.LOG_KEPT_MAX + limits.LOG_REMOVALS_ROOM
    renamed = sign_operation(rename_operation(anna.state, senior.id, "Anne"), senior.seed)
    with pytest.raises(LimitExceeded):
        extend(held, [renamed])
    recovery = anna.recover()
    anna.operations = list(held)
    removal = anna.remove(senior, senior, [])
    for alone in (recovery, removal):
        extension = extend(held, [alone])
        assert (extension.new, extension.whole) == ((alone,), True)
    extension = extend(held, [renamed, recovery])
    assert (extension.new, extension.whole) == ((recovery,), False)
    anna.operations = list(held)
    made = chain(anna, senior, 60)
    last = id_of(made[-1])
    expelled = Remove(anna.id, senior.id, [last], senior.id, [last])
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
            Remove(anna.id, author.id, [id_of(added)], author.id, [id_of(added)]), author.seed
        )
        held = after(held, extend(held, [added]))
        person.operations = list(held)
        held = flooded(held, chain(person, author, 200))
        held = after(held, extend(held, [cut]))
        author = new
    assert len(held) < 100


def test_the_largest_recovery_has_room_for_what_it_names(anna: Person) -> None:
    for number in range(7):
        anna.add(anna.first, Terminal.named(f"lost {number}"))
    anna.operations += renames(anna, SECOND, 40)
    now = anna.now
    assert len(now.heads()) == limits.PARENTS_MAX
    lost = [Terminal.named(f"lost {number}") for number in range(7)]
    kept = now.graph.ids(now.graph.by_author[SECOND.id])[: limits.KEEP_MAX]
    signed = anna.recover({SECOND: kept, **dict.fromkeys(lost, ())}, THIRD, upon=now)
    assert len(signed) <= limits.RECOVER_BYTES_MAX
    state = extend(anna.operations[:-1], [signed]).state
    assert THIRD.id in state.live
    assert {*kept} <= state.counting


def test_more_heads_than_an_operation_names_hide_nobody(anna: Person) -> None:
    anna.add(anna.first, THIRD)
    anna.operations += renames(anna, SECOND, 40)
    last = id_of(anna.rename(THIRD, "Anne", upon=reduce(anna.operations[:5])))
    heads = anna.state.heads
    assert len(heads) == limits.PARENTS_MAX
    assert last in heads


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


@pytest.mark.parametrize("chained", [False, True])
def test_what_counts_is_decided_anew_once_at_most_for_each_removal(
    chained: bool, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Terminals that remove themselves, at once or each upon the one before: no cube of the log."""
    made, heads, counting, decided = list[bytes](), list(anna.state.heads), Reduction._counting, list[int]()
    machines = [Terminal.named(f"machine {number}") for number in range(60)]
    for one in machines:
        add = Add(anna.id, anna.first.id, heads, one.signing, one.static, "machine")
        made.append(sign_operation(add, anna.first.seed, one.seed))
        heads = [id_of(made[-1])]
    for one in machines:
        made.append(sign_operation(Remove(anna.id, one.id, heads, one.id, []), one.seed))
        heads = [id_of(made[-1])] if chained else heads

    def counted(self: Reduction, context: int, denying: int = -1) -> int:
        decided.append(context)
        return counting(self, context, denying)

    monkeypatch.setattr(Reduction, "_counting", counted)
    state = Reduction(load([*anna.operations, *made])).state()
    assert {one.id for one in machines} <= state.removed
    assert len(decided) <= 8 + chained * len(machines)


def test_the_last_operation_of_a_live_terminal_is_named_before_what_a_copy_made_after_it(
    anna: Person,
) -> None:
    anna.add(anna.first, THIRD)
    made = renames(anna, SECOND, 40)
    last = id_of(anna.rename(THIRD, "Anne"))
    anna.operations += made
    heads = anna.state.heads
    assert len(heads) == limits.PARENTS_MAX
    assert last in heads


def test_a_renew_reaches_the_senior_terminals_however_many_a_thief_adds_whatever_their_ids(
    anna: Person,
) -> None:
    anna.add(anna.first, THIEF)
    machines = [Terminal.named(f"machine {number}") for number in range(limits.SEALED_MAX)]
    assert min(one.id for one in machines) < SECOND.id < max(one.id for one in machines)
    for machine in machines:
        anna.add(THIEF, machine)
    reduction = Reduction(load(anna.operations))
    live = reduction.live_upto(reduction.heads())
    assert live[: limits.SEALED_MAX] == list(anna.state.live)[: limits.SEALED_MAX]
    renew = renew_operation(reduction, anna.first.id, bytes(32), bytes(32), bytes)
    assert len(renew.sealed) == limits.SEALED_MAX
    assert {anna.first.id, SECOND.id, THIEF.id} == set(live[:3])
