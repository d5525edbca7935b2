"""The dialogs that show what is known of an entry, and the safety number of a contact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from chat.interface import (
    AwaitedView,
    ContactView,
    DetailsView,
    EntryState,
    OwnChange,
    QuestionView,
    ReceiptView,
    TerminalView,
    VerificationView,
)
from tui.actions import TAKE, action, with_keys
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.text.formatting import (
    claim_cause,
    comparison_lines,
    conflict_cause,
    not_me,
    quarantine_cause,
    question_lines,
    same_key_line,
    uncovered_cause,
)
from tui.text.people import called_lines
from tui.text.safe import safe_line, safe_name, shorten
from tui.text.translation import N_, _, _n, filled

_GROUP = 8


_VERSION_CELLS: Final = 160  # of each version of a message that was edited


class DetailsDialog(Dialog[None]):
    """Shows a `DetailsView`. `names`: safe names of persons by their ids."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "details.tcss"]
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_body(-1)"),
        Binding("down,j", "scroll_body(1)"),
        Binding("pageup", "scroll_body(-10)"),
        Binding("pagedown,space", "scroll_body(10)"),
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
        size = _n("{number} byte with header", "{number} bytes with header", told.bytes)
        stored = self._moment(told.stored) if told.stored is not None else _("not recorded")
        return [
            _fact(_("Claimed by") if told.claimed else _("Author"), self._named(told.person)),
            _fact(_("Written"), self._moment(told.time)),
            _fact(_("Stored here"), stored),
            _fact(_("Size"), size.format(number=f"{told.bytes:,}")),
            *([] if told.claimed else [plain(_("Devices that have it"), classes="section")]),
            *(self._receipt(receipt) for receipt in told.receipts),
            *([] if told.receipts or told.claimed else [plain(_("Not confirmed by any device yet."))]),
            *(_fact(_("not confirmed"), self._device(one)) for one in told.awaited),
            *([plain(quarantine_cause(), classes="section")] if told.quarantined else []),
            *([plain(uncovered_cause(), classes="section")] if told.uncovered else []),
            *([plain(claim_cause(told.claimed, with_keys(TAKE)), classes="section")] if told.claimed else []),
            *self._conflicts(),
            *self._versions(),
            plain(_("Identifiers"), classes="section"),
            _fact(_("Person"), grouped(told.person)),
            _fact(_("Device"), grouped(told.terminal)),
            _fact(_("Message"), grouped(told.id)),
        ]

    def _conflicts(self) -> list[Widget]:
        if not self._details.conflicts:
            return []
        facts = [_fact(_("Message"), grouped(one), "$warning") for one in self._details.conflicts]
        return [plain(_("Conflicting messages"), classes="section"), plain(conflict_cause()), *facts]

    def _versions(self) -> list[Widget]:
        if not self._details.versions:
            return []
        facts = [
            _fact(self._moment(one.time), shorten(safe_line(one.text), _VERSION_CELLS))
            for one in self._details.versions
        ]
        return [plain(_("What it said"), classes="section"), *facts]

    def _receipt(self, receipt: ReceiptView) -> Widget:
        told = _("✓✓ read") if receipt.kind is EntryState.READ else _("✓✓ delivered")
        return _fact(told, f"{self._moment(receipt.time)}\n{self._device(receipt)}", "$success")

    def _device(self, one: ReceiptView | AwaitedView) -> str:
        """Whose device it is, and which."""
        where = _("{name}, {device}, {start}…") if one.device else _("{name}, device {start}…")
        device, start = safe_name(one.device), one.terminal[:_GROUP]
        return where.format(name=self._named(one.person), device=device, start=start)

    def _named(self, person: str) -> str:
        return self._names.get(person) or _("someone who is not a contact")

    def _moment(self, moment: datetime) -> str:
        return f"{moment.astimezone(self._zone):%Y-%m-%d %H:%M:%S %Z}".rstrip()


def _fact(label: str, text: str, style: str = "$quiet") -> Widget:
    return Horizontal(plain(Content.styled(label, style), classes="label"), plain(text), classes="fact")


def grouped(identity: str) -> str:
    groups = [identity[at : at + _GROUP] for at in range(0, len(identity), _GROUP)]
    return " ".join(groups[:4]) + "\n" + " ".join(groups[4:])


