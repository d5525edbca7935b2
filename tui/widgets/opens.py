"""A row of a dialog that opens another dialog."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.actions import action


class Opens(Static, can_focus=True):
    """The row of an action (id), with the key that does the same elsewhere."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "app.focus_previous", show=False),
        Binding("down,j", "app.focus_next", show=False),
        Binding("space,enter,right,l", "choose", show=False),
    ]

    class Chosen(Message):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, name: str) -> None:
        does = action(name)
        words = Content.assemble(("▸ ", "$quiet"), does.title, (f"   {does.key}", "$quiet"))
        super().__init__(words, id=f"opens-{name}", name=name, markup=False)

    def action_choose(self) -> None:
        self.post_message(self.Chosen(self.name or ""))

    def on_click(self) -> None:
        self.action_choose()
