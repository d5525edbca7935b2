"""Two people on two networks meet, talk and stay in touch through a relay whose address is not local."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.e2e.people import Person, in_touch
from tests.support.e2e.programs import PARLOUR, PATIENCE, Station, whole_history
from tests.support.lab.hosts import RELAY_ADDRESS, TwoNetworks
from tests.support.machine import needs_root_network

pytestmark = [pytest.mark.network, pytest.mark.terminal, pytest.mark.slow]

_INVITATION = re.compile(r"│ +((?:PARLOUR:)?[A-Z2-7]+) +│")


@pytest.fixture
def lab() -> Iterator[TwoNetworks]:
    needs_root_network()
    with TwoNetworks() as built:
        yield built


@pytest.fixture
def relay(lab: TwoNetworks) -> str:
    """The address of a relay on the host between the networks, as it says it itself."""
    running = lab.between.start(*PARLOUR, "relay", "--listen", f"{RELAY_ADDRESS}:4746")
    return running.line(PATIENCE)


def test_two_networks_talk_through_a_relay_and_directly_while_they_are_one(
    lab: TwoNetworks, relay: str, people: tuple[Person, Person], tmp_path: Path
) -> None:
    ada, ben = people
    for person in people:
        person.introduce()
        person.see_text("No contacts yet")
    lab.ada.run(*PARLOUR, "--profile", str(tmp_path / "ada"), "relays", "add", relay)
    pair_by_invitation(ada, ben)
    in_touch(ada, ben)
    said: list[str] = []
    for round_, relayed in enumerate([True, False, True]):
        if round_:
            (lab.part if relayed else lab.join)()
        said += exchange(ada, ben, f"round {round_}")
        for person in people:
            sees_the_way(person, relayed=relayed)
        said += exchange(ada, ben, f"still {round_}")
    histories = [Station(name, tmp_path).ask(whole_history) for name in ("Ada", "Ben")]
    assert [entry.id for entry in histories[0]] == [entry.id for entry in histories[1]]
    assert [entry.text for entry in histories[0]] == said
    for person in people:
        assert [(one.author, one.text) for one in person.read(*said)] == [
            (entry.author, entry.text) for entry in histories[0]
        ]


def pair_by_invitation(inviter: Person, joiner: Person) -> None:
    """As people do: one reads it off the screen, the other pastes it, the first says that this is the one."""
    inviter.terminal.send("F2")
    invitation = "".join(_INVITATION.findall(inviter.see("PARLOUR:")))
    joiner.terminal.send("F3")
    joiner.see_text("Use an invitation")
    joiner.terminal.paste(invitation)
    joiner.terminal.send("Enter")
    inviter.see_text("Someone named {name} used your invitation.", name=joiner.name)
    inviter.see_text("Yes, it is them")
    inviter.confirm()
    for person, other in ((inviter, joiner), (joiner, inviter)):
        person.see(f"Paired with {other.name}.")


def exchange(one: Person, other: Person, text: str) -> list[str]:
    """Both say something, each after having read the other; what was said."""
    said = [f"{text}: {person.name}" for person in (one, other)]
    for person, hearer, words in ((one, other, said[0]), (other, one, said[1])):
        person.write(words)
        hearer.read(words)
    one.see_marks("read", said[0])
    other.see_marks("read", said[1])
    return said


def sees_the_way(person: Person, *, relayed: bool) -> None:
    """Wait until the screen says that the contact is there, through a relay or directly."""
    mark = person.text("⇄ relay")
    person.see(lambda screen: person.text("● online") in screen and (mark in screen) is relayed)
