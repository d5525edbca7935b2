"""The composer: Enter sends, other keys break the line, a shortcode becomes an emoji."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import accumulate, pairwise
from typing import ClassVar, Final, cast

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.binding import Binding, BindingType, NoBinding
from textual.content import Content
from textual.document._document import Document, DocumentBase
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.geometry import Offset
from textual.strip import Strip
from textual.widgets import Static, TextArea
from textual.widgets.text_area import EditResult, Location, Selection

from chat.interface import BotCommand
from tui.messages import (
    ChoicesChanged,
    CommandTyped,
    DraftChanged,
    DropReply,
    EndWanted,
    SendText,
    TextPasted,
    TextRecalled,
    TextRefused,
)
from tui.text.bots import sent_command
from tui.text.commands import SLASH, begun_command, escaped, stands_alone, typed_command, unescaped
from tui.text.emoji import Begun, Choice, begun, chinese_name, ended
from tui.text.formatting import TEXT_LIMIT, counter
from tui.text.safe import shorten, with_room, without_controls
from tui.text.translation import CHINESE, _, language
from tui.text.wrapping import Shape, settled

_BLANK: Final = " \t"


class DrawnDocument(WrappedDocument):
    def __init__(self, document: DocumentBase, width: int = 0, tab_width: int = 4) -> None:
        self._shapes: dict[str, Shape] = {}
        super().__init__(document, width, tab_width)

    def shape(self, line_index: int) -> Shape:
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
    TAKES_TEXT = True  # tui.input_queue
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+underscore,alt+z,super+z", "undo", show=False)]

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


class _MoreKeys(Enum):
    ALT_ENTER = "alt+enter"


# Textual reads Escape and Return in one sequence as Enter, and would send what should break the line.
cast(dict[str, tuple[Enum, ...]], ANSI_SEQUENCES_KEYS)["\x1b\r"] = (_MoreKeys.ALT_ENTER,)


HELD_LIMIT: Final = 65_536  # characters that a draft may have; more than can be sent, so that one can shorten
_COLONS = (":", "\uff1a")
# The last three are Enter with a key held down as terminals after xterm's fashion report it.
_BREAKS = (
    *("ctrl+j", "alt+enter", "shift+enter", "ctrl+enter", "ctrl+shift+enter"),
    *("shift+\r", "ctrl+\r", "\r"),
)


class Composer(Editor):
    """A text of many lines for the open conversation.

    `earlier` gives what was sent, the newest last, and `commands` those that its contact offers as a bot.
    `sends` is called before a text is sent and the field is empty.
    """

    _begun: Begun | None = None

    def __init__(
        self,
        earlier: Callable[[], Sequence[str]] = tuple,
        commands: Callable[[], Sequence[BotCommand]] = tuple,
        sends: Callable[[], None] = lambda: None,
    ) -> None:
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
        self._earlier, self._commands, self._sends = earlier, commands, sends
        self._recalled, self._recalled_text = 0, ""
        self._begun_at: Location = (0, 0)
        self._refused: Location | None = None
        self._chosen = 0

    def set_text(self, text: str) -> None:
        """Show a draft, with the cursor at its end; what was here cannot be brought back."""
        self._recalled = 0
        self._offer(None)
        self.text = text
        self.move_cursor(self.document.end)

    @property
    def draft(self) -> str:
        """What was written here; a text that was only called back is none."""
        return "" if self._recalling else self.text

    async def on_key(self, event: events.Key) -> None:
        """Not bindings: those run apart from the letters typed before and after them, and overtake them."""
        if self._does(event.key, event.character or "") or await self._do_at_once(event.key):
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Say what the text area puts in next: it may be the paths of files that were dropped."""
        self.post_message(TextPasted(event.text, self.person))

    def _does(self, key: str, character: str) -> bool:
        """Do what a key means here and in no other text field; False where it means nothing of its own."""
        if self._begun is not None and self._choose(self._begun, key):
            return True
        if key == "enter":
            self.action_send()
        elif key in _BREAKS:
            self._type("\n")
        elif key == "escape" and self.answering:
            self.post_message(DropReply())
        elif key == "end" and not self.text:
            self.post_message(EndWanted())
        elif key in ("up", "down"):
            return self._recall(1 if key == "up" else -1)
        elif character in _COLONS:
            return self._end_shortcode()
        elif character and unicodedata.category(character[-1]) == "Cf":
            self._type(character)  # joiners, which input methods send and Textual takes for no letter
        else:
            return False
        return True

    def action_send(self) -> None:
        name, text = typed_command(self.text), unescaped(self.text)
        if name is not None and not sent_command(self.text, self._commands()):
            self.post_message(CommandTyped(name, stands_alone(self.text)))
        elif len(text) > TEXT_LIMIT:
            problem = _("Too long to send: shorten it, or send it in parts.")
            self.post_message(TextRefused(problem))
        elif text.strip():
            self._sends()
            self.screen.post_message(SendText(text, self.person))  # ahead of all that follows from the next
            self.set_text("")

    def put(self, text: str, start: Location | None = None) -> None:
        """Type a text at the cursor, in place of what follows `start`; one step back takes it away."""
        self.history.checkpoint()
        begin, end = self.selection if start is None else (start, self.cursor_location)
        self._replace_via_keyboard(text, begin, end)
        self.history.checkpoint()

    def on_text_area_changed(self, event: Editor.Changed) -> None:
        event.stop()
        length = len(self.text)
        self.border_subtitle = counter(length)
        self.set_class(length > TEXT_LIMIT, "-over")
        self.post_message(DraftChanged(self.text))

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        if len(insert) > 1 and len(self.text) + len(insert) > HELD_LIMIT:
            problem = _("Too long: nothing was pasted.")
            self.post_message(TextRefused(problem))
            return None
        result = super()._replace_via_keyboard(insert, start, end)
        self._look()
        return result

    def _delete_via_keyboard(self, start: Location, end: Location) -> EditResult | None:
        result = super()._delete_via_keyboard(start, end)
        self._look()
        return result

    def _type(self, text: str) -> None:
        self._replace_via_keyboard(text, *self.selection)

    async def _do_at_once(self, key: str) -> bool:
        """Do what a key of a text field does; False where it is none."""
        try:
            bindings = self._bindings.get_bindings_for_key(key)
        except NoBinding:
            return False
        return await self.app.run_action(bindings[0].action, self)

    # Shortcodes.

    def take(self, choice: Choice) -> None:
        if self._begun is not None and choice in self._begun.choices:
            self._put(choice, self._begun)

    @property
    def shortcode_offset(self) -> Offset:
        """The column of the screen in which the shortcode begins, and the first row of this field."""
        begun = self.cursor_location[1] - (self._begun.start if self._begun is not None else 0)
        return Offset(self.cursor_screen_offset.x - begun, self.region.y)

    def on_blur(self) -> None:
        self._offer(None)

    def _watch_selection(self, previous_selection: Selection, selection: Selection) -> None:
        super()._watch_selection(previous_selection, selection)
        if self._begun is not None and selection != Selection.cursor(self._begun_at):
            self._offer(None)

    def _choose(self, begun: Begun, key: str) -> bool:
        """Do what a key means where emoji are offered; False where it means what it always does."""
        if key in ("up", "down"):
            self._offer(begun, (self._chosen + (1 if key == "down" else -1)) % len(begun.choices))
        elif key in ("tab", "enter"):
            self.take(begun.choices[self._chosen])
        elif key == "escape":
            self._refused = (self.cursor_location[0], begun.start)
            self._offer(None)
        else:
            return False
        return True

    def _end_shortcode(self) -> bool:
        """Put the emoji in place of the shortcode that a colon ends; False where there is none."""
        whole = ended(self._line_before())
        if whole is not None:
            self._put(whole.choices[0], whole)
        return whole is not None

    def _put(self, choice: Choice, shortcode: Begun) -> None:
        self.put(choice.emoji, (self.cursor_location[0], shortcode.start))

    def _look(self) -> None:
        """Offer what completes a shortcode before the cursor."""
        found = self._begun_command() or begun(self._line_before())
        if found is None:
            self._refused = None
        elif (self.cursor_location[0], found.start) == self._refused:
            found = None
        self._offer(found)

    def _begun_command(self) -> Begun | None:
        return (
            begun_command(self.text, self._commands()) if self.cursor_location == self.document.end else None
        )

    def _line_before(self) -> str:
        """The line up to the cursor; nothing where something is selected."""
        row, column = self.cursor_location
        return self.document[row][:column] if self.selection.is_empty else ""

    def _offer(self, found: Begun | None, chosen: int = 0) -> None:
        if found is not None or self._begun is not None:
            self._begun, self._begun_at, self._chosen = found, self.cursor_location, chosen
            self.post_message(ChoicesChanged(found.choices if found is not None else (), chosen))

    # Texts that were sent.

    @property
    def recalled(self) -> int:
        """Which of the texts that were sent is shown, 1 for the last; 0 for what was written here."""
        return self._recalled if self._recalling else 0

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
        self.set_text(escaped(texts[-at]) if at else "")
        self._recalled, self._recalled_text = at, self.text
        self.post_message(TextRecalled(at > 0))
        return True


