"""Profiles and the `parlour` command on lab hosts or on this machine, as scripts use them."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from chat.assemble import filler
from chat.interface import ContactView, EntryState, EntryView, Messenger
from chat.ipc.client import RemoteMessenger
from chat.storage import folder, profile
from protocol import profile_header
from protocol.identity.author import create_person
from tests.support.cli.line import PASSPHRASE, Outcome
from tests.support.lab.hosts import Host
from tests.support.lab.programs import Program

PATIENCE = 60.0
"""Seconds after which a test that waits is broken; no test passes because of it."""

T = TypeVar("T")
PARLOUR = (sys.executable, "-m", "chat.cli")


class Station:
    """One person's profile on one machine: runs lines of the command on it."""

    def __init__(
        self, name: str, folder: Path, host: Host | None = None, program: Sequence[str] = PARLOUR
    ) -> None:
        self.name = name
        self.profile = folder / name.lower()
        self.host = host
        self.program = program
        secret = folder / "passphrase"
        secret.touch(0o600)
        secret.write_text(f"{PASSPHRASE}\n")
        self.options: tuple[str, ...] = ("--passphrase-file", str(secret))

    def create(self) -> Station:
        """Make the person and the terminal, as `parlour init` does, but with a cheap header."""
        person = create_person(self.name, os.urandom)
        made = profile.create(
            self.profile, PASSPHRASE, filler(person), random=os.urandom, cost=profile_header.CHEAPEST
        )
        made.close()
        return self

    def line(self, *arguments: str) -> list[str]:
        return [*self.program, "--json", "--profile", str(self.profile), *self.options, *arguments]

    def run(self, *arguments: str, typed: str = "") -> Outcome:
        line = self._enter(*self.line(*arguments))
        done = subprocess.run(
            line, input=typed, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, under: Sequence[str] = (), joined: bool = False) -> Program:
        """Start a line whose output the test waits for.

        `under` is a tracer's command; `joined` has both streams read as one, for lines that ask.
        """
        line = [*under, *self.line(*arguments)]
        if joined:
            line = ["sh", "-c", 'exec "$@" 2>&1', "line", *line]
        return Program(self._enter(*line))

    def _enter(self, *line: str) -> list[str]:
        return self.host.enter(*line) if self.host else [*line]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Messenger]:
        """The engine that runs on the profile, through its socket, as commands use it."""
        messenger = await RemoteMessenger.open(self.profile / folder.SOCKET)
        try:
            yield messenger
        finally:
            await messenger.close()

    def ask(self, use: Callable[[Messenger], Awaitable[T]]) -> T:
        async def asked() -> T:
            async with self.opened() as messenger:
                return await use(messenger)

        return asyncio.run(asked())

    def contacts(self) -> tuple[ContactView, ...]:
        return self.ask(lambda messenger: messenger.contacts())

    def say(self, text: str) -> str:
        """Commit a text for the only contact; its id."""
        (contact,) = self.contacts()
        return self.ask(lambda messenger: messenger.send(contact.person, text)).id

    def said(self) -> list[tuple[str, str]]:
        """Author and text of every entry with the only contact, in order."""
        return [(entry.author, entry.text) for entry in self.ask(whole_history)]

    def until_said(self, text: str) -> None:
        """Wait until this text is in the history with the only contact."""

        async def wait(messenger: Messenger) -> None:
            events = messenger.events()
            async with asyncio.timeout(PATIENCE):
                while text not in [entry.text for entry in await whole_history(messenger)]:
                    await anext(events)

        self.ask(wait)

    def safety_number(self) -> str:
        (contact,) = self.contacts()
        (number,) = self.ask(lambda messenger: messenger.verification(contact.person)).numbers
        return number

    def problems(self) -> tuple[str, ...]:
        """What a full check of the database finds; no engine may run on the profile."""
        with profile.unlock(self.profile, PASSPHRASE) as opened, closing(opened.database()) as database:
            return database.integrity()


async def whole_history(messenger: Messenger) -> list[EntryView]:
    """Every entry with the only contact, the oldest first."""
    (contact,) = await messenger.contacts()
    entries: list[EntryView] = []
    while page := await messenger.history(contact.person, 200, entries[0].id if entries else None):
        entries[:0] = page
    return entries


async def until_nothing_waits(messenger: Messenger) -> None:
    """Wait until every entry with the only contact has arrived."""
    events = messenger.events()
    async with asyncio.timeout(PATIENCE):
        while any(
            entry.state in (EntryState.QUEUED, EntryState.SENT) for entry in await whole_history(messenger)
        ):
            await anext(events)


