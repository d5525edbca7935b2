"""The first screen: a name and a new passphrase, the passphrase later, or why neither is possible."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from chat.interface import (
    SHORT_PASSPHRASE,
    Door,
    DoorState,
    Kept,
    Messenger,
    RestoreView,
    passphrase_problem,
)
from tui.actions import action, keys_of
from tui.messages import Opened, Problem, attempt, start_worker
from tui.screens.dialog import WHOLE_FROM, plain
from tui.text import translation
from tui.text.formatting import strength
from tui.text.safe import safe_line
from tui.text.translation import N_, _, told
from tui.widgets.controls import Field, Hint, Hints

Stage = Literal["looking", "new", "link", "locked", "joining", "keyring", "opening", "broken"]

_WELCOME = {
    "looking": "",
    "new": N_("Choose a name that others see, and a passphrase that protects your history."),
    "link": N_("Name this device, and choose a passphrase for it. Then you compare five words."),
    "locked": N_("Enter your passphrase."),
    "joining": N_("Parlour already runs with this profile. Connecting to it…"),
    "keyring": N_("Opening with the passphrase in the system's keyring. It may ask you to unlock it."),
    "opening": "",
    "broken": "",
}
_WARNING = N_("The passphrase cannot be recovered. Without it, your history is lost.")
_NEEDED = {
    "name": N_("Enter a name. Others will see it."),
    "passphrase": N_("Enter a passphrase."),
}
_NAME_MAX = 64
_FORMS = ("new", "link")  # of a first run


class UnlockScreen(Screen[None]):
    """`reason` says why one is here again; `first` is awaited before the door is asked (a lock, say): it
    says why, too.

    `keyring`: the system's keyring may open the profile, which is so at a start only. `demo` is the
    passphrase of a demo.
    """

    CSS_PATH = "unlock.tcss"
    VERTICAL_BREAKPOINTS = WHOLE_FROM
    AUTO_FOCUS = ""
    KEYS_WAIT_FOR = frozenset(("door",))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "reveal", priority=True),
        Binding("f3", "link", priority=True),
        Binding("f4", "lost", priority=True),
        Binding("f8", "wipe", priority=True),
        # Ahead of the keys after it, however fast they come: a passphrase must not end up in the name.
        Binding("enter", "next_field", priority=True, show=False),
        Binding("enter", "again"),
        Binding(",".join(action("doctor").keys), "doctor"),
    ]

    def __init__(
        self,
        door: Door,
        *,
        reason: str = "",
        first: Callable[[], Awaitable[str]] | None = None,
        keyring: bool = False,
        demo: str = "",
    ) -> None:
        super().__init__()
        self._door = door
        self._keyring = keyring
        self._reason = reason
        self._first = first
        self._demo = demo
        self._stage: Stage = "looking"
        self._form: Stage = "locked"
        self._confirmed = False

    def compose(self) -> ComposeResult:
        with Vertical(id="card"):
            yield plain("P a r l o u r", id="title")
            yield plain(_("Chat with people on your network."), id="tagline")
            yield plain("", id="welcome")
            yield plain(_("Name"), id="name-label", classes="label")
            yield Field(id="name", max_length=_NAME_MAX)
            yield plain(_("Passphrase"), id="passphrase-label", classes="label")
            yield Field(id="passphrase", password=True)
            yield plain("", id="strength")
            yield plain(_("Repeat the passphrase"), id="again-label", classes="label")
            yield Field(id="again", password=True)
            yield plain(_(_WARNING), id="warning")
            yield plain(safe_line(self._reason), id="message")
            yield Hints()

    def on_mount(self) -> None:
        if not self.query(Hints):
            return  # the program was closed while it locked: nothing is composed any more
        self._enter("looking")
        start_worker(self, "door", self._look, exclusive=True)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._confirmed = False
        if event.input.id == "passphrase":
            self.query_one("#strength", Static).update(Content(strength(event.value)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._stage in (*_FORMS, "locked"):
            self._open()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "next_field":
            return self._stage in _FORMS and self._next_field is not None
        if action == "link":
            return self._stage in _FORMS
        if action == "lost":
            return self._stage in (*_FORMS, "locked") and not self._demo
        if action == "wipe":
            return self._stage in ("locked", "broken") and not self._demo
        return super().check_action(action, parameters)

    def action_next_field(self) -> None:
        """Go on to the next field. Letters may be on their way to this one: it is checked at the end."""
        self.set_focus(self._next_field)

    def action_reveal(self) -> None:
        for field in self._secrets():
            field.password = not field.password

    def action_link(self) -> None:
        """A new profile, or one that is linked to a device that its person has: change between the two."""
        self._form = "link" if self._form == "new" else "new"
        self._enter(self._form)

    def action_lost(self) -> None:
        """Say what to do without the old device, and restore a backup."""
        from tui.screens.backup import LostDialog

        self.app.push_screen(LostDialog(), self._restore)

    def _restore(self, wanted: bool | None) -> None:
        if wanted:
            from tui.screens.backup import RestoreDialog

            self.app.push_screen(RestoreDialog(self._door, new=self._stage in _FORMS), self._restored)

    def _restored(self, view: RestoreView | None) -> None:
        if view is not None:
            from tui.text.backups import restored_text

            self._look_again(restored_text(view))

    def action_wipe(self) -> None:
        start_worker(self, "door", self._ask_to_wipe, exclusive=True)

    async def _ask_to_wipe(self) -> None:
        from tui.screens.backup import WipeDialog

        archives = await attempt(self._door.archives())
        self.app.push_screen(WipeDialog(() if isinstance(archives, Problem) else archives), self._wipe)

    def _wipe(self, yes: bool | None) -> None:
        if yes:
            start_worker(self, "door", self._destroy, exclusive=True)

    async def _destroy(self) -> None:
        wiped = await attempt(self._door.wipe())
        self._look_again(wiped.text if isinstance(wiped, Problem) else _("The profile is destroyed."))

    def _look_again(self, reason: str) -> None:
        """Ask the door once more, and say why."""
        self._reason = reason
        self._enter("looking")
        start_worker(self, "door", self._look, exclusive=True)

    def action_again(self) -> None:
        if self._stage == "broken":
            self._enter("looking")
            start_worker(self, "door", self._look, exclusive=True)

    def action_doctor(self) -> None:
        from tui.screens.help import DoctorDialog

        self.app.push_screen(DoctorDialog(self._door.diagnose))

    @property
    def _next_field(self) -> Field | None:
        focused = self.focused.id if self.focused is not None else None
        following = {"name": "#passphrase", "passphrase": "#again"}.get(focused or "")
        return self.query_one(following, Field) if following else None

    def _lacks(self, name: str) -> bool:
        """Whether a field that is needed is empty; this is said, and the field gets the focus."""
        field = self.query_one(f"#{name}", Field)
        if field.value.strip() if name == "name" else field.value:
            return False
        self.say(_(_NEEDED[name]))
        self.set_focus(field)
        return True

    async def _look(self) -> None:
        if self._first is not None:
            self._reason = await self._first() or self._reason
            self._first = None
        state = await attempt(self._door.state())
        if isinstance(state, Problem):
            self._fail(state, "broken")
        elif state is DoorState.RUNNING:
            self._enter("joining")
            joined = await attempt(self._door.attach())
            if isinstance(joined, Problem) and await attempt(self._door.state()) is DoorState.LOCKED:
                self._form = "locked"  # the engine ended meanwhile
                self._enter(self._form)
                return
            self._came(joined, "broken", asked=bool(self._demo))
        else:
            if state is not DoorState.NEW:
                self._form = "locked"
            elif self._form not in _FORMS:
                self._form = "new"
            if not await self._open_kept():
                self._enter(self._form)

    async def _open_kept(self) -> bool:
        """Open it with the system's keyring, where that may be; whether that was tried."""
        if not self._keyring or await attempt(self._door.kept()) is not Kept.YES:
            return False
        self._enter("keyring")
        opened = await attempt(self._door.unlock_kept())
        if opened is None:
            return False
        if isinstance(opened, Problem):
            self._fail(opened, "locked")
        else:
            self.post_message(Opened(opened, self._door.is_passphrase))
        return True

    def _open(self) -> None:
        name = self.query_one("#name", Field).value.strip()
        passphrase = self.query_one("#passphrase", Field).value
        new = self._form in _FORMS
        again = self.query_one("#again", Field).value if new else passphrase
        problem = passphrase_problem(passphrase, again, confirmed=self._confirmed or not new)
        if (new and self._lacks("name")) or self._lacks("passphrase"):
            return
        if problem is not None:
            self._confirmed = problem is SHORT_PASSPHRASE
            self.say(told(problem))
            if not self._confirmed:
                self._select_secrets()
        else:
            for field in self._secrets():
                field.password = True  # what is typed after Enter is shown to nobody
            if self._form == "link":
                from tui.screens.devices import LinkDialog

                self.app.push_screen(LinkDialog(self._door, name, passphrase), self._linked)
                return
            self._enter("opening")
            start_worker(self, "door", self._pass, name, passphrase, exclusive=True)

    def _linked(self, opened: Messenger | None) -> None:
        if opened is not None:
            self._enter("opening")
            self._came(opened, self._form)
        else:  # a profile may have been made meanwhile
            self._enter("looking")
            start_worker(self, "door", self._look, exclusive=True)

    async def _pass(self, name: str, passphrase: str) -> None:
        if self._form == "new":
            opened = await attempt(self._door.create(name, passphrase))
        else:
            opened = await attempt(self._door.unlock(passphrase))
        self._came(opened, self._form)

    def _came(self, opened: Messenger | Problem, otherwise: Stage, *, asked: bool = True) -> None:
        if isinstance(opened, Problem):
            self._fail(opened, otherwise)
            return
        for field in self._secrets():
            field.value = ""
        self.post_message(Opened(opened, None if asked else self._door.is_passphrase))

    def _fail(self, problem: Problem, stage: Stage) -> None:
        self._enter(stage)
        self.say(problem.text, problem=True)
        self._select_secrets()

    def _select_secrets(self) -> None:
        """Let the next text replace what is masked: nobody can see where it would be continued."""
        for field in self._secrets():
            field.action_select_all()

    def _secrets(self) -> tuple[Field, Field]:
        return self.query_one("#passphrase", Field), self.query_one("#again", Field)

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show a safe line below the fields."""
        message = self.query_one("#message", Static)
        message.update(Content(text))
        message.set_class(problem, "-problem")
        if text:  # in few rows it stands below what fits
            message.call_after_refresh(message.scroll_visible, animate=False)

    def _enter(self, stage: Stage) -> None:
        self._stage = stage
        self.set_class(stage in _FORMS, "-new")
        form = self._form if stage == "opening" else stage
        welcome = self.query_one("#welcome", Static)
        welcome.update(said := self._welcome(stage))
        welcome.set_class(not said, "-empty")
        for name in ("#name", "#name-label", "#strength", "#again-label", "#again", "#warning"):
            self.query_one(name).display = form in _FORMS
        for name in ("#passphrase", "#passphrase-label"):
            self.query_one(name).display = form in (*_FORMS, "locked")
        for name in ("#name", "#passphrase", "#again"):
            self.query_one(name).disabled = stage not in (*_FORMS, "locked")
        label = _("Name of this device") if form == "link" else _("Name")
        self.query_one("#name-label", Static).update(label)
        if stage in ("opening", *_FORMS, "locked"):
            self.say(_("Opening…") if stage == "opening" else self._take_reason())
        hints = _hints(stage)  # a demo has nothing to restore or to destroy
        self.query_one(Hints).show([one for one in hints if not self._demo or one[0] not in ("f4", "f8")])
        if stage in (*_FORMS, "locked"):
            self._focus_first()

    def _welcome(self, stage: Stage) -> str:
        if self._demo:
            return translation.welcome(stage, self._demo)
        return _(_WELCOME[stage]) if _WELCOME[stage] else ""

    def _focus_first(self) -> None:
        """The first field that is still empty, else the last one: Enter there tries once more."""
        shown = ("#name", "#passphrase", "#again") if self._stage in _FORMS else ("#passphrase",)
        fields = [self.query_one(name, Field) for name in shown]
        self.set_focus(next((field for field in fields if not field.value), fields[-1]))

    def _take_reason(self) -> str:
        reason, self._reason = self._reason, ""
        return safe_line(reason)


def _hints(stage: Stage) -> tuple[Hint, ...]:
    doctor, quitting = action("doctor"), keys_of("quit")[:1]
    keys: dict[Stage, tuple[Hint, ...]] = {
        "new": (
            ("enter", _("Start")),
            ("f2", _("Show passphrase")),
            ("f4", _("Lost or backup")),
            ("f3", _("Link to a device that you have")),
        ),
        "link": (
            ("enter", _("Link this device")),
            ("f2", _("Show passphrase")),
            ("f4", _("Lost or backup")),
            ("f3", _("Create a new profile")),
        ),
        "locked": (
            ("enter", _("Open")),
            ("f2", _("Show passphrase")),
            ("f4", _("Lost or backup")),
            ("f8", _("Destroy")),
        ),
        "broken": (("enter", _("Check again")), (doctor.keys[0], doctor.title), ("f8", _("Destroy"))),
    }
    return (*keys.get(stage, ()), *((key, action("quit").title) for key in quitting))
