"""The base of all dialogs, and the small ones: a question, a menu, forms of one field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import PurePath
from typing import ClassVar, Final, Generic, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.css.query import NoMatches
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from chat.interface import DeletionScope, UsageError, parse_timer, timer_text
from tui.actions import Action, add_keys, keys_of
from tui.text.formatting import scope_name
from tui.text.recovery import how_gone
from tui.text.safe import safe_line
from tui.text.translation import N_, _, told
from tui.text.wrapping import wrap
from tui.typed import Pause, is_letter
from tui.widgets.controls import Field, Hints
from tui.widgets.listed import Listed

T = TypeVar("T")
_KEY_CELLS: Final = 8
CSSPath = str | PurePath | list[str | PurePath] | None


WHOLE_FROM: list[tuple[int, str]] = [(0, "-short"), (24, "-tall")]
"""Breakpoints of screens whose keys and fields are seen together: with their frames they need 24 rows."""


class Closer(Generic[T]):
    """The only way to close a screen that lies over another one.

    Textual's `dismiss` removes the screen that is on top, whichever screen calls it. Keys that were on their
    way to a closed screen would so remove the screen below, and in the end the last one.
    """

    def __init__(self, screen: ModalScreen[T | None]) -> None:
        self._screen = screen
        self._result: T | None = None
        self._ended = self._dismissed = False

    def end(self, result: T | None) -> None:
        """Close with the first result, as soon as no other screen lies over this one."""
        if not self._ended:
            self._ended, self._result = True, result
            self.resume()

    def resume(self) -> None:
        """Close now where that was asked for: nothing lies over the screen any more."""
        if self._ended and not self._dismissed and self._screen.is_active:
            self._dismissed = True
            self._screen.dismiss(self._result)


Texts = Mapping[str, str]
"""What was typed, by the id of its field."""


class Dialog(ModalScreen[T | None]):
    """Subclasses give `heading` and `hints` (key, words), both marked by `N_`, `body`, and perhaps `draw`.

    `left` is what Escape leaves in the fields of `KEPT` for the next time, which `offer` takes. A field that
    is empty at first has it at once, another one after ↑: it shows what holds. A field with a secret is none
    of `KEPT`, as nothing may keep that in memory.
    """

    CSS_PATH: ClassVar[CSSPath] = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("up", "scroll_body(-1)", show=False),
        Binding("down", "scroll_body(1)", show=False),
    ]
    AUTO_FOCUS = "Input"
    LEFT_AT_ONCE: ClassVar[bool] = False
    """Whether Escape waits for nothing that this dialog waits for."""
    ASKS: ClassVar[bool] = True
    """Whether what is typed here answers a question: where a letter opened it, a pause comes first."""

    heading: str = ""
    hints: ClassVar[tuple[tuple[str, str], ...]] = (("escape", N_("Close")),)
    KEPT: ClassVar[tuple[str, ...]] = ()
    LEFT_FIRST: ClassVar[bool] = False
    """Whether what was left goes before the text with which a field begins."""

    def __init__(self) -> None:
        super().__init__()
        self._closer = Closer[T](self)
        self.left: Texts = {}
        self._given: Texts = {}
        self._at_first: dict[str, str] = {}
        self._pause: Pause | None = None
        self._held_back = False
        self._ends: Timer | None = None

    def offer(self, texts: Texts) -> None:
        """Let the fields have what was left in them; before the dialog is opened."""
        self._given = texts

    def end(self, result: T | None) -> None:
        """Close with the first result."""
        self._closer.end(result)

    def on_screen_resume(self) -> None:
        self._closer.resume()

    def on_mount(self) -> None:
        if self._pause is not None:
            self._end_in_time(self._pause)
        self.draw()

    def on_resize(self) -> None:
        self.draw()

    # The pause before an answer.

    def wait_for_pause(self, seconds: float) -> None:
        """Take no answer until nothing was typed for so long: a letter of a word may have opened this."""
        if self.ASKS:
            self._pause = Pause(seconds)

    @property
    def answers(self) -> bool:
        """Whether a key answers now."""
        return self._pause is None

    def holds_back(self, event: events.Key | events.Paste) -> bool:
        """Whether a key or a paste belongs to what was typed before this was seen, and answers nothing.

        A text field still takes letters, as it shows them; what follows from them is held back.
        """
        if self._pause is None:
            return False
        if self._pause.passed(event):
            self._end_pause()
            return False
        self._end_in_time(self._pause)
        typed = isinstance(event, events.Paste) or is_letter(event)
        enters = isinstance(event, events.Key) and event.key == "enter"
        held = enters or (typed and not getattr(self.focused, "TAKES_TEXT", False))
        if held:
            self._held_back = True
            self.fail(_("Nothing was answered: pause a moment, then press the key again."))
        return held

    def _end_in_time(self, pause: Pause) -> None:
        if self._ends is not None:
            self._ends.stop()
        if self.is_running and pause.seconds:
            self._ends = self.set_timer(pause.seconds, self._end_pause)

    def _end_pause(self) -> None:
        if self._ends is not None:
            self._ends.stop()
        self._pause = self._ends = None
        if self._held_back:
            self.fail("")
        self.draw()

    def draw(self) -> None:
        """Fill in what depends on the size of the screen."""

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = _(self.heading)
            with VerticalScroll(id="body", can_focus=False):
                yield from map(self._with_text, self.body())
            problem = Static("", id="problem", markup=False)
            problem.display = False
            yield problem
            brings = (("up", N_("What you typed")),) if self._not_shown() else ()
            yield Hints([(key, _(words)) for key, words in (*brings, *self.hints)])

    def body(self) -> list[Widget]:
        return []

    def fail(self, text: str) -> None:
        """Show a refusal, a safe line; an empty one hides it."""
        try:
            problem = self.query_one("#problem", Static)
        except NoMatches:
            return  # closed meanwhile
        problem.update(Content(text))
        problem.display = bool(text)

    def set_hints(self, hints: tuple[tuple[str, str], ...]) -> None:
        for shown in self.query(Hints):  # none where it was closed meanwhile
            shown.show(hints)

    def action_scroll_body(self, by: int) -> None:
        """Move what does not fit into sight, where nothing in the body takes the arrows."""
        if by < 0 and self._bring_back():
            return
        for body in self.query("#body").results(VerticalScroll):
            body.scroll_relative(y=by, animate=False)

    @property
    def overflows(self) -> bool:
        """Whether a part of the body is out of sight."""
        return any(body.max_scroll_y > 0 for body in self.query("#body").results(VerticalScroll))

    def action_leave(self) -> None:
        typed = {one.id or "": one.value for one in self.query(Field) if one.id in self.KEPT}
        waiting = self._not_shown()
        self.left = {
            name: waiting.get(name, text)
            for name, text in typed.items()
            if name in waiting or text not in ("", self._at_first.get(name))
        }
        self.end(None)

    # What was left in a field.

    def _with_text(self, widget: Widget) -> Widget:
        if isinstance(widget, Field) and widget.id in self.KEPT:
            self._at_first[widget.id] = widget.value
            left = self._given.get(widget.id, "")
            widget.value = (left or widget.value) if self.LEFT_FIRST else (widget.value or left)
        return widget

    def _not_shown(self) -> Texts:
        """What fields were left with that have still the text with which they began."""
        fields = {one.id: one.value for one in self.query(Field)}
        return {
            name: text
            for name, text in self._given.items()
            if (begun := self._at_first.get(name)) and fields.get(name, begun) == begun
        }

    def _bring_back(self) -> bool:
        """Put what was typed before into its fields; False where nothing waits."""
        waiting = self._not_shown()
        for name, text in waiting.items():
            field = self.query_one(f"#{name}", Field)
            field.value, field.cursor_position = text, len(text)
        return bool(waiting)


def plain(text: str | Content, id: str | None = None, classes: str | None = None) -> Static:
    content = text if isinstance(text, Content) else Content(text)
    return Static(content, id=id, classes=classes, markup=False)


def hanging(left: Content, text: str, indent: int, width: int) -> Content:
    """Text of several rows next to a mark or a key, all beginning in the column `indent`."""
    rows = wrap(text, width - indent)
    pad = " " * max(1, indent - left.cell_length)
    return Content.assemble(left, pad, ("\n" + " " * indent).join(rows))


class ConfirmDialog(Dialog[bool]):
    """True for y; False or None otherwise."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        Binding("n,enter", "answer(False)"),
    ]
    heading = N_("Are you sure?")
    hints = (("y", N_("Yes")), ("n", N_("No")))

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__()
        self._question = question
        self._consequence = consequence

    def body(self) -> list[Widget]:
        return [plain(self._question, classes="strong"), plain(self._consequence, classes="quiet")]

    def draw(self) -> None:
        self.call_after_refresh(self._show_keys)

    def _show_keys(self) -> None:
        more = (("↑ ↓", _("Scroll")),) if self.overflows else ()
        self.set_hints((*((key, _(words)) for key, words in self.hints), *more))

    def action_answer(self, yes: bool) -> None:
        self.end(yes)


