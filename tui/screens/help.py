"""The help, made from the registry of actions, and what the doctor found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from chat.interface import DiagnosisView
from tui.actions import Group, of_group, shown_key, with_keys
from tui.messages import Problem, attempt, start_worker
from tui.screens.dialog import CSSPath, Dialog, hanging, plain
from tui.text.commands import typed_for
from tui.text.safe import safe_line
from tui.text.translation import N_, _, told
from tui.text.wrapping import wrap

_COLUMNS, _FRAME, _KEYS = 84, 7, 17
_INTRODUCTION = N_(
    "Parlour connects people on the same network. Messages are end-to-end encrypted and stored only on the "
    "devices of the two people who write them. You pair once with each person. Messages for a contact who is "
    "offline wait on this device and are sent automatically."
)
_CLOSED = N_("Parlour receives nothing while it is closed or locked. 'parlour listen' keeps receiving.")
_MARKS = (
    (N_("…  queued"), N_("on this device, waiting for the contact")),
    (N_("✓  sent"), N_("on its way")),
    (N_("✓✓ delivered"), N_("stored on a device of the contact")),
    (N_("✓✓ read"), N_("seen by the contact")),
    ("●  ○", N_("the contact is online; offline")),
    (N_("✓  after a name"), N_("verified: you compared five words or the safety number")),
    (N_("⇄  after a name"), N_("connected through a relay: your networks cannot reach each other")),
    (
        N_("!  after a name"),
        N_(
            "identity changed, or only a removed device paired: nothing is sent until you compare the safety "
            "number"
        ),
    ),
    (N_("↑  after a name"), N_("pinned: stays above the others in the list")),
    (N_("z  after a name"), N_("muted: messages do not ring the bell")),
    (N_("▎  before a name"), N_("the open conversation")),
    ("⊘", N_("blocked")),
)
_MOUSE = (
    (N_("Drag"), N_("Select text of one message or of several. It is copied when you let go.")),
    (N_("Shift+Drag"), N_("Select with the terminal itself, whatever is on the screen.")),
    (N_("Shift+↑"), N_("Select whole messages, with Shift+↓ too. Copying takes all of them.")),
)
_WRITING = (
    ("enter", N_("Send the message.")),
    ("ctrl+j", N_("New line. Alt+Enter works too, and Shift+Enter if the terminal supports it.")),
    (
        "slash",
        N_("Begins a command: the name of any action. Tab completes it. Two slashes begin a text with one."),
    ),
    ("up", N_("In an empty message box: what you sent before, to send it again. ↓ goes back.")),
    ("ctrl+underscore", N_("Undo. Ctrl+Y is redo.")),
    ("tab", N_("Move between message box, contacts and messages. The arrow keys move within them.")),
)


class HelpDialog(Dialog[None]):
    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "help.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,q", "leave"),
        Binding("up,k", "scroll_body(-1)"),
        Binding("down,j", "scroll_body(1)"),
        Binding("pageup", "scroll_body(-10)"),
        Binding("pagedown,space", "scroll_body(10)"),
        Binding("home,g", "scroll_body(-10000)"),
        Binding("end,G", "scroll_body(10000)"),
    ]
    heading = N_("Help")
    hints = (("↑ ↓", N_("Scroll")), ("escape", N_("Close")))

    def body(self) -> list[Widget]:
        return [plain("", id="page")]

    def draw(self) -> None:
        width = min(_COLUMNS, self.app.size.width * 96 // 100) - _FRAME
        self.query_one("#page", Static).update(page(width))


def page(width: int) -> Content:
    parts = [Content("\n".join([*wrap(_(_INTRODUCTION), width), *wrap(_(_CLOSED), width)]))]
    for group in Group:
        writing = _WRITING if group is Group.READING else ()
        rows = [(shown_key(key), _(words)) for key, words in writing]
        rows += [(_(key), _(words)) for key, words in (_MOUSE if group is Group.ENTRY else ())]
        rows += [(how, one.about) for one in of_group(group) if (how := one.key or typed_for(one.id))]
        parts += [Content(""), _heading(group.heading), *(_row(*row, width) for row in rows)]
    marks = [(_(mark), _(words)) for mark, words in _MARKS]
    parts += [Content(""), _heading(_("Symbols")), *(_row(*row, width) for row in marks)]
    return Content("\n").join(parts)


def _heading(text: str) -> Content:
    return Content.assemble((text, "bold $quiet"))


def _row(left: str, right: str, width: int) -> Content:
    return hanging(Content.assemble((left, "bold $primary")), right, _KEYS, width)


_DOCTOR_COLUMNS, _DOCTOR_FRAME = 100, 7
Diagnose = Callable[[], Awaitable[tuple[DiagnosisView, ...]]]


class DoctorDialog(Dialog[None]):
    """Looks once, when it opens; takes up to five seconds."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "doctor.tcss"]
    heading = N_("Diagnosis")

    def __init__(self, diagnose: Diagnose) -> None:
        super().__init__()
        self._diagnose = diagnose
        self._found: tuple[DiagnosisView, ...] | None = None

    def body(self) -> list[Widget]:
        return [plain(_("Checking network, firewall and profile…"), id="lines")]

    def on_mount(self) -> None:
        start_worker(self, "doctor", self._look)

    def draw(self) -> None:
        if self._found is not None:
            width = min(_DOCTOR_COLUMNS, self.app.size.width * 96 // 100) - _DOCTOR_FRAME
            lines = [diagnosis(line, width) for line in self._found]
            self.query_one("#lines", Static).update(Content("\n").join(lines))

    async def _look(self) -> None:
        found = await attempt(self._diagnose())
        if isinstance(found, Problem):
            self.fail(found.text)
        else:
            self._found = found
            self.draw()


def diagnosis(line: DiagnosisView, width: int) -> Content:
    """One check: a mark, what it is and what was found, and the fix below."""
    mark = Content.assemble(("✓", "bold $success") if line.good else ("✗", "bold $error"))
    check, found = safe_line(told(line.check)), with_keys(safe_line(told(line.found)))
    said = _("{check}: {found}").format(check=check, found=found)
    words = hanging(mark, said, 2, width)
    if line.good or not line.fix:
        return words
    label = Content.assemble("  ", (_("Fix"), "$accent"))
    fix = hanging(label, safe_line(told(line.fix)), label.cell_length + 1, width)
    return Content("\n").join([words, fix])
