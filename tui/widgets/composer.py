"""Where one writes: Enter sends, other keys break the line, what was pasted stays as it was pasted.

Rules: the text is handed over only by `SendText`; a text over the limit is kept and not sent; pasted
control characters never reach the screen.
"""

from __future__ import annotations

from enum import Enum
from typing import cast

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.widgets import TextArea

from tui.formatting import TEXT_LIMIT, counter, without_controls
from tui.messages import DraftChanged, SendText


class _MoreKeys(Enum):
    ALT_ENTER = "alt+enter"


# Textual reads Escape and Return in one sequence as Enter, and would send what should break the line.
cast(dict[str, tuple[Enum, ...]], ANSI_SEQUENCES_KEYS)["\x1b\r"] = (_MoreKeys.ALT_ENTER,)


_BREAKS = ("ctrl+j", "alt+enter", "shift+enter", "ctrl+enter")


class Composer(TextArea):
    """A text of many lines for the open conversation."""

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

    def on_key(self, event: events.Key) -> None:
        """Not bindings: those run apart from the letters typed before and after them, and overtake them."""
        if event.key == "enter":
            self.action_send()
        elif event.key in _BREAKS:
            self.insert("\n")
        else:
            return
        event.stop()
        event.prevent_default()

    def action_send(self) -> None:
        """Hand the text over and be empty for the next key."""
        text = self.text
        if text.strip() and len(text) <= TEXT_LIMIT:
            self.set_text("")
            self.post_message(SendText(text))

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
