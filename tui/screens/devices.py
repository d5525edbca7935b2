"""The dialogs of one's own devices: the list of them, adding one, and linking this one to another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import tzinfo
from typing import ClassVar, Final, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Static
from textual.widgets.option_list import Option

from chat.interface import (
    Door,
    LinkingStage,
    LinkingView,
    Messenger,
    Phrase,
    SelfView,
    TerminalState,
    TerminalView,
)
from tui.actions import action, with_keys
from tui.messages import Problem, attempt, start_worker
from tui.screens.dialog import WHOLE_FROM, CSSPath, Dialog, plain
from tui.screens.pairing import compared, digits_hint
from tui.text.formatting import DEVICE_DIGITS, LEFT, parse_address, removal_of_first, seen_line, without_words
from tui.text.safe import safe_line, safe_name
from tui.text.translation import N_, _, filled, told
from tui.widgets.controls import Field
from tui.widgets.listed import Listed

T = TypeVar("T")
ADD: Final = "add"
"""What the list of devices returns where another one is to be added; a device's id has 64 digits."""

_STANDS: Final = {
    TerminalState.LIVE: (N_("in use"), "$quiet"),
    TerminalState.COPIED: (N_("in use, may have been copied"), "$error"),
    TerminalState.REMOVED: (N_("removed"), "$quiet"),
}
_OVER: Final = (LinkingStage.DONE, LinkingStage.FAILED)
_LOOKING: Final = LinkingView("", LinkingStage.VISIBLE)
_STOP: Final = (("escape", N_("Stop")),)
_CLOSE: Final = (("escape", N_("Close")),)


class Devices(Listed):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("j", "cursor_down"), Binding("k", "cursor_up")]


class DevicesDialog(Dialog[str]):
    """The id of the device to remove, `ADD` for another one, or None."""

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "devices.tcss"]
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("a", "add"), Binding("d,delete", "remove")]
    heading = N_("Your devices")
    hints = (
        ("↑ ↓", N_("Select")),
        ("a", N_("Add a device")),
        ("d", N_("Remove")),
        ("escape", N_("Close")),
    )

    def __init__(self, devices: Sequence[TerminalView], me: SelfView, zone: tzinfo | None = None) -> None:
        super().__init__()
        self._devices, self._me, self._zone = tuple(devices), me, zone

    def body(self) -> list[Widget]:
        about = _("All of them are you. Your contacts see which ones you have.")
        lacking = without_words(self._me, self._devices)
        warned = [plain(with_keys(lacking), classes="strong")] if lacking else []
        return [plain(about, classes="quiet"), *warned, Devices(id="devices", markup=False, compact=True)]

    def follow(self, devices: Sequence[TerminalView]) -> None:
        self._devices = tuple(devices)
        self.draw()

    def draw(self) -> None:
        """Show all of them, those that were removed apart; the cursor stays on its device."""
        if not self.query(Devices):
            return  # closed meanwhile
        shown = self.query_one(Devices)
        before = shown.highlighted_option.id if shown.highlighted_option is not None else None
        removed = [view for view in self._devices if view.state is TerminalState.REMOVED]
        present = [view for view in self._devices if view.is_live]
        options = [Option(_row(view, self._devices, self._zone), id=view.terminal) for view in present]
        if removed:
            options.append(Option(Content.styled("\n" + _("Removed"), "$quiet"), disabled=True))
        options += [Option(_row(view, self._devices), id=view.terminal) for view in removed]
        shown.set_options(options)
        at = [option.id for option in options]
        shown.highlighted = at.index(before) if before is not None and before in at else 0

    def removal_of_first(self, view: TerminalView) -> list[str]:
        """What the removal of a device changes among all, if it is the first one."""
        return removal_of_first(self._me, self._devices, view, action("recovery").key)

    def find(self, terminal: str) -> TerminalView | None:
        return next((view for view in self._devices if view.terminal == terminal), None)

    def action_add(self) -> None:
        self.end(ADD)

    def action_remove(self) -> None:
        option = self.query_one(Devices).highlighted_option
        chosen = self.find(option.id or "") if option is not None else None
        if chosen is None or not chosen.removable:
            self.fail(_("This device was removed already."))
        else:
            self.end(chosen.terminal)


