"""The dialog that changes the passphrase."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from chat.interface import SHORT_PASSPHRASE, Messenger, passphrase_problem
from tui.messages import Problem, attempt, start_worker
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.text.formatting import strength
from tui.text.translation import N_, _, told
from tui.widgets.controls import Field

_FIELDS = ("old", "new", "again")


NEW_KEY = N_("Seal the history under a new key?")
NEW_KEY_TAKES = N_(
    "No old copy opens it then. It takes as long as copying the history, and as much room on the disk"
    " meanwhile."
)


class PassphraseDialog(Dialog[str]):
    """The new passphrase once it was changed. Nothing that is typed is shown before F2."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "passphrase.tcss"]
    KEYS_WAIT_FOR = frozenset(("passphrase",))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "reveal", priority=True),
        # Ahead of the keys after it, however fast they come: a passphrase must not end up in another field.
        Binding("enter", "next_field", priority=True, show=False),
    ]
    heading = N_("Change the passphrase")
    hints = (("enter", N_("Next")), ("f2", N_("Show passphrase")), ("escape", N_("Cancel")))

    def __init__(self, messenger: Messenger) -> None:
        super().__init__()
        self._messenger = messenger
        self._confirmed = False

    def body(self) -> list[Widget]:
        return [
            plain(_("Current passphrase"), classes="label"),
            Field(id="old", password=True),
            plain(_("New passphrase"), classes="label"),
            Field(id="new", password=True),
            plain("", id="strength", classes="quiet"),
            plain(_("Repeat the new passphrase"), classes="label"),
            Field(id="again", password=True),
            plain(
                _("The passphrase cannot be recovered. Without it, your history is lost."),
                id="about",
                classes="quiet",
            ),
        ]

    def on_input_changed(self, event: Input.Changed) -> None:
        self._confirmed = False
        if event.input.id == "new":
            self.query_one("#strength", Static).update(Content(strength(event.value)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == _FIELDS[-1]:
            self._change()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next_field":
            return self._following is not None
        return super().check_action(action, parameters)

    def action_next_field(self) -> None:
        if self._following is not None:
            self._following.focus()

    def action_reveal(self) -> None:
        for field in self._fields():
            field.password = not field.password

    @property
    def _following(self) -> Field | None:
        """The field after the one with the focus."""
        focused = self.focused.id if self.focused is not None else None
        following = dict(pairwise(_FIELDS)).get(focused or "")
        return self.query_one(f"#{following}", Field) if following else None

    def _fields(self) -> list[Field]:
        return [self.query_one(f"#{name}", Field) for name in _FIELDS]

    def _change(self) -> None:
        old, new, again = (field.value for field in self._fields())
        for field in self._fields():
            if not field.value:
                self.fail(_("Enter a passphrase."))
                field.focus()
                return
        problem = passphrase_problem(new, again, confirmed=self._confirmed)
        if problem is not None:
            self._confirmed = problem is SHORT_PASSPHRASE
            self.fail(told(problem))
            if not self._confirmed:
                self._begin_at("new")
            return
        for field in self._fields():
            field.password = True  # what is typed after Enter is shown to nobody
        self.fail(_("Changing the passphrase…"))
        start_worker(self, "passphrase", partial(self._work, old, new), exclusive=True)

    async def _work(self, old: str, new: str) -> None:
        changed = await attempt(self._messenger.change_passphrase(old, new))
        if not isinstance(changed, Problem):
            self.end(new)
            return
        self.fail(changed.text)
        self._begin_at("old")

    def _begin_at(self, name: str) -> None:
        """Go to a field. What is typed replaces what is masked, since nobody sees where it would go on."""
        for field in self._fields():
            field.action_select_all()
        self.query_one(f"#{name}", Field).focus()
