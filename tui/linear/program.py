"""The linear mode from start to end: open the profile, talk, lock, open it again, leave."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from chat.interface import (
    SHORT_PASSPHRASE,
    Door,
    DoorState,
    Guard,
    Kept,
    KeyringFailure,
    Messenger,
    NotPermitted,
    ParlourError,
    Phrase,
    RecoveryView,
    Unreachable,
    UsageError,
    passphrase_problem,
)
from tui.linear.input import LineInput
from tui.linear.output import Output
from tui.linear.session import Session
from tui.linear.state import End
from tui.linear.wording import diagnosis_line, error_line, listed
from tui.preferences import Options, Preferences
from tui.terminal import EVERY, NOT_AGAIN, Handover, heed_signals, start_again, taken_over
from tui.text import translation
from tui.text.backups import LOST, RESTORES, percent, quarter, restored_text
from tui.text.formatting import strength
from tui.text.recovery import RECOVERY_NEW, RECOVERY_NEW_RISK, numbered_words
from tui.text.translation import DEMO_ABOUT, DEMO_TITLE, DEMO_TRIES, _, told


class InputEnded(Exception):
    """Nobody is there to answer any more."""


@dataclass
class Opener:
    """Asks until the profile is open. `status`: the exit status of the last refusal.

    `demo` is the passphrase of a demo. `keyring`: the system's keyring may open the profile, which is so at a
    start only.
    """

    door: Door
    input: LineInput
    output: Output
    demo: str = ""
    keyring: bool = False
    status: int = 0
    guard: Guard = field(init=False, default_factory=Guard)
    """Of the session that was opened last, which may have asked for no passphrase."""

    async def open(self, problem: ParlourError | None = None) -> Messenger | None:
        """The messenger, or None where the person left. `problem`: why the one before could not be used."""
        try:
            while True:
                if problem is not None:
                    await self._refuse(problem)
                    if not await self._asks_again():
                        return None
                try:
                    self.guard = Guard()
                    messenger = await self._open()
                except ParlourError as refused:
                    problem = refused
                else:
                    self.status, self.keyring = 0, False
                    return messenger
        except InputEnded:
            return None

    async def _open(self) -> Messenger:
        """Raises ParlourError."""
        state = await self.door.state()
        if state is DoorState.NEW:
            return await self._create()
        if state is DoorState.RUNNING:
            try:
                return await self._join()
            except Unreachable:
                if await self.door.state() is not DoorState.LOCKED:
                    raise
                # The engine ended meanwhile.
        return await self._unlock()

    async def _join(self) -> Messenger:
        if not self.demo:
            await self.output.say(_("Parlour already runs with this profile. Connecting to it…"))
            joined = await self.door.attach()
            self._unasked()
            return joined
        await self.output.say(translation.welcome("joining", self.demo))
        joined = await self.door.attach()
        await self.output.say(*map(_, (DEMO_TITLE, DEMO_ABOUT, *DEMO_TRIES)))
        return joined

    async def _create(self) -> Messenger:
        """First run. An invalid name is asked for again, and the passphrase with it."""
        await self.output.say(
            _("Choose a name that others see, and a passphrase that protects your history."),
            _("The passphrase cannot be recovered. Without it, your history is lost."),
            _("/restore FILE restores a backup. /lost says what to do without your old device."),
        )
        while True:
            await self.output.say(_("Type the name."))
            name = (await self._line()).strip()
            if not name:
                await self.output.say(_("Enter a name. Others will see it."))
                continue
            if name == "/lost":
                await self.output.say(*map(_, LOST))
                continue
            if name.startswith("/restore"):
                if await self._restored(name.removeprefix("/restore").strip()):
                    return await self._open()
                continue
            passphrase = await self._new_passphrase()
            await self.output.say(_("Opening…"))
            try:
                return await self.door.create(name, passphrase)
            except UsageError as refused:
                await self._refuse(refused)

    async def _restored(self, path: str) -> bool:
        """Restore a backup; whether there is a profile now."""
        if not path:
            await self.output.say(_("Type /restore and the name of a file."))
            return False
        await self.output.say(_(RESTORES))
        with self.input.hidden():
            secret = await self._secret(_("Type the passphrase of the backup. It is not shown."))
            await self.output.say(_("Type the recovery words, or an empty line where the backup has them."))
            words = tuple((await self._line(secret=True)).split())
        await self.output.say(_("Type yes if the device that wrote the backup is lost: it is removed then."))
        removes = (await self._line()).strip().casefold() in ("yes", _("yes").casefold())
        await self.output.say(
            _("Type yes if nobody else has seen your recovery words: they stay. Else new ones replace them.")
        )
        same = (await self._line()).strip().casefold() in ("yes", _("yes").casefold())
        own = await self._new_passphrase()
        progress = asyncio.Queue[str]()
        following = asyncio.create_task(self._follow(progress))
        try:
            view = await self.door.restore(
                *(_absolute(path), secret, own, words, removes, _quarters(progress.put_nowait)),
                None if same else self._write_down,
            )
        except ParlourError as refused:
            await self._refuse(refused)
            return False
        finally:
            following.cancel()
            await asyncio.wait({following})
        await self.output.say(restored_text(view))
        return not view.archive

    async def _write_down(self, view: RecoveryView, problem: Phrase) -> tuple[str, ...]:
        """Show new recovery words and ask for some of them. Raises UsageError where nothing is typed."""
        asked = listed(str(place + 1) for place in view.asked)
        how = _("Then type the words with the numbers {numbers} in one line. An empty line restores nothing.")
        await self.output.say(
            *([told(problem)] if problem else [_(RECOVERY_NEW), _(RECOVERY_NEW_RISK)]),
            *numbered_words(view.words, 1),
            how.format(numbers=asked),
        )
        with self.input.hidden():
            typed = tuple((await self._line(secret=True)).split())
        if not typed:
            raise UsageError(_("Nothing was restored: your recovery words are those of before."))
        await self.output.clear()
        return typed

    async def _follow(self, progress: asyncio.Queue[str]) -> None:
        said = _("Restoring the backup: {percent}")
        while True:
            await self.output.say(said.format(percent=await progress.get()))

    async def _new_passphrase(self) -> str:
        """Typed twice, and confirmed by an empty line where it is short."""
        with self.input.hidden():
            passphrase = await self._secret(_("Type the passphrase. It is not shown."))
            while True:
                if hint := strength(passphrase):
                    await self.output.say(hint)
                again = await self._secret(_("Type the same passphrase again."))
                problem = passphrase_problem(passphrase, again)
                if problem is None:
                    return passphrase
                await self.output.say(told(problem))
                if problem is SHORT_PASSPHRASE:
                    other = await self._line(secret=True)
                    if not other:
                        return passphrase
                    passphrase = other
                else:
                    passphrase = await self._secret(_("Type the passphrase. It is not shown."))

    async def _unlock(self) -> Messenger:
        if self.demo:
            await self.output.say(translation.welcome("locked", self.demo))
        with self.input.hidden():
            if (opened := await self._open_kept()) is not None:
                return opened
            while True:
                passphrase = await self._secret(_("Type your passphrase. It is not shown."))
                await self.output.say(_("Opening…"))
                try:
                    return await self.door.unlock(passphrase)
                except NotPermitted as refused:
                    await self._refuse(refused)

    async def _open_kept(self) -> Messenger | None:
        """Open it with the system's keyring, where that may be and succeeds."""
        if not self.keyring or await self.door.kept() is not Kept.YES:
            return None
        self.keyring = False
        await self.output.say(
            _("Opening with the passphrase in the system's keyring. It may ask you to unlock it.")
        )
        try:
            opened = await self.door.unlock_kept()
        except KeyringFailure as refused:
            await self._refuse(refused)
            return None
        if opened is not None:
            self._unasked()
        return opened

    def _unasked(self) -> None:
        """It is open without a passphrase, which may be typed all the same: it must be in no message."""
        self.input.forget_typed()
        self.guard = Guard(self.door.is_passphrase)

    async def _secret(self, prompt: str) -> str:
        while True:
            await self.output.say(prompt)
            if passphrase := await self._line(secret=True):
                return passphrase
            await self.output.say(_("Enter a passphrase."))

    async def _line(self, *, secret: bool = False) -> str:
        """What was typed. Raises InputEnded."""
        while True:
            try:
                line = await (self.input.secret() if secret else self.input.line())
            except UsageError as refused:
                await self._refuse(refused)
                continue
            if line is None:
                raise InputEnded
            return line

    async def _asks_again(self) -> bool:
        """Let the person try again, diagnose or leave; whether to try again."""
        while True:
            await self.output.say(_("An empty line tries again, /doctor diagnoses, /quit closes Parlour."))
            match (await self._line()).strip():
                case "":
                    return True
                case "/quit":
                    return False
                case "/doctor":
                    await self.output.say(_("Checking network, firewall and profile…"))
                    try:
                        await self.output.say(*map(diagnosis_line, await self.door.diagnose()))
                    except ParlourError as refused:
                        await self._refuse(refused)

    async def _refuse(self, refused: ParlourError) -> None:
        self.status = refused.exit_status
        await self.output.say(error_line(refused))


