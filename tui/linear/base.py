"""What the parts of the linear mode share: the messenger, what is known of people and entries, and the voice.

Rules: views only; what a person typed wrongly is a UsageError, which is said in one place; only a command
changes which conversation is open, never an event, so that a text goes to whom it was typed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from chat.interface import ContactView, EntryView, Messenger, NearbyView, SelfView, UsageError
from tui.linear.voice import Voice
from tui.linear.wording import Telling, day_line, entry_lines, listed, names_of, quoted
from tui.preferences import Options, Preferences
from tui.text.formatting import clock_time, day_of, safe_line
from tui.text.translation import _

_OWN_MAX: Final = 64
_QUOTES: Final = "“”「」"

LATE: Final = timedelta(minutes=5)
"""An entry that came so much after it was written is told with its time."""

TOLD: Final = {"presence": True, "typing": True, "delivery": True}
"""What is told unless a person wants it otherwise."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that /yes or /no answers; `about` names it, `since` is when it was put.

    `came`: somebody else caused it; `fleeting`: a confirmation, which ends with the next line.
    """

    about: str
    lines: tuple[str, ...]
    answer: Callable[[bool], Awaitable[None]]
    came: bool = False
    fleeting: bool = False
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Tools:
    """What a session works with. `live`: a person types at a terminal, and not a script into a pipe."""

    messenger: Messenger
    options: Options
    preferences: Preferences
    voice: Voice
    live: bool


class Base:
    """State of an open profile, for the parts that act on it."""

    def __init__(self, tools: Tools) -> None:
        self.messenger = tools.messenger
        self.options = tools.options
        self.preferences = tools.preferences
        self.voice = tools.voice
        self.live = tools.live
        self.me = SelfView("", "", "", 0, (), visible=False)
        self.contacts: dict[str, ContactView] = {}
        self.nearby: tuple[NearbyView, ...] = ()
        self.current: str | None = None
        self._day: date | None = None
        self._numbers: dict[tuple[str, str], int] = {}
        self._own: deque[str] = deque(maxlen=_OWN_MAX)
        self.erasing: set[str] = set()  # deleted, and the file may still hold words of it

    async def say(self, *lines: str) -> None:
        """Say lines now: what was asked for, and what cannot wait."""
        await self.voice.say(*lines)

    async def tell(self, *lines: str) -> None:
        """Tell what happened, when the person wants to hear."""
        await self.voice.tell(*lines)

    async def ask(self, question: Asked) -> None:
        """Put a question, or let it wait until the one before is answered."""
        raise TypeError("the session asks")

    async def open_conversation(self, person: str) -> None:
        """Talk with a contact."""
        raise TypeError("the session opens conversations")

    def tells(self, what: str) -> bool:
        """Whether somebody wants to hear of presence, typing or delivery."""
        return {"on": True, "off": False}.get(self.preferences.get(f"linear.{what}"), TOLD[what])

    def is_ours(self, entry: EntryView) -> bool:
        """Whether it was typed here since the profile is open, and so is known to who would hear it."""
        return entry.id in self._own

    # Names.

    def name_of(self, person: str) -> str:
        """A contact's name as it is told."""
        return names_of(self.contacts.values()).get(person) or _("someone who is not a contact")

    def in_order(self) -> list[ContactView]:
        """The contacts in the order in which they are told and numbered."""
        names = names_of(self.contacts.values())
        return sorted(self.contacts.values(), key=lambda view: names[view.person].casefold())

    def contact(self, typed: str) -> ContactView:
        """The contact that a name, the start of one, or a number means. Raises UsageError."""
        views = self.in_order()
        names = names_of(views)
        at = pick(typed, [names[view.person] for view in views])
        if at is None:
            problem = _("No contact is called “{name}”: /people tells them.")
            raise UsageError(problem.format(name=safe_line(typed)))
        return views[at]

    def chosen(self) -> ContactView:
        """The contact of the open conversation. Raises UsageError where none is open."""
        view = self.contacts.get(self.current or "")
        if view is None:
            raise UsageError(_("No conversation is open: /people tells your contacts, /open NAME opens one."))
        return view

    def contact_or_chosen(self, typed: str) -> ContactView:
        """The contact that was named, else that of the open conversation. Raises UsageError."""
        return self.contact(typed) if typed else self.chosen()

    def know(self, view: ContactView) -> None:
        """Know what a call of ours did before its event says it, so that it is not told twice."""
        if view.person in self.contacts:
            self.contacts[view.person] = view

    # Entries.

    def number(self, entry: EntryView) -> int:
        """The number by which an entry can be named; each keeps its own until Parlour closes or locks."""
        return self._numbers.setdefault((entry.contact, entry.id), len(self._numbers) + 1)

    def numbered(self, typed: str) -> tuple[str, str]:
        """Conversation and id of the entry of a number. Raises UsageError."""
        at = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 9 else 0
        for key, number in self._numbers.items():
            if number == at:
                return key
        raise UsageError(_("There is no entry of this number: /last and /search tell entries with numbers."))

    async def spoken(self, entry: EntryView, *, numbered: bool = False, whole: bool = False) -> Sequence[str]:
        """The lines of an entry, and before them a day that begins with it."""
        if entry.id in self.erasing:
            entry = replace(entry, kind="deleting")
        now, zone = self.options.now(), self.options.zone
        day = day_of(entry.time, zone)
        before = self._day or day_of(now, zone)
        self._day = day
        name = _("You") if entry.own else self.name_of(entry.contact)
        answers = quoted(await self._answered(entry)) if entry.reply else None
        late = numbered or abs(now - entry.time) > LATE
        number = self.number(entry) if numbered else 0
        telling = Telling(number, clock_time(entry.time, zone) if late else "", answers, whole)
        lines = entry_lines(entry, name, telling)
        return lines if day == before else (day_line(entry.time, now, zone), *lines)

    async def _answered(self, entry: EntryView) -> EntryView | None:
        return await self.messenger.entry(entry.contact, entry.reply)


def pick(typed: str, names: Sequence[str]) -> int | None:
    """Which of these names somebody means by a number, a name or its start. Raises UsageError for several.

    A number goes before a name: somebody else may have chosen a name that is a number.
    """
    wanted = typed.strip()
    if wanted.isascii() and wanted.isdecimal() and len(wanted) < 6 and 0 < int(wanted) <= len(names):
        return int(wanted) - 1
    folded = [name.casefold().strip(_QUOTES) for name in names]
    wanted = wanted.casefold().strip(_QUOTES)
    for fits in (wanted.__eq__, lambda name: name.startswith(wanted)):
        found = [at for at, name in enumerate(folded) if fits(name)]
        if len(found) > 1:
            problem = _("This could be {names}: type more of it.")
            raise UsageError(problem.format(names=listed(names[at] for at in found)))
        if found and wanted:
            return found[0]
    return None
