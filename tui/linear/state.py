"""What the parts of the linear mode share: contacts, the open conversation, pending questions, the exit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from msgspec import Struct

from chat.interface import ContactView, Messenger, NearbyView, SelfView, UsageError, means_notes
from tui.linear.output import Output
from tui.linear.wording import listed, names_of
from tui.preferences import Options, Preferences
from tui.recent import Recent
from tui.text.formatting import notes_of
from tui.text.safe import safe_line
from tui.text.translation import _

ON_OFF: Final = {"on": True, "off": False}
ANNOUNCED: Final = {"presence": True, "typing": True, "delivery": True}
"""What is announced by default; /quiet changes it."""
_QUOTES: Final = "“”「」"


@dataclass
class State:
    """What is known of an open profile.

    No event moves `current` from one conversation to another: a text goes to the contact it was typed for.
    """

    messenger: Messenger
    preferences: Preferences
    me: SelfView = field(init=False, default_factory=lambda: SelfView("", "", "", 0, (), visible=False))
    contacts: dict[str, ContactView] = field(init=False, default_factory=dict)
    recent: Recent = field(init=False, default_factory=Recent)
    listed: tuple[str, ...] = field(init=False, default=())
    nearby: tuple[NearbyView, ...] = field(init=False, default=())
    current: str | None = field(init=False, default=None)

    def announces(self, what: str) -> bool:
        """Whether presence, typing or delivery is announced."""
        return ON_OFF.get(self.preferences.get(f"linear.{what}"), ANNOUNCED[what])

    @property
    def talks(self) -> dict[str, ContactView]:
        """The contacts, and after them the notes, by person id."""
        return {**self.contacts, **({self.me.person: notes_of(self.me)} if self.me.person else {})}

    def names(self) -> dict[str, str]:
        """The displayed name of each contact, and of the notes, by person id."""
        return names_of(self.talks.values())

    def name_of(self, person: str) -> str:
        return self.names().get(person) or _("someone who is not a contact")

    def in_order(self) -> list[ContactView]:
        """The conversations as they are listed and numbered: the latest one first."""
        names = self.names()
        by_name = sorted(self.talks.values(), key=lambda view: (view.notes, names[view.person].casefold()))
        return self.recent.in_order(by_name)

    def list_now(self) -> list[ContactView]:
        """The contacts in order, whose numbers hold until the next list: an entry that comes moves nobody."""
        views = self.in_order()
        self.listed = tuple(view.person for view in views)
        return views

    def _numbered(self) -> list[ContactView]:
        views = {view.person: view for view in self.in_order()}
        first = [views.pop(person) for person in self.listed if person in views]
        return [*first, *views.values()]

    def find(self, typed: str) -> ContactView:
        """The contact with this name, start of a name, or number; the notes by theirs. Raises UsageError."""
        views = self._numbered()
        names = self.names()
        if means_notes(typed) or typed.strip().casefold() == _("Notes").casefold():
            return self.talks[self.me.person]
        at = pick(typed, [names[view.person] for view in views])
        if at is None:
            problem = _("No matching contact for “{name}”: /people lists your contacts.")
            raise UsageError(problem.format(name=safe_line(typed)))
        return views[at]

    def chosen(self) -> ContactView:
        """The contact of the open conversation, or the notes. Raises UsageError where none is open."""
        view = self.talks.get(self.current or "")
        if view is None:
            raise UsageError(_("No conversation is open: /people lists your contacts, /open NAME opens one."))
        return view

    def other(self) -> ContactView:
        """The contact of the open conversation. Raises UsageError for the notes, too."""
        view = self.chosen()
        if view.notes:
            raise UsageError(_("These are your own notes: only conversations with contacts have that."))
        return view

    def update(self, view: ContactView) -> None:
        """Store the result of an own call before its event arrives, so that it is not announced twice."""
        if view.person in self.contacts:
            self.contacts[view.person] = view

    async def load_contacts(self, including: str = "") -> None:
        """Read the contacts, unless one is known whose own event may not have arrived yet."""
        if including not in self.contacts:
            self.contacts = {view.person: view for view in await self.messenger.contacts()}
            await self.load_latest()

    async def load_latest(self) -> None:
        """Read the last entry of each conversation."""
        self.recent.read(await self.messenger.latest())

    def held_line(self, person: str) -> str:
        """Why nothing is sent to a contact."""
        view = self.contacts.get(person)
        if view is not None and view.unvouched:
            said = _(
                "Only a removed device of yours has paired with {name}. Nothing can be sent until you "
                "compare the safety number with /verify, or pair again by words."
            )
            return said.format(name=self.name_of(person))
        said = _(
            "The identity of {name} has changed. Nothing can be sent until you compare the safety number "
            "with /verify, or pair again by words."
        )
        return said.format(name=self.name_of(person))


_MEANT: Final = frozenset(("y", "yes", "n", "no", "是", "否"))
"""How shells are answered, without a slash."""


class Question(Struct, frozen=True):
    """A question that /yes or /no answers. `about`: the id of its subject.

    `unasked`: it comes while its person may type for something else. `confirmation`: it ends with the next
    line that does not answer it.
    """

    about: str
    lines: tuple[str, ...]
    answer: Callable[[bool], Awaitable[None]]
    unasked: bool = False
    confirmation: bool = False


@dataclass
class Questions:
    """Asks one question at a time. `live`: a person types at a terminal, not a script into a pipe."""

    output: Output
    options: Options
    live: bool
    _open: Question | None = field(init=False, default=None)
    _asked_at: float = field(init=False, default=0.0)
    _waiting: list[Question] = field(init=False, default_factory=list)

    @property
    def pending(self) -> bool:
        return self._open is not None

    async def ask(self, question: Question) -> None:
        """Ask now, or after the questions before it. Raises UsageError for a second confirmation."""
        if question.confirmation and self._open is not None:
            raise UsageError(_("Answer the open question first: an empty line repeats it."))
        self._waiting.append(question)
        await self._ask_next()

    async def confirm(
        self, about: str, lines: Sequence[str], do: Callable[[], Awaitable[object]], *, late: bool = False
    ) -> None:
        """Ask before something that cannot be undone. `late`: some time after the command that caused it."""

        async def answer(yes: bool) -> None:
            if yes:
                await do()
            else:
                await self.output.say(_("Nothing was changed."))

        asked = (*lines, _("Type /yes or /no."))
        await self.ask(Question(about, asked, answer, unasked=late, confirmation=True))

    async def yes(self, _typed: str) -> None:
        await self._answer(True)

    async def no(self, _typed: str) -> None:
        await self._answer(False)

    async def _answer(self, yes: bool) -> None:
        question = self._open
        if question is None:
            raise UsageError(_("There is no open question."))
        # The answer may have been typed for something else, before this question was heard.
        too_soon = self.options.monotonic() - self._asked_at < self.options.quiet
        if self.live and question.unasked and too_soon:
            raise UsageError(_("Too soon after the question: read it, then answer again."))
        self._open = None
        try:
            await question.answer(yes)
        finally:
            await self._ask_next()

    async def repeat(self) -> None:
        if self._open is not None:
            await self.output.say(*self._open.lines)

    def keep_answer(self, line: str) -> None:
        """Raises UsageError for a text that is meant for the open question, and would go to the contact."""
        answer = line.strip()
        if self._open is not None and answer.casefold() in _MEANT:
            said = _("“{text}” was not sent, because a question is open: type /yes or /no.")
            raise UsageError(said.format(text=answer))

    async def cancel_confirmation(self) -> None:
        """Another line was typed: what had to be confirmed is not done."""
        if self._open is not None and self._open.confirmation:
            self._open = None
            await self.output.say(_("Nothing was changed."))
            await self._ask_next()

    async def withdraw(self, about: str) -> None:
        """Forget the questions about something that is over."""
        self._waiting = [one for one in self._waiting if one.about != about]
        if self._open is not None and self._open.about == about:
            self._open = None
            await self._ask_next()

    async def _ask_next(self) -> None:
        if self._open is None and self._waiting:
            self._open = self._waiting.pop(0)
            self._asked_at = self.options.monotonic()
            await self.output.say(*self._open.lines)


class End(Enum):
    QUIT = auto()
    LOCKED = auto()
    WIPED = auto()


@dataclass
class Exit:
    """The way out of a session. `reached`: why it ended, with a line that explains it."""

    messenger: Messenger
    output: Output
    live: bool
    unfinished: Callable[[], Sequence[str]]
    reached: tuple[End, str] | None = field(init=False, default=None)
    _said: tuple[str, ...] = field(init=False, default=())

    async def quit(self, _typed: str = "") -> None:
        if not await self.waits():
            self.leave()

    async def waits(self) -> bool:
        """Say what quitting leaves unfinished; whether it waits for the same command once more."""
        before, self._said = self._said, tuple(self.unfinished())
        if not self._said or self._said == before:
            return False
        await self.output.say(*self._said)
        if self.live:
            await self.output.say(_("Type /quit again to quit now."))
        return self.live

    def leave(self) -> None:
        self.reached = (End.QUIT, "")

    async def lock(self, _typed: str) -> None:
        await self.lock_because(_("Locked."))

    async def lock_because(self, why: str) -> None:
        """Drop the key. Raises ParlourError."""
        await self.messenger.lock()
        self.reached = (End.LOCKED, why)

    async def wipe(self) -> None:
        """Drop the key, so that the profile can be destroyed. Raises ParlourError."""
        await self.messenger.lock()
        self.reached = (End.WIPED, "")

    def closed(self, why: str) -> None:
        """The engine has closed the profile by itself."""
        self.reached = self.reached or (End.LOCKED, why)


def pick(typed: str, names: Sequence[str]) -> int | None:
    """The index of the name that a number, a name or its start means. Raises UsageError for several."""
    wanted = typed.strip()
    # A number goes before a name: a contact may have chosen a name that is a number.
    if wanted.isascii() and wanted.isdecimal() and len(wanted) < 6 and 0 < int(wanted) <= len(names):
        return int(wanted) - 1
    folded = [name.casefold().strip(_QUOTES) for name in names]
    wanted = wanted.casefold().strip(_QUOTES)
    for fits in (wanted.__eq__, lambda name: name.startswith(wanted)):
        found = [at for at, name in enumerate(folded) if fits(name)]
        # Of two with one name one may be gone: the name alone means not the other one then.
        marked = [at for at in found if folded[at].removeprefix(wanted).startswith("~")]
        if len(found) > 1 or marked:
            problem = _("This matches {names}: type more of the name.")
            raise UsageError(problem.format(names=listed(names[at] for at in found)))
        if found and wanted:
            return found[0]
    return None


def on_or_off(typed: str, *, default: bool) -> bool:
    """The switch position that was typed; `default` where nothing was. Raises UsageError."""
    if not typed:
        return default
    if typed.casefold() not in ON_OFF:
        raise UsageError(_("Type on or off."))
    return ON_OFF[typed.casefold()]
