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
from tui.screens.dialog import CSSPath, Dialog, plain

Diagnose = Callable[[], Awaitable[tuple[DiagnosisView, ...]]]


class DoctorDialog(Dialog[None]):
    """Looks once, when it opens; takes up to five seconds."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "doctor.tcss"]
    heading = "Doctor"

    def __init__(self, diagnose: Diagnose) -> None:
        super().__init__()
        self._diagnose = diagnose

    def body(self) -> list[Widget]:
        return [plain("Looking at the network, the firewall and the profile…", id="lines")]

    def on_mount(self) -> None:
        self.run_worker(self._look(), group="doctor")

    async def _look(self) -> None:
        found = await attempt(self._diagnose())
        if isinstance(found, Problem):
            self.fail(found.text)
        else:
            self.query_one("#lines", Static).update(Content("\n").join(diagnosis(line) for line in found))


def diagnosis(line: DiagnosisView) -> Content:
    """One check: a mark, what it is, what was found, and the fix below."""
    mark = ("✓ ", "bold $success") if line.good else ("✗ ", "bold $error")
    words = Content.assemble(mark, (f"{safe_line(line.check)}: ", "bold"), (safe_line(line.found), ""))
    if line.good or not line.fix:
        return words
    return Content.assemble(words, "\n", ("  Fix: ", "$accent"), (safe_line(line.fix), ""))
