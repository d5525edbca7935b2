"""The interface as a program of its own, on the fake: what the tests run in a real terminal.

Usage: python -m tests.tui.program SCENARIO. What happens around the person comes from the scenario; the
passphrase is `correct horse`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, timedelta

from chat.interface import DoorState, EntryState
from tests.fakes.messenger import FakeDoor, FakeMessenger
from tests.fakes.others import START
from tests.tui.hostile import BODIES, NAMES
from tui import LEAKS
from tui.options import Options

OPTIONS = Options(now=lambda: START + timedelta(hours=3), zone=UTC, quiet=0.0)


def new() -> FakeDoor:
    """No profile yet; somebody is visible nearby."""
    messenger = FakeMessenger("Ann", visible=True)
    messenger.see_stranger("Bob")
    return FakeDoor(messenger, state=DoorState.NEW)


def alone() -> FakeDoor:
    """No profile yet, and nobody around."""
    return FakeDoor(FakeMessenger("Ann", visible=True), state=DoorState.NEW)


def talk() -> FakeDoor:
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


def hostile() -> FakeDoor:
    """Contacts, strangers and entries that try to break out of their cells."""
    messenger = FakeMessenger("Ann")
    calm = messenger.add_contact("Calm", present=True)
    for name in NAMES:
        messenger.add_contact(name)
    messenger.see_stranger(NAMES[0])
    for body in BODIES:
        messenger.receive(calm.person, body)
    return FakeDoor(messenger, state=DoorState.RUNNING)


def converse(messenger: FakeMessenger, person: str) -> None:
    """A short conversation in which each state occurs once."""
    yesterday = START - timedelta(hours=14)
    messenger.receive(person, "The lab's printer works again.", time=yesterday)
    messenger.receive(person, "Good morning! Are you in the office today?")
    for text, state in (
        ("Good morning, Bob.", EntryState.READ),
        (
            "Yes, third floor, the room with the plants. The meeting begins at ten, and I bring coffee.",
            EntryState.READ,
        ),
    ):
        messenger.say_as_me(person, text, state)
    messenger.receive(person, "见面再谈吧。I have the figures:\n  first   1,204\n  second    987")
    messenger.say_as_me(person, "Wonderful 🎉", EntryState.DELIVERED)
    messenger.say_as_me(person, "See you there", EntryState.SENT)
    messenger.say_as_me(person, "One more thing: could you bring the long cable?", EntryState.QUEUED)


SCENARIOS: dict[str, Callable[[], FakeDoor]] = {
    "new": new,
    "alone": alone,
    "talk": talk,
    "hostile": hostile,
}


def main() -> None:
    """Run one scenario until it is quit."""
    import os

    for name in LEAKS:
        os.environ.pop(name, None)
    from tui.app import ParlourApp

    ParlourApp(SCENARIOS[sys.argv[1]](), OPTIONS).run()


if __name__ == "__main__":
    main()