class LinkingDialog(Dialog[T]):
    """One linking to its end, on either side. Subclasses begin it, and say what is shown.

    `view`: where it stands.
    """

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "pairing.tcss"]
    VERTICAL_BREAKPOINTS = WHOLE_FROM
    AUTO_FOCUS = ""
    KEYS_WAIT_FOR = frozenset(("begin", "answer"))
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)"),
        Binding("n", "answer(False)"),
        Binding("d", "digits"),
        Binding("enter", "close_ended", show=False),
    ]
    hints = _STOP

    def __init__(self) -> None:
        super().__init__()
        self.view = _LOOKING
        self._answered = self._digits = False

    def about(self) -> Content:
        """What happens, and what to do."""
        return Content("")

    def waits(self) -> str:
        """What is waited for before there are words."""
        return ""

    def reply(self, same: bool) -> None:
        """Pass on that the words are the same on both devices, or not."""

    def keys(self) -> tuple[tuple[str, str], ...]:
        """The keys that hold now, marked by `N_`."""
        if self.asking:
            return ()  # the answers, which are buttons
        return _CLOSE if self.ended else _STOP

    def body(self) -> list[Widget]:
        yes, no = f"y  {_('They match')}", f"n  {_('No, stop')}"
        return [
            plain("", id="who"),
            plain("", id="words"),
            plain("", id="question"),
            Horizontal(
                Button(yes, id="yes", variant="success", compact=True, action="screen.answer(True)"),
                Button(no, id="no", variant="error", compact=True, action="screen.answer(False)"),
                id="buttons",
            ),
        ]

    @property
    def ended(self) -> bool:
        return self.view.stage in _OVER

    @property
    def asking(self) -> bool:
        return self.view.stage is LinkingStage.WORDS and not self._answered

    def follow(self, view: LinkingView) -> None:
        self._answered = self._answered and self.view.stage is view.stage
        self.view = view
        self.draw()

    def action_answer(self, same: bool) -> None:
        if self.asking:
            self._answered = True
            self.draw()
            self.reply(same)

    def action_digits(self) -> None:
        """Show the words in digits, or the words again."""
        if self.view.stage is LinkingStage.WORDS:
            self._digits = not self._digits
            self.draw()

    def action_close_ended(self) -> None:
        if self.ended:
            self.action_leave()

    def draw(self) -> None:
        if not self.query("#who"):
            return  # closed meanwhile
        stage = self.view.stage
        who = self.query_one("#who", Static)
        who.update(self.about())
        who.display = stage is not LinkingStage.FAILED
        words = self.query_one("#words", Static)
        words.update(compared(self.view, self.app.size.height, digits=self._digits))
        words.display = stage is LinkingStage.WORDS
        question = self.query_one("#question", Static)
        asked = self._question()
        question.update(Content(asked))
        question.set_class(stage is LinkingStage.FAILED, "-failed")
        question.display = bool(asked)
        self.query_one("#buttons").display = self.asking
        shown = (digits_hint(digits=self._digits),) if stage is LinkingStage.WORDS else ()
        self.set_hints((*shown, *((key, _(said)) for key, said in self.keys())))

    def _question(self) -> str:
        match self.view.stage:
            case LinkingStage.VISIBLE:
                return self.waits()
            case LinkingStage.WORDS if self._answered:
                return _("One moment…")
            case LinkingStage.WORDS:
                return _("Does the other screen show the same words in the same order?")
            case LinkingStage.WAITING:
                return _("Waiting for the other device.")
            case LinkingStage.FAILED:
                return with_keys(safe_line(told(self.view.problem)))
            case _:
                return ""


class AddDialog(LinkingDialog[bool]):
    """Adds a device. Who leaves it stops that; `under_way` says whether the engine has to be told."""

    heading = N_("Add a device")

    def __init__(self, messenger: Messenger, addresses: tuple[str, ...]) -> None:
        super().__init__()
        self._messenger, self._addresses = messenger, addresses

    def on_mount(self) -> None:
        start_worker(self, "begin", self._begin)

    @property
    def under_way(self) -> bool:
        return bool(self.view.id) and not self.ended

    def concerns(self, view: LinkingView) -> bool:
        """Until the call has returned, what begins now is this one."""
        return view.id == self.view.id or self.view is _LOOKING

    def about(self) -> Content:
        name = (safe_name(self.view.name), "bold")
        match self.view.stage:
            case LinkingStage.VISIBLE:
                return Content(self._told())
            case LinkingStage.DONE:
                return filled(_("The device {name} was added. Your contacts see that."), name=name)
            case _:
                return filled(_("The device {name} wants to be added."), name=name)

    def waits(self) -> str:
        return _("Waiting for the other device.")

    def reply(self, same: bool) -> None:
        start_worker(self, "answer", self._reply, same)

    async def _begin(self) -> None:
        begun = await attempt(self._messenger.add_terminal())
        if isinstance(begun, Problem):
            self.follow(LinkingView("", LinkingStage.FAILED, problem=Phrase(begun.text)))
        elif begun.id != self.view.id:  # else its events have come before
            self.follow(begun)

    async def _reply(self, same: bool) -> None:
        refused = await attempt(self._messenger.answer_linking(self.view.id, same))
        if isinstance(refused, Problem) and not self.ended:
            self.fail(refused.text)

    def _told(self) -> str:
        steps = _(
            "Start Parlour on the new device within two minutes, and press F3 on its first screen. "
            "On the command line, run 'parlour terminal link' there."
        )
        found = _("If it finds no device of yours, give it one of these addresses: {addresses}")
        addresses = "  ".join(self._addresses) or _("no address: this device is not on a network")
        return f"{steps}\n\n{found.format(addresses=addresses)}"


