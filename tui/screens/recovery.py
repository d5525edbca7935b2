"""The dialogs of the recovery words: shown once, asked for and erased; and used, to remove devices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from chat.interface import (
    RECOVERY_WORDS,
    Messenger,
    RecoveryView,
    Redacted,
    Redacting,
    TerminalView,
    UsageError,
)
from tui.actions import with_keys
from tui.messages import Problem, attempt, start_worker
from tui.screens.dialog import Dialog, plain
from tui.text.recovery import (
    RECOVERY,
    RECOVERY_NEW,
    RECOVERY_NEW_RISK,
    RECOVERY_REPLACED,
    RECOVERY_RISK,
    RECOVERY_USE,
    device_lines,
    numbered_words,
    picked_devices,
)
from tui.text.translation import N_, _
from tui.widgets.controls import Field

T = TypeVar("T")

_HIDDEN = (("enter", N_("Show the words")), ("escape", N_("Close")))
_KEEP = ("s", N_("Keep the old words"))
_SHOWN = (("enter", N_("Written down")), ("↑ ↓", N_("Scroll")), ("escape", N_("Close")))
_ASKED = (("enter", N_("Next")), ("escape", N_("Close")))


class WordsDialog(Dialog[T]):
    """Shows recovery words, and asks for some of them. No word is ever copied, and none is shown meanwhile.

    None is shown before this person wants it either: one wrong key may open such a dialog. Subclasses give
    what is said `about` the words and their `risk`, and do in `finish` what follows once they were typed.
    """

    AUTO_FOCUS = ""
    KEYS_WAIT_FOR = frozenset(("confirm",))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "next", show=False)]
    hints = _HIDDEN
    about: ClassVar[str]
    risk: ClassVar[str]

    def __init__(self, view: RecoveryView) -> None:
        super().__init__()
        self._view = view
        self._typed: list[str] = []
        self._hidden, self._asking = True, False

    def body(self) -> list[Widget]:
        return [
            plain(with_keys(_(self.about)), id="about"),
            plain(_(self.risk), classes="quiet"),
            plain("", id="words", classes="strong"),
            Field(id="word", max_length=16),
        ]

    def draw(self) -> None:
        """Show the words, or the question for one of them."""
        if not self.query("#words"):
            return  # closed meanwhile
        words = self.query_one("#words", Static)
        field = self.query_one("#word", Field)
        field.display = self._asking
        if self._hidden:
            words.update(_("Let nobody else see the screen."))
        elif self._asking:
            number = self._view.asked[len(self._typed)] + 1
            words.update(Content(_("Type word {number}.").format(number=number)))
            field.focus()
        else:
            columns = 2 if self.app.size.width < 60 else 4
            words.update(Content("\n".join(numbered_words(self._view.words, columns))))
        hints = self.at_first() if self._hidden else _ASKED if self._asking else _SHOWN
        self.set_hints(tuple((key, _(said)) for key, said in hints))

    def action_next(self) -> None:
        if self._hidden:
            self._hidden = False
        elif not self._asking:
            self._asking = True
        else:
            return
        self.fail("")
        self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            return
        self._typed.append(event.value.strip())
        self.query_one("#word", Field).clear()
        if len(self._typed) < len(self._view.asked):
            self.draw()
            return
        typed, self._typed = tuple(self._typed), []  # a resize meanwhile draws the first question
        self.finish(typed)

    def at_first(self) -> tuple[tuple[str, str], ...]:
        """The keys before the words are shown."""
        return _HIDDEN

    def finish(self, typed: tuple[str, ...]) -> None:
        """All words that are asked for were typed."""

    def show_again(self, view: RecoveryView, problem: str) -> None:
        """Show the words once more, since one of them was wrong."""
        self._view, self._hidden, self._asking = view, False, False
        self.fail(problem)
        self.draw()


class RecoveryDialog(WordsDialog[bool]):
    """True once the seed was erased."""

    heading = N_("Recovery words")
    about = RECOVERY
    risk = RECOVERY_RISK

    def __init__(self, messenger: Messenger, view: RecoveryView) -> None:
        super().__init__(view)
        self._messenger = messenger

    def finish(self, typed: tuple[str, ...]) -> None:
        start_worker(self, "confirm", partial(self._confirm, typed), exclusive=True)

    async def _confirm(self, typed: tuple[str, ...]) -> None:
        erased = await attempt(self._messenger.confirm_recovery(typed))
        if not isinstance(erased, Problem):
            self.end(True)
            return
        self.fail(erased.text)
        again = await attempt(self._messenger.recovery_words())
        if not isinstance(again, Problem):
            self.show_again(again, erased.text)


class TypedBack(Redacting, frozen=True):
    """The new words that were asked for, none where this person keeps the old ones."""

    answers: Redacted[tuple[str, ...]] = ()


class NewWordsDialog(WordsDialog[TypedBack]):
    """Shows words that are to replace the old ones. Nothing is signed before it returns some of them.

    `problem`: why those that were typed before were refused. `keeps`: the old words may stay.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("s", "keep", show=False)]
    heading = N_("New recovery words")
    about = RECOVERY_NEW
    risk = RECOVERY_NEW_RISK

    def __init__(self, view: RecoveryView, problem: str = "", *, keeps: bool = False) -> None:
        super().__init__(view)
        self._problem, self._keeps = problem, keeps

    def on_mount(self) -> None:
        super().on_mount()
        if self._problem:
            self.show_again(self._view, self._problem)

    def at_first(self) -> tuple[tuple[str, str], ...]:
        return (_HIDDEN[0], _KEEP, _HIDDEN[1]) if self._keeps else _HIDDEN

    def action_keep(self) -> None:
        if self._keeps and self._hidden:
            self.end(TypedBack())

    def finish(self, typed: tuple[str, ...]) -> None:
        self.end(TypedBack(typed))


