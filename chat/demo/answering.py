"""What a contact of the demo answers, and when: it reads, types for a moment and writes.

Rules: which answer follows from the text and the number of answers before alone; who gets several texts at
once answers the last; a contact that cannot answer any more (blocked, removed, stopped) is silent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

from chat.demo.sample import CHINESE, Answer, Sample, Text
from chat.demo.terminal import DemoTerminal
from chat.interface import EntryAdded, EntryView, Event, ParlourError

READS_AFTER: Final = 0.7
TYPES_AFTER: Final = 0.4
TYPES_LEAST: Final = 0.9
TYPES_MOST: Final = 2.4
A_CHARACTER: Final = 0.008
"""Seconds, all of them: long enough to be seen, and short enough not to be waited for."""

QUOTED: Final = 40
"""Characters of a text that an answer says again."""

_WORD: Final = re.compile(r"\w+")
_IDEOGRAPH: Final = re.compile(r"[\u3400-\u9fff]")


class Answers:
    """Chooses answers: the first whose words are in the text, else the next of those for anything."""

    def __init__(self, sample: Sample, language: str, may_bring: Callable[[str], bool]) -> None:
        self._sample = sample
        self._language = language
        self._may_bring = may_bring
        self._number = 0

    def to(self, text: str) -> tuple[str, str]:
        """(the answer, the name of the contact that it brings or nothing)."""
        for answer in self._sample.answers:
            if has_word(text, answer.words) and self._holds(answer):
                return self._say(answer, text), answer.brings
        answer_to_any = self._sample.otherwise[self._number % len(self._sample.otherwise)]
        self._number += 1
        return self._say(answer_to_any, text).replace("{said}", _shortened(text)), ""

    def _holds(self, answer: Answer) -> bool:
        return not answer.brings or self._may_bring(answer.brings)

    def _say(self, answer: Text, text: str) -> str:
        return answer.within(CHINESE if _IDEOGRAPH.search(text) else self._language)


def has_word(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words is in a text: those of scripts without spaces anywhere in it."""
    folded = text.casefold()
    found = set(_WORD.findall(folded))
    return any(word in found or (not word.isascii() and word in folded) for word in words)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else line[: QUOTED - 1].rstrip() + "…"


class Answering:
    """Lets one terminal answer one person. `bring` makes a contact come back."""

    def __init__(
        self, terminal: DemoTerminal, person: str, answers: Answers, bring: Callable[[str], None]
    ) -> None:
        self._terminal = terminal
        self._person = person
        self._answers = answers
        self._bring = bring
        self._asked: asyncio.Queue[EntryView] = asyncio.Queue()
        self._first: str | None = None
        terminal.watch(self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, EntryAdded) and event.entry.contact == self._person and not event.entry.own:
            self._asked.put_nowait(event.entry)

    def begin_with(self, text: str) -> None:
        """Whatever is written next, answer this."""
        self._first = text

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            entry = await self._asked.get()
            try:
                await self._answer(entry)
            except ParlourError:
                continue  # the person blocked or removed this contact, or its engine stops: no answer then

    async def _answer(self, entry: EntryView) -> None:
        engine = self._terminal.engine
        await asyncio.sleep(READS_AFTER)
        asked = [entry]
        while not self._asked.empty():
            asked.append(self._asked.get_nowait())
        entry, several = asked[-1], len(asked) > 1
        await engine.mark_read(self._person, tuple(one.id for one in asked))
        text, brings = (self._first, "") if self._first is not None else self._answers.to(entry.text)
        self._first = None
        await asyncio.sleep(TYPES_AFTER)
        await self.write(text, entry.id if several else "")
        if brings:
            self._bring(brings)

    async def write(self, text: str, reply: str = "") -> None:
        """Type for a while, and send it."""
        engine = self._terminal.engine
        await engine.typing(self._person, True)
        await asyncio.sleep(min(TYPES_MOST, TYPES_LEAST + A_CHARACTER * len(text)))
        await engine.send(self._person, text, reply)
