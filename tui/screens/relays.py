"""The dialog of relays: how each stands, and a field for the address of another."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.widgets.option_list import Option

from chat.interface import Messenger, RelayView
from tui.messages import Problem, attempt, start_worker
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.text.formatting import SEES, place, sign, words
from tui.text.safe import shorten, widest
from tui.text.translation import N_, _
from tui.widgets.controls import Field
from tui.widgets.listed import Listed

_COLUMNS, _FRAME = 84, 9  # of the box; border, padding, the bar of the cursor, scroll bar
_NARROW, _NARROW_FRAME = 60, 5
_PLACE_CELLS = 10  # at the least, however long the words next to it are

_ADD = (("enter", N_("Add")), ("escape", N_("Close")))
_ADD_OR_LIST = (("enter", N_("Add")), ("tab", N_("Show relays")), ("escape", N_("Close")))
_LIST = (
    ("↑ ↓", N_("Select")),
    ("d", N_("Remove")),
    ("c", N_("Copy address")),
    ("tab", N_("Add another")),
    ("escape", N_("Close")),
)


class Relays(Listed):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down"),
        Binding("k", "cursor_up"),
        Binding("d,delete", "screen.remove"),
        Binding("c", "screen.copy"),
    ]


class RelaysDialog(Dialog[RelayView]):
    """The relay that is to be removed, or None. `typed`: what stood in the field."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "relays.tcss"]
    KEPT = ("address",)
    heading = N_("Relays")
    KEYS_WAIT_FOR = frozenset(("add",))
    hints = _ADD

    def __init__(self, messenger: Messenger, relays: tuple[RelayView, ...]) -> None:
        super().__init__()
        self._messenger = messenger
        self._relays = relays

    def body(self) -> list[Widget]:
        return [
            plain(_(SEES), classes="quiet"),
            Relays(id="relays", markup=False, compact=True),
            plain(_("No relays yet."), id="none"),
            plain(_("Complete address of a relay, as 'parlour relay' prints it:")),
            Field(id="address", placeholder=_("parlour-relay:HOST:PORT#KEY"), squeeze=True),
            plain("", id="said", classes="quiet"),
        ]

    def follow(self, view: RelayView) -> None:
        known = {one.address: one for one in self._relays}
        self._relays = tuple({**known, view.address: view}.values())
        self.draw()

    def forget(self, address: str) -> None:
        self._relays = tuple(view for view in self._relays if view.address != address)
        self.draw()

    def fail(self, text: str) -> None:
        """Show a refusal, which takes rows of the body: the field that it is about stays in sight."""
        super().fail(text)
        if self.focused is not None:
            self.call_after_refresh(self.focused.scroll_visible, animate=False)

    def on_descendant_focus(self) -> None:
        self._show_hints()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.value:  # it is emptied where what was typed is named now
            self.fail("")
            self._say("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value:
            start_worker(self, "add", self._add, event.value, exclusive=True)

    def action_remove(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.end(chosen)

    def action_copy(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.app.copy_to_clipboard(chosen.address)
            self._say(_("Copied, if the terminal allows it."))

    async def _add(self, text: str) -> None:
        added = await attempt(self._messenger.add_relay(text))
        if isinstance(added, Problem):
            self.fail(added.text)
            return
        if not self.query("#address"):
            return  # closed meanwhile
        self.query_one("#address", Field).clear()
        self.follow(added)
        said = _("Relay {relay} added. Contacts can reach you through it, and your invitations include it.")
        self._say(said.format(relay=shorten(place(added), 40)))

    def _chosen(self) -> RelayView | None:
        at = self.query_one(Relays).highlighted
        return self._relays[at] if at is not None and at < len(self._relays) else None

    def draw(self) -> None:
        """Show all of them; the cursor stays on its relay."""
        if not self.query(Relays):
            return  # closed meanwhile
        shown = self.query_one(Relays)
        before = shown.highlighted_option.id if shown.highlighted_option is not None else None
        width = self.app.size.width
        columns = min(_COLUMNS, width * 96 // 100) - (_NARROW_FRAME if width < _NARROW else _FRAME)
        shown.set_options([Option(_row(view, columns), id=view.address) for view in self._relays])
        known = [view.address for view in self._relays]
        shown.highlighted = (known.index(before) if before in known else 0) if known else None
        shown.display = bool(self._relays)
        self.query_one("#none").display = not self._relays
        if not self._relays and self.focused is shown:
            self.query_one("#address").focus()
        self._show_hints()

    def _show_hints(self) -> None:
        listing = isinstance(self.focused, Relays)
        hints = _LIST if listing else _ADD_OR_LIST if self._relays else _ADD
        self.set_hints(tuple((key, _(said)) for key, said in hints))

    def _say(self, text: str) -> None:
        said = self.query_one("#said", Static)
        said.update(Content(text))
        said.display = bool(text)


def _row(view: RelayView, columns: int) -> Content:
    """One relay: sign, place, how it stands, and how it came where that fits too."""
    mark, style = sign(view)
    head, stands = Content.assemble((f"{mark} ", style)), Content.assemble("  ", (words(view), style))
    came = Content.assemble((f"  {_('from an invitation')}" if view.invited else "", "$quiet"))
    left = columns - head.cell_length - stands.cell_length
    if widest(place(view)) + came.cell_length > left:
        came = Content("")
    return Content.assemble(head, shorten(place(view), max(_PLACE_CELLS, left)), stands, came)
