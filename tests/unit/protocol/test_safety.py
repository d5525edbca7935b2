"""Safety numbers and words (SPEC §7.4, §7.7)."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import pytest
from msgspec.structs import replace

from protocol.errors import LocalMisuse
from protocol.identity import safety
from protocol.identity.author import recover_operation
from protocol.identity.log import Graph
from protocol.identity.reduction import Pins, Reduction, reduce
from protocol.identity.safety import branches, open_questions, safety_number, word_list, words
from protocol.limits import SAFETY_REDUCTIONS_MAX
from protocol.primitives import ed25519_from_seed
from tests.vectors.files import Seed
from tests.vectors.persons_log import Person

CHECKSUM = "a11cc052940328f21c01cfb61c37b6348b392bd9d9132d0ef784e3b7d96d41de"
"""SHA-256 of the list: two programs with different lists would show different words for one pairing."""


SEED = Seed("safety numbers", "unit")


def persons() -> tuple[Person, Person]:
    """Two persons with one terminal each."""
    return Person(SEED, "anna", "Anna"), Person(SEED, "ben", "Ben")


def rival(person: Person, name: str, upon: list[str], number: int = 0) -> bytes:
    """A Recover by the holder of a copied seed, who names a key of his own; returns its id."""
    stolen = SEED.bytes(name)
    state = person.state(upon)
    operation = replace(recover_operation(state, person.recovery, []), recovery=ed25519_from_seed(stolen))
    person.write(name, operation, person.key(number), stolen)
    return person.id_of(name)


def test_a_number_of_one_person_is_a_mistake_of_ours() -> None:
    anna, _ = persons()
    with pytest.raises(LocalMisuse):
        safety_number(anna.state(), anna.state())


def test_case_84_the_number_changes_with_a_terminal_or_recovery_of_a_thief() -> None:
    """The thief has Ben's terminal and his seed. Both sides have to hold the change to show one number."""
    anna, ben = persons()
    first, foreign = ben.first, ben.terminal("foreign")
    before = safety_number(anna.state(), ben.state())
    ben.add("the thief adds", first, foreign)
    added = safety_number(anna.state(), ben.state())
    ben.remove("removed again", first, foreign)
    removed = safety_number(anna.state(), ben.state())
    ben.recover("the thief recovers")
    recovered = safety_number(anna.state(), ben.state())
    assert before == removed
    assert len({before, added, recovered}) == 3
    assert safety_number(ben.state(), anna.state()) == recovered


def test_case_84_the_number_covers_which_terminals_and_not_how_many() -> None:
    anna, ben = persons()
    founding = ["genesis", "rename"]
    ben.add("adds one", ben.first, ben.terminal("one"), founding)
    ben.add("adds other", ben.first, ben.terminal("other"), founding)
    one, other = (ben.state([*founding, name]) for name in ("adds one", "adds other"))
    assert len(one.live) == len(other.live) == 2
    assert safety_number(anna.state(), one) != safety_number(anna.state(), other)


def test_a_rename_changes_no_number() -> None:
    anna, ben = persons()
    before = safety_number(anna.state(), ben.state())
    ben.rename("again", ben.first, "Benn")
    assert safety_number(anna.state(), ben.state()) == before


def test_case_84_what_a_thief_signs_with_a_copied_key_is_asked_about() -> None:
    """The author of the Add is the own terminal: its signature answers nothing."""
    _, ben = persons()
    assert open_questions(ben.state(), frozenset()) == ()
    foreign = ben.terminal("foreign")
    ben.add("adds", ben.first, foreign)
    ben.recover("recovers")
    add, recovery = ben.id_of("adds"), ben.id_of("recovers")
    assert open_questions(ben.state(), frozenset()) == tuple(sorted((add, recovery)))
    assert open_questions(ben.state(), {add}) == (recovery,)
    ben.remove("removes", ben.first, foreign)
    assert open_questions(ben.state(), {recovery}) == ()
    ben.recover("recovers again")
    assert open_questions(ben.state(), {ben.id_of("recovers again")}) == ()