def _absolute(typed: str) -> str:
    return str(Path(typed).expanduser().absolute())


def _quarters(say: Callable[[str], None]) -> Callable[[int, int], None]:
    """Says each quarter in the event loop, also where it is called in another thread."""
    loop, last = asyncio.get_running_loop(), [0]

    def came(done: int, whole: int) -> None:
        if (now := quarter(done, whole)) > last[0]:
            last[0] = now
            loop.call_soon_threadsafe(say, percent(done, whole))

    return came


@dataclass
class Program:
    """The mode on one input and one output. `every`: seconds between two looks at the keys.

    `looks`: preferences that a program which locked left. `again`: there was such a program.
    """

    door: Door
    options: Options
    input: LineInput
    output: Output
    every: float = EVERY
    looks: Mapping[str, str] = field(default_factory=dict)
    again: bool = False

    async def run(self) -> int:
        """Talk until the person leaves; the exit status."""
        # A signal, the end of the input and a reader who has gone are ends like /quit.
        if task := asyncio.current_task():
            heed_signals(task.cancel)
        translation.use(Preferences(None, self.looks).language or translation.of_locale(os.environ))
        with self.input.attended():
            gone = asyncio.create_task(self.output.gone.wait())
            work = asyncio.create_task(self._work())
            try:
                await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
                return work.result() if work.done() else 0
            finally:
                for each in (gone, work):
                    each.cancel()
                await asyncio.gather(gone, work, return_exceptions=True)

    async def _work(self) -> int:
        opener = Opener(self.door, self.input, self.output, self.options.demo, keyring=not self.again)
        problem: ParlourError | None = None
        while (messenger := await opener.open(problem)) is not None:
            try:
                end, reason = await self._talk(messenger, opener.guard)
            except ParlourError as refused:  # it was lost before anything could be shown
                if self.options.starts_again and isinstance(refused, NotPermitted):
                    await self.output.say(error_line(refused))
                    return await self._start_again()
                problem = refused
                continue
            finally:
                await self.output.forget()
            problem = None
            if end is End.QUIT:
                await self.output.say(_("Parlour is closed."))
                return 0
            await self.output.say(await self._wiped() if end is End.WIPED else reason)
            if self.input.at_terminal:
                await self.output.say(_("Earlier lines can still be read in this window: close or clear it."))
            if self.options.starts_again:
                return await self._start_again()
        return opener.status

    async def _wiped(self) -> str:
        try:
            await self.door.wipe()
        except ParlourError as refused:
            return error_line(refused)
        return _("The profile is destroyed.")

    async def _start_again(self) -> int:
        """Go on in a new start of the program: of this one, keys and texts would stay in memory."""
        typed = ("", self.input.untaken())
        try:
            start_again(Handover(looks=self.looks, modes=self.input.modes, typed=(typed,)))
        except OSError:
            await self.output.say(_(NOT_AGAIN))
        return 1

    async def _talk(self, messenger: Messenger, guard: Guard) -> tuple[End, str]:
        try:
            preferences = await Preferences.read(messenger)
        except ParlourError:
            preferences = Preferences(messenger)
        self.looks = preferences.looks()
        if preferences.language in translation.LANGUAGES:
            translation.use(preferences.language)
        language = preferences.language or translation.of_locale(os.environ)
        with suppress(ParlourError):  # a disk that fails says so elsewhere; the words are then English
            await preferences.keep_words(translation.WORDS.get(language, ""))
        again, self.again = self.again, True
        session = Session(
            messenger, self.options, preferences, self.input, self.output, guard, self.every, again
        )
        try:
            return await session.run()
        finally:
            self.looks = preferences.looks()


def run(door: Door, options: Options | None = None) -> int:
    """Talk on standard input and output; the exit status."""
    output = Output(1, sys.stdout.encoding or "utf-8")
    before = taken_over()
    handed = before or Handover()
    lines = LineInput(0, output, handed.modes)
    for _key, text in handed.typed:
        lines.put_first(text)
    again = before is not None
    program = Program(door, options or Options(), lines, output, looks=handed.looks, again=again)
    try:
        return asyncio.run(program.run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 0
