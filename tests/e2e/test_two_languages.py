"""Two people go the whole way through the interface, each in their language, by real keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import pytest

from protocol.identity.safety import WordList, word_list
from tests.support.e2e.people import PASSPHRASE, Person, compare, in_touch, pair
from tui.text.translation import LANGUAGES

pytestmark = [pytest.mark.network, pytest.mark.terminal, pytest.mark.slow]

WRONG = "Wrong passphrase: try again. No one can open this profile without it."
ASKED = "The start of a word is enough. Quotes find a whole word or phrase."
_NUMBER = re.compile(r"(?:\d{5} +){3}\d{5}")


@pytest.mark.parametrize("languages", [LANGUAGES, LANGUAGES[::-1]], ids="-".join)
def test_from_first_run_to_unlocking_again(people: tuple[Person, Person]) -> None:
    ada, ben = people
    pair(ada, ben)
    assert (ada.inputs, ben.inputs) == (3, 2)
    in_touch(ada, ben)
    converse(ada, ben)
    for person in people:
        find(person)
    assert verify(ada, ben) == verify(ben, ada)
    for person, other in ((ada, ben), (ben, ada)):
        lock_and_unlock(person, other)


@pytest.mark.parametrize("languages", [("zh_CN", "zh_CN"), ("zh_CN", "en")], ids="-".join)
def test_both_screens_show_the_words_that_both_persons_read_and_digits(
    people: tuple[Person, Person], languages: tuple[str, str]
) -> None:
    shown = word_list(WordList.CHINESE if set(languages) == {"zh_CN"} else WordList.ENGLISH)
    ada, ben = people
    for person in people:
        person.introduce()
    ada.choose(ben)
    for person in people:
        person.see(partial(_compares, person, shown))
    numbers = [f"{shown.index(word):03}" for word in ada.words()]
    for person in people:
        person.terminal.send("d")
        person.see(partial(_compares, person, numbers))
    ada.terminal.send("d")
    ben.terminal.send("d")
    compare(ada, ben)


def _compares(person: Person, among: Sequence[str], _screen: str) -> bool:
    """Whether the person is asked about five words, all of these."""
    return len(words := person.words()) == 5 and set(words) <= set(among)


def converse(ada: Person, ben: Person) -> None:
    ada.write("Where is the key of the harbour office?")
    ben.read("Where is the key of the harbour office?")
    ben.write("钥匙在架子上。")
    ada.read("钥匙在架子上。")
    ada.see_marks("read", "Where is the key of the harbour office?")
    ben.see_marks("read", "钥匙在架子上。")


def find(person: Person) -> None:
    """Search in the conversation, in both scripts, and go to the entry."""
    person.terminal.send("C-f")
    person.see_text(ASKED)
    person.terminal.burst("nowhere")
    person.see_text("No messages found.")
    person.terminal.send(*["BSpace"] * len("nowhere"))
    person.see_text(ASKED)
    person.terminal.burst("架子")
    person.see(person.count("{number} result", "{number} results", 1))
    person.terminal.send("Enter")
    person.see(lambda screen: "█ 钥匙在架子上。" in screen)
    person.terminal.send("Escape")


def verify(person: Person, other: Person) -> list[str]:
    """Take the mark back that comparing words gave, look at the number, and give it again."""
    person.terminal.send("C-t")
    number = _NUMBER.findall(person.see_text("Remove verification"))
    assert len(number) == 3
    person.terminal.send("u")
    person.see_text("Remove the verification of {name}?", name=other.name)
    person.answer("y", person.text("Remove the verification of {name}?", name=other.name))
    person.see_text("not verified")
    person.terminal.send("C-t")
    person.see_text("They match")
    person.terminal.send("v")
    person.see_text("✓ verified")
    return number


def lock_and_unlock(person: Person, other: Person) -> None:
    """Nothing is shown meanwhile; what the other one writes is queued and arrives afterwards."""
    late = f"while {person.name} was locked"
    person.terminal.send("M-l")
    locked = person.see_text("Enter your passphrase.")
    assert not any(told in locked for told in (other.name, "harbour", "架子"))
    other.see_text("○ offline")
    other.write(late)
    other.see_marks("queued", late)
    person.terminal.burst("not the passphrase\r")
    assert late not in person.see(person.text(WRONG)[:8])
    person.terminal.burst(f"{PASSPHRASE}\r")
    person.read("钥匙在架子上。", "Where is the key of the harbour office?", late)
    other.see_marks("read", late)
    in_touch(person, other)
