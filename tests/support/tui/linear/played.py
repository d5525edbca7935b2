"""Plays a transcript: what is typed and what happens around is read from it, and what is said is put between.

Rules: `> ` a line that is typed, `>> ` one that is not echoed, `* ` something that others do (`ACTS`), all
else what the program says; the loop comes to rest before the next step, so that nothing depends on time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final

from chat.interface import DoorState, EntryState, ParlourError, RelayStanding
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.fakes.others import START
from tui.linear.input import Typed
from tui.linear.program import Program
from tui.linear.voice import Voice
from tui.preferences import Options

FOLDER: Final = Path(__file__).parents[3] / "unit" / "tui" / "linear" / "transcripts"
OPTIONS: Final = Options(now=lambda: START + timedelta(minutes=30), zone=UTC, patience=3600.0)
STEPS: Final = 100
"""Rounds of the loop in which everything that a step causes has happened: the longest takes a fifth."""


class Heard(Voice):
    """A voice whose lines stay here."""

    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    async def _write(self, data: bytes) -> None:
        self.data += data

    def take(self) -> list[str]:
        """What was said since the last time."""
        said, self.data = self.data.decode(), b""
        assert said.endswith("\n") or not said
        return said.split("\n")[:-1]


class Played(Typed):
    """Lines that are typed as the steps of a transcript say."""

    def __init__(self, steps: Iterator[str], others: Others, voice: Heard) -> None:
        super().__init__(-1, voice)
        self.transcript: list[str] = []
        self._steps, self._others, self._heard = steps, others, voice

    async def line(self) -> str | None:
        return await self._next("> ")

    async def secret(self) -> str | None:
        return await self._next(">> ")

    @contextmanager
    def hidden(self) -> Iterator[None]:
        yield

    async def _next(self, sign: str) -> str | None:
        while True:
            for _step in range(STEPS):
                await asyncio.sleep(0)
            self.transcript += self._heard.take()
            step = next(self._steps, None)
            if step is None:
                return None
            self.transcript.append(step)
            if step.startswith("* "):
                self._others.act(step[2:])
            else:
                assert step.startswith(sign), f"{step!r} was typed where {sign!r} is read"
                return step.removeprefix(sign)


class Others:
    """What happens around the person, by the words of a transcript."""

    def __init__(self, messenger: FakeMessenger) -> None:
        self.messenger = messenger
        self.invitation = ""

    def act(self, words: str) -> None:
        """NAME ACT TEXT; the text may hold escapes of JSON."""
        name, act, *rest = words.split(" ", 2)
        ACTS[act](self, name, json.loads(f'"{rest[0]}"') if rest else "")

    def person(self, name: str) -> str:
        return next(one.person for one in self.messenger._contacts.values() if one.name == name)

    def meet(self, name: str, _text: str) -> None:
        self.messenger.add_contact(name)

    def come(self, name: str, _text: str) -> None:
        self.messenger.change_contact(self.person(name), present=True)

    def go(self, name: str, _text: str) -> None:
        self.messenger.change_contact(self.person(name), present=False, typing=False)

    def type(self, name: str, _text: str) -> None:
        self.messenger.change_contact(self.person(name), typing=True)

    def stop(self, name: str, _text: str) -> None:
        self.messenger.change_contact(self.person(name), typing=False)

    def write(self, name: str, text: str) -> None:
        self.messenger.receive(self.person(name), text)

    def answer(self, name: str, text: str) -> None:
        """Writes an answer to the last entry."""
        last = self.messenger._conversations[self.person(name)].entries[-1]
        self.messenger.receive(self.person(name), text, reply=last.id)

    def read(self, name: str, _text: str) -> None:
        """Reads the last own entry."""
        held = self.messenger._conversations[self.person(name)].entries
        self.messenger.set_state(held[0].contact, [one.id for one in held if one.own][-1], EntryState.READ)

    def hear(self, name: str, text: str) -> None:
        """This person writes through another client of the engine."""
        self.messenger.say_as_me(self.person(name), text, EntryState.SENT)

    def change(self, name: str, cause: str) -> None:
        """The identity changes, and entries are held."""
        self.messenger.change_identity(self.person(name), cause)
        self.messenger.change_contact(self.person(name), held=True, verified=False)

    def dawdle(self, _name: str, _text: str) -> None:
        """The engine has no time from now on."""
        self.messenger.prompt = False

    def clean(self, _name: str, _text: str) -> None:
        """The engine has cleaned the file."""
        self.messenger.tidy()

    def appear(self, name: str, _text: str) -> None:
        self.messenger.see_stranger(name)

    def begin(self, name: str, _text: str) -> None:
        self.messenger.stranger_begins(name)

    def join(self, name: str, _text: str) -> None:
        """Uses the invitation that was made last."""
        self.messenger.use_invitation("", name)

    def refuse(self, method: str, text: str) -> None:
        """The next call of a method fails."""
        self.messenger.failures[method] = ParlourError(text)

    def say(self, _name: str, text: str) -> None:
        self.messenger.notice(text)

    def relay(self, name: str, _text: str) -> None:
        """Is reached through a relay."""
        self.messenger.change_contact(self.person(name), present=True, relayed=True)

    def direct(self, name: str, _text: str) -> None:
        """Is reached without one."""
        self.messenger.change_contact(self.person(name), present=True, relayed=False)

    def give(self, address: str, _text: str) -> None:
        """An invitation that was used brings a relay."""
        self.messenger.name_relay(address, invited=True)

    def stand(self, address: str, standing: str) -> None:
        """A relay stands so."""
        self.messenger.stand_relay(address, RelayStanding(standing))

    def lock(self, _name: str, reason: str) -> None:
        self.messenger._end(reason)


ACTS: Final[dict[str, Callable[[Others, str, str], None]]] = {
    "is-met": Others.meet,
    "comes": Others.come,
    "goes": Others.go,
    "types": Others.type,
    "stops": Others.stop,
    "writes": Others.write,
    "answers": Others.answer,
    "reads": Others.read,
    "hears": Others.hear,
    "changes": Others.change,
    "appears": Others.appear,
    "dawdles": Others.dawdle,
    "cleans": Others.clean,
    "begins": Others.begin,
    "joins": Others.join,
    "fails": Others.refuse,
    "says": Others.say,
    "locks": Others.lock,
    "relays": Others.relay,
    "directs": Others.direct,
    "is-given": Others.give,
    "stands": Others.stand,
}


async def play(steps: Iterator[str], door: FakeDoor, options: Options = OPTIONS) -> tuple[list[str], int]:
    """The whole transcript, and the exit status."""
    assert door.messenger is not None
    voice = Heard()
    played = Played(steps, Others(door.messenger), voice)
    status = await Program(door, options, played, voice).run()
    return [*played.transcript, *voice.take()], status


def steps_of(transcript: list[str]) -> Iterator[str]:
    """What is typed, and what others do."""
    return (line for line in transcript if line.startswith(("> ", ">> ", "* ")))


def new_door() -> FakeDoor:
    """No profile yet."""
    return FakeDoor(FakeMessenger("Ada", visible=True), state=DoorState.NEW)


def locked_door() -> FakeDoor:
    """A profile with two contacts: Ben, who is here, and Carla, who is away."""
    messenger = FakeMessenger("Ada")
    messenger.add_contact("Ben", present=True)
    messenger.add_contact("Carla")
    return FakeDoor(messenger)


def with_quiet(quiet: float) -> Options:
    """Options in which a question takes no answer at once."""
    return replace(OPTIONS, quiet=quiet)
