"""Asks for a day to go to in the history.

Rules: a day is written as year, month and day; a month and a day alone are the last such day until today.
"""

from __future__ import annotations

import re
from datetime import date
from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Input

from tui.screens.dialog import CSSPath, Dialog, plain
from tui.texts import N_, _
from tui.widgets.field import Field


class DayDialog(Dialog[date]):
    """The day."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "rename.tcss"]
    heading = N_("Go to a day")
    hints = (("enter", N_("Go there")), ("escape", N_("Cancel")))

    def __init__(self, today: date) -> None:
        super().__init__()
        self._today = today

    def body(self) -> list[Widget]:
        example = self._today.isoformat()
        return [
            plain(
                _("Which day? For example {day}, or {short} for the last one.").format(
                    day=example, short=example[5:]
                )
            ),
            Field(id="day", placeholder=example, max_length=10),
        ]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        day = parse_day(event.value, self._today)
        if day is None:
            self.fail(_("This is no day: write the year, the month and the day, or the month and the day."))
        else:
            self.end(day)


def parse_day(text: str, today: date) -> date | None:
    """YYYY-MM-DD or MM-DD, with any of `-./` or blanks between; None where that is no day."""
    numbers = [int(number) for number in re.findall(r"[0-9]{1,4}", text)]
    if re.search(r"[^0-9./ -]", text) or len(numbers) not in (2, 3):
        return None
    try:
        if len(numbers) == 3:
            return date(*numbers)
        day = date(today.year, *numbers)
        return day if day <= today else date(today.year - 1, *numbers)
    except ValueError:
        return None
