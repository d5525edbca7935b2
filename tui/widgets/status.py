"""The line at the foot that says who and where this terminal is, and above it what was just said.

Rules: it is one safe line; news goes after a while, a refusal stays until something else is said or Escape is
pressed; what belongs to a conversation goes with it.
"""

from __future__ import annotations

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from chat.interface import SelfView
from tui import demo
from tui.formatting import safe_name
from tui.texts import _


class Said(Static):
    """One line of news or of a refusal; hidden while there is nothing to say.

    `seconds`: how long news is shown.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("", id="said", markup=False)
        self._seconds = seconds
        self._person: str | None = None
        self._timer: Timer | None = None
        self.display = False

    def say(
        self, text: str, *, person: str | None = None, problem: bool = False, stays: bool = False
    ) -> None:
        """Show a safe line. `person` is whose conversation it belongs to, None for no conversation."""
        self.clear()
        self._person = person
        self.set_class(problem, "-problem")
        self.update(Content(text))
        self.display = bool(text)
        if text and not (problem or stays):
            self._timer = self.set_timer(self._seconds, self.clear)

    def opened(self, person: str | None) -> None:
        """Another conversation is open now, or none: drop what belongs to the one before."""
        if self._person not in (None, person):
            self.clear()

    def clear(self) -> None:
        """Show nothing."""
        if self._timer is not None:
            self._timer.stop()
        self._timer, self._person = None, None
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
