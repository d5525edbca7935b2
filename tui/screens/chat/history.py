"""The part of the chat screen that reads: pages, jumps, the cursor's actions, what is marked as read.

Rules: every read runs in a short worker and shows only what the open conversation asked for; a jump
remembers where it began; what goes to the clipboard has passed `safe`, as what goes to the screen has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, time

from chat.interface import Messenger
from tui import messages
from tui.actions import Group, action, of_group
from tui.attention import Attention
from tui.conversation import DELETED, Conversation
from tui.messages import Problem, attempt
from tui.preferences import Options
from tui.screens.chat.base import ChatBase
from tui.text.formatting import safe, shorten
from tui.text.markdown import blocks, links
from tui.text.translation import _
from tui.widgets.history import History

_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_JUMPS_MAX = 50
_ADDRESS_CELLS = 60  # so that what is said stays in one row


class Reading(ChatBase):
    """The history of the open conversation, and going about in it."""

    def __init__(self, messenger: Messenger, options: Options, attention: Attention) -> None:
        super().__init__(messenger, options, attention)
        self.conversation: Conversation | None = None
        self._shown_first: set[str] = set()  # entries whose first row was on the screen
        self._shown_last: set[str] = set()  # entries whose last row was
        self._asked_to_mark: set[str] = set()  # entries that the engine was asked to mark
        self._jumps: list[str] = []
        self._paging: set[Conversation] = set()

    # Going to a place.

    def jump_to(self, entry: str, highlight: Iterable[str] = ()) -> None:
        """Show an entry of the open conversation, wherever it stands, with these words marked in the view."""
        if self.conversation is not None:
            words = tuple(highlight)
            self.run_worker(self._jump(self.conversation, entry, words), group="jump")

    def action_first_unread(self) -> None:
        if self.chosen() is not None and self.conversation is not None:
            self.run_worker(self._to_unread(self.conversation), group="jump")

    def action_mark_all_read(self) -> None:
        view = self.chosen()
        if view is not None:
            self.run_worker(self._mark_all(view.person), group="seen")

    def action_oldest(self) -> None:
        if self.conversation is not None:
            self.run_worker(self._to_time(self.conversation, _FIRST), group="jump")

    def action_day(self) -> None:
        from tui.screens.dialog import DayDialog

        if self.chosen() is not None:
            self.app.push_screen(DayDialog(self.options.today()), self._to_day)

    def action_origin(self) -> None:
        entry = self.query_one(History).chosen
        if entry is None or not entry.reply:
            self.say(_("This message is not a reply."))
        else:
            self.jump_to(entry.reply)

    def action_back(self) -> None:
        if self._jumps and self.conversation is not None:
            back = self._jumps.pop()
            self.run_worker(self._jump(self.conversation, back, (), remember=False), group="jump")

    def action_newest(self) -> None:
        self.query_one(History).action_newest()

    def action_older(self) -> None:
        self.query_one(History).turn(-1)

    def action_newer(self) -> None:
        self.query_one(History).turn(1)

    # What is done with the entry under the cursor.

    def action_choose_entry(self) -> None:
        if self.chosen() is not None:
            self.query_one(History).focus()

    def action_entry(self) -> None:
        from tui.screens.dialog import MenuDialog

        entry = self.query_one(History).chosen
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
        self.app.push_screen(MenuDialog(action("entry").title, ways), self.run_chosen)

    def action_reply(self) -> None:
        entry = self.query_one(History).chosen
        if entry is not None and entry.kind == DELETED:
            self.say(_("This message was deleted."))
        elif entry is not None:
            self.post_message(messages.ReplyTo(entry))

    def action_copy(self) -> None:
        self._copy(lambda text: [text.strip("\n")], _("Copied."), _("There is no text to copy."))

    def action_copy_link(self) -> None:
        self._copy(links, _("Link copied."), _("This message contains no link."))

    def action_copy_code(self) -> None:
        self._copy(blocks, _("Code copied."), _("This message contains no code."))

    def action_details(self) -> None:
        entry = self.query_one(History).chosen
        if entry is not None and self.conversation is not None:
            self.run_worker(
                self._details(self.conversation.person, entry.id), group="details", exclusive=True
            )

    def on_want_entry_menu(self, message: messages.WantEntryMenu) -> None:
        self.action_entry()

    def on_want_origin(self, message: messages.WantOrigin) -> None:
        self.action_origin()

    def on_address_clicked(self, message: messages.AddressClicked) -> None:
        self.app.copy_to_clipboard(message.address)
        self.say(_("Copied: {address}").format(address=shorten(message.address, _ADDRESS_CELLS)))

    # What the history asks for.

    def on_reached_oldest(self, message: messages.ReachedOldest) -> None:
        if self.conversation is not None:
            self._page(self.conversation, self.conversation.older)

    def on_reached_newest(self, message: messages.ReachedNewest) -> None:
        if self.conversation is not None:
            self._page(self.conversation, self.conversation.newer)

    def on_want_newest(self, message: messages.WantNewest) -> None:
        if self.conversation is not None:
            self.run_worker(self._to_end(self.conversation), group="jump")

    def on_origins_missing(self, message: messages.OriginsMissing) -> None:
        if self.conversation is not None:
            self.run_worker(self._origins(self.conversation, message.entries), group="origins")

    def on_view_moved(self, message: messages.ViewMoved) -> None:
        self.call_after_refresh(self.mark_seen)  # what was scrolled past within one frame was on no screen

    def on_screen_resume(self) -> None:
        self.call_after_refresh(self.mark_seen)

    def on_entry_moved(self, message: messages.EntryMoved) -> None:
        opened = self.conversation
        if opened is None or message.contact != opened.person:
            return
        if opened.moved(message.entry, message.state):
            self.query_one(History).window_changed()

    def mark_seen(self) -> None:
        """Mark the entries as read that are on the screen, if somebody looks at it now.

        An entry was read once its first and its last row were on the screen, together or one after the other.
        """
        opened, view = self.conversation, self.contacts.get(self.current or "")
        if opened is None or view is None or not (self.is_active and self.attention.there):
            return
        history = self.query_one(History)
        if history.window is not opened.window:
            return
        begun, ended = history.on_screen()
        self._shown_first = {entry for entry in self._shown_first if entry in opened.window} | begun
        self._shown_last = {entry for entry in self._shown_last if entry in opened.window} | ended
        shown = (begun | ended) & self._shown_first & self._shown_last - self._asked_to_mark
        if shown and view.unread:
            self._asked_to_mark = {entry for entry in self._asked_to_mark if entry in opened.window} | shown
            self.run_worker(self._mark(opened, shown), group="seen")

    # Reading, in workers.

    async def open_history(self, opened: Conversation) -> None:
        """Show the first unread entry with a line before it, and the end where everything was read."""
        view = self.contacts.get(opened.person)
        unread = await attempt(self.messenger.first_unread(opened.person)) if view and view.unread else None
        first = unread if isinstance(unread, str) else ""
        found = await attempt(opened.around(first)) if first else False
        problem = found if isinstance(found, Problem) else None
        if found is not True:
            newest = await attempt(opened.open())
            first, problem = "", newest if isinstance(newest, Problem) else problem
        if self.conversation is not opened:
            return
        if problem is not None:
            self.say(problem.text, problem=True)
        history = self.query_one(History)
        history.unread = first
        self._jumps.clear()
        for entries in (self._shown_first, self._shown_last, self._asked_to_mark):
            entries.clear()
        history.show(opened.window, first)

    async def read_again(self, opened: Conversation) -> None:
        """Read what is shown once more, in its place: names in it may have changed."""
        history = self.query_one(History)
        if not history.window.entries:
            await self.open_history(opened)
            return
        spot = None if history.at_end else history.spot
        found = await self.ask(opened.around(spot[0])) if spot else await self.done(opened.open())
        if found and self.conversation is opened:
            history.window = opened.window
            history.window_changed()

    async def _mark(self, opened: Conversation, entries: set[str]) -> None:
        if not await self.done(self.messenger.mark_read(opened.person, tuple(sorted(entries)))):
            self._asked_to_mark -= entries

    async def _mark_all(self, person: str) -> None:
        if await self.done(self.messenger.mark_all_read(person)):
            self.say(_("All messages in this conversation are marked as read."))

    async def take_in(self, opened: Conversation, entry: messages.EntryStored) -> None:
        """Show a new entry; one's own is shown wherever one reads."""
        came = await self.ask(opened.catch_up(entry.entry))
        if came and self.conversation is opened:
            history = self.query_one(History)
            opened.trim(history.reading)
            history.window_changed(came)
            if any(new.own for new in came):
                history.action_newest()

    def _page(self, opened: Conversation, read: Callable[[], Awaitable[bool]]) -> None:
        """One page at a time: the next is asked for when this one is laid out."""
        if opened not in self._paging:
            self._paging.add(opened)
            self.run_worker(self._read_page(opened, read), group="page")

    async def _read_page(self, opened: Conversation, read: Callable[[], Awaitable[bool]]) -> None:
        try:
            found = await self.ask(read())
        finally:
            self._paging.discard(opened)
        if found is not None and self.conversation is opened:
            history = self.query_one(History)
            opened.trim(history.reading)
            history.window_changed()

    async def _origins(self, opened: Conversation, entries: tuple[str, ...]) -> None:
        await self.ask(opened.read_origins(entries))
        if self.conversation is opened:
            self.query_one(History).window_changed()

    async def _to_end(self, opened: Conversation) -> None:
        if await self.done(opened.open()) and self.conversation is opened:
            self.query_one(History).show(opened.window)

    async def _jump(
        self, opened: Conversation, entry: str, words: tuple[str, ...], *, remember: bool = True
    ) -> None:
        history = self.query_one(History)
        began = history.chosen
        held = entry in opened.window or await self.ask(opened.around(entry))
        if self.conversation is not opened:
            return
        if not held:
            self.say(_("This message is not on this device: it was never received, or it was deleted."))
            return
        if remember and began is not None and began.id != entry:
            self._jumps = [*self._jumps[1 - _JUMPS_MAX :], began.id]
        history.window = opened.window
        history.point_at(entry, words)
        history.focus()

    async def _to_unread(self, opened: Conversation) -> None:
        entry = await self.ask(self.messenger.first_unread(opened.person))
        entry = entry or self.query_one(History).unread
        if entry:
            await self._jump(opened, entry, ())
        else:
            self.say(_("No unread messages."))

    def _to_day(self, day: date | None) -> None:
        if day is not None and self.conversation is not None:
            begin = datetime.combine(day, time(), self.options.zone).astimezone(UTC)
            self.run_worker(self._to_time(self.conversation, begin), group="jump")

    async def _to_time(self, opened: Conversation, moment: datetime) -> None:
        entry = await self.ask(self.messenger.entry_at(opened.person, moment))
        if entry:
            await self._jump(opened, entry, ())
        elif self.conversation is opened:
            self.say(_("There are no messages on or after that day. This is the newest one."))
            self.action_newest()

    async def _details(self, person: str, entry: str) -> None:
        from tui.screens.details import DetailsDialog

        found = await self.ask(self.messenger.details(person, entry))
        if found is not None:
            names = {view.person: self.named(view) for view in self.contacts.values()}
            names[self.me.person] = _("You")
            self.app.push_screen(DetailsDialog(found, names, self.options.zone))

    def _copy(self, choose: Callable[[str], list[str]], done: str, nothing: str) -> None:
        entry = self.query_one(History).chosen
        found = choose(safe(entry.text)) if entry is not None and entry.kind == "text" else []
        if found and found[0]:
            self.app.copy_to_clipboard(found[0])
            self.say(done)
        else:
            self.say(nothing)
