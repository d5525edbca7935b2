"""Where one writes: Enter sends, other keys break the line, what was pasted stays as it was pasted.

Rules: the text is handed over only by `SendText`, with the person it was written to; a text over the limit
is kept and not sent; every key is done in the order of typing; nothing pasted disturbs the screen.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, cast

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.binding import NoBinding
from textual.widgets import TextArea
from textual.widgets.text_area import EditResult, Location

from tui.formatting import TEXT_LIMIT, counter, without_controls
from tui.messages import DraftChanged, DropReply, SendText, TextRefused
from tui.texts import _


class _MoreKeys(Enum):
    ALT_ENTER = "alt+enter"


# Textual reads Escape and Return in one sequence as Enter, and would send what should break the line.
cast(dict[str, tuple[Enum, ...]], ANSI_SEQUENCES_KEYS)["\x1b\r"] = (_MoreKeys.ALT_ENTER,)


HELD_LIMIT: Final = 65_536  # characters that a draft may have; more than can be sent, so that one can shorten
_BREAKS = ("ctrl+j", "alt+enter", "shift+enter", "ctrl+enter")


class Composer(TextArea):
    """A text of many lines for the open conversation. `earlier` gives what was sent, the newest last."""

    def __init__(self, earlier: Callable[[], Sequence[str]] = tuple) -> None:
        super().__init__(
            id="composer",
            soft_wrap=True,
            tab_behavior="focus",
            show_line_numbers=False,
            highlight_cursor_line=False,
            compact=True,
        )
        self.cursor_blink = False  # a frame twice a second, on whatever link the terminal is
        self.person = ""
        self.answering = False
        self._earlier = earlier
        self._recalled, self._recalled_text = 0, ""

    def set_text(self, text: str) -> None:
        """Show a draft, with the cursor at its end; what was here cannot be brought back."""
        self._recalled = 0
        self.text = text
        self.move_cursor(self.document.end)

    @property
    def draft(self) -> str:
        """What was written here; a text that was only called back is none."""
        return "" if self._recalling else self.text

    async def on_key(self, event: events.Key) -> None:
        """Not bindings: those run apart from the letters typed before and after them, and overtake them."""
        if event.key == "enter":
            self.action_send()
        elif event.key in _BREAKS:
            self._type("\n")
        elif event.key == "escape" and self.answering:
            self.post_message(DropReply())
        elif event.key in ("up", "down") and self._recall(1 if event.key == "up" else -1):
            pass
        elif event.character and unicodedata.category(event.character[-1]) == "Cf":
            self._type(event.character)  # joiners, which input methods send and Textual takes for no letter
        elif not await self._do_at_once(event.key):
            return
        event.stop()
        event.prevent_default()

    def action_send(self) -> None:
        """Hand the text over and be empty for the next key."""
        text = self.text
        if len(text) > TEXT_LIMIT:
            problem = _("This is too long to be sent: shorten it, or send it in parts.")
            self.post_message(TextRefused(problem))
        elif text.strip():
            self.set_text("")
            self.post_message(SendText(text, self.person))

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

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        if len(insert) > 1 and len(self.text) + len(insert) > HELD_LIMIT:
            problem = _("This is too long: nothing was pasted.")
            self.post_message(TextRefused(problem))
            return None
        return super()._replace_via_keyboard(insert, start, end)

    def _type(self, text: str) -> None:
        self._replace_via_keyboard(text, *self.selection)

    async def _do_at_once(self, key: str) -> bool:
        """Do what a key of a text field does; False where it is none."""
        try:
            bindings = self._bindings.get_bindings_for_key(key)
        except NoBinding:
            return False
        await self.run_action(bindings[0].action)
        return True

    # Texts that were sent.

    @property
    def _recalling(self) -> bool:
        return self._recalled > 0 and self.text == self._recalled_text

    def _recall(self, by: int) -> bool:
        """Call back an older or newer text that was sent; False where the key only moves the cursor."""
        if not (self._recalling or (by > 0 and not self.text)):
            return False
        cursor = self.cursor_location
        at_edge = self.navigator.is_first_wrapped_line if by > 0 else self.navigator.is_last_wrapped_line
        if not at_edge(cursor):
            return False
        texts = self._earlier()
        at = min(len(texts), (self._recalled if self._recalling else 0) + by)
        self.set_text(texts[-at] if at else "")
        self._recalled, self._recalled_text = at, self.text
        return True
