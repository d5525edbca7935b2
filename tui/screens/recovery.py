"""The dialog of the recovery words: shown once, then some of them are asked for, and the seed is erased."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from chat.interface import Messenger, RecoveryView
from tui.messages import Problem, attempt, start_worker
from tui.screens.dialog import Dialog, plain
from tui.text.formatting import RECOVERY, RECOVERY_RISK, numbered_words
from tui.text.translation import N_, _
from tui.widgets.controls import Field

_SHOWN = (("enter", N_("Written down")), ("↑ ↓", N_("Scroll")), ("escape", N_("Close")))
_ASKED = (("enter", N_("Next")), ("escape", N_("Close")))


class RecoveryDialog(Dialog[bool]):
    """True once the seed was erased. No word is ever copied, and none is shown while some are asked for."""

    AUTO_FOCUS = ""
    KEYS_WAIT_FOR = frozenset(("confirm",))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "next", show=False)]
    heading = N_("Recovery words")
    hints = _SHOWN

    def __init__(self, messenger: Messenger, view: RecoveryView) -> None:
        super().__init__()
        self._messenger = messenger
        self._view = view
        self._typed: list[str] = []
        self._asking = False

    def body(self) -> list[Widget]:
        return [
            plain(_(RECOVERY), id="about"),
            plain(_(RECOVERY_RISK), classes="quiet"),
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
        if self._asking:
            number = self._view.asked[len(self._typed)] + 1
            words.update(Content(_("Type word {number}.").format(number=number)))
            field.focus()
        else:
            columns = 2 if self.app.size.width < 60 else 4
            words.update(Content("\n".join(numbered_words(self._view.words, columns))))
        self.set_hints(tuple((key, _(said)) for key, said in (_ASKED if self._asking else _SHOWN)))

    def action_next(self) -> None:
        if not self._asking:
            self._asking = True
            self.fail("")
            self.draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            return
        self._typed.append(event.value.strip())
        self.query_one("#word", Field).clear()
        if len(self._typed) < len(self._view.asked):
            self.draw()
        else:
            start_worker(self, "confirm", self._confirm, exclusive=True)

    async def _confirm(self) -> None:
        typed, self._typed = tuple(self._typed), []
        erased = await attempt(self._messenger.confirm_recovery(typed))
        if not isinstance(erased, Problem):
            self.end(True)
            return
        self.fail(erased.text)
        again = await attempt(self._messenger.recovery_words())
        if not isinstance(again, Problem):
            self._view, self._asking = again, False
            self.draw()
