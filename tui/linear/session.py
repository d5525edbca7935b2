"""An open profile: composes the parts, announces events and executes lines, strictly one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from msgspec.structs import replace

from chat import interface
from chat.interface import (
    BURST,
    SAYS_SOMETHING,
    AlertView,
    EntryView,
    Event,
    Guard,
    Messenger,
    ParlourError,
    UsageError,
)
from tui.linear.commands import Commands, Parts
from tui.linear.input import LineInput
from tui.linear.output import Output
from tui.linear.state import End
from tui.linear.wording import diagnosis_line, error_line, self_lines
from tui.preferences import Options, Preferences
from tui.terminal import EVERY
from tui.text.backups import archive_line
from tui.text.safe import safe_line
from tui.text.translation import _, told, unshown

_EVENTS_MAX: Final = 1000
"""Events that are read ahead; more wait in the stream of the engine."""

_BATCH: Final = 100
_STEPS: Final = 4
"""Rounds of the loop in which the events of a command arrive before the next line is taken."""

_LOOKS: Final = 2
"""Looks without a key after which what was held back is shown in the middle of a line."""

_ALWAYS: Final = frozenset(("/lock", "/quit"))
_ANSWERS: Final = frozenset(("/yes", "/no"))
"""Executed even while a text of several lines is written, if a question is open."""


@dataclass
class Session:
    """Talks until the profile is closed or locked. `every`: seconds between two looks at the keys.

    `again`: the terminal has what a session before it said at its start. `guard` is asked before
    a text leaves.
    """

    messenger: Messenger
    options: Options
    preferences: Preferences
    input: LineInput
    output: Output
    guard: Guard
    every: float = EVERY
    again: bool = False

    def __post_init__(self) -> None:
        self._parts = Parts(
            self.messenger, self.options, self.preferences, self.input, self.output, self.guard
        )
        self._commands = Commands(self._parts, self.output)
        self._touched = self.options.monotonic()
        self._keys, self._looks = self.input.editor.keys, 0
        self._heard = 0  # seconds of a voice message
        self._turn = asyncio.Lock()
        self._events: asyncio.Queue[Event] = asyncio.Queue(_EVENTS_MAX)
        self._ring_due, self._rang = False, -BURST
        self._ahead: asyncio.Future[str | None] | None = (
            None  # a line that was typed while files were prepared
        )

    async def run(self) -> tuple[End, str]:
        """Why the session ended, and a line that explains it. The messenger is closed whatever happens."""
        # The stream is open before anything is read, so that nothing falls between the two.
        tasks = [asyncio.create_task(self._fill(self.messenger.events()))]
        try:
            await self._start()
            tasks += [
                asyncio.create_task(work)
                for work in (self._announce_all(), self._execute_all(), self._watch(), self._explain_nobody())
            ]
            waiting = set(tasks)
            while self._parts.exit.reached is None:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # a fault of the program ends it
            return self._parts.exit.reached
        finally:
            ended: list[asyncio.Future[Any]] = [*tasks, *([self._ahead] if self._ahead else [])]
            for each in ended:
                each.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
            self._parts.passphrase.stop()
            self._parts.backups.stop()
            await self._parts.voice.discard()
            with suppress(ParlourError):  # it is closed either way
                await self.messenger.close()

    async def _start(self) -> None:
        state = self._parts.state
        state.me = await self.messenger.me()
        await state.load_contacts()
        nearby = await self.messenger.nearby()
        await self._parts.relays.load()
        await self._alarm(await self.messenger.alerts())  # the most important comes first
        hint = () if self.again else (_("/help lists the commands."),)
        await self.output.say(self_lines(state.me)[0], *hint)
        if state.me.archived is not None:
            await self.output.say(archive_line(state.me.archived, self.options.zone))
        await self._parts.contacts.count()
        if asked := await self.messenger.questions():
            await self._parts.contacts.questions_changed(asked)
        if not self.again:
            await self._attempt(self._parts.recovery.remind(self.preferences, self.options))
        if len(state.contacts) == 1:
            await self._parts.history.open_conversation(next(iter(state.contacts)))
        await self._parts.pairing.nearby_changed(nearby)

    async def _fill(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            await self._events.put(event)

    async def _announce_all(self) -> None:
        while self._parts.exit.reached is None:
            event = await self._events.get()
            async with self._turn:
                if self._parts.exit.reached is not None:  # what an end causes is no news
                    return
                await self._announce_safely(event)
                # Events that came together are announced together, but lines get their turn too.
                for _more in range(min(self._events.qsize(), _BATCH)):
                    await self._announce_safely(self._events.get_nowait())
                await self._attempt(self._announce_summaries())

    async def _execute_all(self) -> None:
        while self._parts.exit.reached is None:
            try:
                line = await self._next_line()
            except UsageError as refused:
                await self.output.say(error_line(refused))
                continue
            async with self._turn:
                if not await self._locks_idle():  # else the line, typed after a sleep perhaps, does nothing
                    self._touched = self.options.monotonic()
                    await self._attended(self._attempt(self._execute(line)))
                    await self._attempt(self._parts.history.catch_up())
            for _step in range(_STEPS):
                await asyncio.sleep(0)

    async def _next_line(self) -> str | None:
        """The line that waits, or the next one. Raises UsageError."""
        ahead, self._ahead = self._ahead, None
        return await (ahead or self.input.line())

    async def _attended(self, work: Coroutine[object, object, None]) -> None:
        """Execute a line. While files are prepared `/cancel` holds at once, and any other line waits."""
        working: asyncio.Future[Any] = asyncio.ensure_future(work)
        begun: asyncio.Future[Any] = asyncio.ensure_future(self._parts.files.preparing.wait())
        try:
            await asyncio.wait({working, begun}, return_when=asyncio.FIRST_COMPLETED)
            while not working.done() and not await self._reads_ahead(working):
                await self._attempt(self._parts.files.cancel())
            await working
        finally:
            for each in (working, begun):
                each.cancel()
            await asyncio.gather(working, begun, return_exceptions=True)

    async def _reads_ahead(self, working: asyncio.Future[Any]) -> bool:
        """Read a line while work is done. False where it cancels that, else it waits."""
        reading: asyncio.Future[Any] = asyncio.ensure_future(self.input.line())
        self._ahead = (
            reading  # what is read is never lost: where the work ends first, the next line is this one
        )
        await asyncio.wait({working, reading}, return_when=asyncio.FIRST_COMPLETED)
        line = reading.result() if reading.done() and not reading.exception() else None
        if line is None or working.done():
            return True
        self._touched = self.options.monotonic()
        if self._cancels(line):
            self._ahead = None
            return False
        if line in _ALWAYS and self.input.at_terminal:  # a script has its files sent first
            if line == "/quit" and await self._parts.exit.waits():
                self._ahead = None
                return await self._reads_ahead(working)
            await self._attempt(self._parts.files.cancel())
        return True

    def _cancels(self, line: str) -> bool:
        try:
            return self._commands.parse(line) == ("cancel", "")
        except UsageError:
            return False

    async def _watch(self) -> None:
        """Lock an idle profile, and show what was held back when somebody stops in the middle of a line."""
        editor = self.input.editor
        while self._parts.exit.reached is None:
            await asyncio.sleep(self.every)
            async with self._turn:
                if await self._locks_idle():
                    continue
                self._looks += 1
                if editor.keys != self._keys:
                    self._keys, self._looks = editor.keys, 0
                    self._touched = self.options.monotonic()
                elif self._looks >= _LOOKS and not editor.resting:
                    editor.resting = True
                    await self._attempt(self._parts.history.catch_up())

    async def _locks_idle(self) -> bool:
        """Lock where nothing was typed or spoken for the time that this person set; whether that was so."""
        now = self.options.monotonic()
        limit = self.preferences.autolock * 60
        if (heard := self._parts.voice.heard) != self._heard:  # who speaks is there
            self._heard, self._touched = heard, now
        if self._parts.exit.reached is not None or not 0 < limit <= now - self._touched:
            return False
        self._touched = now
        if not (self._parts.passphrase.asking or self._parts.backups.asking):
            await self._attempt(self._parts.composer.keep_half_line(self.input.editor.text))
        await self._attempt(self._parts.exit.lock_because(_("Locked after inactivity.")))
        return True

    async def _attempt(self, work: Awaitable[object]) -> None:
        try:
            await work
        except ParlourError as refused:
            await self.output.say(error_line(refused))

    async def _execute(self, line: str | None) -> None:
        if line is None:
            self._parts.exit.leave()
        elif self._parts.passphrase.asking:
            await self._parts.passphrase.take_line(line)
        elif self._parts.backups.asking:
            await self._parts.backups.take_line(line)
        elif self._parts.composer.composing and not (
            line in _ALWAYS or (self._parts.questions.pending and line in _ANSWERS)
        ):
            await self._parts.composer.take_line(line)
        elif not line.strip():
            if not (self.output.holding and await self._parts.history.resume()):
                await self._parts.history.where()
            await self._parts.questions.repeat()
        else:
            parsed = self._commands.parse(line)
            if parsed is None:
                self._parts.questions.keep_answer(line)
            if parsed is None or parsed[0] not in ("yes", "no"):
                await self._parts.questions.cancel_confirmation()
            if parsed is None:
                await self._parts.composer.send_line(line)
            else:
                await self._commands.execute(*parsed)

    async def _announce_safely(self, event: Event) -> None:
        """Announce an event. A fault of the program in it is one line, and the next one gets its turn."""
        try:
            await self._attempt(self._announce(event))
        except Exception as fault:  # noqa: BLE001 - else it ends the engine in this process
            await self.output.say(unshown(event, fault))

    async def _announce(self, event: Event) -> None:
        if self._parts.state.recent.follow(event):
            await self._parts.state.load_latest()
        match event:
            case interface.EntryAdded(entry):
                await self._entry_added(entry)
            case interface.EntryFilled(entry):
                await self._entry_added(entry)
            case interface.EntriesConflict(contact):
                await self._parts.history.conflict(contact)
            case interface.EntriesMarked(contact):
                await self._parts.history.marked(contact)
            case interface.EntryChanged():
                self._parts.composer.entry_changed(event)
            case interface.HistoryCleared():
                await self._parts.deletion.history_cleared(event)
            case interface.EntryEdited(entry):
                await self._parts.history.edited(entry)
            case interface.EntryDeleted(contact, entry_id, expired=expired):
                if not expired:  # what disappears in its time is no news
                    await self._parts.deletion.entry_deleted(contact, entry_id)
                await self._parts.composer.entry_deleted(contact, entry_id)
            case interface.FileProgress():
                await self._parts.history.file_moved(event)
            case interface.Cleaning(done):
                await self._parts.deletion.being_cleaned(done)
            case interface.Cleaned():
                await self._parts.deletion.cleaned()
            case interface.ContactChanged(view):
                await self._parts.contacts.changed(view)
            case interface.ContactRemoved(person, name):
                if await self._parts.contacts.removed(person, name):
                    await self._parts.composer.conversation_closed()
            case interface.IdentityChanged(person, _name, cause):
                await self._parts.contacts.identity_changed(person, cause)
            case interface.QuestionsChanged(questions):
                await self._parts.contacts.questions_changed(questions)
            case interface.NearbyChanged(nearby):
                await self._parts.pairing.nearby_changed(nearby)
            case interface.PairingChanged(pairing):
                await self._parts.pairing.changed(pairing)
            case interface.LinkingChanged():
                await self._parts.devices.changed(event)
            case interface.HistoryMoving():
                await self._parts.devices.history_moves(event)
            case interface.VisibilityChanged(visible):
                self._parts.state.me = replace(self._parts.state.me, visible=visible)
                seen = _("People nearby can see you.") if visible else _("People nearby cannot see you.")
                await self.output.notify(seen)
            case interface.NotesPinned(on):
                self._parts.state.me = replace(self._parts.state.me, notes_pinned=on)
            case interface.Ready(addresses):
                self._parts.state.me = replace(self._parts.state.me, addresses=addresses)
            case interface.RelayChanged(relay):
                await self._parts.relays.changed(relay)
            case interface.RelayRemoved(address):
                self._parts.relays.removed(address)
            case interface.AlertsChanged(alerts):
                await self._alarm(alerts)
            case interface.OwnLogChanged(cause=text) | interface.Notice(text=text):
                await self.output.notify(_("Notice. {text}").format(text=safe_line(told(text))))
            case interface.Closed(reason):
                self._parts.exit.closed(safe_line(told(reason)))

    async def _alarm(self, alerts: tuple[AlertView, ...]) -> None:
        """Say what happened to the files of the profile."""
        for alert in alerts:
            read = () if alert.lasts else (_("Type /doctor when you have read this."),)
            await self.output.say(_("Warning. {text}").format(text=safe_line(told(alert.text))), *read)

    async def _entry_added(self, entry: EntryView) -> None:
        if not entry.own and not entry.claimed and entry.kind in SAYS_SOMETHING:
            self._parts.contacts.wrote(entry.contact)
            await self._parts.state.load_contacts(including=entry.contact)
            view = self._parts.state.contacts.get(entry.contact)
            self._ring_due = self._ring_due or view is None or not view.muted
        await self._parts.history.arrived(entry)

    async def _announce_summaries(self) -> None:
        """What is said once for many events that came together."""
        due, self._ring_due = self._ring_due, False
        now = self.options.monotonic()
        if due and self._parts.settings.rings and not self.output.holding and now - self._rang >= BURST:
            self._rang = now
            await self.output.ring()
        await self._parts.composer.announce_delivery()
        await self._parts.history.announce_elsewhere()

    async def _explain_nobody(self) -> None:
        """Explain to a person without contacts why nobody may be found."""
        await asyncio.sleep(self.options.patience)
        if not self._parts.state.contacts and not self._parts.state.nearby:
            await self._attempt(self._explain())

    async def _explain(self) -> None:
        found = await self.messenger.diagnose()
        reasons = _(
            "No one was found within five seconds. The other person may not be visible or may be on another "
            "network, or a firewall or the access point may block the connection."
        )
        relay = _("A relay that both networks can reach connects them: see /relays.")
        async with self._turn:
            await self.output.notify(
                reasons, relay, *(diagnosis_line(line) for line in found if not line.good)
            )
