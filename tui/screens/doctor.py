"""What the doctor found: one line a check, with the fix where it is not good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from chat.interface import DiagnosisView
from tui.bridge import Problem, attempt
from tui.formatting import safe_line
from tui.screens.dialog import CSSPath, Dialog, hanging, plain
from tui.texts import N_, _, told

_COLUMNS, _FRAME = 100, 7
Diagnose = Callable[[], Awaitable[tuple[DiagnosisView, ...]]]


class DoctorDialog(Dialog[None]):
    """Looks once, when it opens; takes up to five seconds."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "doctor.tcss"]
    heading = N_("Doctor")

    def __init__(self, diagnose: Diagnose) -> None:
        super().__init__()
        self._diagnose = diagnose
        self._found: tuple[DiagnosisView, ...] = ()

    def body(self) -> list[Widget]:
        return [plain(_("Looking at the network, the firewall and the profile…"), id="lines")]

    def on_mount(self) -> None:
        self.run_worker(self._look(), group="doctor")

    def on_resize(self) -> None:
        if self._found:
            self._draw()

    def _draw(self) -> None:
        width = min(_COLUMNS, self.app.size.width * 96 // 100) - _FRAME
        lines = [diagnosis(line, width) for line in self._found]
        self.query_one("#lines", Static).update(Content("\n").join(lines))

    async def _look(self) -> None:
        found = await attempt(self._diagnose())
        if isinstance(found, Problem):
            self.fail(found.text)
        else:
            self._found = found
            self._draw()


def diagnosis(line: DiagnosisView, width: int) -> Content:
    """One check: a mark, what it is and what was found, and the fix below."""
    mark = Content.assemble(("✓", "bold $success") if line.good else ("✗", "bold $error"))
    check, found = safe_line(told(line.check)), safe_line(told(line.found))
    said = _("{check}: {found}").format(check=check, found=found)
    words = hanging(mark, said, 2, width)
    if line.good or not line.fix:
        return words
    label = Content.assemble("  ", (_("Fix"), "$accent"))
    fix = hanging(label, safe_line(told(line.fix)), label.cell_length + 1, width)
    return Content("\n").join([words, fix])
