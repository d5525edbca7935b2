"""Where one writes: Enter sends, other keys break the line, what was pasted stays as it was pasted.

Rules: the text is handed over only by `SendText`; a text over the limit is kept and not sent; pasted
control characters never reach the screen.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import TextArea

from tui.formatting import TEXT_LIMIT, counter, without_controls
from tui.messages import DraftChanged, SendText


class Composer(TextArea):
    """A text of many lines for the open conversation."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j,alt+enter,shift+enter,ctrl+enter", "break_line", "New line", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(
            id="composer",
            soft_wrap=True,
            tab_behavior="focus",
            show_line_numbers=False,
            highlight_cursor_line=False,
            compact=True,
        )

    def set_text(self, text: str) -> None:
        """Show a draft, with the cursor at its end."""
        self.text = text
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        # Not a binding: those run ahead of the keys before them when many arrive at once.
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_send()
        else:
            await super()._on_key(event)

    def action_send(self) -> None:
        """Hand the text over and be empty for the next key."""
        text = self.text
        if text.strip() and len(text) <= TEXT_LIMIT:
            self.set_text("")
            self.post_message(SendText(text))

    def action_break_line(self) -> None:
        self.insert("\n")

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        event.stop()
        length = len(self.text)
        self.border_subtitle = counter(length)
        self.set_class(length > TEXT_LIMIT, "-over")
        self.post_message(DraftChanged(self.text))

    async def _on_paste(self, event: events.Paste) -> None:
        event.text = without_controls(event.text)
        await super()._on_paste(event)
        event.prevent_default()
