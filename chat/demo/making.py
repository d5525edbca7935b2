"""Makes a demo: all terminals, then the past, then the present in which the others answer.

Rules: whatever fails on the way, or is cancelled, leaves no engine running.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chat.demo.clock import DemoClock
from chat.demo.neighbours import PASSPHRASE as NEIGHBOURS_PASSPHRASE
from chat.demo.neighbours import Neighbours
from chat.demo.network import Network
from chat.demo.playing import Playing
from chat.demo.sample import Sample, placed, read_sample
from chat.demo.terminal import DemoTerminal
from chat.interface import Messenger, NearbyChanged
from chat.ports import Clock, Random

BEFORE: Final = 600_000
"""Milliseconds before the first entry at which the terminals are made."""


class Demo:
    """A demo that was made: the person's terminal, with the others around it."""

    def __init__(self, person: DemoTerminal, neighbours: Neighbours) -> None:
        self._person = person
        self._neighbours = neighbours

    @property
    def running(self) -> bool:
        """Whether the person's engine runs."""
        return self._person.running

    @property
    def messenger(self) -> Messenger:
        """The person's engine."""
        return self._person.engine

    async def unlock(self, passphrase: str) -> Messenger:
        """Start it again. Raises WrongPassphrase, a StorageFailure."""
        await self._person.start(passphrase)
        return await self.serve()

    async def serve(self) -> Messenger:
        """The others live and die with the person's engine from now on."""
        try:
            await self._person.engine.serve(self._neighbours)
        except BaseException:
            await self._neighbours.close()
            await self._person.stop()
            raise
        return self._person.engine


async def make(folder: Path, passphrase: str, language: str, machine: Clock, random: Random) -> Demo:
    """A demo with its profiles in `folder`. Raises CannotCreate, a StorageFailure."""
    sample, clock, network = read_sample(), DemoClock(machine), Network()
    times = placed(sample.conversations, clock.present())
    terminals = {
        name: DemoTerminal(name, f"127.0.0.{number}", folder / str(number), network, clock, random)
        for number, name in enumerate(_names(sample), 1)
    }
    person = terminals.pop(sample.person)
    contacts = [terminals[row.name] for row in sample.contacts]
    strangers = [terminals[row.name] for row in sample.nearby]
    try:
        clock.set(min(times.values()) - BEFORE)
        await person.create(passphrase)
        for contact in contacts:
            await contact.create(NEIGHBOURS_PASSPHRASE)
        await Playing(sample, language, person, contacts, times, clock).play()
        clock.run()
        for stranger in strangers:  # only now: whoever announces itself does so anew on another day
            await _appear(stranger, person)
        demo = Demo(person, Neighbours(sample, language, person, terminals))
        await demo.serve()
    except BaseException:
        await asyncio.gather(*(terminal.stop() for terminal in (person, *terminals.values())))
        raise
    return demo


def _names(sample: Sample) -> Sequence[str]:
    others = [row.name for row in sample.contacts] + [row.name for row in sample.nearby]
    return [sample.person, *others]


async def _appear(stranger: DemoTerminal, person: DemoTerminal) -> None:
    """A stranger is there, and the person's terminal has seen it."""
    seen = person.wait(NearbyChanged, lambda event: stranger.name in {view.name for view in event.nearby})
    await stranger.create(NEIGHBOURS_PASSPHRASE)
    await seen
