"""The linear mode from start to end: open, talk, lock, open again, and leave well however that comes.

Rules: a signal, the end of the input and a reader who has gone are ends like /quit; nothing that a person
wrote is in what an end leaves behind.

From a profile folder to a messenger: first run, passphrase, an engine that runs already, or what is wrong.

Rules: nothing is asked before the door has said what is there; a passphrase is not echoed and not kept; who
ends the input ends the program, with the status of what was refused last.
"""

from __future__ import annotations

import asyncio
import os
import sys

from chat.interface import (
    SHORT_PASSPHRASE,
    Door,
    DoorState,
    Messenger,
    NotPermitted,
    ParlourError,
    Unreachable,
    UsageError,
    passphrase_problem,
)
from tui.linear.base import Tools
from tui.linear.input import Typed
from tui.linear.session import End, Session
from tui.linear.voice import Voice
from tui.linear.wording import diagnosis_line
from tui.preferences import Options, Preferences
from tui.terminal import EVERY, heed_signals
from tui.text import translation
from tui.text.formatting import safe_line, strength
from tui.text.translation import _, told


class InputEnded(Exception):
    """Nobody is there to answer any more."""


class Opening:
    """Asks until the profile is open. `status`: the exit status of what was refused last.

    `demo` is the passphrase of a demo.
    """

    def __init__(self, door: Door, typed: Typed, voice: Voice, demo: str = "") -> None:
        self.status = 0
        self._demo = demo
        self._door = door
        self._typed = typed
        self._voice = voice

    async def open(self, problem: ParlourError | None = None) -> Messenger | None:
        """The messenger, or None where the person left. `problem`: why the one before was of no use."""
        try:
            while True:
                if problem is not None:
                    await self._refused(problem)
                    if not await self._mended():
                        return None
                try:
                    opened = await self._look()
                except ParlourError as refused:
                    problem = refused
                else:
                    self.status = 0
                    return opened
        except InputEnded:
            return None

    async def _look(self) -> Messenger:
        """Open what is there. Raises ParlourError where that is not possible."""
        state = await self._door.state()
        if state is DoorState.NEW:
            return await self._create()
        if state is DoorState.RUNNING:
            try:
                return await self._join()
            except Unreachable:
                if await self._door.state() is not DoorState.LOCKED:
                    raise
                # The engine ended meanwhile.
        return await self._unlock()

    async def _join(self) -> Messenger:
        if not self._demo:
            await self._voice.say(_("Parlour already runs with this profile. Connecting to it…"))
            return await self._door.attach()
        await self._voice.say(translation.welcome("joining", self._demo))
        joined = await self._door.attach()
        await self._voice.say(translation.title(), translation.about(), *translation.tried_first())
        return joined

    async def _create(self) -> Messenger:
        """First run. A name that cannot be one is asked for again, and the passphrase with it."""
        await self._voice.say(
            _("Choose a name that others see, and a passphrase that protects your history."),
            _("The passphrase cannot be recovered. Without it, your history is lost."),
        )
        while True:
            await self._voice.say(_("Type the name."))
            name = (await self._line()).strip()
            if not name:
                await self._voice.say(_("Enter a name. Others will see it."))
                continue
            passphrase = await self._new_passphrase()
            await self._voice.say(_("Opening…"))
            try:
                return await self._door.create(name, passphrase)
            except UsageError as refused:
                await self._refused(refused)

    async def _new_passphrase(self) -> str:
        """Typed twice, and confirmed by an empty line where it is short."""
        with self._typed.hidden():
            passphrase = await self._secret(_("Type the passphrase. It is not shown."))
            while True:
                if hint := strength(passphrase):
                    await self._voice.say(hint)
                again = await self._secret(_("Type the same passphrase again."))
                problem = passphrase_problem(passphrase, again)
                if problem is None:
                    return passphrase
                await self._voice.say(told(problem))
                if problem is SHORT_PASSPHRASE:
                    other = await self._line(secret=True)
                    if not other:
                        return passphrase
                    passphrase = other
                else:
                    passphrase = await self._secret(_("Type the passphrase. It is not shown."))

    async def _unlock(self) -> Messenger:
        if self._demo:
            await self._voice.say(translation.welcome("locked", self._demo))
        with self._typed.hidden():
            while True:
                passphrase = await self._secret(_("Type your passphrase. It is not shown."))
                await self._voice.say(_("Opening…"))
                try:
                    return await self._door.unlock(passphrase)
                except NotPermitted as refused:
                    await self._refused(refused)

    async def _secret(self, prompt: str) -> str:
        while True:
            await self._voice.say(prompt)
            passphrase = await self._line(secret=True)
            if passphrase:
                return passphrase
            await self._voice.say(_("Enter a passphrase."))

    async def _line(self, *, secret: bool = False) -> str:
        """What was typed. Raises InputEnded."""
        while True:
            try:
                line = await (self._typed.secret() if secret else self._typed.line())
            except UsageError as refused:
                await self._refused(refused)
                continue
            if line is None:
                raise InputEnded
            return line

    async def _mended(self) -> bool:
        """Let the person look again, ask the doctor or leave; whether to look again."""
        while True:
            await self._voice.say(_("An empty line looks again, /doctor says more, /quit closes Parlour."))
            match (await self._line()).strip():
                case "":
                    return True
                case "/quit":
                    return False
                case "/doctor":
                    await self._diagnose()

    async def _diagnose(self) -> None:
        await self._voice.say(_("Checking network, firewall and profile…"))
        try:
            await self._voice.say(*map(diagnosis_line, await self._door.diagnose()))
        except ParlourError as refused:
            await self._refused(refused)

    async def _refused(self, refused: ParlourError) -> None:
        self.status = refused.exit_status
        await self._voice.say(safe_line(told(refused.phrase)) or _("Parlour could not do that."))


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
        translation.use(translation.of_locale(os.environ))
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
        if preferences.language in translation.LANGUAGES:
            translation.use(preferences.language)
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