def test_case_84_every_recovery_of_a_contest_is_asked_about_until_one_is_confirmed() -> None:
    _, ben = persons()
    founding = ["genesis", "rename"]
    ben.recover("recovers", upon=founding)
    own, foreign = ben.id_of("recovers"), rival(ben, "thief", founding)
    log = ben.log.values()
    both = tuple(sorted((own, foreign)))
    assert open_questions(reduce(log, Pins(seen=frozenset({own}))), frozenset()) == both
    assert open_questions(reduce(log, Pins(seen=frozenset({own}))), {own}) == (foreign,)
    assert open_questions(reduce(log, Pins(confirmed=frozenset({own}))), {own}) == ()


def test_branches_follow_every_contest_with_the_one_in_force_first() -> None:
    """Two recoveries after the genesis, and two after the one in force."""
    _, ben = persons()
    founding = ["genesis", "rename"]
    ben.recover("recovers", upon=founding)
    first = ben.id_of("recovers")
    foreign = rival(ben, "thief", founding)
    ben.recover("recovers again", upon=[*founding, "recovers"])
    second = ben.id_of("recovers again")
    third = rival(ben, "second thief", [*founding, "recovers"], number=1)
    log = list(ben.log.values())
    found = branches(log, Pins(seen=frozenset({first, second})))
    assert found[0].path == (first, second)
    assert {state.path for state in found} == {(first, second), (first, third), (foreign,)}
    assert not any(state.contested for state in found)
    (confirmed,) = branches(log, Pins(confirmed=frozenset({first, third})))
    assert confirmed.path == (first, third)
    assert {state.newest for state in branches(log)} == {second, third, foreign}


def test_a_flood_of_contests_costs_a_bounded_number_of_reductions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine recoveries after each of three: more branches than are computed."""
    _, ben = persons()
    names = ["genesis", "rename"]
    for number in range(8):
        for thief in range(8):
            rival(ben, f"thief {number} {thief}", names, number)
        ben.recover(f"recovers {number}", upon=names)
        names.append(f"recovers {number}")
    log, reductions = list(ben.log.values()), 0

    class Counted(Reduction):
        def __init__(self, graph: Graph, pins: Pins) -> None:
            nonlocal reductions
            reductions += 1
            super().__init__(graph, pins)

    monkeypatch.setattr(safety, "Reduction", Counted)
    found = branches(log)
    assert reductions == SAFETY_REDUCTIONS_MAX + 1
    assert 0 < len(found) < SAFETY_REDUCTIONS_MAX


def test_the_list_of_words_is_pinned() -> None:
    data = resources.files("protocol.identity").joinpath("words.txt").read_bytes()
    assert hashlib.sha256(data).hexdigest() == CHECKSUM


def test_words_are_easily_told_apart() -> None:
    listed = word_list()
    assert len(listed) == len(set(listed)) == 256
    assert list(listed) == sorted(listed)
    assert all(re.fullmatch("[a-z]{4,7}", word) for word in listed)
    assert len({word[:3] for word in listed}) == 256
    close = [(a, b) for a in listed for b in listed if a < b and distance(a, b) < 3]
    assert not close


def distance(a: str, b: str) -> int:
    """Letters to change, add or leave out (Levenshtein)."""
    row = list(range(len(b) + 1))
    for index, letter in enumerate(a, 1):
        following = [index]
        for place, other in enumerate(b, 1):
            changed = row[place - 1] + (letter != other)
            following.append(min(row[place] + 1, following[-1] + 1, changed))
        row = following
    return row[-1]


def test_words_are_the_bytes_places_in_the_list() -> None:
    listed = word_list()
    assert words(bytes([0, 1, 127, 254, 255])) == (
        listed[0],
        listed[1],
        listed[127],
        listed[254],
        listed[255],
    )
    for wrong in (b"", bytes(4), bytes(6)):
        with pytest.raises(LocalMisuse):
            words(wrong)
