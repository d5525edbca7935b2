"""The devices of one's own: lists them, adds another one by comparing words, and removes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import partial
from typing import Final

from chat.interface import (
    HistoryMoving,
    LinkingChanged,
    LinkingStage,
    LinkingView,
    Messenger,
    RetentionView,
    TerminalState,
    TerminalView,
    UsageError,
)
from tui.linear.output import Output
from tui.linear.state import Question, Questions, State
from tui.linear.wording import in_digits, listed
from tui.text.formatting import (
    DEVICE_DIGITS,
    LEFT,
    device_name,
    moving_line,
    removal_of_first,
    seen_line,
    without_words,
)
from tui.text.recovery import foreseen_lines, gone_lines, picked_devices, removal_lines, removed_line
from tui.text.safe import safe_line, safe_name
from tui.text.translation import N_, _, told

_STANDS: Final = {
    TerminalState.LIVE: N_("in use"),
    TerminalState.COPIED: N_("in use, may have been copied"),
    TerminalState.REMOVED: N_("removed"),
}
_ABOUT: Final = "devices"
_LOST: Final = "lost"


@dataclass
class Devices:
    messenger: Messenger
    output: Output
    state: State
    questions: Questions
    zone: tzinfo | None = None
    _shown: list[TerminalView] = field(init=False, default_factory=list)
    _tenth: int | None = field(init=False, default=None)

    async def devices(self, typed: str) -> None:
        order, _space, rest = typed.partition(" ")
        if not typed:
            await self._list()
        elif order == "add" and not rest:
            await self._add()
        elif order == "stop" and not rest:
            await self.messenger.stop_adding()
        elif order == "remove" and rest.strip():
            await self._ask_to_remove(rest)
        elif order == "keeper" and rest.strip():
            await self._choose_keeper(rest.strip())
        else:
            raise UsageError(
                _(
                    "Type /devices, /devices add, /devices stop, /devices remove NUMBER, or /devices keeper"
                    " NUMBER or none."
                )
            )

    async def _list(self) -> None:
        self._shown = list(await self.messenger.terminals())
        for number, view in enumerate(self._shown, 1):
            await self.output.say(
                _("{number}. {line}").format(number=number, line=_line(view, self._shown, self.zone))
            )
        if said := without_words(await self.messenger.me(), self._shown):
            await self.output.say(said)
        if (kept := await self.messenger.retention()).keeper:
            await self._say_keeper(kept)
        await self.output.say(_("/devices add adds a device of yours, on which Parlour is not set up yet."))

    async def _add(self) -> None:
        await self.messenger.add_terminal()
        addresses = listed(self.state.me.addresses)
        await self.output.say(
            _("Run 'parlour terminal link' on the new device within two minutes. /devices stop ends this."),
            _("If it finds no device of yours, give it one of these addresses: {addresses}").format(
                addresses=addresses
            ),
        )

    async def _choose_keeper(self, typed: str) -> None:
        """The number is that of the list that was shown."""
        picked = [] if typed == "none" else picked_devices(typed, self._shown)
        if typed != "none" and len(picked) != 1:
            raise UsageError(_("Type the number of one device, as /devices shows it."))
        await self._say_keeper(await self.messenger.choose_keeper(picked[0].terminal if picked else ""))

    async def _say_keeper(self, kept: RetentionView) -> None:
        for view in await self.messenger.terminals():
            if view.terminal == kept.keeper:
                said = _("{device} is your keeper: it holds all messages for your other devices.")
                await self.output.say(said.format(device=device_name(view)))
                return
        await self.output.say(_("You chose no keeper: nothing leaves any of your devices."))

    async def _ask_to_remove(self, typed: str) -> None:
        """The number is that of the list that was shown: another device may have come since."""
        number, _space, how = typed.strip().partition(" ")
        lost = how.strip() == _LOST
        picked = picked_devices(number if lost else typed, self._shown)
        if len(picked) != 1:
            raise UsageError(_("Type the number of one device, as /devices shows it."))
        (view,) = picked
        foreseen = await self.messenger.foresee_removal(view.terminal)
        first = removal_of_first(await self.messenger.me(), self._shown, view, "/recovery")
        question, consequence = removal_lines(view, self._shown)
        otherwise = _("If it was lost, sold or broken, type /no, and the same with lost behind the number.")
        counts = () if view.this else gone_lines(not lost, otherwise)
        falls = foreseen_lines(foreseen, self._shown, self.state.name_of, self.zone)
        lines = *question.split("\n"), consequence, *first, *falls, *counts
        await self.questions.confirm(_ABOUT, lines, partial(self._remove, view, not lost))

    async def _remove(self, view: TerminalView, stolen: bool) -> None:
        await self.output.say(_("Signing…"))
        await self.messenger.remove_terminal(view.terminal, stolen and not view.this)
        await self.output.say(removed_line(view))

    async def changed(self, event: LinkingChanged) -> None:
        view = event.linking
        match view.stage:
            case LinkingStage.WORDS:
                answer = partial(self.messenger.answer_linking, view.id)
                await self.questions.ask(Question(view.id, _words(view), answer, unasked=True))
            case LinkingStage.WAITING:
                await self.output.say(_("Waiting for the other device."))
            case LinkingStage.FAILED:
                await self.questions.withdraw(view.id)
                await self.output.say(safe_line(told(view.problem)))
            case LinkingStage.DONE:
                await self.questions.withdraw(view.id)
                said = _("The device {name} was added. Your contacts see that.")
                await self.output.say(said.format(name=safe_name(view.name)))

    async def history_moves(self, event: HistoryMoving) -> None:
        """Say at the beginning, at each tenth and at the end how far a move of history is."""
        tenth = 10 * event.held // max(event.total, 1) if event.moves else None
        if tenth is not None and self._tenth is not None and tenth <= self._tenth:
            return
        self._tenth = tenth
        if event.moves:
            await self.output.say(moving_line(event))
        elif event.held == event.total:
            all_here = _("The history from {device} is here.")
            await self.output.say(all_here.format(device=safe_name(event.source)))
        else:
            stopped = _("The link ended. The rest of the history from {device} comes with the next one.")
            await self.output.say(stopped.format(device=safe_name(event.source)))


def _line(view: TerminalView, devices: Sequence[TerminalView], zone: tzinfo | None = None) -> str:
    """A device: its name and id, how it stands, and when it was seen."""
    parts = [safe_name(view.name)] if view.name else []
    if not view.name and sum(not one.name for one in devices) == 1:
        parts = [_("first device")]
    parts += [_("this device")] if view.this else []
    parts.append(_(_STANDS[view.state]))
    parts += [seen] if (seen := seen_line(view, zone)) else []
    line = _("{device}…, {how}").format(device=view.terminal[:DEVICE_DIGITS], how=listed(parts))
    return f"{line}. {_(LEFT)}" if view.left else line


def _words(view: LinkingView) -> tuple[str, ...]:
    words = listed(safe_line(word) for word in view.words)
    return (
        _("The device {name} wants to be added.").format(name=safe_name(view.name)),
        _("The five words are {words}.").format(words=words),
        in_digits(view.digits),
        _("Does it show the same words in the same order? Type /yes or /no."),
    )
