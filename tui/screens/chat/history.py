"""The history of the open conversation: pages, jumps, actions on an entry, deletion, what counts as read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, time
from functools import partial

from chat.interface import EntryState, EntryView, Messenger
from tui.actions import Group, action, of_group
from tui.attention import Attention
from tui.conversation import DELETED, Conversation
from tui.messages import Problem, attempt
from tui.preferences import Options
from tui.screens.chat.surface import ChatState, Surface
from tui.text.formatting import deletion, safe, safe_line, shorten
from tui.text.markdown import blocks, links
from tui.text.translation import _
from tui.widgets.history import History

_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_JUMPS_MAX = 50
_QUOTED_CELLS = 40
_ADDRESS_CELLS = 60  # so that what is said stays in one row


class HistoryController:
    """Fills and moves `view`.

    `reply` begins an answer to an entry; `show_people` draws what changes with a new entry in the list.
    """

    def __init__(
        self,
        messenger: Messenger,
        state: ChatState,
        surface: Surface,
        options: Options,
        attention: Attention,
        view: History,
        *,
        reply: Callable[[EntryView], None],
        show_people: Callable[[], None],
    ) -> None:
        self._messenger = messenger
        self._state = state
        self._surface = surface
        self._options = options
        self._attention = attention
        self._view = view
        self._reply = reply
        self._show_people = show_people
        self._shown_first: set[str] = set()  # entries whose first row was on the screen
        self._shown_last: set[str] = set()  # entries whose last row was
        self._asked_to_mark: set[str] = set()  # entries that the engine was asked to mark
        self._jumps: list[str] = []
        self._paging: set[Conversation] = set()
        self._catching_up = 0
        self._erasing: dict[str, str] = {}  # the contacts of deleted entries that the file may still hold

    @property
    def catching_up(self) -> bool:
        return self._catching_up > 0

    # Going to a place.

    def jump_to(self, entry: str, highlight: Iterable[str] = ()) -> None:
        """Show an entry of the open conversation, wherever it stands, with these words marked in the view."""
        self._run("jump", self._jump, entry, tuple(highlight))

    def first_unread(self) -> None:
        if self._surface.chosen() is not None:
            self._run("jump", self._to_unread)

    def mark_all_read(self) -> None:
        view = self._surface.chosen()
        if view is not None:
            self._surface.run("seen", self._mark_all, view.person)

    def oldest(self) -> None:
        self._run("jump", self._to_time, _FIRST)

    def day(self) -> None:
        from tui.screens.dialog import DayDialog

        if self._surface.chosen() is not None:
            self._surface.push(DayDialog(self._options.today()), self._to_day)

    def origin(self) -> None:
        entry = self._view.chosen
        if entry is None or not entry.reply:
            self._surface.say(_("This message is not a reply."))
        else:
            self.jump_to(entry.reply)

    def back(self) -> None:
        if self._jumps and self._state.conversation is not None:
            self._run("jump", self._jump, self._jumps.pop(), (), False)

    def newest(self) -> None:
        self._view.action_newest()

    def older(self) -> None:
        self._view.turn(-1)

    def newer(self) -> None:
        self._view.turn(1)

    # What is done with the entry under the cursor.

    def choose_entry(self) -> None:
        if self._surface.chosen() is not None:
            self._view.focus()

    def entry(self) -> None:
        from tui.screens.dialog import MenuDialog

        entry = self._view.chosen
        if entry is None:
            return
        text = safe(entry.text)
        useless = {"entry", "oldest"}
        useless |= set() if self._jumps else {"back"}
        useless |= set() if entry.reply else {"origin"}
        useless |= set() if links(text) else {"copy_link"}
        useless |= set() if blocks(text) else {"copy_code"}
        useless |= set() if entry.kind == "text" else {"copy"}
        useless |= {"reply", "delete"} if entry.kind == DELETED else set()
        ways = tuple(one for one in of_group(Group.ENTRY) if one.id not in useless)
        self._surface.push(MenuDialog(action("entry").title, ways), self._surface.act)

    def reply(self) -> None:
        entry = self._view.chosen
        if entry is not None and entry.kind == DELETED:
            self._surface.say(_("This message was deleted."))
        elif entry is not None:
            self._reply(entry)

    def copy(self) -> None:
        self._copy(lambda text: [text.strip("\n")], _("Copied."), _("There is no text to copy."))

    def copy_link(self) -> None:
        self._copy(links, _("Link copied."), _("This message contains no link."))

    def copy_code(self) -> None:
        self._copy(blocks, _("Code copied."), _("This message contains no code."))

    def details(self) -> None:
        entry = self._view.chosen
        if entry is not None:
            self._surface.run("details", self._details, entry, exclusive=True)

    def copy_address(self, address: str) -> None:
        self._surface.copy(address)
        self._surface.say(_("Copied: {address}").format(address=shorten(address, _ADDRESS_CELLS)))

    def delete(self) -> None:
        from tui.screens.dialog import ConfirmDialog

        view, entry = self._surface.chosen(), self._view.chosen
        if view is None or entry is None:
            return
        if entry.kind == DELETED:
            self._surface.say(_("This message was deleted."))
            return
        text = shorten(safe_line(entry.text), _QUOTED_CELLS)
        question = _("Delete “{text}”?").format(text=text) if text else _("Delete this message?")
        dialog = ConfirmDialog(question, deletion(entry, self._state.named(view)))
        self._surface.push(dialog, partial(self._delete, entry))

    def _delete(self, entry: EntryView, yes: bool | None) -> None:
        if yes:
            self._surface.call("delete", self._messenger.delete, entry.contact, entry.id)

    def entry_deleted(self, contact: str, entry: str) -> None:
        """Draw a deleted entry as being deleted: the profile's file may hold its text until it is cleaned."""
        self._erasing[entry] = contact
        if self._state.conversation is not None and contact == self._state.conversation.person:
            self._state.conversation.erased(entry)
            self._view.erase(frozenset(self._erasing))
            self._surface.say(_("Deleting… Parlour erases it from the profile file in the background."))

    def file_cleaned(self) -> None:
        if self._erasing:
            here = self._state.current in self._erasing.values()
            self._erasing.clear()
            self._view.erase(frozenset())
            if here:
                self._surface.say(_("Deleted. The profile file no longer contains it."))

    # What the view asks for.

    def read_newest(self) -> None:
        self._run("jump", self._to_end)

    def read_origins(self, entries: tuple[str, ...]) -> None:
        self._run("origins", self._origins, entries)

    def entry_changed(self, contact: str, entry: str, state: EntryState) -> None:
        opened = self._state.conversation
        if opened is not None and contact == opened.person and opened.moved(entry, state):
            self._view.window_changed(opened.window)

    def mark_seen(self) -> None:
        """Mark the entries as read that are on the screen, if somebody looks at it now.

        An entry was read once its first and its last row were on the screen, together or one after the other.
        """
        opened, view = self._state.conversation, self._state.contact
        if opened is None or view is None or not (self._surface.active and self._attention.there):
            return
        history = self._view
        if history.window is not opened.window:
            return
        begun, ended = history.on_screen()
        self._shown_first = {entry for entry in self._shown_first if entry in opened.window} | begun
        self._shown_last = {entry for entry in self._shown_last if entry in opened.window} | ended
        shown = (begun | ended) & self._shown_first & self._shown_last - self._asked_to_mark
        if shown and view.unread:
            self._asked_to_mark = {entry for entry in self._asked_to_mark if entry in opened.window} | shown
            self._surface.run("seen", self._mark, opened, shown)

    # Reading, in workers.

    async def open_history(self, opened: Conversation) -> None:
        """Show the first unread entry with a line before it, and the end where everything was read."""
        view = self._state.contacts.get(opened.person)
        unread = await attempt(self._messenger.first_unread(opened.person)) if view and view.unread else None
        first = unread if isinstance(unread, str) else ""
        found = await attempt(opened.around(first)) if first else False
        problem = found if isinstance(found, Problem) else None
        if found is not True:
            newest = await attempt(opened.open())
            first, problem = "", newest if isinstance(newest, Problem) else problem
        if self._state.conversation is not opened:
            return
        if problem is not None:
            self._surface.say(problem.text, problem=True)
        self._jumps.clear()
        for entries in (self._shown_first, self._shown_last, self._asked_to_mark):
            entries.clear()
        self._view.unread = first
        self._view.show(opened.window, first)

    async def read_again(self, opened: Conversation) -> None:
        """Read what is shown once more, in its place: names in it may have changed."""
        history = self._view
        if not history.window.entries:
            await self.open_history(opened)
            return
        spot = None if history.at_end else history.spot
        found = (
            await self._surface.ask(opened.around(spot[0]))
            if spot
            else await self._surface.done(opened.open())
        )
        if found and self._state.conversation is opened:
            history.window_changed(opened.window)

    async def _mark(self, opened: Conversation, entries: set[str]) -> None:
        if not await self._surface.done(self._messenger.mark_read(opened.person, tuple(sorted(entries)))):
            self._asked_to_mark -= entries

    async def _mark_all(self, person: str) -> None:
        if await self._surface.done(self._messenger.mark_all_read(person)):
            self._surface.say(_("All messages in this conversation are marked as read."))

    def entry_added(self, entry: EntryView) -> None:
        """Show a new entry of the open conversation; one's own is shown wherever one reads."""
        if self._state.conversation is not None and entry.contact == self._state.conversation.person:
            self._catching_up += 1
            self._run("own" if entry.own else "read", self._catch_up, entry)

    def entry_filled(self, entry: EntryView) -> None:
        """Draw the content of an entry that was missing; only now it can be read."""
        for entries in (self._shown_first, self._shown_last, self._asked_to_mark):
            entries.discard(entry.id)
        opened = self._state.conversation
        if opened is not None and entry.contact == opened.person and opened.filled(entry):
            self._view.window_changed(opened.window)

    def entries_conflict(self, contact: str, entries: Iterable[str]) -> None:
        """Mark entries of one terminal that claim one place in its chain."""
        opened = self._state.conversation
        if opened is not None and contact == opened.person:
            opened.conflict(entries)
            self._view.window_changed(opened.window)
        view = self._state.contacts.get(contact)
        if view is not None:
            news = _("{name}: two messages of one device conflict. Their details say more.")
            self._surface.say(news.format(name=self._state.named(view)))

    async def _catch_up(self, opened: Conversation, entry: EntryView) -> None:
        try:
            await self._take_in(opened, entry)
        finally:
            self._catching_up -= 1
        self._show_people()

    async def _take_in(self, opened: Conversation, entry: EntryView) -> None:
        came = await self._surface.ask(opened.catch_up(entry))
        if came and self._state.conversation is opened:
            history = self._view
            opened.trim(history.reading)
            history.window_changed(opened.window, came)
            if any(new.own for new in came):
                history.action_newest()

    def _run(self, group: str, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        if self._state.conversation is not None:
            self._surface.run(group, work, self._state.conversation, *arguments)

    def read_page(self, read: Callable[[Conversation], Awaitable[bool]]) -> None:
        """One page at a time: the next is asked for when this one is laid out."""
        opened = self._state.conversation
        if opened is not None and opened not in self._paging:
            self._paging.add(opened)
            self._surface.run("page", self._read_page, opened, read)

    async def _read_page(self, opened: Conversation, read: Callable[[Conversation], Awaitable[bool]]) -> None:
        try:
            found = await self._surface.ask(read(opened))
        finally:
            self._paging.discard(opened)
        if found is not None and self._state.conversation is opened:
            history = self._view
            opened.trim(history.reading)
            history.window_changed(opened.window)

    async def _origins(self, opened: Conversation, entries: tuple[str, ...]) -> None:
        await self._surface.ask(opened.read_origins(entries))
        if self._state.conversation is opened:
            self._view.window_changed(opened.window)

    async def _to_end(self, opened: Conversation) -> None:
        if await self._surface.done(opened.open()) and self._state.conversation is opened:
            self._view.show(opened.window)

    async def _jump(
        self, opened: Conversation, entry: str, words: tuple[str, ...], remember: bool = True
    ) -> None:
        history = self._view
        began = history.chosen
        held = entry in opened.window or await self._surface.ask(opened.around(entry))
        if self._state.conversation is not opened:
            return
        if not held:
            self._surface.say(
                _("This message is not on this device: it was never received, or it was deleted.")
            )
            return
        if remember and began is not None and began.id != entry:
            self._jumps = [*self._jumps[1 - _JUMPS_MAX :], began.id]
        history.point_at(opened.window, entry, words)
        history.focus()

    async def _to_unread(self, opened: Conversation) -> None:
        entry = await self._surface.ask(self._messenger.first_unread(opened.person))
        entry = entry or self._view.unread
        if entry:
            await self._jump(opened, entry, ())
        else:
            self._surface.say(_("No unread messages."))

    def _to_day(self, day: date | None) -> None:
        if day is not None:
            begin = datetime.combine(day, time(), self._options.zone).astimezone(UTC)
            self._run("jump", self._to_time, begin)

    async def _to_time(self, opened: Conversation, moment: datetime) -> None:
        entry = await self._surface.ask(self._messenger.entry_at(opened.person, moment))
        if entry:
            await self._jump(opened, entry, ())
        elif self._state.conversation is opened:
            self._surface.say(_("There are no messages on or after that day. This is the newest one."))
            self.newest()

    async def _details(self, entry: EntryView) -> None:
        from tui.screens.details import DetailsDialog

        found = await self._surface.ask(self._messenger.details(entry.contact, entry.id))
        if found is not None:
            names = {view.person: self._state.named(view) for view in self._state.contacts.values()}
            names[self._state.me.person] = _("You")
            self._surface.push(DetailsDialog(found, names, self._options.zone))

    def _copy(self, choose: Callable[[str], list[str]], done: str, nothing: str) -> None:
        entry = self._view.chosen
        found = choose(safe(entry.text)) if entry is not None and entry.kind == "text" else []
        if found and found[0]:
            self._surface.copy(found[0])
            self._surface.say(done)
        else:
            self._surface.say(nothing)
