"""Sending files: chosen in a dialog, or pasted as paths."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from chat.interface import (
    ContactView,
    FileSealing,
    Given,
    LeftOut,
    Messenger,
    ParlourError,
    Redacted,
    Redacting,
    outgoing,
    size_text,
)
from tui.actions import action
from tui.messages import Problem, attempt
from tui.preferences import Options
from tui.screens.chat.sending import ComposerController
from tui.screens.chat.surface import ChatState, Surface
from tui.screens.recording import RecordingDialog
from tui.screens.sending import SendDialog, SendFilesDialog
from tui.text.folders import Folders
from tui.text.formatting import hidden_line
from tui.text.paths import pasted_paths
from tui.text.safe import safe_line, shorten, without_controls
from tui.text.translation import _, _n, told

_NAME_CELLS = 40
_HOME = "~/"


class Batch(Redacting, frozen=True):
    """Files that are sent to a person one after the other. `original`: pictures keep their metadata."""

    person: str
    files: Redacted[tuple[Given, ...]]
    original: bool = False


class _Sealed(Redacting, frozen=True):
    """The file that is being prepared, the id of its call, and which of how many it is."""

    person: str
    send_id: str
    file: Redacted[Given]
    which: str


@dataclass(repr=False)
class FilesController:
    """What is written stays in the message box: a file is a message of its own."""

    messenger: Messenger
    state: ChatState
    surface: Surface
    composer: ComposerController
    options: Options
    _begin: str = field(init=False, default=_HOME)
    _folders: Folders = field(init=False, default_factory=Folders)
    _sending: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)
    # What was chosen for a person when Escape left the list, and whether as originals.
    _left: dict[str, tuple[Mapping[str, int | None], bool]] = field(init=False, default_factory=dict)
    _now: _Sealed | None = field(init=False, default=None)
    _cancelled: bool = field(init=False, default=False)  # the person wants no more of what is being sent
    _refused: Batch | None = field(init=False, default=None)  # pictures that can be sent as originals alone

    def send_files(self, view: ContactView) -> None:
        if view.held or self.state.removed:
            self.composer.go_write()
            return
        again, self._refused = self._refused, None
        if again is not None and again.person != view.person:
            again = None
        chosen, original = self._left.get(view.person, ({}, False))
        if again is not None:
            chosen, original = {one.path: one.size for one in again.files}, True
        dialog = SendFilesDialog(self._folders, self._begin, chosen, original=original)
        self.surface.push(dialog, partial(self._chosen, view.person, dialog, again))

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
            batch = Batch(person, tuple(found[0]))
            self._ask(batch, found[1], partial(self._take_out, person, text))

    def _take_out(self, person: str, text: str) -> None:
        """The files are sent, and their paths need not be."""
        if person != self.state.current:
            return
        before, found, after = self.composer.view.text.rpartition(without_controls(text))
        if found:
            self.composer.view.set_text(
                f"{before}{after}".strip(" ") if not before.strip() else before + after
            )

    def _chosen(
        self, person: str, dialog: SendFilesDialog, again: Batch | None, paths: Sequence[str] | None
    ) -> None:
        self._begin = dialog.folder or _HOME
        self._left.pop(person, None)
        if paths is None:
            if dialog.chosen:
                self._left[person] = dialog.chosen, dialog.original
            return
        self.surface.run("files", self._ask_chosen, person, paths, again, dialog.original)

    async def _ask_chosen(
        self, person: str, paths: Sequence[str], again: Batch | None, original: bool
    ) -> None:
        found = await self._found(paths)
        if found is None:
            return
        named = {one.path: one for one in again.files} if again is not None else {}  # below their folders
        batch = Batch(person, tuple(named.get(one.path, one) for one in found[0]), original)
        if await asyncio.to_thread(_any_folder, paths):
            self._ask(batch, found[1], lambda: None)
        else:
            self.surface.outlast("sending", self._send, batch)

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

    def _ask(self, batch: Batch, left_out: list[LeftOut], done: Callable[[], None]) -> None:
        files, view = batch.files, self.state.talk(batch.person)
        if view is None or view.held or self.state.removed:
            return
        size = size_text(sum(one.size for one in files))
        question = _n(
            "Send {number} file ({size}) to {name}?", "Send {number} files ({size}) to {name}?", len(files)
        )
        name = self.state.named(view)

        asked = question.format(number=len(files), size=size, name=name)
        dialog = SendDialog(asked, _about(files, left_out))
        dialog.original = batch.original

        def answered(yes: bool) -> None:
            if yes:
                done()
                self.surface.outlast("sending", self._send, replace(batch, original=dialog.original))

        self.surface.choose(dialog, answered)

    async def _send(self, batch: Batch) -> None:
        drawn, refused = secrets.token_hex(16), list[Given]()
        async with self._sending:
            self._cancelled = False
            for number, one in enumerate(batch.files, 1):
                which = f" ({number}/{len(batch.files)})" if len(batch.files) > 1 else ""
                self._now = now = _Sealed(batch.person, f"{drawn}/{number}", one, which)
                self._say(0)
                sent = await attempt(
                    self.messenger.send_file(now.person, one.path, one.named, now.send_id, batch.original)
                )
                self._now = None
                if isinstance(sent, Problem) and sent.original and not self._cancelled:
                    refused.append(one)
                elif isinstance(sent, Problem) and not self._cancelled:
                    said = _("{name} was not sent: {reason}")
                    self.surface.say(said.format(name=_name(one), reason=sent.text), problem=True)
                    return
                if self._cancelled:
                    self._say_cancelled(len(batch.files) - number + isinstance(sent, Problem))
                    return
        if refused:
            self._refuse(replace(batch, files=tuple(refused)))
        elif batch.person == self.state.current:
            self.surface.clear()

    @property
    def sealed(self) -> str:
        """The safe name of the file that is being encrypted, empty for none."""
        return _name(self._now.file) if self._now is not None else ""

    def cancel_file(self) -> None:
        """Let the file that is being prepared, and those after it, not be sent."""
        now = self._now
        if now is None:
            self.surface.say(_("No file is being prepared."))
            return
        question = _("Cancel {name}?").format(name=_name(now.file))
        why = _("It is not sent, and neither are the files after it.")
        self.surface.confirm(question, why, partial(self._cancel_all, now))

    def _cancel_all(self, now: _Sealed) -> None:
        self._cancelled = True
        self.surface.run("cancel", self._cancel, now)

    async def _cancel(self, now: _Sealed) -> None:
        await attempt(self.messenger.cancel_file(now.person, now.send_id))  # else it was sent in this moment

    def _say_cancelled(self, left: int) -> None:
        said = _n("Cancelled: {number} file was not sent.", "Cancelled: {number} files were not sent.", left)
        self.surface.say(said.format(number=left) if left else _("It was sent already: it can be deleted."))

    def _refuse(self, batch: Batch) -> None:
        """Offer to send pictures as originals that cannot be sent without their metadata."""
        self._refused = batch
        said = _n(
            "{name} was not sent: its metadata cannot be removed. {key} offers it as the original.",
            "{name} and others were not sent: their metadata cannot be removed. {key} offers them as"
            " originals.",
            len(batch.files),
        )
        key = action("send_files").key
        self.surface.say(said.format(name=_name(batch.files[0]), key=key), problem=True)

    def sealing(self, event: FileSealing) -> None:
        """Say how much of the file that this screen sends is encrypted."""
        if self._now is not None and event.send_id == self._now.send_id:
            self._say(100 * event.done // max(event.size, 1))

    def _say(self, percent: int) -> None:
        now = self._now
        if now is None or now.person != self.state.current or self._cancelled:
            return
        said = _("Encrypting {name}, {percent} % of {size}…")
        line = said.format(name=_name(now.file), percent=percent, size=size_text(now.file.size)) + now.which
        if key := action("cancel_file").key:
            line = _("{line}  {key} cancels it").format(line=line, key=key)
        self.surface.say(line)


def _any_folder(paths: Sequence[str]) -> bool:
    return any(map(os.path.isdir, paths))


def _name(one: Given) -> str:
    return shorten(safe_line(one.named), _NAME_CELLS)


def _about(files: Sequence[Given], left_out: Sequence[LeftOut]) -> str:
    """The names of some files, and what is not sent."""
    named = ", ".join(map(_name, files[:3])) + ("…" if len(files) > 3 else "")
    if hidden := hidden_line(files):
        named = f"{named}\n{hidden}"
    if not left_out:
        return named
    first = left_out[0]
    less = _n("{number} is left out", "{number} are left out", len(left_out)).format(number=len(left_out))
    where = _("{path}: {reason}").format(path=shorten(safe_line(first.path), 50), reason=told(first.why))
    return f"{named}\n{less} ({where})"
