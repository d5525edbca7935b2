"""Everybody else in a demo: contacts who answer, one who can be brought back, strangers to pair with.

Rules: a stranger says yes only after the person did; who is removed is a stranger again; all of them stop
with the person's engine and start with it, as if one laptop were shut.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Final

from chat.demo.answering import Answering, Answers
from chat.demo.sample import Sample
from chat.demo.terminal import DemoTerminal
from chat.interface import ContactRemoved, Event, PairingChanged, PairingStage, PairingView, ParlourError
from chat.tasks import Tasks

PASSPHRASE: Final = "nobody types it"
AGREES_AFTER: Final = 1.2
JOINS_AFTER: Final = 4.0
GREETS_AFTER: Final = 1.0
COMES_AFTER: Final = 2.5
"""Seconds, all of them."""


class Neighbours:
    """engine.Server of the person's engine: they live as long as it does."""

    def __init__(
        self, sample: Sample, language: str, person: DemoTerminal, terminals: Mapping[str, DemoTerminal]
    ) -> None:
        self._sample = sample
        self._language = language
        self._person = person
        self._terminals = terminals
        self._away = {row.name for row in sample.contacts if not row.present}
        self._unpaired = [row.name for row in sample.nearby]
        self._words: dict[tuple[str, ...], tuple[DemoTerminal, PairingView]] = {}
        self._tasks = Tasks(_failed)
        self._answering = {name: self._let_answer(terminal) for name, terminal in terminals.items()}
        person.watch(self._person_heard)

    def _let_answer(self, terminal: DemoTerminal) -> Answering:
        terminal.watch(lambda event: self._heard(terminal, event))
        answers = Answers(self._sample, self._language, self._may_bring)
        return Answering(terminal, self._person.person, answers, self._bring)

    # With the person's engine (engine.Server).

    async def start(self) -> None:
        """Whoever is not away is there, and answers. Raises a StorageFailure."""
        self._person.engine.invited = self._invited
        for name, terminal in self._terminals.items():
            if name not in self._away:
                if not terminal.running:
                    await terminal.start(PASSPHRASE)
                self._tasks.spawn(self._answering[name].run())

    async def drain(self, within: float) -> None:
        """Nothing to do: they ask nothing of the person's engine."""

    async def close(self) -> None:
        """All stop; what one of them was about to do is not done."""
        await self._tasks.stop()
        await asyncio.gather(*(terminal.stop() for terminal in self._terminals.values()))

    # A contact comes back.

    def _may_bring(self, name: str) -> bool:
        return name in self._away

    def _bring(self, name: str) -> None:
        if name in self._away:
            self._away.discard(name)
            self._tasks.spawn(self._come(name))

    async def _come(self, name: str) -> None:
        await asyncio.sleep(COMES_AFTER)
        self._answering[name].begin_with(self._sample.back.within(self._language))
        await self._terminals[name].start(PASSPHRASE)
        await self._answering[name].run()

    # Pairing.

    def _heard(self, terminal: DemoTerminal, event: Event) -> None:
        if isinstance(event, PairingChanged):
            match event.pairing.stage:
                case PairingStage.WORDS:
                    self._words[event.pairing.words] = (terminal, event.pairing)
                case PairingStage.FAILED:
                    self._tasks.spawn(terminal.engine.set_visible(True))
                case PairingStage.DONE:
                    self._unpaired.remove(terminal.name)
                    self._tasks.spawn(self._greet(terminal))

    def _person_heard(self, event: Event) -> None:
        if isinstance(event, PairingChanged) and event.pairing.stage is PairingStage.WAITING:
            self._tasks.spawn(self._agree(event.pairing.words))
        elif isinstance(event, ContactRemoved):
            removed = [one for one in self._terminals.values() if one.person == event.person and one.running]
            for terminal in removed:
                self._tasks.spawn(self._be_a_stranger(terminal))

    async def _agree(self, words: tuple[str, ...]) -> None:
        """Whoever sees the words that the person has confirmed confirms them too."""
        await asyncio.sleep(AGREES_AFTER)
        if (seen := self._words.pop(words, None)) is not None:
            terminal, pairing = seen
            await _try(terminal.engine.answer_pairing(pairing.id, True))

    async def _greet(self, terminal: DemoTerminal) -> None:
        await asyncio.sleep(GREETS_AFTER)
        greeting = self._sample.greeting.within(self._language).replace("{name}", self._sample.person)
        await _try(self._answering[terminal.name].write(greeting))

    async def _be_a_stranger(self, terminal: DemoTerminal) -> None:
        await _try(terminal.engine.remove(self._person.person))
        self._unpaired.append(terminal.name)
        await terminal.engine.set_visible(True)

    def _invited(self, text: str) -> None:
        self._tasks.spawn(self._join(text))

    async def _join(self, text: str) -> None:
        """Somebody nearby uses the person's invitation."""
        await asyncio.sleep(JOINS_AFTER)
        if self._unpaired:
            await _try(self._terminals[self._unpaired[0]].engine.join(text))


def _failed(error: BaseException) -> None:
    context = {"message": "a neighbour of the demo failed", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)


async def _try(call: Awaitable[object]) -> None:
    """Do what the person may have made impossible meanwhile: their own screen says what became of it."""
    with suppress(ParlourError):
        await call
