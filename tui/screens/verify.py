"""Comparing the safety number with a contact, and remembering that it was compared.

Rules: the verified mark hangs on this answer and on the contact's keys, never on a name.
"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from chat.interface import ContactView
from tui.formatting import safe_line
from tui.screens.dialog import CSSPath, Dialog, plain


class VerifyDialog(Dialog[bool]):
    """True: verified; False: not verified; None: no answer."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "verify.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "answer(True)", "They are the same"),
        Binding("u", "answer(False)", "Not verified"),
    ]
    heading = "Safety number"

    def __init__(self, contact: ContactView, name: str, number: str) -> None:
        super().__init__()
        self._contact = contact
        self._named = name
        self._number = number

    def body(self) -> list[Widget]:
        standing = _standing(self._contact)
        return [
            plain(Content.assemble(("You and ", ""), (self._named, "bold"), (" both see this number.", ""))),
            plain(grouped(self._number), id="number"),
            plain(f"Read it to each other, side by side or by telephone, never by a message. {standing}"),
        ]

    def on_mount(self) -> None:
        if self._contact.verified and not self._contact.held:
            self.set_hints((("u", "Not verified any more"), ("escape", "Close")))
        elif self._contact.held:
            self.set_hints((("v", "They are the same"), ("u", "Go on unverified"), ("escape", "Close")))
        else:
            self.set_hints((("v", "They are the same"), ("escape", "Not now")))

    def action_answer(self, same: bool) -> None:
        if same or self._contact.verified or self._contact.held:
            self.end(same)


def grouped(number: str) -> str:
    """Twelve groups of five digits in three rows."""
    groups = safe_line(number).split()
    return "\n".join("  ".join(groups[at : at + 4]) for at in range(0, len(groups), 4))


def _standing(contact: ContactView) -> str:
    if contact.held:
        return "The identity has changed: what you write waits until you answer here."
    return (
        "You have marked it as the same."
        if contact.verified
        else "Where it differs, somebody is between you."
    )
