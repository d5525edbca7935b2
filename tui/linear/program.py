"""The linear mode from start to end: open, talk, lock, open again, and leave well however that comes.

Rules: a signal, the end of the input and a reader who has gone are ends like /quit; nothing that a person
wrote is in what an end leaves behind.
"""

from __future__ import annotations

import asyncio
import os
import sys

from chat.interface import Door, Messenger, ParlourError
from tui import texts
from tui.hangup import EVERY, heed_signals
from tui.linear.base import Tools
from tui.linear.opening import Opening
from tui.linear.session import End, Session
from tui.linear.typed import Typed
from tui.linear.voice import Voice
from tui.options import Options
from tui.preferences import Preferences
from tui.texts import _


class Program:
    """The mode on one pair of descriptors. `every`: seconds between two looks whether anybody is there."""

    def __init__(
        self, door: Door, options: Options, typed: Typed, voice: Voice, every: float = EVERY
    ) -> None:
        self._door = door
        self._options = options
        self._typed = typed
        self._voice = voice
        self._every = every

    async def run(self) -> int:
        """Talk until the person leaves; the exit status."""
        if task := asyncio.current_task():
            heed_signals(task.cancel)
        with self._typed.attended():
            return await self._run()

    async def _run(self) -> int:
        texts.use(texts.of_locale(os.environ))
        gone = asyncio.create_task(self._voice.gone.wait())
        work = asyncio.create_task(self._work())
        try:
            await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else 0  # else nobody can hear any more
        finally:
            for task in (gone, work):
                task.cancel()
            await asyncio.gather(gone, work, return_exceptions=True)

    async def _work(self) -> int:
        opening = Opening(self._door, self._typed, self._voice, self._options.demo)
        problem: ParlourError | None = None
        while (messenger := await opening.open(problem)) is not None:
            try:
                end, reason = await self._talk(messenger)
            except ParlourError as refused:  # it was lost before anything could be told
                problem = refused
                continue
            finally:
                self._voice.forget()
            problem = None
            if end is End.QUIT:
                await self._voice.say(_("Parlour is closed."))
                return 0
            await self._voice.say(reason)
            if self._typed.at_terminal:
                await self._voice.say(
                    _("What was told before can still be read in this window: close or clear it.")
                )
        return opening.status

    async def _talk(self, messenger: Messenger) -> tuple[End, str]:
        preferences = await _preferences(messenger)
        if preferences.language in texts.LANGUAGES:
            texts.use(preferences.language)
        tools = Tools(messenger, self._options, preferences, self._voice, self._typed.at_terminal)
        return await Session(tools, self._typed, self._every).run()


async def _preferences(messenger: Messenger) -> Preferences:
    try:
        return await Preferences.read(messenger)
    except ParlourError:
        return Preferences(messenger)


def run(door: Door, options: Options | None = None) -> int:
    """Talk on standard input and output; the exit status."""
    voice = Voice(1, sys.stdout.encoding or "utf-8")
    program = Program(door, options or Options(), Typed(0, voice), voice)
    try:
        return asyncio.run(program.run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
