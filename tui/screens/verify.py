"""Comparing the safety number with a contact, and remembering that it was compared.

Rules: the verified mark hangs on this answer and on the contact's keys, never on a name.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from chat.interface import ContactView
from tui.filling import filled
from tui.formatting import safe_line
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import N_, _

_COLUMNS, _FRAME, _GROUP = 72, 11, 7  # of the box; beside the number; of a group with its gap

_BESIDE = 4


class VerifyDialog(Dialog[bool]):
    """True: verified; False: not verified; None: no answer."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "verify.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "answer(True)"),
        Binding("u", "answer(False)"),
    ]
    heading = N_("Safety number")

    def __init__(self, contact: ContactView, name: str, number: str) -> None:
        super().__init__()
        self._contact = contact
        self._named = name
        self._number = number

    def body(self) -> list[Widget]:
        return [
            plain(filled(_("You and {name} both see this number."), name=(self._named, "bold"))),
            plain(grouped(self._number, _BESIDE), id="number"),
            plain(_("Read it to each other, side by side or by telephone, never by a message.")),
            plain(_standing(self._contact)),
        ]

    def on_resize(self) -> None:
        cells = min(_COLUMNS, self.app.size.width * 96 // 100) - _FRAME
        number = self.query_one("#number", Static)
        number.update(grouped(self._number, max(1, min(_BESIDE, (cells + 2) // _GROUP))))

    def on_mount(self) -> None:
        if self._contact.verified and not self._contact.held:
            self.set_hints((("u", _("Not verified any more")), ("escape", _("Close"))))
        elif self._contact.held:
            self.set_hints(
                (("v", _("They are the same")), ("u", _("Go on unverified")), ("escape", _("Close")))
            )
        else:
            self.set_hints((("v", _("They are the same")), ("escape", _("Not now"))))

    def action_answer(self, same: bool) -> None:
        if same or self._contact.verified or self._contact.held:
            self.end(same)


def grouped(number: str, columns: int) -> str:
    """Twelve groups of five digits, so many beside each other."""
    groups = safe_line(number).split()
    return "\n".join("  ".join(groups[at : at + columns]) for at in range(0, len(groups), columns))


def _standing(contact: ContactView) -> str:
    if contact.held:
        return _("The identity has changed: nothing is sent until you answer here.")
    if contact.verified:
        return _("You have marked it as the same.")
    return _("Where it differs, somebody is between you.")
