"""The dialogs about backups: write one, export, restore one, and destroy the profile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import ClassVar, Final, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from chat.interface import (
    SHORT_PASSPHRASE,
    BackupProgress,
    Door,
    Messenger,
    Phrase,
    RecoveryView,
    RestoreView,
    SelfView,
    UsageError,
    passphrase_problem,
)
from tui.messages import PreferenceChosen, Problem, attempt, start_worker
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.screens.recovery import NewWordsDialog, TypedBack
from tui.text.backups import (
    DESTROYS,
    LOST,
    NOT_ENCRYPTED,
    RESTORES,
    RESTORES_INTO,
    WITH_WORDS,
    backup_name,
    destroy_word,
    lacks_words,
    percent,
    written_text,
)
from tui.text.translation import N_, _, told
from tui.widgets.controls import Choice, Field, Value

T = TypeVar("T")

_WORK: Final = "backup"
_KIND: Final = "backup_kind"
_REMOVE: Final = "backup_remove"
_SAME: Final = "backup_same_words"
PLAIN_FORMS: Final = ("html", "markdown", "jsonl")
WORDS_TOO: Final = "words"


class FieldsDialog(Dialog[T]):
    """Fields one after the other: Enter goes on to the next one, and after the last one does it."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "backup.tcss"]
    KEYS_WAIT_FOR = frozenset((_WORK,))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "reveal", priority=True),
        # Ahead of the keys after it, however fast they come: a passphrase must not end up in another field.
        Binding("enter", "next_field", priority=True, show=False),
    ]
    hints: ClassVar[tuple[tuple[str, str], ...]] = (
        ("enter", N_("Next")),
        ("f2", N_("Show passphrase")),
        ("escape", N_("Cancel")),
    )

    def __init__(self) -> None:
        super().__init__()
        self._confirmed = False
        self._working = False

    @property
    def shown_fields(self) -> list[Field]:
        """Those that count now, in order."""
        return [field for field in self.query(Field) if field.display]

    def value(self, name: str) -> str:
        return self.query_one(f"#{name}", Field).value

    @property
    def path(self) -> str:
        """The file that was typed, absolute."""
        return str(Path(self.value("path").strip()).expanduser().absolute())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next_field":
            return isinstance(self.focused, Field) and self._following is not None
        return super().check_action(action, parameters)

    def action_next_field(self) -> None:
        if (following := self._following) is not None:
            following.focus()

    def action_reveal(self) -> None:
        for field in self._secrets():
            field.password = not field.password

    def on_input_changed(self, event: Input.Changed) -> None:
        self._confirmed = False

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if not self._working and self._following is None:
            self.do()

    def do(self) -> None:
        """The last field was left with Enter."""

    def begin(self) -> None:
        """Say nothing more of the fields: what they say is done now."""
        self._working = True
        for field in self._secrets():
            field.password = True  # what is typed after Enter is shown to nobody

    def refuse(self, text: str, field: str = "") -> None:
        """Say why it was not done, and let another text replace what a field has."""
        self._working = False
        self.fail(text)
        if field:
            self.query_one(f"#{field}", Field).action_select_all()
            self.query_one(f"#{field}", Field).focus()

    def lacks(self, name: str, said: str) -> bool:
        """Whether a field is empty; then this is said, and the field gets the focus."""
        if self.value(name).strip():
            return False
        self.refuse(said, name)
        return True

    def wrong_twice(self, first: str, again: str) -> bool:
        """Whether a new passphrase cannot be set so; this is said. A short one is confirmed by Enter."""
        problem = passphrase_problem(self.value(first), self.value(again), confirmed=self._confirmed)
        if problem is None:
            return False
        self._confirmed = problem is SHORT_PASSPHRASE
        self.refuse(told(problem), "" if self._confirmed else first)
        return True

    @property
    def _following(self) -> Field | None:
        """The field after the one with the focus."""
        fields = self.shown_fields
        at = next((at for at, field in enumerate(fields) if field is self.focused), None)
        return None if at is None or at + 1 == len(fields) else fields[at + 1]

    def _secrets(self) -> list[Field]:
        return [field for field in self.query(Field) if field.has_class("secret")]


def _secret(name: str, label: str) -> list[Widget]:
    field = Field(id=name, password=True)
    field.add_class("secret")
    return [plain(label, id=f"{name}-label", classes="label"), field]


