"""Pairing by address, where discovery does not reach; shows one's own addresses for the other side."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from tui.formatting import parse_address
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import N_, _
from tui.widgets.field import Field


class AddressDialog(Dialog[tuple[str, int]]):
    """Host and port. `reason`: why `last`, which was tried, has to be mended."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "address.tcss"]
    heading = N_("Pair by address")
    hints = (("enter", N_("Connect")), ("escape", N_("Cancel")))

    def __init__(self, own: tuple[str, ...], last: str = "", reason: str = "") -> None:
        super().__init__()
        self._own = own
        self._last = last
        self._reason = reason

    def body(self) -> list[Widget]:
        own = Content("\n").join(Content.assemble("  ", (address, "bold")) for address in self._own)
        return [
            plain(_("The address of the other terminal, which has to be visible (F5 there):")),
            Field(
                id="address",
                placeholder="192.168.1.20:4747",
                value=self._last,
                squeeze=True,
                select_on_focus=not self._reason,
            ),
            plain(_("Or let the other side type one of yours; then be visible here:"), classes="section"),
            plain(own if self._own else "  " + _("no address: this machine is on no network"), id="own"),
        ]

    def on_mount(self) -> None:
        self.fail(self._reason)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        address = parse_address(event.value)
        if address is None:
            self.fail(_("That is no address. Write it like 192.168.1.20:4747 or [fe80::1%eth0]:4747."))
        else:
            self.end(address)
