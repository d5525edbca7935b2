"""What lies over the chat screen: `Modal`, which closes once, and the dialogs, boxes with a heading and keys.

Rules: a dialog returns a typed result and opens nothing itself; a refused call shows its line in the
dialog and keeps what was typed.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from tui.texts import N_, _
from tui.widgets.hints import Hints
from tui.wrapping import wrap

T = TypeVar("T")
CSSPath = str | PurePath | list[str | PurePath] | None


class Modal(ModalScreen[T | None]):
    """A screen over another one. `end` is the only way to close it.

    Textual's `dismiss` removes the screen that is on top, whichever screen calls it. Keys that were on their
    way to a closed screen would so remove the screen below, and in the end the last one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._result: T | None = None
        self._ended = self._dismissed = False

    def end(self, result: T | None) -> None:
        """Close with the first result, as soon as no other screen lies over this one."""
        if not self._ended:
            self._ended, self._result = True, result
            self._dismiss_on_top()

    def on_screen_resume(self) -> None:
        self._dismiss_on_top()

    def _dismiss_on_top(self) -> None:
        if self._ended and not self._dismissed and self.is_active:
            self._dismissed = True
            self.dismiss(self._result)


class Dialog(Modal[T]):
    """Subclasses give `heading` and `hints` (key, words), both marked by `N_`, and `body`."""

    CSS_PATH: ClassVar[CSSPath] = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("up", "scroll_body(-1)", show=False),
        Binding("down", "scroll_body(1)", show=False),
    ]
    AUTO_FOCUS = "Input"

    heading: ClassVar[str] = ""
    hints: ClassVar[tuple[tuple[str, str], ...]] = (("escape", N_("Close")),)

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = _(self.heading)
            with VerticalScroll(id="body", can_focus=False):
                yield from self.body()
            problem = Static("", id="problem", markup=False)
            problem.display = False
            yield problem
            yield Hints([(key, _(words)) for key, words in self.hints])

    def body(self) -> list[Widget]:
        """The widgets between heading and hints."""
        return []

    def fail(self, text: str) -> None:
        """Show a refusal, a safe line; an empty one hides it."""
        try:
            problem = self.query_one("#problem", Static)
        except NoMatches:
            return  # closed meanwhile
        problem.update(Content(text))
        problem.display = bool(text)

    def set_hints(self, hints: tuple[tuple[str, str], ...]) -> None:
        """Show other keys, or none."""
        self.query_one(Hints).show(hints)

    def action_scroll_body(self, by: int) -> None:
        """Move what does not fit into sight, where nothing in the body takes the arrows."""
        for body in self.query("#body").results(VerticalScroll):
            body.scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        self.end(None)


def plain(text: str | Content, id: str | None = None, classes: str | None = None) -> Static:
    """Text that is shown as it stands, without markup."""
    content = text if isinstance(text, Content) else Content(text)
    return Static(content, id=id, classes=classes, markup=False)


def hanging(left: Content, text: str, indent: int, width: int) -> Content:
    """Text of several rows beside a mark or a key, all beginning in the column `indent`."""
    rows = wrap(text, width - indent)
    pad = " " * max(1, indent - left.cell_length)
    return Content.assemble(left, pad, ("\n" + " " * indent).join(rows))
