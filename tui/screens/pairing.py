"""The dialog of one pairing: connecting, the words to compare or the joiner to accept, waiting, the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from msgspec.structs import replace
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option

from chat.interface import LinkingView, Messenger, NearbyView, PairingStage, PairingView, Phrase
from tui.actions import Group, action, of_group
from tui.messages import Problem, attempt, start_worker
from tui.screens.dialog import WHOLE_FROM, CSSPath, Dialog, MenuDialog, plain
from tui.text.people import namesake_lines
from tui.text.safe import safe_line, safe_name
from tui.text.translation import N_, _, filled, told

_ROOMY, _SCARCE = 30, 18  # rows of a screen from which the words stand apart; below each other
_NEARBY_CELLS = 20
ASKING = (PairingStage.WORDS, PairingStage.JOINER)


class PairingDialog(Dialog[PairingView]):
    """Follows one pairing; the result is its last view, None when it was left before its end.

    `refused`: this person said no, which is still to be sent.
    """

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "pairing.tcss"]
    VERTICAL_BREAKPOINTS = WHOLE_FROM
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        Binding("n", "answer(False)"),
        Binding("d", "digits"),
        Binding("enter", "close_failed", show=False),
    ]
    heading = N_("Pairing")
    KEYS_WAIT_FOR = frozenset(("answer",))

    def __init__(self, messenger: Messenger, view: PairingView, *, quiet: float = 0.0) -> None:
        super().__init__()
        self.view = view
        self._messenger = messenger
        self._answered = self._digits = False
        self.refused = False
        if quiet:
            self.wait_for_pause(quiet)

    def body(self) -> list[Widget]:
        no = f"n  {_('No, stop')}"
        return [
            plain("", id="who"),
            plain("", id="words"),
            plain("", id="question"),
            Horizontal(
                Button("", id="yes", variant="success", compact=True, action="screen.answer(True)"),
                Button(no, id="no", variant="error", compact=True, action="screen.answer(False)"),
                id="buttons",
            ),
        ]

    def concerns(self, view: PairingView) -> bool:
        return view.id == self.view.id

    def follow(self, view: PairingView) -> None:
        if self.view.stage is not view.stage and view.stage in ASKING:
            self._answered = False
        self.view = view
        if self.closes_with(view):
            self.end(view)
        elif self.is_mounted:
            self.draw()

    def closes_with(self, view: PairingView) -> bool:
        # Without a problem: both began at once, and the other pairing, which goes on, opens its own dialog.
        gave_way = view.stage is PairingStage.FAILED and not view.problem
        return view.stage is PairingStage.DONE or gave_way

    def action_answer(self, accept: bool) -> None:
        if not self.asking:
            return
        self._answered = True
        if accept:
            self.draw()
            start_worker(self, "answer", self._accept)
        else:
            self.refused = True
            self.end(self.view)

    def action_digits(self) -> None:
        """Show the words in digits, which a screen in any language has; then the words again."""
        if self.view.stage is PairingStage.WORDS:
            self._digits = not self._digits
            self.draw()

    def action_close_failed(self) -> None:
        if self.view.stage is PairingStage.FAILED:
            self.end(self.view)

    def action_leave(self) -> None:
        if self.asking:
            self.action_answer(False)
        elif self.view.stage is PairingStage.FAILED:
            self.end(self.view)
        elif self.view.stage not in ASKING:
            self.end(None)

    @property
    def asking(self) -> bool:
        return self.view.stage in ASKING and self.answers and not self._answered

    async def _accept(self) -> None:
        done = await attempt(self._messenger.answer_pairing(self.view.id, True))
        if isinstance(done, Problem):
            self._answered = False
            self.fail(done.text)

    def draw(self) -> None:
        stage = self.view.stage
        hints = namesake_lines(self.view) if stage in ASKING else []
        who = Content("\n").join([_who(self.view), *(Content.styled(line, "$warning") for line in hints)])
        self.query_one("#who", Static).update(who)
        words = self.query_one("#words", Static)
        words.update(compared(self.view, self.app.size.height, digits=self._digits))
        words.display = stage is PairingStage.WORDS
        question = self.query_one("#question", Static)
        question.update(_question(self.view, self._answered))
        question.set_class(stage is PairingStage.FAILED, "-failed")
        question.display = stage is not PairingStage.CONNECTING
        words_or_joiner = _("They match") if stage is PairingStage.WORDS else _("Yes, it is them")
        self.query_one("#yes", Button).label = f"y  {words_or_joiner}"
        self.query_one("#buttons").display = self.asking
        leave = _("Close") if stage is PairingStage.FAILED else _("Hide")
        asked = (digits_hint(digits=self._digits),) if stage is PairingStage.WORDS else ()
        self.set_hints(asked if stage in ASKING else (("escape", leave),))


class AddContactDialog(MenuDialog):
    """Every way to add a contact, and the people nearby, of whom the instance is the result.

    They come last, as they come and go: Enter means what it meant.
    """

    def __init__(self, nearby: Sequence[NearbyView]) -> None:
        ways = tuple(one for one in of_group(Group.ADD) if one.id != "add")
        super().__init__(action("add").label, ways)
        self._nearby = {view.instance: view for view in nearby}

    def options(self) -> list[Option]:
        return [*super().options(), *map(_person, self._nearby.values())]

    def name_of(self, instance: str) -> str | None:
        """The name of somebody nearby, also of one who has just left."""
        view = self._nearby.get(instance)
        return view.name if view is not None else None

    def show_nearby(self, nearby: Sequence[NearbyView]) -> None:
        """List these people now, and say who can no longer be seen; the cursor stays on its line."""
        listed, now = self.query_one(OptionList), {view.instance: view for view in nearby}
        gone = [safe_name(view.name) for one, view in self._nearby.items() if one not in now]
        at = listed.highlighted
        chosen = listed.get_option_at_index(at).id if at is not None else None
        self._nearby = now
        listed.set_options(self.options())
        ids = [one.id for one in self.options()]
        listed.highlighted = ids.index(chosen) if chosen in ids else None
        if gone:
            self.fail(_("{name} is no longer visible nearby.").format(name=", ".join(gone)))


def _person(view: NearbyView) -> Option:
    pair = _("{name}, nearby").format(name=safe_name(view.name, _NEARBY_CELLS))
    return Option(Content.assemble((f"{'+':<8}", "bold $success"), pair), id=view.instance)


class BeginDialog(PairingDialog):
    """A pairing that this person begins: the call is made while the dialog shows it.

    `from_form`: what was typed can be mended, so a failure is shown in the form and not here.
    """

    def __init__(
        self,
        messenger: Messenger,
        peer: str,
        call: Callable[[], Awaitable[PairingView]],
        *,
        from_form: bool = False,
    ) -> None:
        super().__init__(messenger, PairingView("", PairingStage.CONNECTING, peer, incoming=False))
        self._call = call
        self._from_form = from_form
        self._early: dict[str, PairingView] = {}

    def on_mount(self) -> None:
        start_worker(self, "begin", self._begin)

    def concerns(self, view: PairingView) -> bool:
        """Until the call has returned, any pairing that was begun here may be this one."""
        return super().concerns(view) or (not self.view.id and not view.incoming)

    def closes_with(self, view: PairingView) -> bool:
        return super().closes_with(view) or (self._from_form and view.stage is PairingStage.FAILED)

    def follow(self, view: PairingView) -> None:
        if self.view.id:
            super().follow(view)
        else:
            self._early[view.id] = view

    async def _begin(self) -> None:
        begun = await attempt(self._call())
        if isinstance(begun, Problem):
            super().follow(replace(self.view, stage=PairingStage.FAILED, problem=Phrase(begun.text)))
            return
        super().follow(begun)
        if begun.id in self._early:
            super().follow(self._early[begun.id])


def _who(view: PairingView) -> Content:
    name = (safe_name(view.peer) if view.peer else _("the other device"), "bold")
    match view.stage:
        case PairingStage.CONNECTING:
            return filled(_("Connecting to {name}…"), name=name)
        case PairingStage.WORDS if view.incoming:
            return filled(_("{name} wants to pair with you."), name=name)
        case PairingStage.WORDS:
            return filled(_("Connected to {name}."), name=name)
        case PairingStage.JOINER:
            return filled(_("Someone named {name} used your invitation."), name=name)
        case PairingStage.WAITING:
            return filled(_("Waiting for {name}…"), name=name)
        case _:
            return filled(_("Pairing with {name}"), name=name)


def digits_hint(*, digits: bool) -> tuple[str, str]:
    """The key that shows the words in digits, or the words again."""
    return "d", _("Show the words") if digits else _("Show digits")


def compared(view: PairingView | LinkingView, rows: int, *, digits: bool) -> Content:
    """The words to compare, or the same in digits, on a screen of so many rows."""
    lines = [
        Content.assemble((f"{number}  ", "$quiet"), (safe_line(word), "bold $accent"))
        for number, word in enumerate(view.digits if digits else view.words, 1)
    ]
    if rows < _SCARCE:
        return Content("   ").join(lines)
    return Content("\n\n" if rows >= _ROOMY else "\n").join(lines)


def _question(view: PairingView, answered: bool) -> Content:
    match view.stage:
        case PairingStage.FAILED:
            return Content(safe_line(told(view.problem)) or _("Pairing failed. Start again."))
        case PairingStage.WORDS | PairingStage.JOINER if answered:
            return Content(_("One moment…"))
        case PairingStage.WORDS:
            return Content(_("Does the other screen show the same words in the same order?"))
        case PairingStage.JOINER:
            doubt = _("Is this the person you invited? Anyone can use any name. If in doubt, ask them.")
            return Content(doubt)
        case PairingStage.WAITING:
            return Content(_("The other person must confirm too."))
        case _:
            return Content("")
