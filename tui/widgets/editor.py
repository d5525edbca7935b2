"""A text area for one's own words: it goes by what a person sees as one character, in any script.

Rules: what is drawn, wrapped and measured is the drawn form of a line (tui.graphemes), what is kept is the
text as it was written; the cursor stands between characters, and nothing is cut out of the middle of one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate, pairwise
from typing import Final

from rich.text import Text
from textual.document._document import Document, DocumentBase, Location, Selection
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.strip import Strip
from textual.widgets import TextArea
from textual.widgets.text_area import EditResult

from tui.formatting import without_controls
from tui.graphemes import Shape, settled

_BLANK: Final = " \t"


class DrawnDocument(WrappedDocument):
    """The rows of a document's lines as they are drawn."""

    def __init__(self, document: DocumentBase, width: int = 0, tab_width: int = 4) -> None:
        self._shapes: dict[str, Shape] = {}
        super().__init__(document, width, tab_width)

    def shape(self, line_index: int) -> Shape:
        """The drawn form of a line."""
        line = self.document[line_index]
        return self._shapes.get(line) or Shape(line, self._width)

    def wrap(self, width: int, tab_width: int | None = None) -> None:
        """Lay out every line that is new, or all where the width is."""
        held = self._shapes if width == self._width else {}
        self._width = width
        self._shapes = {line: held.get(line) or Shape(line, width) for line in self.document.lines}
        self._wrap_offsets = [self._shapes[line].rows for line in self.document.lines]
        first = accumulate((len(rows) + 1 for rows in self._wrap_offsets), initial=0)
        self._line_index_to_offsets = [list(range(begin, end)) for begin, end in pairwise(first)]
        self._offset_to_line_info = [
            (line, row) for line, rows in enumerate(self._wrap_offsets) for row in range(len(rows) + 1)
        ]
        self._tab_width_cache = [[] for _line in self._wrap_offsets]

    def wrap_range(self, start: Location, old_end: Location, new_end: Location) -> None:
        self.wrap(self._width)

    def get_sections(self, line_index: int) -> list[str]:
        shape = self.shape(line_index)
        return [shape.drawn[begin:end] for begin, end in pairwise([0, *shape.rows, len(shape.text)])]


class Editor(TextArea):
    """Subclasses decide what its keys do."""

    TAKES_TEXT = True  # tui.input_queue

    def _set_document(self, text: str, language: str | None) -> None:
        self._highlight_query = None
        self.document = Document(without_controls(text))
        self.drawn = DrawnDocument(self.document, tab_width=self.indent_width)
        self.wrapped_document = self.drawn
        self.navigator = DocumentNavigator(self.drawn)
        self._build_highlight_map()
        self.move_cursor((0, 0))
        self._rewrap_and_refresh_virtual_size()

    def get_line(self, line_index: int) -> Text:
        return Text(self.drawn.shape(line_index).drawn, end="", no_wrap=True)

    def _render_line(self, y: int) -> Strip:
        strip = super()._render_line(y)
        return Strip(settled(strip), strip.cell_length)

    # Where the cursor may stand.

    def _validate_selection(self, selection: Selection) -> Selection:
        start, end = super()._validate_selection(selection)
        return Selection(self._before(start), self._before(end))

    def get_cursor_left_location(self) -> Location:
        row, column = self.cursor_location
        return self._before((row, column - 1)) if column else super().get_cursor_left_location()

    def get_cursor_right_location(self) -> Location:
        row, column = self.cursor_location
        at_end = column >= len(self.document[row])
        return super().get_cursor_right_location() if at_end else self._behind((row, column + 1))

    def get_cursor_word_left_location(self) -> Location:
        row, column = self.cursor_location
        if not column:
            return self.get_cursor_left_location()
        before = self.drawn.shape(row).heads[:column].rstrip(_BLANK)
        edges = [edge.start() for edge in self._word_pattern.finditer(before)]
        return row, edges[-1] if edges else 0

    def get_cursor_word_right_location(self) -> Location:
        row, column = self.cursor_location
        heads = self.drawn.shape(row).heads
        if column == len(heads):
            return self.get_cursor_right_location()
        begin = len(heads) - len(heads[column:].lstrip(_BLANK))
        edge = self._word_pattern.search(heads, begin + 1)
        return row, edge.start() if edge else len(heads)

    def _before(self, location: Location) -> Location:
        """The place itself, or where the character around it begins."""
        row, column = self.clamp_visitable(location)
        places = self.drawn.shape(row).places
        return row, places[bisect_right(places, column) - 1]

    def _behind(self, location: Location) -> Location:
        """The place itself, or where the character around it ends."""
        row, column = location
        places = self.drawn.shape(row).places
        return row, places[bisect_left(places, column)]

    # What changes it.

    def _delete_via_keyboard(self, start: Location, end: Location) -> EditResult | None:
        return super()._delete_via_keyboard(*self._whole(start, end))

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        result = super()._replace_via_keyboard(without_controls(insert), *self._whole(start, end))
        # What was typed may be a part of the character behind it. `move_cursor` would end the undo step.
        if result is not None and self._behind(result.end_location) != self.cursor_location:
            self.selection = Selection.cursor(self._behind(result.end_location))
        return result

    def _whole(self, start: Location, end: Location) -> tuple[Location, Location]:
        """A range with all of the characters at its ends."""
        first, last = sorted((start, end))
        if (
            first == last or last[0] >= self.document.line_count
        ):  # the last line, with the break that it lacks
            return first, last
        return self._before(first), self._behind(last)
