"""Pairing: people nearby, invitations, addresses, and the comparison of words."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from chat.interface import Messenger, NearbyView, PairingStage, PairingView, UsageError
from tui.linear.history import History
from tui.linear.output import Output
from tui.linear.state import Question, Questions, State, on_or_off, pick
from tui.linear.wording import in_digits, invitation_lines, listed, plain_name
from tui.preferences import Options
from tui.text.formatting import parse_address
from tui.text.people import digits_line, namesake_lines
from tui.text.safe import safe_line
from tui.text.translation import _, told

_ORDER: Final = tuple(PairingStage)
_OVER: Final = (PairingStage.DONE, PairingStage.FAILED)
STRANGERS_MAX: Final = 5
"""Strangers who are announced; more would be a way to disturb, because anyone can announce many."""


@dataclass
class Pairing:
    messenger: Messenger
    output: Output
    options: Options
    state: State
    questions: Questions
    history: History
    _begun: set[str] = field(init=False, default_factory=set)
    _stages: dict[str, PairingStage] = field(init=False, default_factory=dict)
    _instances: set[str] = field(init=False, default_factory=set)
    _announced: set[str] = field(init=False, default_factory=set)
    _left: set[str] = field(init=False, default_factory=set)  # once, as somebody may come and go

    async def list_nearby(self, _typed: str = "") -> None:
        self.state.nearby = await self.messenger.nearby()
        self._announced.clear()
        self._left.clear()
        if not self.state.nearby:
            said = _("No one nearby is visible. /address, /invite and /join work anyway.")
            await self.output.say(said)
        for at, view in enumerate(self.state.nearby, 1):
            line = _("{number}. {line}").format(number=at, line=plain_name(view.name))
            await self.output.say(line, *namesake_lines(view))

    async def nearby_changed(self, nearby: tuple[NearbyView, ...]) -> None:
        """Announce who has become visible, as long as they are few, and which of them no longer is."""
        before, names = self._instances, {plain_name(view.name) for view in self.state.nearby}
        self.state.nearby = nearby
        self._instances = {view.instance for view in nearby}
        pairs = any(stage not in _OVER for stage in self._stages.values())  # then they leave as contacts
        for gone in sorted(names & self._announced - self._left - {plain_name(view.name) for view in nearby}):
            if self.state.announces("presence") and not pairs:
                self._left.add(gone)
                await self.output.notify(_("{name} is no longer visible nearby.").format(name=gone))
        for view in (view for view in nearby if view.instance not in before):
            name = plain_name(view.name)
            if name in self._announced or len(self._announced) > STRANGERS_MAX:
                continue
            self._announced.add(name)
            if len(self._announced) > STRANGERS_MAX:
                await self.output.notify(_("More people are visible nearby: /nearby lists them."))
            elif self.state.announces("presence"):
                said = _("{name} is visible nearby. /pair pairs with them.")
                await self.output.notify(said.format(name=name), *namesake_lines(view))

    async def visible(self, typed: str) -> None:
        await self.messenger.set_visible(on_or_off(typed, default=not self.state.me.visible))

    async def pair(self, typed: str) -> None:
        nearby = self.state.nearby
        names = [plain_name(view.name) for view in nearby]
        at = pick(typed, names) if typed else 0 if len(nearby) == 1 else None
        if at is None:
            raise UsageError(_("Type /pair and a name or a number from /nearby."))
        await self._begin(names[at], self.messenger.pair_nearby(nearby[at].instance))

    async def address(self, typed: str) -> None:
        address = parse_address(typed)
        if address is None:
            problem = _("This is not an address. Write it like 192.168.1.20:4747 or [fe80::1%eth0]:4747.")
            raise UsageError(problem)
        await self._begin(safe_line(typed), self.messenger.pair_address(*address))

    async def join(self, typed: str) -> None:
        text = "".join(typed.split())
        if not text:
            raise UsageError(_("Type /join and the whole invitation."))
        await self._begin(_("the other device"), self.messenger.join(text))

    async def invite(self, _typed: str = "") -> None:
        lines = invitation_lines(await self.messenger.invite(), self.options.zone)
        await self.output.say(*lines, whole=True)

    async def _begin(self, peer: str, call: Awaitable[PairingView]) -> None:
        await self.output.say(_("Connecting to {name}…").format(name=peer))
        view = await call
        self._begun.add(view.id)
        await self.changed(view)

    async def changed(self, view: PairingView) -> None:
        known = view.id in self._begun or view.id in self._stages
        # What a call returned may be further than the events that are still to come.
        came = _ORDER.index(view.stage) > _ORDER.index(self._stages.get(view.id, PairingStage.CONNECTING))
        if not came or not (known or view.incoming or view.stage is PairingStage.DONE):
            return
        self._stages[view.id] = view.stage
        name = plain_name(view.peer) if view.peer else _("the other device")
        match view.stage:
            case PairingStage.WORDS | PairingStage.JOINER:
                answer = partial(self.messenger.answer_pairing, view.id)
                await self.questions.ask(
                    Question(view.id, _question_lines(view, name), answer, unasked=view.incoming)
                )
            case PairingStage.WAITING:
                said = _("Waiting for {name} to confirm.").format(name=name)
                await self.output.say(said)
            case PairingStage.FAILED:
                await self.questions.withdraw(view.id)
                if known and view.problem:  # without one, the other side's own pairing goes on
                    said = _("Pairing with {name} failed. {problem}")
                    await self.output.say(said.format(name=name, problem=safe_line(told(view.problem))))
            case PairingStage.DONE:
                await self._done(view)

    async def _done(self, view: PairingView) -> None:
        await self.questions.withdraw(view.id)
        await self.state.load_contacts(including=view.contact)
        compared = _("Paired with {name}. You can write now.")
        later = _("Paired with {name}. Compare the safety number when you can: {key}.")
        said = compared if view.words else later
        known = self.state.contacts.get(view.contact)
        digits = digits_line(known.label) if known is not None else ""
        line = said.format(name=self.state.name_of(view.contact), key="/verify")
        await self.output.say(line, *filter(None, [digits]))
        if self.state.current is None:  # a text that is being typed had no recipient
            await self.history.open_conversation(view.contact)


def _question_lines(view: PairingView, name: str) -> tuple[str, ...]:
    if view.stage is PairingStage.JOINER:
        return (
            _("Someone named {name} used your invitation.").format(name=name),
            *namesake_lines(view),
            _("Is this the person you invited? Anyone can use any name. If in doubt, ask them."),
            _("Type /yes or /no."),
        )
    begins = _("{name} wants to pair with you.") if view.incoming else _("Connected to {name}.")
    words = listed(safe_line(word) for word in view.words)
    same = _("Read them to each other. Does {name} have the same words in the same order? Type /yes or /no.")
    return (
        begins.format(name=name),
        *namesake_lines(view),
        _("The five words are {words}.").format(words=words),
        in_digits(view.digits),
        same.format(name=name),
    )
