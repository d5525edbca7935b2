"""The line at the foot that says who and where this terminal is, and above it what was just said.

Rules: what is said stays until something else is said or Escape is pressed; it is one safe line.
"""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from chat.interface import SelfView
from tui import demo
from tui.formatting import safe_name
from tui.texts import _


class Said(Static):
    """One line of news or of a refusal; hidden while there is nothing to say."""

    def __init__(self) -> None:
        super().__init__("", id="said", markup=False)
        self.display = False

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show a safe line."""
        self.set_class(problem, "-problem")
        self.update(Content(text))
        self.display = bool(text)

    def clear(self) -> None:
        """Show nothing."""
        self.display = False


class Status(Static):
    """This person, whether strangers see it, and its addresses; first of all, if so, that this is a demo."""

    def __init__(self, *, demo: bool = False) -> None:
        super().__init__("", id="status", markup=False)
        self._demo = demo

    def show(self, me: SelfView) -> None:
        """Show who and where this terminal is."""
        seen = (_("● visible nearby"), "$success") if me.visible else (_("○ not visible nearby"), "$quiet")
        where = "  ".join(me.addresses[:2]) or _("no address")
        badge = [(f"{demo.badge()}  ", "bold $warning")] if self._demo else []
        self.update(
            Content.assemble(
                *badge, (safe_name(me.name, 20), "bold"), ("  ", ""), seen, ("  ", ""), (where, "$quiet")
            )
        )
