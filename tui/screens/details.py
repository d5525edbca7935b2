"""What is known of one entry: who wrote it where and when, its size, and which terminals have it.

Rules: ids are shown whole, in groups, so that two people can compare them; times are in the zone of the
interface, to the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget

from chat.interface import DetailsView, EntryState, ReceiptView
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import N_, _, _n

_GROUP = 8


class DetailsDialog(Dialog[None]):
    """Shows a `DetailsView`. `names`: safe names of persons by their ids."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "details.tcss"]
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)"),
        Binding("down,j", "scroll(1)"),
        Binding("pageup", "scroll(-10)"),
        Binding("pagedown,space", "scroll(10)"),
    ]
    hints = (("↑ ↓", N_("Scroll")), ("escape", N_("Close")))
    heading = N_("Details")

    def __init__(self, details: DetailsView, names: Mapping[str, str], zone: tzinfo | None) -> None:
        super().__init__()
        self._details = details
        self._names = names
        self._zone = zone

    def body(self) -> list[Widget]:
        told = self._details
        size = _n("{number} byte with its header", "{number} bytes with its header", told.bytes)
        stored = self._moment(told.stored) if told.stored is not None else _("not recorded")
        return [
            _fact(_("Author"), self._named(told.person)),
            _fact(_("Written"), self._moment(told.time)),
            _fact(_("Stored here"), stored),
            _fact(_("Size"), size.format(number=f"{told.bytes:,}")),
            plain(_("Terminals that have it"), classes="section"),
            *(self._receipt(receipt) for receipt in told.receipts),
            *([] if told.receipts else [plain(_("No terminal has said so yet."))]),
            plain(_("Identities"), classes="section"),
            _fact(_("Person"), grouped(told.person)),
            _fact(_("Terminal"), grouped(told.terminal)),
            _fact(_("Entry"), grouped(told.id)),
        ]

    def action_scroll(self, by: int) -> None:
        self.query_one("#body", VerticalScroll).scroll_relative(y=by, animate=False)

    def _receipt(self, receipt: ReceiptView) -> Widget:
        told = _("✓✓ read") if receipt.kind is EntryState.READ else _("✓✓ delivered")
        where = _("{name}, terminal {start}…")
        terminal = where.format(name=self._named(receipt.person), start=receipt.terminal[:_GROUP])
        moment = self._moment(receipt.time)
        return _fact(told, f"{moment}\n{terminal}", "$success")

    def _named(self, person: str) -> str:
        return self._names.get(person) or _("somebody who is no contact")

    def _moment(self, moment: datetime) -> str:
        return f"{moment.astimezone(self._zone):%Y-%m-%d %H:%M:%S %Z}".rstrip()


def _fact(label: str, text: str, style: str = "$quiet") -> Widget:
    """A label and what it says, beside each other."""
    return Horizontal(plain(Content.styled(label, style), classes="label"), plain(text), classes="fact")


def grouped(identity: str) -> str:
    """An id of 64 hex digits in two rows of four groups."""
    groups = [identity[at : at + _GROUP] for at in range(0, len(identity), _GROUP)]
    return " ".join(groups[:4]) + "\n" + " ".join(groups[4:])