def settle(one: Station, other: Station) -> list[tuple[str, str]]:
    """Both run again until everything is at both ends, once, in one order: author and text of each."""
    with listening(one, other):
        for station in (one, other):
            station.ask(until_nothing_waits)
        said = one.said()
        assert said == other.said(), "both ends hold the same in one order"
        assert len(said) == len(set(said)), f"nothing is there twice: {said}"
    assert (one.problems(), other.problems()) == ((), ())
    return said


def settle_pairing(inviter: Station, joiner: Station) -> None:
    """Both start again: what began completes by itself or can be repeated, and then they talk."""
    with listening(inviter, joiner) as (one, other):
        if not inviter.contacts() and not joiner.contacts():
            pair(inviter, joiner)
        wait_event(one, "peer", name=joiner.name, present=True)
        wait_event(other, "peer", name=inviter.name, present=True)
        texts = [(station.name, f"from {station.name}") for station in (inviter, joiner)]
        ids = [station.say(text) for station, (_, text) in zip((inviter, joiner), texts, strict=True)]
        for program, id in zip((one, other), ids, strict=True):
            wait_event(program, "state", id=id, state="delivered")
        assert inviter.said() == joiner.said()
        assert sorted(inviter.said()) == sorted(texts)
        assert inviter.safety_number() == joiner.safety_number()
    assert (inviter.problems(), joiner.problems()) == ((), ())


def is_event(kind: str, **fields: object) -> Callable[[str], bool]:
    """Whether a line of `listen --json` is an event of this kind with these fields."""

    wanted = {"event": kind, **fields}
    return lambda line: wanted.items() <= json.loads(line).items()


@contextmanager
def listening(
    *stations: Station, options: Sequence[str] = (), under: Sequence[str] = ()
) -> Iterator[tuple[Program, ...]]:
    """`parlour listen` for each, ready at the start of the block and ended as a person does at its end."""
    with ExitStack() as stack:
        programs = tuple(
            stack.enter_context(station.start("listen", *options, under=under)) for station in stations
        )
        for program in programs:
            wait_event(program, "ready")
        yield programs
        end(*programs)


def created(folder: Path, hosts: Sequence[Host], *names: str) -> list[Station]:
    return [Station(name, folder, host).create() for name, host in zip(names, hosts, strict=True)]


def is_words(line: str) -> bool:
    """Whether a line of `pair` shows the five words."""
    return line.startswith("    ") and len(line.split()) == 5


def wait_event(program: Program, kind: str, **fields: object) -> None:
    program.wait_for(is_event(kind, **fields), PATIENCE)


def invited(line: str) -> str:
    """The invitation in a line of `invite --json`."""
    return str(json.loads(line)["invitation"])


def pair(inviter: Station, joiner: Station) -> None:
    """Pair by an invitation, each by a command of their own."""
    with inviter.start("invite", "--yes") as inviting:
        invitation = invited(inviting.line(PATIENCE))
        assert joiner.run("join", invitation).objects == [{"paired": inviter.name}]
        assert json.loads(inviting.line(PATIENCE)) == {"paired": joiner.name}
        assert inviting.wait_exit(PATIENCE) == 0


def link(adder: Station, new: Station, name: str) -> str:
    """Link a new device by comparing words, each by a command of their own; its id."""
    with (
        adder.start("terminal", "add", joined=True) as adding,
        new.start("terminal", "link", "--name", name, joined=True) as linking,
    ):
        words = [program.wait_for(is_words, PATIENCE) for program in (adding, linking)]
        assert words[0] == words[1]
        for program in (adding, linking):
            program.write("y\n")
        made, added = (_result(program) for program in (linking, adding))
    assert added == {"terminal": made["terminal"], "name": name}
    return made["terminal"]


def _result(program: Program) -> dict[str, str]:
    found: dict[str, str] = json.loads(program.wait_for(lambda line: line.startswith("{"), PATIENCE))
    assert program.wait_exit(PATIENCE) == 0
    return found


def end(*programs: Program) -> None:
    """End programs as a person does; all must end well."""
    for program in programs:
        program.process.terminate()
    assert [program.wait_exit(PATIENCE) for program in programs] == [0] * len(programs)


def first_to_end(*programs: Program) -> Program:
    handles = {os.pidfd_open(program.pid): program for program in programs}
    try:
        ended = select.select(list(handles), [], [], PATIENCE)[0]
    finally:
        for handle in handles:
            os.close(handle)
    assert ended, "one of the programs ends"
    return handles[ended[0]]