class QuitDialog(ConfirmDialog):
    """Says what quitting leaves unfinished."""

    heading = N_("Quit")

    def __init__(self, unfinished: Iterable[str]) -> None:
        super().__init__(_("Quit now?"), "\n".join(unfinished))


class ChoiceDialog(Dialog[T]):
    """A question with several ways to say yes; None: no.

    `choices` says of each way what it is called and what it does; it begins with the first. `about`: what
    every way does.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "choose"),
        Binding("n,enter", "leave"),
        Binding("e,down", "other(1)"),
        Binding("up", "other(-1)"),
        Binding("pagedown", "scroll_body(5)", show=False),
        Binding("pageup", "scroll_body(-5)", show=False),
    ]
    heading = N_("Are you sure?")

    def __init__(self, question: str, choices: Mapping[T, tuple[str, str]], about: str = "") -> None:
        super().__init__()
        self._question, self._choices, self._about = question, choices, about
        self._chosen = next(iter(choices))

    def body(self) -> list[Widget]:
        return [
            plain(self._question, classes="strong"),
            plain("", id="choices"),
            plain("", id="consequence", classes="quiet"),
            *([plain(self._about, classes="quiet")] if self._about else []),
        ]

    def draw(self) -> None:
        lines = [f"{'●' if one is self._chosen else '○'} {ways[0]}" for one, ways in self._choices.items()]
        self.query_one("#choices", Static).update("\n".join(lines))
        self.query_one("#consequence", Static).update(self._choices[self._chosen][1])
        self.call_after_refresh(self._show_keys)

    def _show_keys(self) -> None:
        more = (("pagedown", _("Scroll")),) if self.overflows else ()
        self.set_hints((("y", _("Yes")), ("n", _("No")), ("e", _("Other choice")), *more))

    def action_choose(self) -> None:
        self.end(self._chosen)

    def action_other(self, step: int) -> None:
        ways = list(self._choices)
        self._chosen = ways[(ways.index(self._chosen) + step) % len(ways)]
        self.draw()


class DeleteDialog(ChoiceDialog[DeletionScope]):
    """Where a message is to be deleted; None: not at all.

    `consequences` says of each scope that is offered what it does, the narrowest first, with which it begins.
    """

    def __init__(self, question: str, consequences: Mapping[DeletionScope, str]) -> None:
        super().__init__(question, {one: (scope_name(one), does) for one, does in consequences.items()})


class RemoveDialog(ChoiceDialog[bool]):
    """Whether devices that are to be removed were stolen; None: they are not removed."""

    def __init__(self, question: str, consequence: str) -> None:
        super().__init__(question, how_gone(), consequence)


class MenuDialog(Dialog[str]):
    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "menu.tcss"]
    AUTO_FOCUS = "OptionList"
    hints = (("enter", N_("Select")), ("escape", N_("Close")))

    def __init__(self, heading: str, actions: tuple[Action, ...]) -> None:
        super().__init__()
        self.heading = heading
        self._actions = actions
        for one in actions:
            add_keys(self, keys_of(one.id), f"choose({one.id!r})")

    def action_choose(self, name: str) -> None:
        """The key of an action does the same here as without the menu."""
        self.end(name)

    def options(self) -> list[Option]:
        column = max(_KEY_CELLS, *(len(one.key) + 1 for one in self._actions))
        return [_option(one, column) for one in self._actions]

    def body(self) -> list[Widget]:
        return [Listed(*self.options(), markup=False, compact=True)]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.end(event.option_id)


def _option(one: Action, column: int) -> Option:
    return Option(Content.assemble((f"{one.key:<{column}}", "bold $primary"), one.title), id=one.id)


class RenameDialog(Dialog[str]):
    KEPT = ("name",)
    heading = N_("Rename")
    hints = (("enter", N_("Save")), ("escape", N_("Cancel")))

    def __init__(self, name: str, about: str, heading: str = "") -> None:
        super().__init__()
        self.heading = heading or self.heading
        self._called, self._about = safe_line(name), about

    def body(self) -> list[Widget]:
        return [
            plain(self._about),
            Field(id="name", value=self._called, max_length=64),
        ]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.end(event.value.strip())
        else:
            self.fail(_("Enter a name."))


class SaveDialog(Dialog[str]):
    """Asks for the folder in which to save. `about` says what; `only`, if any, what else may be saved.

    `alone`: that was chosen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+o", "other", priority=True, show=False)]
    KEPT = ("folder",)
    heading = N_("Save the file")
    hints = (("enter", N_("Save")), ("escape", N_("Cancel")))

    def __init__(self, about: str, folder: str, only: str = "") -> None:
        super().__init__()
        self._about, self._folder, self._only = about, folder, only
        self.alone = False

    def body(self) -> list[Widget]:
        return [plain(self._about, id="about"), Field(id="folder", value=self._folder)]

    def draw(self) -> None:
        if self._only:
            self.query_one("#about", Static).update(Content(self._only if self.alone else self._about))
            other = _("All of its folder") if self.alone else _("Only this file")
            save, cancel = self.hints
            self.set_hints(((save[0], _(save[1])), ("ctrl+o", other), (cancel[0], _(cancel[1]))))

    def action_other(self) -> None:
        self.alone = bool(self._only) and not self.alone
        self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.value.strip():
            self.end(event.value.strip())
        else:
            self.fail(_("Enter a folder."))


