"""The foot line: the keys that people need most, from the registry; a click does what the key does.

Rules: a line too narrow for all shows the first of them whole, and cuts none.
"""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widgets import Static

from tui.actions import ACTIONS, APP_WIDE, Action
from tui.formatting import widest

_APART = "   "
_FIRST = ("help",)


class KeyLine(Static):
    """Hints of keys, as many as fit."""

    def __init__(self) -> None:
        super().__init__("", id="keys", markup=False)
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.show()

    def on_resize(self) -> None:
        self.show()

    def show(self) -> None:
        """Show the keys that hold now."""
        parts: list[tuple[str, str]] = []
        self._places, at = [], 0
        for one in hinted():
            end = at + widest(one.key) + 1 + widest(one.title)
            if end > self.size.width:
                break
            parts += [(one.key, "bold $primary"), (f" {one.title}{_APART}", "$quiet")]
            self._places.append((at, end, one.id))
            at = end + len(_APART)
        self.update(Content.assemble(*parts).rstrip())

    async def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        for start, end, name in self._places:
            if start <= offset.x < end:
                await self.run_action(f"app.{name}" if name in APP_WIDE else f"screen.{name}")


def hinted() -> list[Action]:
    """The actions of the foot line, the one first that explains all others."""
    chosen = [one for one in ACTIONS if one.hint and one.key]
    return sorted(chosen, key=lambda one: one.id not in _FIRST)
