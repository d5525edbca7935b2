"""What the system opens: files that were saved in this session, their folders, and links of messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from chat.interface import EntryKind, EntryView
from tui.actions import action
from tui.opening import is_harmful, open_address, open_path, program, scheme_of
from tui.screens.chat.surface import Surface
from tui.screens.links import OpenLinkDialog
from tui.text.markdown import links
from tui.text.safe import safe, safe_line, shorten
from tui.text.translation import _
from tui.widgets.history import History

_SAVED_MAX: Final = 256
"""Saved files whose places this session knows. This person fills it, and the oldest goes first."""

_PATH_CELLS: Final = 200
_LINKS_MAX: Final = 9
"""Links of one message that are offered. A contact fills it; the others can be copied."""


@dataclass(repr=False)
class OpeningController:
    """Where a file was saved is forgotten with the session: nothing on the disk names it."""

    surface: Surface
    view: History
    _saved: dict[str, str] = field(init=False, default_factory=dict)

    def remember(self, entry: EntryView, path: str) -> None:
        """Remember where the file of an entry was saved."""
        self._saved.pop(entry.id, None)
        self._saved[entry.id] = path
        if len(self._saved) > _SAVED_MAX:
            del self._saved[next(iter(self._saved))]

    def say_saved(self, path: str) -> None:
        """Say where a file was saved, with the keys that open it from the message box."""
        said = _("Saved as {path}").format(path=safe_line(path))
        there, opens = action("choose_entry"), map(action, ("open_file", "show_folder"))
        keys = [f"{there.key} {one.key} {one.title}" for one in opens if there.key and one.key]
        self.surface.say("   ".join([said, *keys]))

    def is_saved(self, entry: EntryView) -> bool:
        return entry.id in self._saved

    def open_file(self) -> None:
        """Ask, and open it; a name that a system may run is asked for twice."""
        path = self._path()
        if path is not None:
            self.surface.run("opening", self._ask, path)

    def show_folder(self) -> None:
        path = self._path()
        if path is not None:
            self.surface.outlast("opening", self._open, path.parent)

    def open_link(self) -> None:
        """Ask which link of the entry under the cursor to open, and whether to."""
        entry = self.view.chosen
        found = links(safe(entry.text)) if entry is not None and entry.kind is EntryKind.TEXT else []
        known = [address for address in found if scheme_of(address)][:_LINKS_MAX]
        if not found:
            self.surface.say(_("This message contains no link."))
        elif not known:
            self.surface.say(_("Only links with https, http or mailto are opened."))
        else:
            opens = partial(self.surface.outlast, "opening", self._open_link)
            self.surface.choose(OpenLinkDialog(known), opens)

    async def _open_link(self, address: str) -> None:
        await self.surface.ask(open_address(address))

    def _path(self) -> Path | None:
        entry = self.view.chosen
        path = self._saved.get(entry.id) if entry is not None else None
        if entry is None or entry.file is None:
            self.surface.say(_("This message has no file."))
        elif path is None:
            said = _("Save the file first ({key}).") if action("save").key else _("Save the file first.")
            self.surface.say(said.format(key=action("save").key))
        return Path(path) if path is not None else None

    async def _ask(self, path: Path) -> None:
        shown = shorten(safe_line(str(path)), _PATH_CELLS)
        does = partial(self.surface.outlast, "opening", self._open, path)
        if is_harmful(path.name):
            again = _("{name} may run as a program, with all that you may do. Open it all the same?")
            harm = _("Parlour cannot say what is in it. Answer yes only if you know who made it, and why.")
            does = partial(self.surface.confirm, again.format(name=safe_line(path.name)), harm, does)
        if (with_program := await self.surface.ask(_program())) is not None:
            said = _("{program} opens it, outside of Parlour. Files from others can do harm.")
            about = said.format(program=safe_line(Path(with_program).name))
            self.surface.confirm(_("Open {path}?").format(path=shown), about, does)

    async def _open(self, path: Path) -> None:
        await self.surface.ask(open_path(path))


async def _program() -> str:
    return program()
