"""The dialog that finds files and folders to send."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.widgets.option_list import Option

from chat.interface import is_text, size_text
from tui.screens.dialog import ConfirmDialog, plain
from tui.screens.finder import LINES_MAX, Finder, Lines, fitted
from tui.text.formatting import safe_line, shorten, widest
from tui.text.paths import Completion, is_folder
from tui.text.translation import N_, _, _n
from tui.widgets.controls import Field

CHOSEN_MAX = 256
"""Files and folders that are chosen at once. This person fills it."""

_SIZE_CELLS = 10


class SendDialog(ConfirmDialog):
    """Asks before files are sent. `original`: pictures among them keep their metadata."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "original")]
    heading = N_("Send files")

    original = False

    def body(self) -> list[Widget]:
        return [*super().body(), plain("", id="metadata")]

    def draw(self) -> None:
        self.query_one("#metadata", Static).update(_metadata(self.original))
        self.set_hints((("y", _("Yes")), ("n", _("No")), ("o", _other(self.original))))

    def action_original(self) -> None:
        self.original = not self.original
        self.draw()


class SendFilesDialog(Finder[tuple[str, ...]]):
    """The whole paths of the files and folders to send. `begin`: what the field has at first.

    Without a choice of several, Enter goes into a folder and sends a file. With one it sends what is chosen.
    `original`: pictures keep their metadata. `chosen`: sizes of files that are chosen at first, by path.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", priority=True, show=False),
        Binding("insert", "again", priority=True, show=False),
        Binding("shift+tab", "above", priority=True, show=False),
        Binding("ctrl+o", "original", priority=True, show=False),
    ]
    opener = "send_files"
    heading = N_("Send files")
    placeholder = N_("A file or folder")

    def __init__(self, begin: str = "~/", chosen: Mapping[str, int] | None = None) -> None:
        super().__init__(begin)
        self._found = Completion(begin)
        self._chosen: dict[str, int | None] = {**(chosen or {})}
        self.original = bool(chosen)

    @property
    def folder(self) -> str:
        """What was typed of the folder, to begin there the next time."""
        return self._found.shown_folder

    def body(self) -> list[Widget]:
        chosen = plain("", id="chosen", classes="strong")
        chosen.display = False
        field, *rest = super().body()
        assert isinstance(field, Field)
        field.select_on_focus = False  # what is typed goes on after the folder
        return [field, *rest, chosen, plain("", id="metadata", classes="quiet")]

    def on_mount(self) -> None:
        super().on_mount()
        field = self.query_one("#typed", Field)
        field.cursor_position = len(field.value)

    def draw(self) -> None:
        self._found = Completion(self.typed)
        super().draw()
        self._say_chosen()

    def lines(self, typed: str) -> Sequence[Option]:
        return [
            Option(self._line(entry), id=str(at)) for at, entry in enumerate(self._found.entries[:LINES_MAX])
        ]

    def nothing(self) -> str:
        if self._found.problem:
            return _("This folder cannot be read: {reason}").format(reason=safe_line(self._found.problem))
        return _("No matching file.")

    def _line(self, entry: os.DirEntry[str]) -> Content:
        mark = " ● " if str(self._found.folder / entry.name) in self._chosen else "   "
        about, style = _about(entry)
        room = self.cells - len(mark) - _SIZE_CELLS - 1
        name = shorten(safe_line(entry.name) + ("/" if style == "bold" else ""), room)
        pad = " " * (room - widest(name) + 1)
        size = " " * max(0, _SIZE_CELLS - widest(about)) + about
        return fitted(Content.assemble((mark, "$success"), (name, style), pad, (size, "$quiet")), self.cells)

    def _say_chosen(self) -> None:
        try:
            words = self.query_one("#chosen", Static)
        except NoMatches:
            return
        number, sizes = len(self._chosen), self._chosen.values()
        said = _n("{number} chosen", "{number} chosen", number).format(number=number)
        if None not in sizes:  # how much is in a folder is counted when it is asked for
            said += f", {size_text(sum(size or 0 for size in sizes))}"
        words.display = bool(number)
        words.update(Content(said))
        self._say_keys()

    def _say_keys(self) -> None:
        entry = self._highlighted
        opens = not self._chosen and entry is not None and is_folder(entry)
        enter = _("Open") if opens else _("Send")
        self.query_one("#metadata", Static).update(_metadata(self.original))
        keys = (("enter", enter), ("tab", _("Complete")), ("insert", _("Choose")))
        self.set_hints((*keys, ("ctrl+o", _other(self.original)), ("escape", _("Close"))))

    def on_option_list_option_highlighted(self, event: Lines.OptionHighlighted) -> None:
        event.stop()
        self._say_keys()

    @property
    def _highlighted(self) -> os.DirEntry[str] | None:
        at = self.query_one(Lines).highlighted
        return self._found.entries[at] if at is not None and at < len(self._found.entries) else None

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.fail("")
        self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._enter()

    def take(self, line: str) -> None:
        """A line was clicked."""
        self._enter()

    def _enter(self) -> None:
        entry = self._highlighted
        if self._chosen:
            self.end(tuple(self._chosen))
        elif entry is None:
            return  # the empty list says why
        elif is_folder(entry):
            self._go(f"{self._found.shown_folder}{entry.name}/")
        elif self._can_be_sent(entry):
            self.end((str(self._found.folder / entry.name),))

    def action_original(self) -> None:
        """Let pictures keep their metadata, or not."""
        self.original = not self.original
        self._say_keys()

    def action_complete(self) -> None:
        """Complete what was typed; where it says all that is common already, take the line of the cursor."""
        common, entry = self._found.common(), self._highlighted
        if len(common) > len(self.typed):
            self._go(common)
        elif entry is not None:
            self._go(f"{self._found.shown_folder}{entry.name}{'/' if is_folder(entry) else ''}")

    def action_above(self) -> None:
        """Go to the folder above."""
        inside = self._found.folder
        home, above = str(Path.home()), str(inside.parent)
        shown = f"~{above.removeprefix(home)}" if f"{above}/".startswith(f"{home}/") else above
        self._go(f"{shown.rstrip('/')}/")

    def action_again(self) -> None:
        """Choose the line of the cursor, or no longer, and go to the next one."""
        entry = self._highlighted
        if entry is None:
            return
        path = str(self._found.folder / entry.name)
        if path in self._chosen:
            del self._chosen[path]
        elif len(self._chosen) >= CHOSEN_MAX:
            self.fail(_("That is as many as can be chosen at once: choose their folder."))
            return
        elif not is_folder(entry) and not self._can_be_sent(entry):
            return
        else:
            self._chosen[path] = None if is_folder(entry) else _size(entry)
        lines = self.query_one(Lines)
        at = lines.highlighted or 0
        self.show_lines(self.lines(self.typed), at + 1)
        self._say_chosen()

    def _can_be_sent(self, entry: os.DirEntry[str]) -> bool:
        """Whether it is a regular file, or a link to one; a line says what else it is."""
        what = ""
        if _size(entry) is None:
            what = _("{name} is a device, a pipe or a socket, or a link to nothing: it cannot be sent.")
        elif not is_text(entry.name):
            what = _("{name} has a name that is no text: rename it, then send it.")
        self.fail(what.format(name=shorten(safe_line(entry.name), 40)))
        return not what

    def _go(self, typed: str) -> None:
        if not is_text(typed):
            self.fail(_("This name is no text: rename it first."))
            return
        field = self.query_one("#typed", Field)
        field.value = typed
        field.cursor_position = len(typed)
        self.draw()


def _metadata(original: bool) -> str:
    if original:
        return _("Pictures are sent as they are, with their place, time and camera.")
    return _("Pictures are sent without their place, time and camera.")


def _other(original: bool) -> str:
    return _("Without metadata") if original else _("As originals")


def _size(entry: os.DirEntry[str]) -> int | None:
    """The size of a regular file, or of that to which a link leads; None for all else."""
    try:
        found = entry.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _about(entry: os.DirEntry[str]) -> tuple[str, str]:
    """What stands at the end of a line, and the style of its name."""
    if is_folder(entry):
        return "", "bold"
    size = _size(entry)
    return (_("no file"), "$quiet") if size is None else (size_text(size), "")
