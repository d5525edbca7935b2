"""Settings, the relays that this person uses, recovery words, and the diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from chat.interface import (
    SHORT_PASSPHRASE,
    Messenger,
    RelayView,
    UsageError,
    passphrase_problem,
)
from tui.linear.input import LineInput
from tui.linear.output import Output
from tui.linear.state import ANNOUNCED, ON_OFF, Questions, State, on_or_off, pick
from tui.linear.wording import diagnosis_line, listed
from tui.preferences import AMOUNTS, AUTOLOCK_MAX, Preferences, amount, is_size, switch
from tui.text import translation
from tui.text.formatting import GONE, SEES, STAYS, is_decided, place, strength, words
from tui.text.profile import OLD_HEADER, SEALED, SEALING
from tui.text.translation import N_, _, sentences, told

_USE: Final = "use"

_ANNOUNCEMENTS: Final = {
    "presence": (N_("Presence is announced."), N_("Presence is not announced.")),
    "typing": (N_("Typing is announced."), N_("Typing is not announced.")),
    "delivery": (
        N_("The delivery of your last message is announced."),
        N_("The delivery of your last message is not announced."),
    ),
}
_SETTINGS: Final = {
    "receipts": N_("Send contacts a receipt when I have read a message"),
    "typing": N_("Show contacts that I am typing"),
    "bell": N_("Ring the terminal's bell for new messages"),
    "autolock": N_("Idle minutes after which Parlour locks, 0 for never"),
    "language": N_("The language, one of {languages}"),
    "keep": N_("Days for which this device keeps messages, 0 for all"),
    "files": N_("MiB up to which files come to this device without a question"),
    "relayed": N_("MiB of the largest file that goes through a relay"),
    "most": N_("MiB of files on this device above which you are asked about each"),
    "rate": N_("KiB of files that this device sends a second, 0 for as many as go"),
}


@dataclass
class Settings:
    messenger: Messenger
    output: Output
    preferences: Preferences
    state: State

    @property
    def rings(self) -> bool:
        """Whether entries ring: off by default, because each is read out anyway."""
        return self.preferences.get("linear.bell") == "on"

    async def quiet(self, typed: str) -> None:
        if typed and typed not in ANNOUNCED:
            raise UsageError(_("Type /quiet and one of {names}.").format(names=listed(ANNOUNCED)))
        if typed:
            on = not self.state.announces(typed)
            await self.preferences.set(f"linear.{typed}", switch(on, default=ANNOUNCED[typed]))
        for what in (typed,) if typed else ANNOUNCED:
            announced, silent = _ANNOUNCEMENTS[what]
            await self.output.say(_(announced) if self.state.announces(what) else _(silent))

    async def settings(self, typed: str) -> None:
        name, _space, value = typed.partition(" ")
        if name and name not in _SETTINGS:
            raise UsageError(_("There is no such setting: /settings lists them."))
        if value:
            await self._change(name, value.strip())
        settings = await self.messenger.settings()
        on_off = {on: word for word, on in ON_OFF.items()}
        values = {
            "receipts": on_off[settings.read_receipts],
            "typing": on_off[settings.typing],
            "bell": on_off[self.rings],
            "autolock": str(self.preferences.autolock),
            "language": self.preferences.language or _("the system's"),
            "keep": str((kept := await self.messenger.retention()).days),
        }
        stays = kept.days > 0 and not kept.keeper
        chosen = await self.messenger.preferences()
        values |= {which: str(amount(chosen, one)) for which, one in AMOUNTS.items()}
        for one in (name,) if name else _SETTINGS:
            help_ = _(_SETTINGS[one]).format(languages=listed(translation.LANGUAGES))
            line = _("{name} is {value}. {help}.").format(name=one, value=values[one], help=help_)
            await self.output.say(sentences(line, _(STAYS)) if one == "keep" and stays else line)

    async def _change(self, name: str, value: str) -> None:
        if name == "autolock":
            digits = value.isascii() and value.isdecimal() and len(value) < 6
            if not digits or int(value) > AUTOLOCK_MAX:
                problem = _("Type a number of minutes between 0 and {most}.")
                raise UsageError(problem.format(most=AUTOLOCK_MAX))
            await self.preferences.set(name, value)
        elif name == "language":
            fitting = [one for one in translation.LANGUAGES if one.casefold() == value.casefold()]
            if not fitting:
                problem = _("The languages are {names}.")
                raise UsageError(problem.format(names=listed(translation.LANGUAGES)))
            translation.use(fitting[0])
            await self.preferences.set("language", fitting[0])
            await self.preferences.keep_words(translation.WORDS.get(fitting[0], ""))
        elif name == "keep":
            if not (value.isascii() and value.isdecimal() and len(value) < 6):
                raise UsageError(_("Type a number of days, or 0 for all."))
            await self.messenger.keep(int(value))
        elif name in AMOUNTS:
            one = AMOUNTS[name]
            if not value.strip() or not is_size(value):
                raise UsageError(_("Type a number."))
            await self.preferences.set(one.name, "" if int(value) == one.usual else value)
        elif name == "bell":
            on = on_or_off(value, default=False)
            await self.preferences.set("linear.bell", switch(on, default=False))
        else:
            on = on_or_off(value, default=False)
            field = "read_receipts" if name == "receipts" else name
            settings = await self.messenger.settings()
            await self.messenger.change_settings(replace(settings, **{field: on}))

    async def diagnose(self, _typed: str = "") -> None:
        await self.output.say(_("Checking network, firewall and profile…"))
        await self.output.say(*map(diagnosis_line, await self.messenger.diagnose()))
        await self.messenger.dismiss_alerts()


@dataclass
class Relays:
    """Lists, adds and removes relays, and announces changes of their state.

    A relay is named by host and port after the word itself: the author of an invitation chose its host.
    """

    messenger: Messenger
    output: Output
    state: State
    questions: Questions
    _known: dict[str, RelayView] = field(init=False, default_factory=dict)

    async def load(self) -> None:
        self._known = {view.address: view for view in await self.messenger.relays()}

    async def relays(self, typed: str) -> None:
        order, _space, rest = typed.partition(" ")
        if not order:
            await self._list()
        elif order == "add" and rest.strip():
            added = await self.messenger.add_relay(rest)
            said = _(
                "Relay {relay} added. Contacts can reach you through it, and your invitations include it."
            )
            await self.output.say(said.format(relay=place(added)))
        elif order == "remove" and rest.strip():
            await self._remove(rest)
        else:
            raise UsageError(_("Type /relays, /relays add ADDRESS or /relays remove NUMBER."))

    async def _list(self) -> None:
        views = await self.messenger.relays()
        await self.output.say(_(SEES))
        if not views:
            await self.output.say(_("You have no relays yet. /relays add ADDRESS adds one."))
        for at, view in enumerate(views, 1):
            how = listed([words(view), *([_("from an invitation")] if view.invited else [])])
            line = _("Relay {relay}, {how}").format(relay=place(view), how=how)
            await self.output.say(_("{number}. {line}").format(number=at, line=line))

    async def _remove(self, typed: str) -> None:
        views = await self.messenger.relays()
        at = pick(typed, [place(view) for view in views])
        if at is None:
            raise UsageError(_("There is no such relay: /relays lists yours."))
        view = views[at]

        async def remove() -> None:
            await self.messenger.remove_relay(view.address)
            await self.output.say(_("Relay {relay} is no longer used.").format(relay=place(view)))

        question = _("Remove the relay {relay}?").format(relay=place(view))
        await self.questions.confirm(view.address, (question, _(GONE)), remove)

    async def changed(self, view: RelayView) -> None:
        """Announce the state of a relay once it is decided and differs from the one before."""
        before = self._known.get(view.address)
        if not is_decided(view):
            self._known.setdefault(view.address, view)
            return
        self._known[view.address] = view
        differs = before is None or before.standing is not view.standing
        if differs and self.state.announces("presence"):
            await self.output.notify(_("Relay {relay}, {how}.").format(relay=place(view), how=words(view)))

    def removed(self, address: str) -> None:
        self._known.pop(address, None)


_KEY = "key"
TYPE_KEY = N_(
    "Type /passphrase key to seal the history under a new key, which no old copy opens. It takes as long as"
    " copying the history, and as much room on the disk meanwhile."
)


@dataclass
class _Asked:
    """What was typed: the current passphrase, the new one, the new one again.

    `held`: new lines were held back before. `new_key`: the history is sealed under another one, and the
    passphrase stays. `short`: the new passphrase is short, and was typed twice.
    """

    held: bool
    new_key: bool = False
    typed: list[str] = field(default_factory=list, repr=False)
    short: bool = False


@dataclass
class Passphrase:
    """Changes the passphrase. It is asked for line by line, and nothing that is typed meanwhile is shown."""

    messenger: Messenger
    output: Output
    input: LineInput
    _asked: _Asked | None = field(init=False, default=None)

    @property
    def asking(self) -> bool:
        """Whether the next line is a passphrase."""
        return self._asked is not None

    async def change(self, typed: str) -> None:
        if typed not in ("", _KEY):
            raise UsageError(_("Type /passphrase alone: each passphrase is asked for, and not shown."))
        self._asked = _Asked(self.output.holding, typed == _KEY)
        self.input.editor.hidden = self.output.holding = True
        await self.output.say(_("Type the current passphrase. It is not shown. An empty line cancels."))

    async def take_line(self, line: str) -> None:
        """Ask for the next passphrase, or change it. Raises ParlourError."""
        asked = self._asked
        assert asked is not None
        if not line and not asked.short:
            self.stop()
            await self.output.say(_("Nothing was changed."))
            return
        if line:
            asked.typed[1 if asked.short else 3 :] = [line]
            asked.short = False
        match asked.typed:
            case [old] if asked.new_key:
                self.stop()
                await self.output.say(_(SEALING))
                await self.messenger.change_passphrase(old, old, new_key=True)
                await self.output.say(_(SEALED))
            case [_old]:
                await self.output.say(_("Type the new passphrase. It is not shown."))
            case [_old, new]:
                hint = strength(new)
                await self.output.say(*([hint] if hint else []), _("Type the same passphrase again."))
            case [old, new, again]:
                await self._change_to(asked, old, new, again, confirmed=not line)

    async def _change_to(self, asked: _Asked, old: str, new: str, again: str, *, confirmed: bool) -> None:
        problem = passphrase_problem(new, again, confirmed=confirmed)
        if problem is None:
            self.stop()
            await self.output.say(_("Changing the passphrase…"))
            await self.messenger.change_passphrase(old, new)
            await self.output.say(_("The passphrase was changed."), _(OLD_HEADER), _(TYPE_KEY))
            return
        asked.short = problem is SHORT_PASSPHRASE
        lines = [told(problem)]
        if not asked.short:
            del asked.typed[1:]
            lines.append(_("Type the new passphrase. It is not shown."))
        await self.output.say(*lines)

    def stop(self) -> None:
        """Ask no more, and show what is typed again."""
        if self._asked is not None:
            self.input.editor.hidden, self.output.holding = False, self._asked.held
            self._asked = None
