"""The interface on the fake as a program: `python -m tests.support.tui.program SCENARIO LABEL`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, timedelta

from msgspec.structs import replace

from chat.interface import DoorState, EntryKind, EntryState, EntryView
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.fakes.others import START
from tests.support.tui.hostile import ATTACKS, NAMES, WORST
from tui import run
from tui.preferences import Options
from tui.text.message_rows import Place, Setting, rows_of

OPTIONS = Options(now=lambda: START + timedelta(hours=3), zone=UTC, quiet=0.0)


def new(_label: str) -> FakeDoor:
    """No profile yet; somebody is visible nearby."""
    messenger = FakeMessenger("Ann", visible=True)
    messenger.see_stranger("Bob")
    return FakeDoor(messenger, state=DoorState.NEW)


def alone(_label: str) -> FakeDoor:
    """No profile yet, and nobody around."""
    return FakeDoor(FakeMessenger("Ann", visible=True), state=DoorState.NEW)


def talk(_label: str) -> FakeDoor:
    """A running engine with contacts of every kind and a conversation with Bob."""
    messenger = FakeMessenger("Ann")
    messenger.invitation_tail = "A2B3C4D5E6F7" * 13
    bob = messenger.add_contact("Bob", present=True, verified=True)
    carla = messenger.add_contact("Carla")
    messenger.add_contact("Dana", present=True, typing=True)
    messenger.add_contact("Eve", blocked=True)
    messenger.add_contact("李小龙", present=True, verified=True)
    messenger.see_stranger("Frank")
    messenger.receive(carla.person, "Are you there?")
    converse(messenger, bob.person)
    return FakeDoor(messenger, state=DoorState.RUNNING)


def locked(_label: str) -> FakeDoor:
    """A profile with a contact; after a lock the program starts again."""
    messenger = FakeMessenger("Ann")
    messenger.add_contact("Bob", present=True)
    return FakeDoor(messenger)


def seed(_label: str) -> FakeDoor:
    """A running engine with a contact, whose recovery words were not written down yet."""
    messenger = FakeMessenger("Ann")
    messenger.keep_seed()
    messenger.add_contact("Bob")
    return FakeDoor(messenger, state=DoorState.RUNNING)


def crowd(label: str) -> FakeDoor:
    """One conversation with every attack as an entry and as the name of its author, and calm entries between.

    With a label `calm:WIDTH` each is calm, and has as many rows in a history of so many columns.
    """
    messenger = FakeMessenger("Ann")
    width = int(label.partition(":")[2] or 0)
    crowd = messenger.add_contact("\U0010ffffCrowd", present=True)  # the last in the list
    texts = [calm_text(text, width) if width else text for text in ATTACKS.values()]
    for number, text in enumerate(texts):
        name = f"calm {number}" if width else NAMES[number]
        messenger.add_contact(name)
        messenger.fill(crowd.person, ["=== before", text], author=name)
    messenger.see_stranger("calm 0" if width else NAMES[0])
    return FakeDoor(messenger, state=DoorState.RUNNING)


def calm_text(text: str, width: int) -> str:
    """A text of as many rows as another one has in a history of so many columns."""
    entry = EntryView("a", "b", "c", False, START, EntryKind.TEXT, text, EntryState.RECEIVED)
    rows = rows_of(entry, Place(day=False, head=False), Setting(width, UTC, START.date()))
    return "\n".join(["calm"] * len(rows))


def names(label: str) -> FakeDoor:
    """Some contacts with the worst names, or with calm ones."""
    messenger = FakeMessenger("Ann")
    for number, attack in enumerate(WORST):
        messenger.add_contact(ATTACKS[attack] if label == "hostile" else f"calm {number}", present=True)
    return FakeDoor(messenger, state=DoorState.RUNNING)


def name(label: str) -> FakeDoor:
    """One contact whose name is the attack of that label, or calm."""
    messenger = FakeMessenger("Ann")
    messenger.add_contact(ATTACKS.get(label, label), present=True)
    return FakeDoor(messenger, state=DoorState.RUNNING)


def converse(messenger: FakeMessenger, person: str) -> None:
    """A short conversation in which each state occurs once."""
    yesterday = START - timedelta(hours=14)
    messenger.receive(person, "The lab's printer works again.", time=yesterday)
    messenger.receive(person, "Good morning! Are you in the office today?")
    for text in (
        "Good morning, Bob.",
        "Yes, third floor, the room with the plants. The meeting begins at ten, and I bring coffee.",
    ):
        messenger.say_as_me(person, text, EntryState.READ)
    messenger.receive(person, "见面再谈吧。I have the figures:\n  first   1,204\n  second    987")
    messenger.say_as_me(person, "Wonderful 🎉", EntryState.DELIVERED)
    messenger.say_as_me(person, "See you there", EntryState.SENT)
    messenger.say_as_me(person, "One more thing: could you bring the long cable?", EntryState.QUEUED)
    messenger.read(person)


def unread(label: str) -> FakeDoor:
    """A long conversation whose last entries, so many, are unread."""
    messenger = FakeMessenger("Ann")
    bob = messenger.add_contact("Bob", present=True)
    messenger.fill(bob.person, [f"entry {number}." for number in range(100)], unread=int(label))
    return FakeDoor(messenger, state=DoorState.RUNNING)


class Faulty(FakeMessenger):
    """A messenger that breaks its contract: the label is in the text of what it raises, and in a variable."""

    label = ""

    async def history(
        self, contact: str, limit: int = 100, before: str | None = None, after: str | None = None
    ) -> tuple[EntryView, ...]:
        secret = self.label
        raise RuntimeError(secret)


def faulty(label: str) -> FakeDoor:
    """A fault of the program that carries what somebody wrote."""
    messenger = Faulty("Ann")
    messenger.label = label
    messenger.add_contact("Bob")
    return FakeDoor(messenger, state=DoorState.RUNNING)


SCENARIOS: dict[str, Callable[[str], FakeDoor]] = {
    make.__name__: make for make in (new, alone, talk, locked, seed, crowd, names, name, unread, faulty)
}


if __name__ == "__main__":
    scenario, label = (*sys.argv[1:], "")[:2]
    run(SCENARIOS[scenario](label), replace(OPTIONS, starts_again=scenario == locked.__name__))
