"""A one-time invitation: a text to copy, and the same as a picture to scan.

Rules: the picture is shown only whole, because half of it cannot be scanned; the text leaves for the
clipboard only when it is asked for.
"""

from __future__ import annotations

import io
from datetime import tzinfo
from typing import ClassVar

import segno
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from chat.interface import InvitationView
from tui.formatting import clock_time
from tui.screens.dialog import CSSPath, Dialog, key_hints, plain

_TEXT_COLUMNS = 40
_FRAME = (6, 6)  # columns and rows around the picture
_QUIET_ZONE = 2


class InviteDialog(Dialog[None]):
    """Stays until it is closed or the invitation is used."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "invite.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "Copy the text"),
        Binding("p", "picture", "Text or picture"),
    ]
    heading = "Invitation"

    def __init__(self, invitation: InvitationView, zone: tzinfo | None) -> None:
        super().__init__()
        self.invitation = invitation
        self._until = clock_time(invitation.expires, zone)
        self._code = picture(invitation.text)
        self._alone = False

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = self.heading
            with Horizontal(id="sides"):
                with Vertical(id="words"):
                    yield plain(
                        f"Give this to one person, by a way you trust. It works once, until {self._until}."
                    )
                    yield plain(self.invitation.text, id="text")
                    yield plain("Somebody who uses it is shown to you here, and you decide.", classes="quiet")
                    yield plain("", id="room", classes="quiet")
                yield plain("\n".join(self._code), id="code")
            yield plain("", id="problem")
            yield Static("", id="hints", markup=False)

    def on_mount(self) -> None:
        self.query_one("#problem").display = False
        self._arrange()

    def on_resize(self) -> None:
        self._arrange()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.invitation.text)
        self.query_one("#room", Static).update("Copied, where the terminal allows it.")

    def action_picture(self) -> None:
        self._alone = not self._alone
        self._arrange()

    def _arrange(self) -> None:
        columns, rows = len(self._code[0]), len(self._code)
        width, height = self.app.size.width - _FRAME[0], self.app.size.height - _FRAME[1]
        fits = columns <= width and rows <= height
        beside = fits and columns + _TEXT_COLUMNS <= width
        self.query_one("#code").display = beside or (fits and self._alone)
        self.query_one("#words").display = beside or not (fits and self._alone)
        self.query_one("#words").styles.width = _TEXT_COLUMNS - 2 if beside else "1fr"
        if not fits:
            need = f"{columns + _FRAME[0]}×{rows + _FRAME[1]}"
            self.query_one("#room", Static).update(
                f"In a window of {need} there is a picture to scan as well."
            )
        self.query_one("#hints", Static).update(self._keys(choice=fits and not beside))

    def _keys(self, choice: bool) -> Content:
        change = (("p", "Text" if self._alone else "Picture"),) if choice else ()
        return key_hints((("c", "Copy"), *change, ("escape", "Close")))


def picture(text: str) -> list[str]:
    """The QR code of a text as rows of half blocks, two modules a character, quiet zone included."""
    buffer = io.StringIO()
    code = segno.make(text, error="l", boost_error=False, micro=False)
    matrix = [[bool(module) for module in row] for row in code.matrix_iter(border=_QUIET_ZONE)]
    if len(matrix) % 2:
        matrix.append([False] * len(matrix[0]))
    for above, below in zip(matrix[::2], matrix[1::2], strict=True):
        buffer.write("".join(_HALVES[pair] for pair in zip(above, below, strict=True)) + "\n")
    return buffer.getvalue().rstrip("\n").split("\n")


# Dark modules are blank and light ones drawn: the sheet draws them white on black in every theme.
_HALVES = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