class LinkDialog(LinkingDialog[Messenger]):
    """Makes this device one of a person who has another one; the result is the new profile's messenger.

    The other device is looked for nearby until its address is given. Nothing is stored before both said yes.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("a", "address")]
    heading = N_("Link to a device that you have")

    def __init__(self, door: Door, name: str, passphrase: str) -> None:
        super().__init__()
        self._door, self._called, self._passphrase = door, name, passphrase
        self._same: asyncio.Future[bool] | None = None

    def body(self) -> list[Widget]:
        who, *others = super().body()
        field = Field(id="address", placeholder="192.168.1.20:4747", squeeze=True)
        field.display = False
        return [who, field, *others]

    def on_mount(self) -> None:
        self._begin(None)

    def about(self) -> Content:
        if self._typing:
            return Content(_("Type the address that your other device shows while it adds one."))
        if self.view.stage is not LinkingStage.VISIBLE:
            name = (safe_name(self.view.name), "bold")
            return filled(_("This becomes a device of {name}."), name=name)
        said = _("Add a device on the one that you have: press {key} there, or run 'parlour terminal add'.")
        return Content(said.format(key=action("devices").key))

    def waits(self) -> str:
        return "" if self._typing else _("Looking for your other device…")

    def keys(self) -> tuple[tuple[str, str], ...]:
        if self._typing:
            return (("enter", N_("Connect")), *_STOP)
        if self.view.stage in (LinkingStage.VISIBLE, LinkingStage.FAILED):
            return (("a", N_("Give its address")), *super().keys())
        return super().keys()

    def reply(self, same: bool) -> None:
        if self._same is not None and not self._same.done():  # else it has failed meanwhile
            self._same.set_result(same)

    def action_address(self) -> None:
        """Take an address. The search ends: no question comes while one types."""
        if self.view.stage in (LinkingStage.VISIBLE, LinkingStage.FAILED):
            self.workers.cancel_group(self, "link")
            field = self.query_one("#address", Field)
            field.display = True
            field.focus()
            self.follow(_LOOKING)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        address = parse_address(event.value)
        if address is None:
            self.fail(_("This is not an address. Write it like 192.168.1.20:4747 or [fe80::1%eth0]:4747."))
            return
        self.fail("")
        self.query_one("#address").display = False
        self.set_focus(None)
        self.follow(_LOOKING)
        self._begin(address)

    def action_leave(self) -> None:
        self.workers.cancel_group(self, "link")  # before it returns a messenger that nobody takes
        self.end(None)

    @property
    def _typing(self) -> bool:
        return self.query_one("#address").display

    def _begin(self, address: tuple[str, int] | None) -> None:
        start_worker(self, "link", self._link, address, exclusive=True)

    async def _link(self, address: tuple[str, int] | None) -> None:
        linked = await attempt(self._door.link(self._called, self._passphrase, self._compare, address))
        if isinstance(linked, Problem):
            self.follow(LinkingView("", LinkingStage.FAILED, problem=Phrase(linked.text)))
        else:
            self.end(linked)

    async def _compare(self, view: LinkingView) -> bool:
        self._same = asyncio.get_running_loop().create_future()
        self.follow(view)
        same = await self._same
        if same:
            self.follow(LinkingView("", LinkingStage.WAITING, view.name))
        return same


def _row(view: TerminalView, devices: Sequence[TerminalView], zone: tzinfo | None = None) -> Content:
    """A device: its name and id, how it stands, and below when it was seen, and who added and removed it."""
    stands, style = _STANDS[view.state]
    called = _called(view, devices)
    parts = [(called, "bold"), (f"  {_short(view)}" if called != _short(view) else "", "$quiet")]
    parts += [(f"  {_('this device')}", "$primary")] if view.this else []
    parts += [(f"  {_(stands)}", style)] if view.is_live else []
    by = [seen] if (seen := seen_line(view, zone)) else []
    if view.added_by:
        by.append(_("added by {device}").format(device=_by(view.added_by, devices)))
    if view.removed_by:
        by.append(_("removed by {device}").format(device=_by(view.removed_by, devices)))
    elif view.state is TerminalState.REMOVED:
        by.append(_("removed with your recovery words"))
    below = [("\n  " + "  ".join(by), "$quiet")] if by else []
    left = [(f"\n  {_(LEFT)}", "$error")] if view.left else []
    return Content.assemble(*parts, *below, *left)


def _called(view: TerminalView, devices: Sequence[TerminalView]) -> str:
    """Its name. A recovery brings nameless ones too: then only their ids tell which was the first."""
    if view.name:
        return safe_name(view.name)
    return _("first device") if sum(not one.name for one in devices) == 1 else _short(view)


def _short(view: TerminalView) -> str:
    return _("{device}…").format(device=view.terminal[:DEVICE_DIGITS])


def _by(terminal: str, devices: Sequence[TerminalView]) -> str:
    known = next((view for view in devices if view.terminal == terminal), None)
    if known is None:
        return _("{device}…").format(device=terminal[:DEVICE_DIGITS])
    if known.this:
        return _("this device")
    called = _called(known, devices)
    return _("the first device") if called == _("first device") and not known.name else called