_COLUMNS, _FRAME, _VERIFY_GROUP = 72, 11, 7  # of the box; next to the number; of a group with its gap

_BESIDE = 4


class VerifyDialog(Dialog[str]):
    """The number that the contact sees, too; empty: the contact is not verified; None: no answer."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "verify.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "same"),
        Binding("u", "unverify"),
        Binding("n", "next_number"),
    ]
    heading = N_("Safety number")

    def __init__(
        self,
        contact: ContactView,
        name: str,
        found: VerificationView,
        zone: tzinfo | None,
        same_key: Sequence[str] = (),
    ) -> None:
        """`same_key`: safe names of the contacts with the same device key."""
        super().__init__()
        self._contact = contact
        self._named = name
        self._found = found
        self._zone = zone
        self._same_key = same_key
        self._shown = 0

    @property
    def person(self) -> str:
        return self._contact.person

    def body(self) -> list[Widget]:
        name, found = (self._named, "bold"), self._found
        contested = _("Recoveries of {name} contradict each other. {name} sees one of these numbers.")
        one = _("{name} should see exactly this number.")
        return [
            plain(filled(contested if len(found.numbers) > 1 else one, name=name)),
            plain("", id="number"),
            plain(_("Read it to each other in person or by phone, never in a message.")),
            plain(_standing(self._contact)),
            *(plain(line) for line in called_lines(self._contact, self._zone)),
            *(plain(line) for line in comparison_lines(found, self._named, self._zone)),
            *(plain(same_key_line(other)) for other in self._same_key),
        ]

    def draw(self) -> None:
        cells = min(_COLUMNS, self.app.size.width * 96 // 100) - _FRAME
        number = self.query_one("#number", Static)
        columns = max(1, min(_BESIDE, (cells + 2) // _VERIFY_GROUP))
        number.update(grouped_number(self._found.numbers[self._shown], columns))
        if self._contact.verified and not self._contact.held:
            self.set_hints((("u", _("Remove verification")), ("escape", _("Close"))))
            return
        count = len(self._found.numbers)
        other = _("Next number ({number} of {total})").format(number=self._shown + 1, total=count)
        following = (("n", other),) if count > 1 else ()
        self.set_hints((("v", _("They match")), *following, ("escape", _("Not now"))))

    def action_same(self) -> None:
        self.end(self._found.numbers[self._shown])

    def action_unverify(self) -> None:
        if self._contact.verified:
            self.end("")

    def action_next_number(self) -> None:
        self._shown = (self._shown + 1) % len(self._found.numbers)
        self.draw()


def grouped_number(number: str, columns: int) -> str:
    groups = safe_line(number).split()
    return "\n".join("  ".join(groups[at : at + columns]) for at in range(0, len(groups), columns))


def _standing(contact: ContactView) -> str:
    if contact.unvouched:
        return _(
            "Only a removed device of yours has paired with this contact. Parlour sends nothing until this "
            "number or new pairing words match."
        )
    if contact.held:
        return _(
            "The identity has changed. Parlour sends nothing until this number or new pairing words match."
        )
    if contact.verified:
        return _("You have verified this contact.")
    return _("If it differs, someone may be intercepting your messages.")


class QuestionDialog(Dialog[str]):
    """Asks of one change of the own identity whether its person made it. The operation: yes; None: no yes.

    The id of the device that added another one: no, so its person may remove both.
    """

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "verify.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes"),
        Binding("n", "no"),
    ]
    heading = N_("Was that you?")
    hints = (("y", N_("Yes, that was me")), ("n", N_("No")), ("escape", N_("Not now")))

    def __init__(self, question: QuestionView, devices: Sequence[TerminalView]) -> None:
        super().__init__()
        self._question, self._devices = question, devices

    def body(self) -> list[Widget]:
        return [plain(line) for line in question_lines(self._question, self._devices)]

    def action_yes(self) -> None:
        self.end(self._question.operation)

    def action_no(self) -> None:
        author = next((one for one in self._devices if one.terminal == self._question.author), None)
        if self._question.change is OwnChange.ADDED and author is not None and not author.this:
            self.end(author.terminal)
        else:
            self.fail(not_me(action("use_recovery").key))
