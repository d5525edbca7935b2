"""Safety numbers and words (SPEC §7.4, §7.7)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from importlib import resources
from itertools import combinations

import pytest

from protocol.errors import LocalMisuse
from protocol.identity import safety
from protocol.identity.log import Graph
from protocol.identity.reduction import Pins, Reduction, reduce
from protocol.identity.safety import (
    WordList,
    branches,
    digits,
    open_questions,
    safety_number,
    word_list,
    words,
)
from protocol.limits import SAFETY_REDUCTIONS_MAX
from tests.support.protocol import sounds
from tests.vectors.files import Seed
from tests.vectors.persons_log import Person

CHECKSUM = "a11cc052940328f21c01cfb61c37b6348b392bd9d9132d0ef784e3b7d96d41de"
CHINESE = "07309a77420c4a89a9ee5ac043f6f74e1a5f9d173273dff19ce262bfef0f76b5"
"""SHA-256 of the lists: two programs with different lists would show different words for one pairing."""


SEED = Seed("safety numbers", "unit")


def persons() -> tuple[Person, Person]:
    """Two persons with one terminal each."""
    return Person(SEED, "anna", "Anna"), Person(SEED, "ben", "Ben")


def rival(person: Person, name: str, upon: list[str]) -> bytes:
    """A Recover by the holder of a copied seed, who names a key of his own; returns its id."""
    person.recover(name, upon=upon, following=SEED.bytes(name))
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
    third = rival(ben, "second thief", [*founding, "recovers"])
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
            rival(ben, f"thief {number} {thief}", names)
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


@pytest.mark.parametrize(("name", "checksum"), [("words.txt", CHECKSUM), ("words_zh.txt", CHINESE)])
def test_the_lists_of_words_are_pinned(name: str, checksum: str) -> None:
    data = resources.files("protocol.identity").joinpath(name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == checksum


def test_words_are_easily_told_apart() -> None:
    listed = word_list()
    assert len(listed) == len(set(listed)) == 256
    assert list(listed) == sorted(listed)
    assert all(re.fullmatch("[a-z]{4,7}", word) for word in listed)
    assert len({word[:3] for word in listed}) == 256
    close = [(a, b) for a in listed for b in listed if a < b and distance(a, b) < 3]
    assert not close


def _spoken() -> dict[str, tuple[str, str]]:
    """The Chinese words with the pinyin of both syllables."""
    text = resources.files("protocol.identity").joinpath("words_zh.txt").read_text("utf-8")
    return {word: (first, second) for word, first, second in map(str.split, text.splitlines())}


def _heard_as_another(listed: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs that a listener may take for each other.

    Where what accents confuse is merged (`sounds.merged`) and tones are ignored, both words differ in fewer
    than two of their four initials and finals, or one has the syllables of the other in reverse order.
    """
    return [
        (a, b)
        for a, b in combinations(listed, 2)
        if sounds.distance(listed[a], listed[b]) < 2
        or not sounds.distance(listed[a], (listed[b][1], listed[b][0]))
    ]


def test_chinese_words_are_easily_told_apart() -> None:
    """256 words of two syllables, each with one of the four tones, in the order of their pinyin.

    Both characters are simplified ones of GB 2312. No character begins two words, none ends two, and none is
    twice in a word. No word is heard as another (`_heard_as_another`).
    """
    listed = _spoken()
    assert word_list(WordList.CHINESE) == tuple(listed)
    assert len(listed) == 256
    assert list(listed.values()) == sorted(listed.values())
    assert all(len(word) == 2 and len(set(word)) == 2 and word.encode("gb2312") for word in listed)
    assert all(re.fullmatch("[a-z]{1,6}[1-4]", one) for both in listed.values() for one in both)
    assert len({word[0] for word in listed}) == len({word[1] for word in listed}) == 256
    assert not _heard_as_another(listed)


@pytest.mark.parametrize(
    ("word", "first", "second", "near"),
    [
        ("洒花", "sa3", "hua1", "沙发"),  # s and sh, hua and fa
        ("书法", "shu1", "fa3", "沙发"),  # one part differs
        ("狼球", "lang2", "qiu2", "篮球"),  # -ang and -an
        ("兰球", "nan2", "qiu2", "篮球"),  # n and l
        ("废机", "hui4", "ji4", "飞机"),  # hui and fei
        ("宏车", "hong2", "che1", "风车"),  # hong and feng
        ("国苹", "guo2", "ping1", "苹果"),  # reversed
        ("果酱", "guo3", "jiang4", "火箭"),  # -ang and -an, where h is no f
    ],
)
def test_a_word_that_is_heard_as_another_is_found(word: str, first: str, second: str, near: str) -> None:
    found = _heard_as_another(_spoken() | {word: (first, second)})
    assert [pair for pair in found if near in pair]


def test_no_word_is_in_two_lists_and_no_digits_are_words() -> None:
    """So whatever is equal on two screens is of one list, and of the same bytes."""
    every = [word for which in WordList for word in word_list(which)]
    every += [digits(bytes([value] * 5))[0] for value in range(256)]
    assert len({unicodedata.normalize("NFKC", word).casefold() for word in every}) == 3 * 256


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
    chinese = word_list(WordList.CHINESE)
    assert words(bytes([0, 1, 127, 254, 255]), WordList.CHINESE) == (
        *chinese[:2],
        chinese[127],
        *chinese[-2:],
    )
    assert digits(bytes([0, 1, 127, 254, 255])) == ("000", "001", "127", "254", "255")
    for wrong in (b"", bytes(4), bytes(6)):
        for shown in (words, digits):
            with pytest.raises(LocalMisuse):
                shown(wrong)
