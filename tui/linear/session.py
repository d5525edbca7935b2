"""An open profile: what happens is told in its order, what is typed is done in its order, one at a time.

Rules: a line and an event never run at once, so nothing is told twice or between the lines of something
else; a refusal is one line and nothing more; whatever ends the session, the messenger is closed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import replace
from enum import Enum, auto
from typing import Final

from chat.interface import (
    Cleaned,
    Closed,
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryView,
    Event,
    IdentityChanged,
    NearbyChanged,
    Notice,
    PairingChanged,
    ParlourError,
    Ready,
    RelayChanged,
    RelayRemoved,
    UsageError,
    VisibilityChanged,
)
from tui.linear.base import Tools
from tui.linear.commands import help_lines, order_of
from tui.linear.composer import Deleting
from tui.linear.contacts import ContactCommands, Relays
from tui.linear.input import Typed
from tui.linear.wording import closed_line, diagnosis_line, moved, names_of, plain_name, self_lines
from tui.notifications import BURST
from tui.terminal import EVERY
from tui.text.formatting import safe_line
from tui.text.translation import _, _n, told

_EVENTS_MAX: Final = 1000
"""Events that are read ahead of the telling; more wait in the stream of the engine."""

_TOGETHER: Final = 100
_STEPS: Final = 4
"""From a call to the telling of what it caused, before a next line that is there already is taken."""

_LOOKS: Final = 2
"""Looks without a key after which somebody in the middle of a line may be told something."""

_ALWAYS: Final = frozenset(("/lock", "/quit"))
_ANSWERS: Final = frozenset(("/yes", "/no"))
"""What is obeyed even while a text of several lines is written, where something was asked."""


class End(Enum):
    """Why a session is over."""

    QUIT = auto()
    LOCKED = auto()


class Session(ContactCommands, Deleting, Relays):
    """Talks until it is closed or locked. `every`: seconds between two looks whether anybody is there."""

    def __init__(self, tools: Tools, typed: Typed, every: float = EVERY) -> None:
        super().__init__(tools)
        self._typed = typed
        self._every = every
        self._touched = self.options.monotonic()
        self._keys, self._looks = typed.draft.keys, 0
        self._turn = asyncio.Lock()
        self._events: asyncio.Queue[Event] = asyncio.Queue(_EVENTS_MAX)
        self._news: Counter[str] = Counter()
        self._writing: set[str] = set()  # of whom it was said that they write
        self._rings, self._rang = False, -BURST
        self._ending: tuple[End, str] | None = None

    async def run(self) -> tuple[End, str]:
        """Why it ended, and what the engine said of it."""
        # The stream is open before anything is read, so that nothing falls between the two.
        tasks = [asyncio.create_task(self._fill(self.messenger.events()))]
        try:
            await self._begin_telling()
            tasks += [
                asyncio.create_task(work)
                for work in (self._hear_all(), self._obey_all(), self._watch(), self._lose_patience())
            ]
            waiting = set(tasks)
            while self._ending is None:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # a fault of the program ends it
            return self._ending
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(ParlourError):  # it is closed either way
                await self.messenger.close()

    async def _fill(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            await self._events.put(event)

    async def _hear_all(self) -> None:
        while self._ending is None:
            event = await self._events.get()
            async with self._turn:
                if self._ending is not None:  # what an end causes is no news
                    return
                await self._attempt(self._hear(event))
                # What came together is told together, unless it does not end: lines want their turn too.
                for _more in range(min(self._events.qsize(), _TOGETHER)):
                    await self._attempt(self._hear(self._events.get_nowait()))
                await self._attempt(self._tell_the_rest())

    async def _obey_all(self) -> None:
        while self._ending is None:
            try:
                line = await self._typed.line()
            except UsageError as refused:
                await self.say(_said(refused))
                continue
            async with self._turn:
                if not await self._is_left():  # else the line, typed after a sleep perhaps, does nothing
                    self._touched = self.options.monotonic()
                    await self._attempt(self._take(line))
                    await self._attempt(self.hear_again())
            for _step in range(_STEPS):
                await asyncio.sleep(0)

    async def _watch(self) -> None:
        while self._ending is None:
            await asyncio.sleep(self._every)
            async with self._turn:
                if not await self._is_left():
                    await self._look_at_keys()

    async def _look_at_keys(self) -> None:
        """Who has stopped in the middle of a line for two looks is told what waits."""
        draft = self._typed.draft
        self._looks += 1
        if draft.keys != self._keys:
            self._keys, self._looks = draft.keys, 0
            self._touched = self.options.monotonic()
        elif self._looks >= _LOOKS and not draft.resting:
            draft.resting = True
            await self._attempt(self.hear_again())

    async def _is_left(self) -> bool:
        """Lock where nothing was typed for as long as this person wants; whether that was so."""
        now = self.options.monotonic()
        if self._ending is not None or not 0 < self.preferences.autolock * 60 <= now - self._touched:
            return False
        self._touched = now
        await self._attempt(self.keep_half_line(self._typed.draft.text))
        await self._attempt(self._lock(_("Locked after inactivity.")))
        return True

    async def _attempt(self, work: Awaitable[object]) -> None:
        try:
            await work
        except ParlourError as refused:
            await self.say(_said(refused))

    # What is typed.

    async def _take(self, line: str | None) -> None:
        if line is None:
            await self.do_quit("")
        elif self.composing is not None and not self._is_obeyed_always(line):
            await self.take_line(self.composing, line)
        elif not line.strip():
            if not (self.voice.holding and await self.stop_holding()):
                await self.do_where("")
            await self.repeat_question()
        else:
            await self._obey(line)

    def _is_obeyed_always(self, line: str) -> bool:
        return line in _ALWAYS or (self.asking and line in _ANSWERS)

    async def _obey(self, line: str) -> None:
        order = order_of(line)
        if order is None or order[0].name not in ("yes", "no"):
            await self.end_confirmation()
        if order is None:
            await self.send_line(line)
        else:
            command, rest = order
            await getattr(self, f"do_{command.name}")(rest)

    async def do_help(self, typed: str) -> None:
        await self.say(*help_lines(typed))

    async def do_quit(self, _typed: str) -> None:
        self._ending = (End.QUIT, "")

    async def do_lock(self, _typed: str) -> None:
        await self._lock(_("Locked."))

    async def _lock(self, why: str) -> None:
        await self.messenger.lock()
        self._ending = (End.LOCKED, why)

    # What happens.

    async def _hear(self, event: Event) -> None:
        match event:
            case EntryAdded(entry):
                await self._entry_added(entry)
            case EntryChanged():
                self.moved(event)
            case EntryDeleted(contact, entry_id):
                await self.erased(contact, entry_id)
            case Cleaned():
                await self.cleaned()
            case ContactChanged(view):
                await self._contact_changed(view)
            case ContactRemoved(person, name):
                await self._contact_removed(person, name)
            case IdentityChanged(person, _name, cause):
                await self._identity_changed(person, cause)
            case NearbyChanged(nearby):
                await self.strangers_moved(nearby)
            case PairingChanged(pairing):
                await self.pairing_moved(pairing)
            case VisibilityChanged(visible):
                self.me = replace(self.me, visible=visible)
                seen = _("People nearby can see you.") if visible else _("People nearby do not see you.")
                await self.tell(seen)
            case Ready(addresses):
                self.me = replace(self.me, addresses=addresses)
            case RelayChanged(relay):
                await self.relay_changed(relay)
            case RelayRemoved(address):
                self.relay_removed(address)
            case Notice(text):
                await self.tell(_("A notice. {text}").format(text=safe_line(told(text))))
            case Closed(reason):
                self._ending = self._ending or (End.LOCKED, closed_line(safe_line(told(reason))))

    async def _entry_added(self, entry: EntryView) -> None:
        if not entry.own:
            self._writing.discard(entry.contact)
        if entry.own:
            if entry.contact == self.current and not self.is_ours(entry):
                await self.tell(*await self.spoken(entry))
            return
        await self.learn(entry.contact)
        if entry.contact == self.current:
            await self.tell_entry(entry)
        else:
            self._news[entry.contact] += 1
        self._rings = self._rings or not self.preferences.muted(entry.contact)

    async def _tell_the_rest(self) -> None:
        """What is better told once than with each event of many that came together."""
        await self._ring()
        await self.tell_reached()
        news, self._news = self._news, Counter()
        for person, number in news.items():
            if person in self.contacts:
                said = _n("{number} new entry from {name}.", "{number} new entries from {name}.", number)
                await self.tell(said.format(number=number, name=self.name_of(person)))

    async def _ring(self) -> None:
        """Ring once for a burst, where a person wants that."""
        due, self._rings = self._rings, False
        now = self.options.monotonic()
        if due and self.rings and not self.voice.holding and now - self._rang >= BURST:
            self._rang = now
            await self.voice.ring()

    async def _contact_changed(self, view: ContactView) -> None:
        before = self.contacts.get(view.person)
        called = self.name_of(view.person)
        self.contacts[view.person] = view
        name = self.name_of(view.person)
        if before is None:
            return
        if name != called:
            await self.tell(_("{before} is called {name} now.").format(before=called, name=name))
        if (said := moved(before, view)) and self.tells("presence"):
            await self.tell(said.format(name=name))
        await self._typing(view, name)
        if view.held and not before.held:
            self.numbers_told.discard(view.person)
            await self.say(self.holding_line(view.person))
        elif view.verified != before.verified:
            said = _("{name} is verified.") if view.verified else _("{name} is not verified.")
            await self.tell(said.format(name=name))

    async def _typing(self, view: ContactView, name: str) -> None:
        """Say once that somebody begins to write, and not again before what they write is there.

        Who is in the middle of a line is not told it later: it would be true no more.
        """
        if not view.present:
            self._writing.discard(view.person)
        elif view.typing and view.person == self.current and view.person not in self._writing:
            self._writing.add(view.person)
            if self.tells("typing") and not self.voice.waits:
                await self.tell(_("{name} is typing.").format(name=name))

    async def _contact_removed(self, person: str, name: str) -> None:
        called = names_of(self.contacts.values()).get(person) or plain_name(name)
        self.contacts.pop(person, None)
        await self.say(_("{name} was removed.").format(name=called))
        if self.current == person:
            self.current = None
            if self.composing is not None:
                self.composing = None
                await self.stop_holding()

    async def _identity_changed(self, person: str, cause: str) -> None:
        self.numbers_told.discard(person)
        said = _("{name} {cause}.")
        await self.say(said.format(name=self.name_of(person), cause=safe_line(told(cause))))

    # The beginning.

    async def _begin_telling(self) -> None:
        self.me = await self.messenger.me()
        self.contacts = {view.person: view for view in await self.messenger.contacts()}
        self.nearby = await self.messenger.nearby()
        self.relays = {view.address: view for view in await self.messenger.relays()}
        await self.say(self_lines(self.me)[0], _("/help tells the commands."))
        await self._count_contacts()
        for view in self.in_order():
            if view.unread and len(self.contacts) > 1:
                said = _n("{number} unread from {name}.", "{number} unread from {name}.", view.unread)
                await self.say(said.format(number=view.unread, name=self.name_of(view.person)))
        if len(self.contacts) == 1:
            await self.open_conversation(next(iter(self.contacts)))
        nearby, self.nearby = self.nearby, ()
        await self.strangers_moved(nearby)

    async def _count_contacts(self) -> None:
        number = len(self.contacts)
        if not number:
            await self.do_people("")
        elif number > 1:
            here = sum(view.present for view in self.contacts.values())
            said = _n("{number} contact, {here} here.", "{number} contacts, {here} of them here.", number)
            await self.say(said.format(number=number, here=here))

    async def _lose_patience(self) -> None:
        """Somebody who has nobody to talk with is told why that can be."""
        await asyncio.sleep(self.options.patience)
        if not self.contacts and not self.nearby:
            await self._attempt(self._explain())

    async def _explain(self) -> None:
        found = await self.messenger.diagnose()
        reasons = _(
            "Nobody was found within five seconds. The other person may not be visible, may be on "
            "another network, or a firewall or the access point keeps your terminals apart."
        )
        relay = _("A relay that both networks reach joins them: /relays tells more.")
        async with self._turn:
            await self.tell(reasons, relay, *(diagnosis_line(line) for line in found if not line.good))


def _said(refused: ParlourError) -> str:
    """A refusal as a line."""
    return safe_line(told(refused.phrase)) or _("Parlour could not do that.")