class DayDialog(Dialog[date]):
    KEPT = ("day",)
    heading = N_("Go to a date")
    hints = (("enter", N_("Go there")), ("escape", N_("Cancel")))

    def __init__(self, today: date) -> None:
        super().__init__()
        self._today = today

    def body(self) -> list[Widget]:
        example = self._today.isoformat()
        return [
            plain(
                _("Enter a date such as {day}, or {short} for the most recent one.").format(
                    day=example, short=example[5:]
                )
            ),
            Field(id="day", placeholder=example, max_length=10),
        ]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        day = parse_day(event.value, self._today)
        if day is None:
            self.fail(_("This is not a date: enter year, month and day, or month and day."))
        else:
            self.end(day)


class TimerDialog(Dialog[int]):
    """Asks after how many seconds new messages with a contact disappear, 0 for never."""

    KEPT = ("timer",)
    heading = N_("Timer")
    hints = (("enter", N_("Set")), ("escape", N_("Cancel")))

    def __init__(self, name: str, seconds: int) -> None:
        super().__init__()
        self._name, self._seconds = name, seconds

    def body(self) -> list[Widget]:
        return [
            plain(
                _(
                    "New messages with {name} disappear that long after they were read, on both sides. "
                    "Enter off, or a time such as 30s, 5m, 1h, 1d or 1w."
                ).format(name=self._name)
            ),
            Field(id="timer", value=timer_text(self._seconds), max_length=10),
            plain(_("It holds for new messages only. “Clear” deletes those that are there.")),
        ]

    def on_input_submitted(self, event: Input.Submitted) -> None:
        try:
            self.end(parse_timer(event.value))
        except UsageError as problem:
            self.fail(told(problem.phrase))


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
