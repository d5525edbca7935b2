"""The part that names relays: lists them, adds and removes one, and tells how they stand.

Rules: a removal is asked first; a relay is told by host and port after the word itself, since whoever made an
invitation chose its host.
"""

from __future__ import annotations

from typing import Final

from chat.interface import RelayView, UsageError
from tui.linear.base import Asked, Base, Tools, pick
from tui.linear.wording import listed
from tui.relays import GONE, SEES, is_decided, place, words
from tui.texts import _

_ADD: Final = "add"
_REMOVE: Final = "remove"


class Relays(Base):
    """The relays that this person named."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self.relays: dict[str, RelayView] = {}

    async def do_relays(self, typed: str) -> None:
        order, _space, rest = typed.partition(" ")
        if not order:
            await self._list()
        elif order == _ADD and rest.strip():
            added = await self.messenger.add_relay(rest)
            said = _("Relay {relay} is named: you meet contacts there too, and invitations carry it.")
            await self.say(said.format(relay=place(added)))
        elif order == _REMOVE and rest.strip():
            await self._ask_to_remove(rest)
        else:
            raise UsageError(_("Type /relays, /relays add ADDRESS or /relays remove NUMBER."))

    async def _list(self) -> None:
        views = await self.messenger.relays()
        await self.say(_(SEES))
        if not views:
            await self.say(_("No relay is named yet. /relays add ADDRESS names one."))
        for at, view in enumerate(views, 1):
            line = _("Relay {relay}, {how}").format(relay=place(view), how=_how(view))
            await self.say(_("{number}. {line}").format(number=at, line=line))

    async def _ask_to_remove(self, typed: str) -> None:
        views = await self.messenger.relays()
        at = pick(typed, [place(view) for view in views])
        if at is None:
            raise UsageError(_("No such relay is named: /relays tells those that are."))
        view = views[at]

        async def answer(yes: bool) -> None:
            if not yes:
                await self.say(_("Nothing was changed."))
                return
            await self.messenger.remove_relay(view.address)
            await self.say(_("Relay {relay} is used no more.").format(relay=place(view)))

        question = _("Use the relay {relay} no more?").format(relay=place(view))
        lines = question, _(GONE), _("Type /yes or /no.")
        await self.ask(Asked(view.address, lines, answer, fleeting=True))

    async def relay_changed(self, view: RelayView) -> None:
        """Tell how a relay stands, when that is decided and not what was told before."""
        before = self.relays.get(view.address)
        if not is_decided(view):
            self.relays.setdefault(view.address, view)
            return
        self.relays[view.address] = view
        is_news = before is None or before.standing is not view.standing
        if is_news and self.tells("presence"):
            await self.tell(_("Relay {relay}, {how}.").format(relay=place(view), how=words(view)))

    def relay_removed(self, address: str) -> None:
        """A relay is named no more."""
        self.relays.pop(address, None)


def _how(view: RelayView) -> str:
    return listed([words(view), *([_("from an invitation")] if view.invited else [])])