_PICTURE: Final = 4  # columns, with the blanks around it, whatever width a terminal gives to it
_COLUMNS: Final = 34
_CHOSEN: Final = "bold reverse"


class Completion(Static):
    ALLOW_SELECT = False

    def __init__(self, take: Callable[[Choice], None]) -> None:
        super().__init__("", id="completion", markup=False)
        self.display = False
        self._take = take
        self._choices: Sequence[Choice] = ()

    def show(self, choices: Sequence[Choice], chosen: int, over: Offset) -> None:
        """Show these, above a place of the screen; nothing to show hides it."""
        self._choices = choices
        self.display = bool(choices)
        if choices:
            left = max(0, over.x - 1)
            columns = min(max(cell_len(pictured(one)) + 1 for one in choices), self.app.size.width - left)
            columns = max(_COLUMNS, columns)
            self.styles.width = columns
            lines = (_line(one, columns, at == chosen) for at, one in enumerate(choices))
            self.update(Content("\n").join(lines))
            self.absolute_offset = Offset(left, max(0, over.y - len(choices)))

    def on_click(self, event: events.Click) -> None:
        event.stop()
        if event.y < len(self._choices):
            self._take(self._choices[event.y])


def pictured(choice: Choice) -> str:
    if choice.emoji.startswith(SLASH):
        return f" {choice.emoji}  {choice.name}"
    picture = with_room(f" {choice.emoji[0]}")
    named = f":{choice.name}:"
    if language() == CHINESE and (local := chinese_name(choice.emoji)) not in ("", choice.name):
        named = f"{named} {local}"
    return picture.ljust(_PICTURE - cell_len(picture) + len(picture)) + named


def _line(choice: Choice, columns: int, chosen: bool) -> Content:
    line = Content(shorten(pictured(choice), columns - 1))
    return line.pad_right(columns - cell_len(line.plain)).stylize(_CHOSEN if chosen else "")
