"""The question before a link is opened, which shows where it leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui.opening import host_of, scheme_of
from tui.screens.dialog import Dialog, plain
from tui.text.safe import safe_line, shorten
from tui.text.translation import N_, _

_CELLS: Final = 200


class OpenLinkDialog(Dialog[str]):
    """Which of these addresses to open; None: none of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "open"),
        Binding("n,enter", "leave"),
        Binding("e,down", "other(1)"),
        Binding("up", "other(-1)"),
    ]
    heading = N_("Open the link")

    def __init__(self, addresses: Sequence[str]) -> None:
        super().__init__()
        self._addresses, self._at = tuple(addresses), 0

    def body(self) -> list[Widget]:
        said = _(
            "Your system opens it, outside of Parlour. Whose link it is learns your address and the time."
        )
        return [
            plain("", id="links"),
            plain("", id="leads"),
            plain(said, classes="quiet"),
        ]

    def draw(self) -> None:
        several = len(self._addresses) > 1
        marks = ["● " if at == self._at else "○ " for at in range(len(self._addresses))]
        shown = [shorten(safe_line(one), _CELLS) for one in self._addresses]
        lines = [mark + one for mark, one in zip(marks, shown, strict=True)] if several else shown
        chosen = self._addresses[self._at]
        leads = _("Scheme: {scheme}   Leads to: {host}").format(
            scheme=scheme_of(chosen), host=safe_line(host_of(chosen)) or _("(not clear)")
        )
        self.query_one("#links", Static).update(Content("\n".join(lines)))
        self.query_one("#leads", Static).update(Content.styled(leads, "bold $warning"))
        other = (("e", _("Other choice")),) if several else ()
        self.set_hints((("y", _("Yes")), ("n", _("No")), *other))

    def action_open(self) -> None:
        self.end(self._addresses[self._at])

    def action_other(self, step: int) -> None:
        self._at = (self._at + step) % len(self._addresses)
        self.draw()