def _field(name: str, label: str, value: str = "", placeholder: str = "") -> list[Widget]:
    field = Field(id=name, value=value, placeholder=placeholder, select_on_focus=False)
    return [plain(label, id=f"{name}-label", classes="label"), field]


class BackupDialog(FieldsDialog[str]):
    """Writes an encrypted backup or a readable file. Ends with a line that says what was written."""

    AUTO_FOCUS = "Choice"
    KEPT = ("path",)
    LEFT_FIRST = True
    heading = N_("Back up or export")

    def __init__(self, messenger: Messenger, me: SelfView, day: date) -> None:
        super().__init__()
        self._messenger, self._me, self._day = messenger, me, day
        self._kind, self._proposed = "", ""

    def body(self) -> list[Widget]:
        kinds = [Value("", _("encrypted backup"))]
        kinds += [Value(WORDS_TOO, _("with recovery words"))] if self._me.keeps_seed else []
        kinds += [Value(form, words) for form, words in zip(PLAIN_FORMS, _forms(), strict=True)]
        self._proposed = self._propose()
        return [
            Choice(_KIND, _("What"), kinds, self._kind),
            plain(self._about(), id="about", classes="quiet"),
            *_field("path", _("File"), self._proposed),
            *_secret("secret", _("New passphrase of the backup")),
            *_secret("again", _("Repeat it")),
        ]

    def on_preference_chosen(self, message: PreferenceChosen) -> None:
        message.stop()
        self._kind = message.value
        field, before = self.query_one("#path", Field), self._proposed
        self._proposed = self._propose()
        if field.value == before:
            field.value = self._proposed
        for name in ("secret", "secret-label", "again", "again-label"):
            self.query_one(f"#{name}").display = not self._is_plain
        self.query_one("#about", Static).update(self._about())
        self.fail("")

    @property
    def _is_plain(self) -> bool:
        return self._kind in PLAIN_FORMS

    def _propose(self) -> str:
        return f"~/{backup_name(self._kind if self._is_plain else 'backup', self._day)}"

    def _about(self) -> str:
        if self._is_plain:
            return _(NOT_ENCRYPTED)
        if self._kind == WORDS_TOO:
            return _(WITH_WORDS)
        return lacks_words(self._me)

    def do(self) -> None:
        if self.lacks("path", _("Enter the name of a file.")):
            return
        if not self._is_plain and (
            self.lacks("secret", _("Enter a passphrase.")) or self.wrong_twice("secret", "again")
        ):
            return
        self.begin()
        self.fail(_("Writing the file…"))
        start_worker(self, _WORK, self._work, exclusive=True)
        start_worker(self, "progress", self._follow, exclusive=True)

    async def _work(self) -> None:
        path = self.path
        if self._is_plain:
            writing = self._messenger.export(path, self._kind, None)
        else:
            writing = self._messenger.back_up(path, self.value("secret"), self._kind == WORDS_TOO)
        written = await attempt(writing)
        self.workers.cancel_group(self, "progress")
        if isinstance(written, Problem):
            self.refuse(written.text, "path")
        else:
            self.end(written_text(written))

    async def _follow(self) -> None:
        async for event in self._messenger.events():
            if isinstance(event, BackupProgress) and self._working:
                said = (
                    _("Checking the file: {percent}") if event.checking else _("Writing the file: {percent}")
                )
                self.fail(said.format(percent=percent(event.done, event.total)))


def _forms() -> tuple[str, ...]:
    return _("web page"), _("text (Markdown)"), _("lines for programs")


