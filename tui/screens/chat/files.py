"""Sending files: chosen in a dialog, or pasted as paths."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from chat.interface import (
    ContactView,
    FileSealing,
    Given,
    LeftOut,
    Messenger,
    ParlourError,
    outgoing,
    size_text,
)
from tui.messages import Problem, attempt
from tui.preferences import Options
from tui.screens.chat.sending import ComposerController
from tui.screens.chat.surface import ChatState, Surface
from tui.screens.recording import RecordingDialog
from tui.screens.sending import SendDialog, SendFilesDialog
from tui.text.formatting import safe_line, shorten, without_controls
from tui.text.paths import pasted_paths
from tui.text.translation import _, _n, told

Then = Callable[[], None]

_NAME_CELLS = 40
_HOME = "~/"


@dataclass(repr=False)
class FilesController:
    """What is written stays in the message box: a file is a message of its own."""

    messenger: Messenger
    state: ChatState
    surface: Surface
    composer: ComposerController
    options: Options
    _begin: str = field(init=False, default=_HOME)
    _sending: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    _now: tuple[str, Given, str] | None = field(init=False, default=None)  # its id, and which of how many

    def send_files(self, view: ContactView) -> None:
        if view.held or self.state.removed:
            self.composer.go_write()
            return
        dialog = SendFilesDialog(self._begin)
        self.surface.choose(dialog, partial(self._chosen, view.person, dialog))

    def voice(self, view: ContactView) -> None:
        if view.held or self.state.removed:
            self.composer.go_write()
            return
        named = self.state.named(view)
        self.surface.push(RecordingDialog(self.messenger, self.options, view.person, named))

    def pasted(self, person: str, text: str) -> None:
        """The message box has a paste already: where it is paths, ask whether to send those files."""
        self.surface.run("files", self._ask_pasted, person, text)

    async def _ask_pasted(self, person: str, text: str) -> None:
        paths = await asyncio.to_thread(pasted_paths, text)
        if not paths or person != self.state.current:
            return
        found = await self._found(paths, said=False)
        if found is not None:
            self._ask(person, *found, partial(self._take_out, person, text))

    def _take_out(self, person: str, text: str) -> None:
        """The files are sent, and their paths need not be."""
        if person != self.state.current:
            return
        before, found, after = self.composer.view.text.rpartition(without_controls(text))
        if found:
            self.composer.view.set_text(
                f"{before}{after}".strip(" ") if not before.strip() else before + after
            )

    def _chosen(self, person: str, dialog: SendFilesDialog, paths: Sequence[str]) -> None:
        self._begin = dialog.folder or _HOME
        self.surface.run("files", self._ask_chosen, person, paths)

    async def _ask_chosen(self, person: str, paths: Sequence[str]) -> None:
        found = await self._found(paths)
        if found is None:
            return
        if any(map(os.path.isdir, paths)):
            self._ask(person, *found, lambda: None)
        else:
            self.surface.outlast("sending", self._send, person, found[0])

    async def _found(
        self, paths: Sequence[str], *, said: bool = True
    ) -> tuple[list[Given], list[LeftOut]] | None:
        """The files of these paths, and what is left out of them; a refusal is shown where it is `said`."""
        files, left_out = list[Given](), list[LeftOut]()
        try:
            for path in paths:
                one = await asyncio.to_thread(outgoing, Path(path))
                files += one.files
                left_out += one.left_out
        except ParlourError as failure:
            if said:
                self.surface.say(safe_line(told(failure.phrase)), problem=True)
            return None
        return files, left_out

    def _ask(
        self, person: str, files: list[Given], left_out: list[LeftOut], done: Callable[[], None]
    ) -> None:
        view = self.state.talk(person)
        if view is None or view.held or self.state.removed:
            return
        size = size_text(sum(one.size for one in files))
        question = _n(
            "Send {number} file ({size}) to {name}?", "Send {number} files ({size}) to {name}?", len(files)
        )
        name = self.state.named(view)

        def answered(yes: bool) -> None:
            if yes:
                done()
                self.surface.outlast("sending", self._send, person, files)

        asked = question.format(number=len(files), size=size, name=name)
        self.surface.choose(SendDialog(asked, _about(files, left_out)), answered)

    async def _send(self, person: str, files: Sequence[Given]) -> None:
        drawn = secrets.token_hex(16)
        async with self._sending:
            for number, one in enumerate(files, 1):
                send_id = f"{drawn}/{number}"
                self._now = send_id, one, f" ({number}/{len(files)})" if len(files) > 1 else ""
                self._say(person, 0)
                sent = await attempt(self.messenger.send_file(person, one.path, one.named, send_id))
                self._now = None
                if isinstance(sent, Problem):
                    said = _("{name} was not sent: {reason}")
                    self.surface.say(said.format(name=_name(one), reason=sent.text), problem=True)
                    return
        if person == self.state.current:
            self.surface.clear()

    def sealing(self, event: FileSealing) -> None:
        """Say how much of the file that this screen sends is encrypted."""
        if self._now is not None and event.send_id == self._now[0]:
            self._say(event.contact, 100 * event.done // max(event.size, 1))

    def _say(self, person: str, percent: int) -> None:
        if person != self.state.current or self._now is None:
            return
        _send_id, one, which = self._now
        said = _("Encrypting {name}, {percent} % of {size}…")
        size = size_text(one.size)
        self.surface.say(said.format(name=_name(one), percent=percent, size=size) + which)


def _name(one: Given) -> str:
    return shorten(safe_line(one.named), _NAME_CELLS)


def _about(files: Sequence[Given], left_out: Sequence[LeftOut]) -> str:
    """The names of some files, and what is not sent."""
    named = ", ".join(map(_name, files[:3])) + ("…" if len(files) > 3 else "")
    if not left_out:
        return named
    first = left_out[0]
    less = _n("{number} is left out", "{number} are left out", len(left_out)).format(number=len(left_out))
    where = _("{path}: {reason}").format(path=shorten(safe_line(first.path), 50), reason=told(first.why))
    return f"{named}\n{less} ({where})"
