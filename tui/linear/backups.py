"""Backups, readable exports and the end of the profile, line by line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chat.interface import (
    SHORT_PASSPHRASE,
    BackupProgress,
    BackupView,
    Messenger,
    UsageError,
    passphrase_problem,
)
from tui.linear.input import LineInput
from tui.linear.output import Output
from tui.linear.state import Exit, State
from tui.text.backups import (
    DESTROYS,
    NOT_ENCRYPTED,
    WITH_WORDS,
    destroy_word,
    lacks_words,
    percent,
    quarter,
    written_text,
)
from tui.text.formatting import strength
from tui.text.translation import _, told

FORMS: Final = ("html", "markdown", "jsonl")
WORDS: Final = "words"


@dataclass
class _Asked:
    """A backup whose passphrase is typed: first, then again. `held`: new lines were held back before."""

    path: str
    recovery: bool
    held: bool
    typed: list[str] = field(default_factory=list, repr=False)
    short: bool = False


@dataclass
class Backups:
    """Writes backups and exports, and destroys the profile. While `asking`, the next line answers it."""

    messenger: Messenger
    output: Output
    input: LineInput
    state: State
    exit: Exit
    _asked: _Asked | None = field(init=False, default=None)
    _destroys: bool = field(init=False, default=False)

    @property
    def asking(self) -> bool:
        return self._asked is not None or self._destroys

    async def backup(self, typed: str) -> None:
        first, _space, rest = typed.partition(" ")
        recovery = first == WORDS and bool(rest.strip())
        path = rest if recovery else typed
        if not path.strip():
            raise UsageError(_("Type /backup and the name of a file."))
        self._asked = _Asked(_absolute(path), recovery, self.output.holding)
        self.input.editor.hidden = self.output.holding = True
        said = [_(WITH_WORDS)] if recovery else []
        asked = _("Type a new passphrase for the backup. It is not shown. An empty line cancels.")
        await self.output.say(*said, asked)

    async def export(self, typed: str) -> None:
        form, _space, path = typed.partition(" ")
        if form not in FORMS or not path.strip():
            raise UsageError(_("Type /export, then html, markdown or jsonl, and the name of a file."))
        await self.output.say(_(NOT_ENCRYPTED))
        await self._write(self.messenger.export(_absolute(path), form, None))

    async def wipe(self, _typed: str) -> None:
        self._destroys = True
        asked = _("Type {word} to destroy it. Anything else cancels.").format(word=destroy_word())
        await self.output.say(_(DESTROYS), _("Its archives are destroyed with it."), asked)

    async def take_line(self, line: str) -> None:
        """Answer what was asked last. Raises ParlourError."""
        if self._destroys:
            self._destroys = False
            if line.strip().casefold() != destroy_word().casefold():
                await self.output.say(_("Nothing was destroyed."))
                return
            await self.exit.wipe()
            return
        asked = self._asked
        assert asked is not None
        if not line and not asked.short:
            self.stop()
            await self.output.say(_("No backup was written."))
            return
        if line:
            asked.typed[0 if asked.short else 2 :] = [line]
            asked.short = False
        if len(asked.typed) < 2:
            hint = strength(asked.typed[0])
            await self.output.say(*([hint] if hint else []), _("Type the same passphrase again."))
            return
        problem = passphrase_problem(*asked.typed, confirmed=not line)
        if problem is None:
            await self._finish(asked)
            return
        asked.short = problem is SHORT_PASSPHRASE
        lines = [told(problem)]
        if not asked.short:
            asked.typed.clear()
            lines.append(_("Type a new passphrase for the backup. It is not shown. An empty line cancels."))
        await self.output.say(*lines)

    async def _finish(self, asked: _Asked) -> None:
        self.stop()
        await self._write(self.messenger.back_up(asked.path, asked.typed[0], asked.recovery))
        if not asked.recovery and (said := lacks_words(await self.messenger.me())):
            await self.output.say(said)

    async def _write(self, writing: Awaitable[BackupView]) -> None:
        following = asyncio.create_task(self._follow())
        try:
            view = await writing
        finally:
            following.cancel()
            await asyncio.wait({following})
        await self.output.say(written_text(view))

    async def _follow(self) -> None:
        """Say at each quarter how far it is."""
        last = 0
        async for event in self.messenger.events():
            if isinstance(event, BackupProgress):
                now = quarter(event.done, event.total) + (4 if event.checking else 0)
                if now > last and event.done < event.total:
                    checks = _("Checking the file: {percent}")
                    said = checks if event.checking else _("Writing the file: {percent}")
                    await self.output.say(said.format(percent=percent(event.done, event.total)))
                last = max(now, last)

    def stop(self) -> None:
        """Ask no more, and show what is typed again."""
        self._destroys = False
        if self._asked is not None:
            self.input.editor.hidden, self.output.holding = False, self._asked.held
            self._asked = None


def _absolute(typed: str) -> str:
    return str(Path(typed.strip()).expanduser().absolute())
