"""The part that meets people: nearby, by invitation, by address; and what is asked of this person.

Rules: one question at a time, and only /yes or /no typed after it answers it; one that came by itself takes
no answer at once at a terminal; a confirmation that this person asked for ends with the next line.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import Final

from chat.interface import NearbyView, PairingStage, PairingView, UsageError
from tui.linear.base import Asked, Base, Tools, pick
from tui.linear.wording import invitation_lines, listed, plain_name
from tui.text.formatting import parse_address, safe_line
from tui.text.translation import _, told

ASKING: Final = (PairingStage.WORDS, PairingStage.JOINER)
_ORDER: Final = tuple(PairingStage)
STRANGERS_TOLD: Final = 5
"""Strangers who are told unasked; more would be a way to disturb, because anybody can announce many."""

ON_OFF: Final = {"on": True, "off": False}


class PairingCommands(Base):
    """Pairing, inviting, joining, being visible."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self._asked: Asked | None = None
        self._waiting: list[Asked] = []
        self._begun: set[str] = set()
        self._stages: dict[str, PairingStage] = {}
        self._strangers: set[str] = set()
        self._told_strangers: set[str] = set()

    # Questions.

    async def ask(self, question: Asked) -> None:
        if question.fleeting and self._asked is not None:
            raise UsageError(_("Answer first what was asked: an empty line tells it again."))
        self._waiting.append(question)
        await self._ask_next()

    async def do_yes(self, _typed: str) -> None:
        await self._answer(yes=True)

    async def do_no(self, _typed: str) -> None:
        await self._answer(yes=False)

    @property
    def asking(self) -> bool:
        """Whether something waits for an answer."""
        return self._asked is not None

    async def repeat_question(self) -> None:
        """Say again what waits for an answer."""
        if self._asked is not None:
            await self.say(*self._asked.lines)

    async def end_confirmation(self) -> None:
        """A line that is no answer: what this person wanted to confirm is not done."""
        if self._asked is not None and self._asked.fleeting:
            self._asked = None
            await self.say(_("Nothing was changed."))
            await self._ask_next()

    async def _answer(self, *, yes: bool) -> None:
        asked = self._asked
        if asked is None:
            raise UsageError(_("Nothing was asked."))
        waited = self.options.monotonic() - asked.since
        if self.live and asked.came and waited < self.options.quiet:
            raise UsageError(_("This came too soon after the question. Hear it, then answer again."))
        self._asked = None
        try:
            await asked.answer(yes)
        finally:
            await self._ask_next()

    async def _ask_next(self) -> None:
        if self._asked is None and self._waiting:
            self._asked = replace(self._waiting.pop(0), since=self.options.monotonic())
            await self.say(*self._asked.lines)

    async def _forget_question(self, about: str) -> None:
        self._waiting = [one for one in self._waiting if one.about != about]
        if self._asked is not None and self._asked.about == about:
            self._asked = None
            await self._ask_next()

    # Strangers.

    async def do_nearby(self, _typed: str) -> None:
        self.nearby = await self.messenger.nearby()
        self._told_strangers.clear()
        if not self.nearby:
            await self.say(_("Nobody is visible nearby. /address, /invite and /join need nobody to be."))
        for at, view in enumerate(self.nearby, 1):
            await self.say(_("{number}. {line}").format(number=at, line=plain_name(view.name)))

    async def strangers_moved(self, nearby: tuple[NearbyView, ...]) -> None:
        """Tell who has become visible, as long as they are few."""
        fresh = [view for view in nearby if view.instance not in self._strangers]
        self.nearby = nearby
        self._strangers = {view.instance for view in nearby}
        for name in (plain_name(view.name) for view in fresh):
            if name in self._told_strangers or len(self._told_strangers) > STRANGERS_TOLD:
                continue
            self._told_strangers.add(name)
            if len(self._told_strangers) > STRANGERS_TOLD:
                await self.tell(_("More people are visible nearby: /nearby tells them."))
            elif self.tells("presence"):
                said = _("{name} is visible nearby. /pair pairs with them.")
                await self.tell(said.format(name=name))

    async def do_visible(self, typed: str) -> None:
        await self.messenger.set_visible(on_or_off(typed, otherwise=not self.me.visible))

    async def do_pair(self, typed: str) -> None:
        nearby = self.nearby
        names = [plain_name(view.name) for view in nearby]
        at = pick(typed, names) if typed else 0 if len(nearby) == 1 else None
        if at is None:
            raise UsageError(_("Type /pair and a name or a number that /nearby tells."))
        await self._begin(names[at], self.messenger.pair_nearby(nearby[at].instance))

    async def do_address(self, typed: str) -> None:
        address = parse_address(typed)
        if address is None:
            problem = _("This is not an address. Write it like 192.168.1.20:4747 or [fe80::1%eth0]:4747.")
            raise UsageError(problem)
        await self._begin(safe_line(typed), self.messenger.pair_address(*address))

    async def do_join(self, typed: str) -> None:
        text = "".join(typed.split())
        if not text:
            raise UsageError(_("Type /join and the whole text that you were given."))
        await self._begin(_("the other device"), self.messenger.join(text))

    async def do_invite(self, _typed: str) -> None:
        await self.say(*invitation_lines(await self.messenger.invite(), self.options.zone))

    # Pairings.

    async def _begin(self, peer: str, call: Awaitable[PairingView]) -> None:
        await self.say(_("Connecting to {name}…").format(name=peer))
        view = await call
        self._begun.add(view.id)
        await self.pairing_moved(view)

    async def pairing_moved(self, view: PairingView) -> None:
        """A pairing came to another stage."""
        known = view.id in self._begun or view.id in self._stages
        # What a call returned may be further than the events that are still to be heard.
        came = _ORDER.index(view.stage) > _ORDER.index(self._stages.get(view.id, PairingStage.CONNECTING))
        if not came or not (known or view.incoming or view.stage is PairingStage.DONE):
            return
        self._stages[view.id] = view.stage
        name = plain_name(view.peer) if view.peer else _("the other device")
        if view.stage in ASKING:
            answer = partial(self.messenger.answer_pairing, view.id)
            await self.ask(Asked(view.id, _question(view, name), answer, came=view.incoming))
        elif view.stage is PairingStage.WAITING:
            await self.say(_("Waiting for {name}, who has to confirm as well.").format(name=name))
        elif view.stage in (PairingStage.DONE, PairingStage.FAILED):
            await self._end(view, name, known=known)

    async def _end(self, view: PairingView, name: str, *, known: bool) -> None:
        await self._forget_question(view.id)
        if view.stage is PairingStage.FAILED:
            if known and view.problem:  # without one, the other side's own pairing goes on
                problem = safe_line(told(view.problem))
                await self.say(_("Pairing with {name} failed. {problem}").format(name=name, problem=problem))
            return
        await self.learn(view.contact)
        compared = _("Paired with {name}. You can write now.")
        later = _("Paired with {name}. Compare the safety number when you can: {key}.")
        said = (compared if view.words else later).format(name=self.name_of(view.contact), key="/verify")
        await self.say(said)
        if self.current is None:  # a text that is being typed had nowhere to go
            await self.open_conversation(view.contact)

    async def learn(self, person: str) -> None:
        """Know a contact whose own event has not come yet."""
        if person not in self.contacts:
            self.contacts = {view.person: view for view in await self.messenger.contacts()}


def _question(view: PairingView, name: str) -> tuple[str, ...]:
    if view.stage is PairingStage.JOINER:
        return (
            _("Someone named {name} used your invitation.").format(name=name),
            _("Is this the person you invited? Anyone can use any name. If in doubt, ask them."),
            _("Type /yes or /no."),
        )
    begins = _("{name} wants to pair with you.") if view.incoming else _("Connected to {name}.")
    words = listed(safe_line(word) for word in view.words)
    return (
        begins.format(name=name),
        _("The five words are {words}.").format(words=words),
        _("Read them to each other. Does {name} have the same, in this order? Type /yes or /no.").format(
            name=name
        ),
    )


def on_or_off(typed: str, *, otherwise: bool) -> bool:
    """What somebody wants; where nothing was said, the other than now. Raises UsageError."""
    if not typed:
        return otherwise
    if typed.casefold() not in ON_OFF:
        raise UsageError(_("Type on or off."))
    return ON_OFF[typed.casefold()]
