"""Sending files to the open conversation."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chat.interface import Given, LeftOut, Messenger, UsageError, outgoing, size_text
from tui.linear.history import History
from tui.linear.output import Output
from tui.linear.state import Questions, State
from tui.text.formatting import safe_line, shorten
from tui.text.paths import typed_paths
from tui.text.translation import _, _n, told

_NAME_CELLS: Final = 60


@dataclass
class Files:
    messenger: Messenger
    output: Output
    state: State
    history: History
    questions: Questions

    async def send(self, typed: str) -> None:
        """Send one file at once; ask before several, and before a folder. Raises ParlourError."""
        person = self.state.chosen().person
        if not typed.strip():
            raise UsageError(_("Type /send and the path of a file or folder."))
        paths = await asyncio.to_thread(typed_paths, typed)
        files, left_out, folders = await asyncio.to_thread(_found, paths)
        if len(files) == 1 and not folders:
            await self._send(person, files)
            return
        question = _n(
            "Send {number} file ({size}) to {name}?", "Send {number} files ({size}) to {name}?", len(files)
        )
        size, name = size_text(sum(one.size for one in files)), self.state.name_of(person)
        lines = [question.format(number=len(files), size=size, name=name)]
        if left_out:
            less = _n("{number} is left out", "{number} are left out", len(left_out))
            first = _("{path}: {reason}").format(
                path=safe_line(left_out[0].path), reason=told(left_out[0].why)
            )
            lines.append(f"{less.format(number=len(left_out))} ({first})")

        async def do() -> None:
            await self._send(person, files)

        await self.questions.confirm(person, lines, do)

    async def _send(self, person: str, files: Sequence[Given]) -> None:
        drawn = secrets.token_hex(16)
        for number, one in enumerate(files, 1):
            entry = await self.messenger.send_file(person, one.path, one.named, f"{drawn}/{number}")
            self.history.sent(entry.id)
            name = shorten(safe_line(one.named), _NAME_CELLS)
            await self.output.say(_("Sent: {name}, {size}").format(name=name, size=size_text(one.size)))


def _found(paths: Sequence[str]) -> tuple[list[Given], list[LeftOut], bool]:
    files, left_out, folders = list[Given](), list[LeftOut](), False
    for path in paths:
        found = outgoing(Path(path))
        files += found.files
        left_out += found.left_out
        folders |= Path(path).is_dir()
    return files, left_out, folders
