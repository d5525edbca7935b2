"""Plays a transcript: `> ` begins a typed line, `>> ` a hidden one, `* ` an act of others (`ACTS`).

All other lines are output. The loop comes to rest before the next step, so that nothing depends on time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from chat.interface import (
    DoorState,
    EntryKind,
    EntryState,
    EntryView,
    FileState,
    FileView,
    ParlourError,
    RelayStanding,
)
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.fakes.others import START
from tui.linear.input import LineInput
from tui.linear.output import Output
from tui.linear.program import Program
from tui.preferences import Options

FOLDER: Final = Path(__file__).parents[3] / "unit" / "tui" / "linear" / "transcripts"
OPTIONS: Final = Options(now=lambda: START + timedelta(minutes=30), zone=UTC, patience=3600.0)
STEPS: Final = 100
"""Rounds of the loop in which everything that a step causes has happened: the longest takes a fifth."""


Act = Callable[["Others", str, str], object]


class Recorder(Output):
    def __init__(self) -> None:
        super().__init__()
        self.data = b""

    async def _write(self, data: bytes) -> None:
        self.data += data

    def take(self) -> list[str]:
        said, self.data = self.data.decode(), b""
        assert said.endswith("\n") or not said
        return said.split("\n")[:-1]


class Played(LineInput):
    """Lines that are typed as the steps of a transcript say."""

    def __init__(self, steps: Iterator[str], others: Others, output: Recorder) -> None:
        super().__init__(-1, output)
        self.transcript: list[str] = []
        self._steps, self._others, self._heard = steps, others, output

    async def line(self) -> str | None:
        return await self._next(">> " if self.editor.hidden else "> ")

    async def secret(self) -> str | None:
        return await self._next(">> ")

    def forget_typed(self) -> None:
        """A transcript types nothing ahead."""

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
    """Other people and the engine, whose acts a transcript names."""

    def __init__(self, messenger: FakeMessenger) -> None:
        self.messenger = messenger

    def act(self, words: str) -> None:
        """NAME ACT TEXT; the text may hold escapes of JSON."""
        name, act, *rest = words.split(" ", 2)
        ACTS[act](self, name, json.loads(f'"{rest[0]}"') if rest else "")

    def person(self, name: str) -> str:
        return next(one.person for one in self.messenger._contacts.values() if one.name == name)

    def last(self, name: str, *, own: bool = False) -> EntryView:
        """The last entry with somebody."""
        entries = self.messenger._conversations[self.person(name)].entries
        return [entry for entry in entries if entry.own or not own][-1]

    def theirs(self, name: str) -> str:
        """The id of the last entry that somebody wrote."""
        entries = self.messenger._conversations[self.person(name)].entries
        return [entry.id for entry in entries if not entry.own][-1]

    def transfer(self, name: str, states: str) -> None:
        """A file of somebody goes through states, each with hundreds of steps."""
        person, size = self.person(name), 1 << 20
        entry = self.messenger.receive_file(person, FileView("report.pdf", "", size, FileState.ASKS))
        for state in states.split():
            for step in range(300):
                self.messenger.move_file(person, entry.id, FileState(state), step * (size // 300))

    def change_identity(self, name: str, cause: str) -> None:
        self.messenger.change_identity(self.person(name), cause)
        self.messenger.change_contact(self.person(name), held=True, verified=False)


def contact(**changes: bool) -> Act:
    return lambda on, name, _: on.messenger.change_contact(on.person(name), **changes)


ACTS: Final[dict[str, Act]] = {
    "is-met": lambda on, name, _: on.messenger.add_contact(name),
    "comes": contact(present=True),
    "goes": contact(present=False, typing=False),
    "types": contact(typing=True),
    "stops": contact(typing=False),
    "relays": contact(present=True, relayed=True),
    "directs": contact(present=True, relayed=False),
    "changes": Others.change_identity,
    "writes": lambda on, name, text: on.messenger.receive(on.person(name), text),
    "edits": lambda on, name, text: on.messenger.edit_as_them(on.person(name), on.theirs(name), text),
    "deletes": lambda on, name, _text: on.messenger.delete_as_them(on.person(name), on.theirs(name)),
    "announces": lambda on, name, _text: on.messenger.receive_alone(on.person(name)),
    "surpasses": lambda on, name, _text: on.messenger.receive_alone(on.person(name), EntryKind.UNKNOWN),
    "conflicts": lambda on, name, _text: on.messenger.conflict(on.person(name)),
    "relates": lambda on, name, text: on.messenger.pass_on(on.person(name), text),
    "claims": lambda on, name, text: on.messenger.claim(on.person(name), text),
    "remembers": lambda on, name, text: on.messenger.claim(on.person(name), text, "earlier"),
    "vouches": lambda on, name, text: on.messenger.claim(on.person(name), text, "device"),
    "is-left-out": lambda on, name, _text: on.messenger.leave_out(on.person(name)),
    "haunts": lambda on, name, text: on.messenger.quarantine(on.person(name), text),
    "completes": lambda on, name, text: on.messenger.complete(
        on.messenger._conversations[on.person(name)].entries[-1], text
    ),
    "answers": lambda on, name, text: on.messenger.receive(on.person(name), text, reply=on.last(name).id),
    "reads": lambda on, name, _: on.messenger.set_state(
        on.person(name), on.last(name, own=True).id, EntryState.READ
    ),
    "hears": lambda on, name, text: on.messenger.say_as_me(on.person(name), text, EntryState.SENT),
    "transfers": Others.transfer,
    "vanishes": lambda on, name, _: on.messenger.lose_stranger(name),
    "appears": lambda on, name, _: on.messenger.see_stranger(name),
    "begins": lambda on, name, _: on.messenger.stranger_begins(name),
    "joins": lambda on, name, _: on.messenger.use_invitation("", name),
    "is-given": lambda on, address, _: on.messenger.name_relay(address, invited=True),
    "stands": lambda on, address, text: on.messenger.stand_relay(address, RelayStanding(text)),
    "moves": lambda on, source, held: on.messenger.move_history(source, int(held), 20_000),
    "breaks-off": lambda on, source, held: on.messenger.move_history(source, int(held), 20_000, moves=False),
    "says": lambda on, _, text: on.messenger.notice(text),
    "fails": lambda on, method, text: on.messenger.failures.update({method: ParlourError(text)}),
    "dawdles": lambda on, *_: setattr(on.messenger, "prompt", False),  # the engine has no time any more
    "erases": lambda on, _, part: on.messenger.erase(float(part)),
    "cleans": lambda on, *_: on.messenger.tidy(),
    "locks": lambda on, _, reason: on.messenger._end(reason),
}


async def play(steps: Iterator[str], door: FakeDoor, options: Options = OPTIONS) -> tuple[list[str], int]:
    """The whole transcript, and the exit status."""
    assert door.messenger is not None
    output = Recorder()
    played = Played(steps, Others(door.messenger), output)
    status = await Program(door, options, played, output).run()
    return [*played.transcript, *output.take()], status


def steps_of(transcript: list[str]) -> Iterator[str]:
    """What is typed, and what others do."""
    return (line for line in transcript if line.startswith(("> ", ">> ", "* ")))


def new_door() -> FakeDoor:
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
