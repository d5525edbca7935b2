"""How far one text goes: the Python calls between `send` and its delivered receipt, of both engines together.

Counts calls into functions of `chat/` and `protocol/` on an in-memory network, where one thread also does the
work of both databases. A comprehension is no call where Python inlines it, a generator one per step.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import NamedTuple

from tests.support.engines.engines import delivered, pair, people, play, talk

_PROJECT = Path(__file__).resolve().parents[2]
_COUNTED = tuple(f"{_PROJECT / folder}/" for folder in ("chat", "protocol"))


class Way(NamedTuple):
    """What one text took: Python calls, and the functions and files that they went through."""

    calls: int
    functions: int
    files: int


class CallCounter:
    """Python calls into the counted folders, by code object."""

    def __init__(self) -> None:
        self.calls: Counter[CodeType] = Counter()

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_COUNTED):
            self.calls[frame.f_code] += 1

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count in this thread, which runs both engines, and in those that it starts."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def way(self) -> Way:
        """The sums."""
        files = {code.co_filename for code in self.calls}
        return Way(sum(self.calls.values()), len(self.calls), len(files))


def trace_one_text() -> CallCounter:
    """The calls of one short text between two contacts, on a link that is open and has carried texts.

    The receipt for the one before it came last, so that the text begins a turn of the ratchet, as its own
    receipt does.
    """
    counter = CallCounter()

    async def scenario() -> None:
        async with people(Path(folder), "Ann", "Ben") as (_, (ann, ben)):
            await pair(ann, ben)
            await talk(ann, ben, "The first text, whose statements the database has to prepare.")
            await asyncio.sleep(1.5)  # virtual: what follows a link's beginning is over
            contact, before = await ann.contact(ben), delivered(ann, 1)
            await ann.engine.send(contact, "Another one")
            await before
            receipt = delivered(ann, 1)
            with counter.counting():
                await ann.engine.send(contact, "Hello", "", "drawn by the client")
                await receipt

    with tempfile.TemporaryDirectory() as folder:
        play(scenario)
    return counter


def count_one_text() -> Way:
    """(calls, functions, files) of one text."""
    return trace_one_text().way()
