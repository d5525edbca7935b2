"""What is known of one entry: who wrote it where and when, its size, and which terminals have it.

Rules: ids are shown whole, in groups, so that two people can compare them; times are in the zone of the
interface, to the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import ClassVar

from textual.content import Content
from textual.widget import Widget

from chat.interface import DetailsView, EntryState, ReceiptView
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import _, _n

_GROUP = 8


class DetailsDialog(Dialog[None]):
    """Shows a `DetailsView`. `names`: safe names of persons by their ids."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "details.tcss"]
    AUTO_FOCUS = ""
    heading = "Details"

    def __init__(self, details: DetailsView, names: Mapping[str, str], zone: tzinfo | None) -> None:
        super().__init__()
        self._details = details
        self._names = names
        self._zone = zone

    def body(self) -> list[Widget]:
        told = self._details
        size = _n("{number} byte with its signed header", "{number} bytes with its signed header", told.bytes)
        stored = self._moment(told.stored) if told.stored is not None else _("not recorded")
        return [
            self._fact(_("Author"), self._named(told.person)),
            self._fact(_("Person"), grouped(told.person)),
            self._fact(_("Terminal"), grouped(told.terminal)),
            self._fact(_("Entry"), grouped(told.id)),
            self._fact(_("Written"), self._moment(told.time)),
            self._fact(_("Stored here"), stored),
            self._fact(_("Size"), size.format(number=f"{told.bytes:,}")),
            plain(_("Receipts"), classes="section"),
            *(self._receipt(receipt) for receipt in told.receipts),
            *([] if told.receipts else [plain(_("No terminal has said that it has this entry."))]),
        ]

    def _fact(self, label: str, text: str) -> Widget:
        return plain(Content.assemble((label, "$quiet"), "\n  ", text))

    def _receipt(self, receipt: ReceiptView) -> Widget:
        told = _("read") if receipt.kind is EntryState.READ else _("delivered")
        first = Content.assemble(
            (f"✓✓ {told}", "$success"),
            "  ",
            self._named(receipt.person),
            "  ",
            (self._moment(receipt.time), "$quiet"),
        )
        return plain(Content.assemble(first, "\n  ", grouped(receipt.terminal)))

    def _named(self, person: str) -> str:
        return self._names.get(person) or _("somebody who is no contact")

    def _moment(self, moment: datetime) -> str:
        return f"{moment.astimezone(self._zone):%Y-%m-%d %H:%M:%S %Z}".rstrip()


def grouped(identity: str) -> str:
    """An id of 64 hex digits in eight groups."""
    groups = [identity[at : at + _GROUP] for at in range(0, len(identity), _GROUP)]
    return " ".join(groups[:4]) + "\n  " + " ".join(groups[4:])
