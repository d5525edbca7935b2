"""Two people at two machines, through the interface alone: meet, talk, lose the network, return."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from tests.support.e2e.people import Person, compare, in_touch, pair
from tests.support.lab.hosts import Lab

pytestmark = [pytest.mark.network, pytest.mark.terminal, pytest.mark.slow]


def test_two_who_choose_each_other_at_once_end_up_with_one_pairing(people: tuple[Person, Person]) -> None:
    ada, ben = people
    for person in people:
        person.introduce()
    for person, other in ((ada, ben), (ben, ada)):
        person.see(f"+ {other.name}")
    for person, other in ((ada, ben), (ben, ada)):
        person.choose(other)
    compare(ada, ben)
    in_touch(ada, ben)
    assert ada.inputs == ben.inputs == 3
    for person in people:
        assert person.terminal.screen().count("✓ verified") == 1


def test_a_cut_network_loses_doubles_and_reorders_nothing(lab: Lab, people: tuple[Person, Person]) -> None:
    ada, ben = people
    pair(ada, ben)
    in_touch(ada, ben)
    lab.cut(lab.hosts[0])
    soon = {person: [f"{person.name}-{number}" for number in range(2)] for person in people}
    late = {person: [f"{person.name}-{number}" for number in range(2, 5)] for person in people}
    write_in_turn(soon)
    for person in people:
        person.see("○ offline")
    write_in_turn(late)
    for person in people:
        person.see_marks("queued", *soon[person], *late[person])  # TCP has given up as well
    healing = time.monotonic()
    lab.heal(lab.hosts[0])
    for person, other in ((ada, ben), (ben, ada)):
        person.read(soon[other][0])
        taken = time.monotonic() - healing
        sys.stdout.write(f"first entry at {person.name}: {taken:.2f} s after healing (bound 2 s)\n")
    texts = [text for written in (soon, late) for person in people for text in written[person]]
    for person in people:
        person.see_marks("read", *soon[person], *late[person])
    here, there = ([(said.author, said.text) for said in person.read(*texts)] for person in people)
    assert here == there
    assert sorted(text for _, text in here) == sorted(texts)
    for person in people:
        assert [text for author, text in here if author == person.name] == [*soon[person], *late[person]]


def write_in_turn(written: dict[Person, list[str]]) -> None:
    """Both write, and each sees the own entries stand before the next ones come."""
    for texts in zip(*written.values(), strict=True):
        for person, text in zip(written, texts, strict=True):
            person.write(text)
            person.read(text)


def test_what_was_written_stays_and_goes_across_restarts(
    lab: Lab, people: tuple[Person, Person], tmp_path: Path
) -> None:
    ada, ben = people
    pair(ada, ben)
    in_touch(ada, ben)
    ada.write("before")
    ada.see_marks("read", "before")
    ben.quit()
    ada.see("○ offline")
    ada.write("while Ben is away")
    ada.see_marks("queued", "while Ben is away")
    ada.terminal.send("C-q")
    ada.see("Messages to Ben wait on this device.")
    ada.quit()
    with Person("Ada", tmp_path / "ada", lab.hosts[0]) as ada:
        ada.unlock()
        ada.see_marks("read", "before")
        ada.see_marks("queued", "while Ben is away")
        with Person("Ben", tmp_path / "ben", lab.hosts[1]) as ben:
            ben.unlock()
            both = [said.text for said in ben.read("before", "while Ben is away")]
            assert both == ["before", "while Ben is away"]
            ada.see_marks("read", *both)
