"""A one-time invitation as text and picture, and the forms to use one or to pair by address."""

from __future__ import annotations

from datetime import tzinfo
from typing import ClassVar

import segno
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from chat.interface import InvitationView
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.text.formatting import clock_time, parse_address
from tui.text.translation import N_, _
from tui.widgets.controls import Field, Hint, Hints

_TEXT_COLUMNS = 40
_FRAME = (8, 6)  # columns and rows of the box around text and picture
_BOX = (96, 94)  # percent of the screen that the box may take, as dialog.tcss has it
_QUIET_ZONES = (2, 1)  # light modules around the code; the smaller where only that fits
# Dark modules are blank and light ones drawn: the sheet draws them white on black in every theme.
_HALVES = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}


class InviteDialog(Dialog[None]):
    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "invite.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy"),
        Binding("p", "picture"),
        Binding("i", "swap"),
    ]
    heading = N_("Invitation")

    def __init__(self, invitation: InvitationView, zone: tzinfo | None) -> None:
        super().__init__()
        self.invitation = invitation
        self._until = clock_time(invitation.expires, zone)
        self._alone = False
        self._swapped = False

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = _(self.heading)
            with Horizontal(id="sides"):
                with Vertical(id="words"):
                    trust = _("Give this to one person in a way you trust. It works once, until {time}.")
                    yield plain(trust.format(time=self._until))
                    yield plain(self.invitation.text, id="text")
                    decide = _("When someone uses it, you confirm them here.")
                    yield plain(decide, classes="quiet")
                    yield plain("", id="room", classes="quiet")
                yield plain("", id="code")
            yield plain("", id="problem")
            yield Hints()

    def on_mount(self) -> None:
        for name in ("#problem", "#room"):
            self.query_one(name).display = False

    def on_click(self) -> None:
        if self._alone:  # the picture covers the keys
            self.action_picture()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self.invitation.text)
        self._say(_("Copied, if the terminal allows it."))

    def action_picture(self) -> None:
        self._alone = not self._alone
        self.draw()

    def action_swap(self) -> None:
        """Draw dark for light, where the terminal's own two colours are used."""
        self._swapped = self.app.no_color and not self._swapped
        self.draw()

    def action_leave(self) -> None:
        if self._alone:
            self.action_picture()
        else:
            super().action_leave()

    def draw(self) -> None:
        """Text and picture side by side where both fit, else one at a time."""
        size = self.app.size
        wide = size.width * _BOX[0] // 100 - _TEXT_COLUMNS - _FRAME[0]
        tall = size.height * _BOX[1] // 100 - _FRAME[1]
        beside = _largest(self.invitation.text, wide, tall, swapped=self._swapped)
        alone = _largest(self.invitation.text, size.width, size.height, swapped=self._swapped)
        self._alone = self._alone and not beside and bool(alone)
        shown = alone if self._alone else beside
        self.set_class(self._alone, "-alone")
        self.query_one("#code", Static).update(Content("\n".join(shown)))
        self.query_one("#code").display = bool(shown)
        self.query_one("#words").display = not self._alone
        self.query_one("#words").styles.width = _TEXT_COLUMNS if beside else min(60, self._room)
        swap = bool(shown) and self.app.no_color
        self.set_hints(_keys(choice=bool(alone) and not beside, picture=self._alone, swap=swap))
        self.query_one(Hints).display = not self._alone or len(shown) < size.height
        if not alone:
            code = picture(self.invitation.text, _QUIET_ZONES[-1])
            need = f"{len(code[0])}×{len(code)}"
            self._say(_("Enlarge the window to {size} to show a QR code.").format(size=need))

    @property
    def _room(self) -> int:
        """Columns for the text alone: in few rows the box has all of the screen, and a scroll bar."""
        width = self.app.size.width
        return width - 6 if self.has_class("-short") else width * _BOX[0] // 100 - 6

    def _say(self, text: str) -> None:
        room = self.query_one("#room", Static)
        room.update(Content(text))
        room.display = True


def _keys(*, choice: bool, picture: bool, swap: bool) -> tuple[Hint, ...]:
    swaps = [("i", _("Invert it if it does not scan"))] if swap else []
    if picture:
        return (("p", _("Back to the text")), *swaps)
    other = [("p", _("QR code"))] if choice else []
    return (("c", _("Copy")), *other, *swaps, ("escape", _("Close")))


def _largest(text: str, columns: int, rows: int, *, swapped: bool) -> list[str]:
    """The picture with the widest quiet zone that fits; empty when none does."""
    for zone in _QUIET_ZONES:
        code = picture(text, zone, swapped=swapped)
        if len(code[0]) <= columns and len(code) <= rows:
            return code
    return []


def picture(text: str, zone: int, *, swapped: bool = False) -> list[str]:
    """The QR code of a text as rows of half blocks, two modules a character, with a quiet zone.

    Its light modules are drawn and its dark ones left blank; `swapped`: the other way round.
    """
    code = segno.make(text, error="l", boost_error=False, micro=False)
    matrix = [[bool(module) for module in row] for row in code.matrix_iter(border=zone)]
    if len(matrix) % 2:
        matrix.append([False] * len(matrix[0]))
    pairs = zip(matrix[::2], matrix[1::2], strict=True)
    return [
        "".join(_HALVES[above ^ swapped, below ^ swapped] for above, below in zip(*pair, strict=True))
        for pair in pairs
    ]


class JoinDialog(Dialog[str]):
    """The invitation's text, without blanks. `reason`: why `text`, which was tried, has to be mended."""

    KEPT = ("invitation",)
    heading = N_("Use an invitation")
    hints = (("enter", N_("Join")), ("escape", N_("Cancel")))

    def __init__(self, text: str = "", reason: str = "") -> None:
        super().__init__()
        self._text = text
        self._reason = reason

    def body(self) -> list[Widget]:
        return [
            plain(_("Paste the invitation that you received.")),
            Field(
                id="invitation",
                placeholder=_("The complete text; line breaks do not matter"),
                value=self._text,
                squeeze=True,
                select_on_focus=not self._reason,
            ),
        ]

    def on_mount(self) -> None:
        self.fail(self._reason)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        text = "".join(event.value.split())
        if text:
            self.end(text)
        else:
            self.fail(_("Paste the invitation first."))


class AddressDialog(Dialog[tuple[str, int]]):
    """Host and port. `reason`: why `last`, which was tried, has to be mended."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "address.tcss"]
    KEPT = ("address",)
    heading = N_("Add by network address")
    hints = (("enter", N_("Connect")), ("escape", N_("Cancel")))

    def __init__(self, own: tuple[str, ...], last: str = "", reason: str = "") -> None:
        super().__init__()
        self._own = own
        self._last = last
        self._reason = reason

    def body(self) -> list[Widget]:
        own = Content("\n").join(Content.assemble("  ", (address, "bold")) for address in self._own)
        return [
            plain(_("Address of the other device, which must be visible (F5 there):")),
            Field(
                id="address",
                placeholder="192.168.1.20:4747",
                value=self._last,
                squeeze=True,
                select_on_focus=not self._reason,
            ),
            plain(
                _("Or give one of your addresses to the other person and be visible here:"), classes="section"
            ),
            plain(own if self._own else "  " + _("no address: this device is not on a network"), id="own"),
        ]

    def on_mount(self) -> None:
        self.fail(self._reason)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        address = parse_address(event.value)
        if address is None:
            self.fail(_("This is not an address. Write it like 192.168.1.20:4747 or [fe80::1%eth0]:4747."))
        else:
            self.end(address)
