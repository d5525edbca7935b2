"""The few settings: what this person tells contacts."""

from __future__ import annotations

from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Checkbox

from chat.interface import SettingsView
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import N_, _


class Toggle(Checkbox):
    """A box that shows on and off by its sign as well as by its colour."""

    def watch_value(self) -> None:
        self.BUTTON_INNER = "✓" if self.value else " "
        super().watch_value()


class SettingsDialog(Dialog[SettingsView]):
    """The settings as they shall be; None where nothing was changed."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "settings.tcss"]
    AUTO_FOCUS = "Checkbox"
    heading = N_("Settings")
    hints = (("space", N_("Change")), ("escape", N_("Save and close")))

    def __init__(self, settings: SettingsView) -> None:
        super().__init__()
        self._settings = settings

    def body(self) -> list[Widget]:
        return [
            Toggle(
                _("Tell contacts when I have read an entry"),
                self._settings.read_receipts,
                id="receipts",
                compact=True,
            ),
            plain(
                _("Off: your entries still show when others have read them, if they tell."), classes="quiet"
            ),
            Toggle(_("Tell contacts while I am typing"), self._settings.typing, id="typing", compact=True),
        ]

    def action_leave(self) -> None:
        receipts, typing = (self.query_one(name, Checkbox).value for name in ("#receipts", "#typing"))
        chosen = SettingsView(receipts, typing)
        self.end(None if chosen == self._settings else chosen)
