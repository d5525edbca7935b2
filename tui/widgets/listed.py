"""A list whose cursor can be seen without colours: a bar before the row, which has a column for it."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widgets import OptionList

_BAR: Final = "▌"


class Listed(OptionList):
    """The first column of every option is blank, by its text or its padding."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"listed--bar"}

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        first = next(iter(strip), None)
        look = first.style if first is not None else None
        if first is None or look is None or not first.text.startswith(" ") or not self._has_cursor(look):
            return strip
        bar = self.get_component_rich_style("listed--bar", partial=True)
        return Strip.join([Strip([Segment(_BAR, look + bar)]), strip.crop(1, strip.cell_length)])

    def _has_cursor(self, look: Style) -> bool:
        """Whether what is drawn so belongs to the option with the cursor."""
        return "option" in look.meta and look.meta["option"] == self.highlighted