class RestoreDialog(FieldsDialog[RestoreView]):
    """Restores a backup into a profile folder that no engine has open. `new`: there is no profile yet."""

    heading = N_("Restore a backup")

    def __init__(self, door: Door, *, new: bool) -> None:
        super().__init__()
        self._door, self._new, self._removes, self._same = door, new, False, False
        self._progress = (0, 1)

    def body(self) -> list[Widget]:
        own = _("New passphrase of this profile") if self._new else _("Passphrase of this profile")
        about = _(RESTORES) if self._new else _(RESTORES_INTO)
        fields: list[Widget] = [
            plain(about, classes="quiet"),
            *_field("path", _("File")),
            *_secret("secret", _("Passphrase of the backup")),
            *_secret("own", own),
        ]
        if self._new:
            values = (Value("", _("keep it")), Value("yes", _("remove it: it is lost")))
            kept = (Value("", _("new ones")), Value("yes", _("the same: nobody else has seen them")))
            fields[1:1] = [
                Choice(_REMOVE, _("The old device"), values, ""),
                Choice(_SAME, _("Recovery words from now on"), kept, ""),
            ]
            fields += _secret("again", _("Repeat it"))
            fields += _secret("words", _("Recovery words, where the backup has none"))
        return fields

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(self.query_one("#body", VerticalScroll).scroll_home, animate=False)

    def on_preference_chosen(self, message: PreferenceChosen) -> None:
        message.stop()
        if message.name == _SAME:
            self._same = bool(message.value)
        else:
            self._removes = bool(message.value)

    def do(self) -> None:
        if self.lacks("path", _("Enter the name of a file.")):
            return
        if self.lacks("secret", _("Enter a passphrase.")) or self.lacks("own", _("Enter a passphrase.")):
            return
        if self._new and self.wrong_twice("own", "again"):
            return
        self.begin()
        self.fail(_("Restoring the backup…"))
        start_worker(self, _WORK, self._work, exclusive=True)

    async def _work(self) -> None:
        showing = self.set_interval(0.2, self._show)
        words = tuple(self.value("words").split()) if self._new else ()
        restoring = self._door.restore(
            *(self.path, self.value("secret"), self.value("own"), words, self._removes, self._came),
            None if self._same else self._write_down,
        )
        restored = await attempt(restoring)
        showing.stop()
        if isinstance(restored, Problem):
            self.refuse(restored.text, "secret")
        else:
            self.end(restored)

    async def _write_down(self, view: RecoveryView, problem: Phrase) -> tuple[str, ...]:
        """Show new words in a dialog of their own. Raises UsageError where that is left."""
        typed = asyncio.get_running_loop().create_future()
        self.call_later(self._show_words, NewWordsDialog(view, told(problem)), typed)
        answers: TypedBack | None = await typed
        if answers is None:
            raise UsageError(_("Nothing was restored: your recovery words are those of before."))
        return answers.answers

    def _show_words(self, dialog: NewWordsDialog, typed: asyncio.Future[TypedBack | None]) -> None:
        def ended(answers: TypedBack | None) -> None:
            if not typed.done():
                typed.set_result(answers)

        self.app.push_screen(dialog, ended)

    def _came(self, done: int, whole: int) -> None:
        self._progress = done, whole  # in another thread

    def _show(self) -> None:
        self.fail(_("Restoring the backup: {percent}").format(percent=percent(*self._progress)))

    def action_leave(self) -> None:
        if self._working:
            self.fail(_("The backup is being restored: wait until it is done."))
        else:
            super().action_leave()


class LostDialog(Dialog[bool]):
    """What to do without the old device. True: restore a backup."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "backup.tcss"]
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "restore")]
    heading = N_("A lost device, or a new one")
    hints = (("enter", N_("Restore a backup")), ("↑ ↓", N_("Scroll")), ("escape", N_("Close")))

    def body(self) -> list[Widget]:
        return [plain(_(text), classes="strong" if text.endswith("?") else None) for text in LOST]

    def action_restore(self) -> None:
        self.end(True)


class WipeDialog(FieldsDialog[bool]):
    """True where its person typed the word that destroys the profile."""

    heading = N_("Destroy this profile")
    hints = (("enter", N_("Destroy")), ("escape", N_("Cancel")))

    def __init__(self, archives: Sequence[str] = ()) -> None:
        super().__init__()
        self._archives = len(archives)

    def body(self) -> list[Widget]:
        lines = [plain(_(DESTROYS), classes="strong")]
        if self._archives:
            said = _("Its archives ({number}) are destroyed with it.").format(number=self._archives)
            lines.append(plain(said, classes="strong"))
        asked = _("Type “{word}” to destroy it.").format(word=destroy_word())
        return [*lines, *_field("word", asked)]

    def do(self) -> None:
        if self.value("word").strip().casefold() == destroy_word().casefold():
            self.end(True)
        else:
            self.refuse(_("This is another word: nothing was destroyed."), "word")
