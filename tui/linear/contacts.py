"""The part that cares for contacts and for how things are told: verify, rename, block, remove, settings.

Rules: what cannot be taken back is asked first; *verified* is taken only after the number was told here;
what holds is said as a sentence after each change.

The part that names relays: lists them, adds and removes one, and tells how they stand.

Rules: a removal is asked first; a relay is told by host and port after the word itself, since whoever made
an invitation chose its host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from chat.interface import ContactView, RelayView, UsageError
from tui.linear.base import TOLD, Asked, Base, Tools, pick
from tui.linear.pairing import ON_OFF, PairingCommands, on_or_off
from tui.linear.wording import diagnosis_line, listed, names_of, number_lines, self_lines, standing
from tui.preferences import AUTOLOCK_MAX, switch
from tui.text import translation
from tui.text.formatting import GONE, SEES, is_decided, place, words
from tui.text.translation import N_, _

_SENTENCES: Final = {
    "presence": (N_("Who comes and goes is told."), N_("Who comes and goes is not told.")),
    "typing": (N_("Who is typing is told."), N_("Who is typing is not told.")),
    "delivery": (
        N_("What becomes of your last message is told."),
        N_("What becomes of your last message is not told."),
    ),
}
_SETTINGS: Final = {
    "receipts": N_("Tell contacts when I have read an entry"),
    "typing": N_("Tell contacts while I am typing"),
    "bell": N_("Ring the terminal's bell for an entry that arrives"),
    "autolock": N_("Minutes without a line after which Parlour locks, 0 for never"),
    "language": N_("The language, one of {languages}"),
}


class ContactCommands(PairingCommands):
    """Contacts, settings, doctor."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools)
        self.numbers_told: set[str] = set()

    async def do_people(self, _typed: str) -> None:
        names = names_of(self.contacts.values())
        if not names:
            await self.say(_("You have no contacts yet: /nearby, /invite, /join and /address find some."))
        for at, view in enumerate(self.in_order(), 1):
            how = standing(view, muted=self.preferences.muted(view.person))
            line = _("{name}, {how}").format(name=names[view.person], how=how)
            await self.say(_("{number}. {line}").format(number=at, line=line))

    async def do_me(self, _typed: str) -> None:
        await self.say(*self_lines(self.me))

    # Contacts.

    async def do_verify(self, typed: str) -> None:
        view = self.chosen()
        name = self.name_of(view.person)
        if typed and typed.casefold() not in ("yes", "no"):
            raise UsageError(_("Type /verify, then /verify yes or /verify no."))
        if typed.casefold() == "no" or (typed and view.person in self.numbers_told):
            same = typed.casefold() == "yes"
            await self.messenger.set_verified(view.person, same)
            self.know(replace(view, verified=same, held=False))
            said = _("{name} is verified.") if same else _("{name} is not verified.")
            await self.say(said.format(name=name))
            return
        await self._tell_number(view, name)

    async def _tell_number(self, view: ContactView, name: str) -> None:
        number = await self.messenger.safety_number(view.person)
        self.numbers_told.add(view.person)
        await self.say(_("{name} should see exactly this number.").format(name=name), *number_lines(number))
        await self.say(_("Read it to each other in person or by phone, never in a message."))
        await self.say(
            _("Where it is the same, type /verify yes; where it differs, somebody is between you.")
        )

    async def do_rename(self, typed: str) -> None:
        view = self.chosen()
        if not typed:
            raise UsageError(_("Type /rename and the new name."))
        await self.messenger.rename(view.person, typed)

    async def do_mute(self, typed: str) -> None:
        view = self.chosen()
        on = on_or_off(typed, otherwise=not self.preferences.muted(view.person))
        await self.preferences.mute(view.person, on=on)
        said = _("{name} is muted.") if on else _("{name} is not muted.")
        await self.say(said.format(name=self.name_of(view.person)))

    async def do_block(self, typed: str) -> None:
        view = self.chosen()
        name = self.name_of(view.person)
        if not on_or_off(typed, otherwise=not view.blocked):
            await self._block(view, name, on=False)
            return
        question = _("Block {name}?").format(name=name)
        why = _(
            "A blocked contact gets no answer, and you see nothing from them. You can unblock them later."
        )
        await self._confirm(view, (question, why), lambda: self._block(view, name, on=True))

    async def do_remove(self, typed: str) -> None:
        view = self.contact_or_chosen(typed)
        question = _("Remove {name}?").format(name=self.name_of(view.person))
        why = _("Deletes the contact, their keys and the conversation from this device permanently.")
        await self._confirm(view, (question, why), lambda: self.messenger.remove(view.person))

    async def _block(self, view: ContactView, name: str, *, on: bool) -> None:
        await self.messenger.block(view.person, on)
        self.know(replace(view, blocked=on))
        said = _("{name} is blocked.") if on else _("{name} is not blocked any more.")
        await self.say(said.format(name=name))

    async def _confirm(
        self, view: ContactView, lines: tuple[str, ...], do: Callable[[], Awaitable[None]]
    ) -> None:
        async def answer(yes: bool) -> None:
            if yes:
                await do()
            else:
                await self.say(_("Nothing was changed."))

        await self.ask(Asked(view.person, (*lines, _("Type /yes or /no.")), answer, fleeting=True))

    # How things are told, and the rest.

    async def do_quiet(self, typed: str) -> None:
        if typed and typed not in TOLD:
            raise UsageError(_("Type /quiet and one of {names}.").format(names=listed(TOLD)))
        if typed:
            on = not self.tells(typed)
            await self.preferences.set(f"linear.{typed}", switch(on, default=TOLD[typed]))
        for what in (typed,) if typed else TOLD:
            told, untold = _SENTENCES[what]
            await self.say(_(told) if self.tells(what) else _(untold))

    async def do_settings(self, typed: str) -> None:
        name, _space, value = typed.partition(" ")
        if name and name not in _SETTINGS:
            raise UsageError(_("There is no such setting: /settings tells them."))
        if value:
            await self._change(name, value.strip())
        held = await self._held()
        for one in (name,) if name else _SETTINGS:
            help_ = _(_SETTINGS[one]).format(languages=listed(translation.LANGUAGES))
            await self.say(_("{name} is {value}. {help}.").format(name=one, value=held[one], help=help_))

    async def _held(self) -> dict[str, str]:
        """The value of each setting, as it is typed."""
        settings = await self.messenger.settings()
        words = {on: word for word, on in ON_OFF.items()}
        return {
            "receipts": words[settings.read_receipts],
            "typing": words[settings.typing],
            "bell": words[self.rings],
            "autolock": str(self.preferences.autolock),
            "language": self.preferences.language or _("that of the system"),
        }

    @property
    def rings(self) -> bool:
        """Whether entries ring: not unless it is wanted, because each is heard anyway."""
        return self.preferences.get("linear.bell") == "on"

    async def _change(self, name: str, value: str) -> None:
        if name == "autolock":
            if not (value.isascii() and value.isdecimal() and int(value) <= AUTOLOCK_MAX):
                raise UsageError(
                    _("Type a number of minutes between 0 and {most}.").format(most=AUTOLOCK_MAX)
                )
            await self.preferences.set(name, value)
        elif name == "language":
            await self._speak(value)
        elif name == "bell":
            on = on_or_off(value, otherwise=False)
            await self.preferences.set("linear.bell", switch(on, default=False))
        else:
            on = on_or_off(value, otherwise=False)
            field = "read_receipts" if name == "receipts" else name
            settings = await self.messenger.settings()
            await self.messenger.change_settings(replace(settings, **{field: on}))

    async def _speak(self, language: str) -> None:
        fitting = [one for one in translation.LANGUAGES if one.casefold() == language.casefold()]
        if not fitting:
            raise UsageError(_("The languages are {names}.").format(names=listed(translation.LANGUAGES)))
        translation.use(fitting[0])
        await self.preferences.set("language", fitting[0])

    async def do_doctor(self, _typed: str) -> None:
        await self.say(_("Checking network, firewall and profile…"))
        await self.say(*map(diagnosis_line, await self.messenger.diagnose()))


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
            said = _(
                "Relay {relay} added. Contacts can reach you through it, and your invitations include it."
            )
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

        question = _("Remove the relay {relay}?").format(relay=place(view))
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