_TYPED = (("enter", N_("Next")), ("escape", N_("Close")))
_WORDS_MOST = 1_024


class Recovering(Redacting, frozen=True):
    """The recovery words that were typed in, and the devices to remove.

    `not_mine`: a recovery that replaced the words was confirmed here, and was not this person's. `stolen`:
    the devices were stolen, and not only lost.
    """

    words: Redacted[tuple[str, ...]]
    removed: tuple[TerminalView, ...]
    not_mine: bool = False
    stolen: bool = True


class UseRecoveryDialog(Dialog[Recovering]):
    """Takes the recovery words and then which of `devices` to remove. Wrong words come back to be mended."""

    KEYS_WAIT_FOR = frozenset(("check",))
    heading = N_("Use the recovery words")
    hints = _TYPED

    def __init__(self, messenger: Messenger, devices: Sequence[TerminalView]) -> None:
        super().__init__()
        self._messenger, self._devices = messenger, devices
        self._words: list[str] = []
        self._replaced = ""
        self._checked = self._not_mine = False

    def body(self) -> list[Widget]:
        return [
            plain(_(RECOVERY_USE), id="about"),
            plain("", id="asked", classes="strong"),
            Field(id="word", max_length=_WORDS_MOST, select_on_focus=False),
        ]

    def draw(self) -> None:
        """Say what is to be typed."""
        if not self.query("#asked"):
            return  # closed meanwhile
        said = _("{number} of {total} words. Type the next ones, as many as you like.").format(
            number=len(self._words), total=RECOVERY_WORDS
        )
        if self._checked:
            asked = _("Type the numbers of the devices to remove, or 0 for none.")
            said = "\n".join((*device_lines(self._devices), "", asked))
        self.query_one("#about").display = not self._checked
        self.query_one("#asked", Static).update(Content(said))
        self.call_after_refresh(self.query_one("#word", Field).scroll_visible, animate=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.fail("")
        if self._checked:
            self._choose(event.value)
            return
        self._words += event.value.split()
        self.query_one("#word", Field).clear()
        self.draw()
        if len(self._words) >= RECOVERY_WORDS:
            start_worker(self, "check", self._check, exclusive=True)

    async def _check(self) -> None:
        typed = " ".join(self._words)
        self._not_mine = typed == self._replaced  # Enter again: that recovery was somebody else's
        refused = await attempt(self._messenger.check_recovery(tuple(self._words), self._not_mine))
        if isinstance(refused, Problem):
            self._replaced = typed if refused.replaced else ""
            self.fail(_(RECOVERY_REPLACED) if refused.replaced else refused.text)
            self.query_one("#word", Field).value = typed
            self._words = []
        elif self._devices:
            self._checked = True
        else:
            self._end_with(())
        self.draw()

    def _end_with(self, removed: Sequence[TerminalView]) -> None:
        self.end(Recovering(tuple(self._words), tuple(removed), self._not_mine))

    def _choose(self, typed: str) -> None:
        if not typed.strip():
            return  # Enter alone may have been typed before the devices were shown
        try:
            picked = picked_devices(typed, self._devices) if typed.strip() != "0" else []
        except UsageError as refused:
            self.fail(str(refused))
        else:
            self._end_with(picked)
