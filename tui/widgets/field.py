"""A line of input: names, passphrases, addresses, invitations.

Rules: a paste of many lines becomes one line, because a terminal may have wrapped what was copied.
"""

from __future__ import annotations

from textual import events
from textual.widgets import Input

from tui.formatting import without_controls


class Field(Input):
    """An `Input` that joins pasted lines; with `squeeze` all blanks in them go too."""

    TAKES_TEXT = True  # tui.input_queue

    def __init__(
        self,
        *,
        id: str,
        placeholder: str = "",
        value: str = "",
        password: bool = False,
        squeeze: bool = False,
        max_length: int = 0,
        select_on_focus: bool = True,
    ) -> None:
        super().__init__(
            id=id,
            placeholder=placeholder,
            value=value,
            password=password,
            max_length=max_length,
            select_on_focus=select_on_focus,
            compact=True,
        )
        self._squeeze = squeeze
        self.cursor_blink = False  # a frame twice a second, on whatever link the terminal is

    def _on_paste(self, event: events.Paste) -> None:
        lines = without_controls(event.text).splitlines()
        text = "".join(lines) if self._squeeze else " ".join(lines)
        if self._squeeze:
            text = "".join(text.split())
        self.replace(text, *self.selection)
        event.stop()
        event.prevent_default()
