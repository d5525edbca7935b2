"""Sending files to the open conversation."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chat.interface import (
    Given,
    LeftOut,
    Messenger,
    OnlyAsOriginal,
    ParlourError,
    UsageError,
    outgoing,
    size_text,
)
from tui.linear.history import History
from tui.linear.output import Output
from tui.linear.state import Questions, State
from tui.linear.wording import listed
from tui.text.formatting import hidden_line
from tui.text.paths import typed_paths
from tui.text.safe import safe_line, shorten
from tui.text.translation import _, _n, told

_NAME_CELLS: Final = 60
_NAMED: Final = 5
_LONG: Final = 64 << 20
"""Bytes from which on a line says that a file is being prepared."""


@dataclass
class Files:
    messenger: Messenger
    output: Output
    state: State
    history: History
    questions: Questions
    preparing: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    """Set while files are prepared: then `cancel` is of use."""
    sealed: str = field(init=False, default="")  # the safe name of the file that is being encrypted
    _now: tuple[str, str] | None = field(init=False, default=None)  # the person, and the id of the call
    _cancelled: bool = field(init=False, default=False)

    async def send(self, typed: str) -> None:
        """Send one file at once; ask before several, and before a folder. Raises ParlourError."""
        await self._ask(typed, original=False)

    async def original(self, typed: str) -> None:
        """The same, and pictures keep their metadata. Raises ParlourError."""
        await self._ask(typed, original=True)

    async def cancel(self, _typed: str = "") -> None:
        """Let the file that is being prepared, and those after it, not be sent."""
        if not self.preparing.is_set():
            raise UsageError(_("No file is being prepared."))
        self._cancelled = True
        if self._now is not None:
            with suppress(ParlourError):  # it was sent in this moment
                await self.messenger.cancel_file(*self._now)

    async def _ask(self, typed: str, *, original: bool) -> None:
        person = self.state.chosen().person
        if not typed.strip():
            raise UsageError(_("Type /send and the path of a file or folder."))
        paths = await asyncio.to_thread(typed_paths, typed)
        files, left_out, folders = await asyncio.to_thread(_found, paths)
        if len(files) == 1 and not folders:
            await self._send(person, files, original=original)
            return
        question = _n(
            "Send {number} file ({size}) to {name}?", "Send {number} files ({size}) to {name}?", len(files)
        )
        size, name = size_text(sum(one.size for one in files)), self.state.name_of(person)
        lines = [question.format(number=len(files), size=size, name=name)]
        if hidden := hidden_line(files):
            lines.append(hidden)
        if left_out:
            less = _n("{number} is left out", "{number} are left out", len(left_out))
            first = _("{path}: {reason}").format(
                path=safe_line(left_out[0].path), reason=told(left_out[0].why)
            )
            lines.append(f"{less.format(number=len(left_out))} ({first})")

        async def do() -> None:
            await self._send(person, files, original=original)

        await self.questions.confirm(person, lines, do)

    async def _send(self, person: str, files: Sequence[Given], *, original: bool) -> None:
        refused = list[Given]()
        self._cancelled = False
        self.preparing.set()
        try:
            left = await self._send_each(person, files, refused, original=original)
        finally:
            self.preparing.clear()
            self._now, self.sealed = None, ""
        if self._cancelled:
            said = _n(
                "Cancelled: {number} file was not sent.", "Cancelled: {number} files were not sent.", left
            )
            await self.output.say(
                said.format(number=left) if left else _("It was sent already: it can be deleted.")
            )
        elif refused:
            await self._offer(person, refused)

    async def _send_each(
        self, person: str, files: Sequence[Given], refused: list[Given], *, original: bool
    ) -> int:
        """How many were not sent as that was cancelled. `refused` gets what can be sent as the original."""
        drawn = secrets.token_hex(16)
        for number, one in enumerate(files, 1):
            name, size = shorten(safe_line(one.named), _NAME_CELLS), size_text(one.size)
            if one.size >= _LONG:
                preparing = _("Encrypting {name}, {size}. /cancel ends that.")
                await self.output.say(preparing.format(name=name, size=size))
            sent = await self._send_one(person, one, f"{drawn}/{number}", refused, original=original)
            if sent:
                await self.output.say(_("Sent: {name}, {size}").format(name=name, size=size))
            if self._cancelled:
                return len(files) - number + (not sent)
        return 0

    async def _send_one(
        self, person: str, one: Given, send_id: str, refused: list[Given], *, original: bool
    ) -> bool:
        """Whether it was sent. Raises ParlourError."""
        self._now, self.sealed = (person, send_id), shorten(safe_line(one.named), _NAME_CELLS)
        try:
            entry = await self.messenger.send_file(person, one.path, one.named, send_id, original)
        except OnlyAsOriginal:
            refused.append(one)
            return False
        except ParlourError:
            if self._cancelled:
                return False
            raise
        except asyncio.CancelledError:
            with suppress(ParlourError):  # it was sent in this moment
                await self.messenger.cancel_file(person, send_id)
            raise
        self.history.sent(entry.id)
        return True

    async def _offer(self, person: str, refused: Sequence[Given]) -> None:
        """Ask whether to send pictures as originals that cannot be sent without their metadata."""
        names = listed(shorten(safe_line(one.named), _NAME_CELLS) for one in refused[:_NAMED])
        said = _n(
            "{names} was not sent: its metadata cannot be removed.",
            "{number} pictures were not sent, as their metadata cannot be removed: {names}.",
            len(refused),
        )
        send = _("Send as the original, with its place, time and camera?")

        async def do() -> None:
            await self._send(person, refused, original=True)

        lines = said.format(names=names, number=len(refused)), send
        await self.questions.confirm(person, lines, do, late=True)


def _found(paths: Sequence[str]) -> tuple[list[Given], list[LeftOut], bool]:
    files, left_out, folders = list[Given](), list[LeftOut](), False
    for path in paths:
        found = outgoing(Path(path))
        files += found.files
        left_out += found.left_out
        folders |= Path(path).is_dir()
    return files, left_out, folders
