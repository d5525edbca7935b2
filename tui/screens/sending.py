"""The dialog that finds files and folders to send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.widgets.option_list import Option

from chat.interface import is_text, size_text
from tui.messages import start_worker
from tui.screens.dialog import ConfirmDialog, plain
from tui.screens.finder import LINES_MAX, Finder, Lines, fitted
from tui.text.folders import Folders
from tui.text.paths import Completion, Listed, folder_of, whole_folder
from tui.text.safe import safe_line, shorten, widest
from tui.text.translation import N_, _, _n
from tui.widgets.controls import Field

CHOSEN_MAX = 256
"""Files and folders that are chosen at once. This person fills it."""

_SIZE_CELLS = 10
_SAID_AFTER = 0.5  # seconds until a line says that a folder is being read


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
    `original`: pictures keep their metadata. `chosen`: what is chosen at first, by path with its size.
    """

    ASKS = True  # Enter sends
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", priority=True, show=False),
        Binding("insert", "again", priority=True, show=False),
        Binding("shift+tab", "above", priority=True, show=False),
        Binding("ctrl+o", "original", priority=True, show=False),
    ]
    opener = "send_files"
    heading = N_("Send files")
    placeholder = N_("A file or folder")

    # A folder that does not answer holds no letter; what acts on its names waits, unless this is left.
    COMMANDS_WAIT_FOR = frozenset(("folder",))
    LEFT_AT_ONCE = True

    def __init__(
        self,
        folders: Folders,
        begin: str = "~/",
        chosen: Mapping[str, int | None] = MappingProxyType({}),
        *,
        original: bool = False,
    ) -> None:
        super().__init__(begin)
        self._folders, self._wanted = folders, ""
        self._found: Completion | None = None
        self._chosen = dict(chosen)
        self.original = original

    @property
    def chosen(self) -> Mapping[str, int | None]:
        """What is chosen, with the sizes of files."""
        return self._chosen

    @property
    def folder(self) -> str:
        """What was typed of the folder, to begin there the next time."""
        return folder_of(self.typed)

    @property
    def reading(self) -> bool:
        """Whether what is shown is not yet what was typed."""
        return self._found is None or self._found.typed != self.typed

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
        if self.reading and self._wanted != self.typed:
            self._wanted = self.typed
            start_worker(self, "folder", self._read, self.typed, exclusive=True)
            self.set_timer(_SAID_AFTER, self._say_reading)
        elif not self.reading:
            super().draw()
        self._say_chosen()

    async def _read(self, typed: str) -> None:
        found = await self._folders.read(typed)
        if self.is_attached and typed == self.typed:
            self._found, self._wanted = found, ""
            self.draw()

    def _say_reading(self) -> None:
        if self.is_attached and self.reading:
            self.show_lines(())

    def lines(self, typed: str) -> Sequence[Option]:
        return [Option(self._line(entry), id=str(at)) for at, entry in enumerate(self._entries[:LINES_MAX])]

    @property
    def _entries(self) -> Sequence[Listed]:
        """Those of what was typed; none while they are read."""
        return () if self._found is None or self.reading else self._found.entries

    def _path(self, entry: Listed) -> str:
        return str(whole_folder(self.folder) / entry.name)

    def nothing(self) -> str:
        if self._found is None or self.reading:
            return _("This folder is being read…")
        if self._found.problem:
            return _("This folder cannot be read: {reason}").format(reason=safe_line(self._found.problem))
        return _("No matching file.")

    def _line(self, entry: Listed) -> Content:
        mark = " ● " if self._path(entry) in self._chosen else "   "
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
        opens = not self._chosen and entry is not None and entry.folder
        enter = _("Open") if opens else _("Send")
        self.query_one("#metadata", Static).update(_metadata(self.original))
        keys = (("enter", enter), ("tab", _("Complete")), ("insert", _("Choose")))
        self.set_hints((*keys, ("ctrl+o", _other(self.original)), ("escape", _("Close"))))

    def on_option_list_option_highlighted(self, event: Lines.OptionHighlighted) -> None:
        event.stop()
        self._say_keys()

    @property
    def _highlighted(self) -> Listed | None:
        at, entries = self.query_one(Lines).highlighted, self._entries
        return entries[at] if at is not None and at < len(entries) else None

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
        elif entry.folder:
            self._go(f"{self.folder}{entry.name}/")
        elif self._can_be_sent(entry):
            self.end((self._path(entry),))

    def action_original(self) -> None:
        """Let pictures keep their metadata, or not."""
        self.original = not self.original
        self._say_keys()

    def action_complete(self) -> None:
        """Complete what was typed; where it says all that is common already, take the line of the cursor."""
        entry = self._highlighted
        if self._found is None or entry is None:
            return
        if len(common := self._found.common()) > len(self.typed):
            self._go(common)
        else:
            self._go(f"{self.folder}{entry.name}{'/' if entry.folder else ''}")

    def action_above(self) -> None:
        """Go to the folder above."""
        inside = whole_folder(self.folder)
        home, above = str(Path.home()), str(inside.parent)
        shown = f"~{above.removeprefix(home)}" if f"{above}/".startswith(f"{home}/") else above
        self._go(f"{shown.rstrip('/')}/")

    def action_again(self) -> None:
        """Choose the line of the cursor, or no longer, and go to the next one."""
        entry = self._highlighted
        if entry is None:
            return
        path = self._path(entry)
        if path in self._chosen:
            del self._chosen[path]
        elif len(self._chosen) >= CHOSEN_MAX:
            self.fail(_("That is as many as can be chosen at once: choose their folder."))
            return
        elif not entry.folder and not self._can_be_sent(entry):
            return
        else:
            self._chosen[path] = entry.size
        lines = self.query_one(Lines)
        at = lines.highlighted or 0
        self.show_lines(self.lines(self.typed), at + 1)
        self._say_chosen()

    def _can_be_sent(self, entry: Listed) -> bool:
        """Whether it is a regular file, or a link to one; a line says what else it is."""
        what = ""
        if entry.size is None:
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


def _about(entry: Listed) -> tuple[str, str]:
    """What stands at the end of a line, and the style of its name."""
    if entry.folder:
        return "", "bold"
    return (_("no file"), "$quiet") if entry.size is None else (size_text(entry.size), "")
