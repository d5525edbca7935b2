"""The history of the open conversation: pages, jumps, actions on an entry, deletion, what counts as read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import partial

from chat.interface import (
    GONE,
    PICTURES_UNCONFINED,
    ContactView,
    DeletedBy,
    DeletionScope,
    EntryKind,
    EntryState,
    EntryView,
    FileProgress,
    FileState,
    HistoryCleared,
    Messenger,
    PictureView,
    Term,
    Unconfined,
)
from tui.actions import Group, action
from tui.attention import Attention
from tui.conversation import Conversation
from tui.messages import PreferenceChosen, Problem, attempt
from tui.preferences import ON, Drawing, Options, Preferences, pictures_of
from tui.screens.chat.opening import OpeningController
from tui.screens.chat.saving import is_here
from tui.screens.chat.surface import ChatState, Surface
from tui.screens.dialog import DayDialog, DeleteDialog
from tui.text.formatting import deletion, gone_line, whole_text
from tui.text.markdown import blocks, links
from tui.text.pictures import may_be_picture
from tui.text.safe import exact, safe, safe_line, shorten
from tui.text.translation import _, _n, sentences, told
from tui.widgets.history import History

_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_MANY = 20  # unread messages from which on the mark before them says how all become read
_JUMPS_MAX = 50
_PICTURES_MAX = 16  # of those that were shown last in a conversation
_ALLOWED_MAX = 4  # pictures that are shown without being asked for: a contact can have so many decoded
_QUOTED_CELLS = 40
_ADDRESS_CELLS = 60  # so that what is said stays in one row


@dataclass(repr=False)
class HistoryController:
    """Fills and moves `view`.

    `answer` begins an answer to an entry, `rewrite` an edit of it; `show_people` draws what
    changes with a new entry in the list.
    `catching_up`: how many new entries are being read.
    """

    messenger: Messenger
    state: ChatState
    surface: Surface
    options: Options
    attention: Attention
    view: History
    answer: Callable[[EntryView], None]
    rewrite: Callable[[EntryView], None]
    go_write: Callable[[], None]
    preferences: Preferences
    opening: OpeningController
    show_people: Callable[[], None]
    catching_up: int = field(init=False, default=0)
    # Entries whose first row was on the screen, whose last row was, and that the engine was asked to mark.
    _shown_first: set[str] = field(init=False, default_factory=set)
    _shown_last: set[str] = field(init=False, default_factory=set)
    _asked_to_mark: set[str] = field(init=False, default_factory=set)
    _jumps: list[str] = field(init=False, default_factory=list)
    _paging: set[Conversation] = field(init=False, default_factory=set)
    _pictures: dict[str, PictureView] = field(init=False, default_factory=dict)
    # Those that were shown, or tried, without being asked for.
    _tried: set[str] = field(init=False, default_factory=set)
    _asked_unconfined: bool = field(
        init=False, default=True
    )  # for pictures that nobody asks for, nobody is asked
    # The contacts of deleted entries that the file may still contain.
    _erasing: dict[str, str] = field(init=False, default_factory=dict)

    # Going to a place.

    def jump_to(self, entry: str, highlight: Iterable[Term] = ()) -> None:
        """Show an entry of the open conversation, wherever it stands, with these terms marked in the view."""
        self._run("jump", self._jump, entry, tuple(highlight))

    def first_unread(self, _view: ContactView) -> None:
        self._run("jump", self._to_unread)

    def mark_all_read(self, view: ContactView) -> None:
        self.surface.run("seen", self._mark_all, view.person)

    def newest(self) -> None:
        self.view.action_newest()
        self._run("unread", self._say_unread)

    async def _say_unread(self, opened: Conversation) -> None:
        """Say that older messages are unread than those in sight, and how all of them are marked as read."""
        first = await self.surface.ask(self.messenger.first_unread(opened.person))
        key = action("mark_all_read").key
        if not first or not key or self.state.conversation is not opened or not self.view.at_end:
            return
        if not any(first in entries for entries in self.view.on_screen()):
            keys = key if self.view.has_focus else f"{action('choose_entry').key} {key}"
            said = _("Messages further up are unread. {keys} marks all as read.")
            self.surface.say(said.format(keys=keys.strip()))

    def oldest(self) -> None:
        self._run("jump", self._to_time, _FIRST)

    def day(self, _view: ContactView) -> None:
        self.surface.choose(DayDialog(self.options.today()), self._to_day)

    def origin(self) -> None:
        entry = self.view.chosen
        if entry is None or not entry.reply:
            self.surface.say(_("This message is not a reply."))
        else:
            self.jump_to(entry.reply)

    def back(self) -> None:
        if self._jumps and self.state.conversation is not None:
            self._run("jump", self._jump, self._jumps.pop(), (), False)

    # What is done with the entry under the cursor.

    def choose_entry(self, _view: ContactView) -> None:
        self.view.focus()

    def entry(self) -> None:
        entry = self.view.chosen
        if entry is None:
            return
        text, view = safe(entry.text), self.state.contact
        useless = {"oldest"}
        useless |= set() if self._jumps else {"back"}
        useless |= set() if entry.reply else {"origin"}
        useless |= set() if links(text) else {"copy_link", "open_link"}
        useless |= set() if blocks(text) else {"copy_code"}
        useless |= set() if entry.kind is EntryKind.TEXT else {"copy"}
        useless |= set() if view is not None and view.unread else {"mark_all_read"}
        useless |= {"reply"} if entry.kind in GONE else set()
        useless |= set() if entry.scopes else {"delete"}
        useless |= set() if entry.own and entry.kind is EntryKind.TEXT else {"edit"}
        some = self.view.selected_entries or (entry,)
        useless |= set() if any(one.file is not None for one in some) else {"save"}
        useless |= set() if any(map(is_here, some)) else {"let_go"}
        useless |= set() if self.opening.is_saved(entry) else {"open_file", "show_folder"}
        useless |= set() if self.view.can_fold(entry) else {"fold"}
        useless |= set() if entry.file is not None and may_be_picture(entry.file) else {"show"}
        self.surface.offer("entry", Group.ENTRY, useless)
        if len(some) > 1:
            said = _("{number} selected: Copy, Save and Delete the file act on all, the others on “{text}”.")
            named = shorten(safe_line(whole_text(entry)), _QUOTED_CELLS)
            self.surface.say(said.format(number=len(some), text=named))

    def reply(self) -> None:
        entry = self.view.chosen
        if entry is not None and entry.kind in GONE:
            self.surface.say(gone_line(entry.kind))
        elif entry is not None:
            self.answer(entry)

    def edit(self) -> None:
        entry = self.view.chosen
        if entry is not None and not (entry.own and entry.kind is EntryKind.TEXT):
            self.surface.say(_("Only your own messages whose text is on this device can be edited."))
        elif entry is not None:
            self.rewrite(entry)

    def dragged(self) -> None:
        """Say that what the mouse selected is copied, which the application does."""
        self.surface.say(_("Copied."))

    def copy(self) -> None:
        """Copy what is selected, or else the entry under the cursor."""
        if text := self.view.selected_text:
            self.surface.copy(text)
            self.surface.say(_("Copied."))
            return
        self._copy(lambda text: [text.strip("\n")], _("Copied."), _("There is no text to copy."))

    def copy_link(self) -> None:
        self._copy(lambda text: links(safe(text)), _("Link copied."), _("This message contains no link."))

    def copy_code(self) -> None:
        self._copy(blocks, _("Code copied."), _("This message contains no code."))

    def show(self) -> None:
        """Show the picture of the entry under the cursor, or hide it again."""
        entry = self.view.chosen
        if entry is not None and entry.id in self._pictures:
            self._show_pictures({one: held for one, held in self._pictures.items() if one != entry.id})
        elif entry is None or entry.file is None or not may_be_picture(entry.file):
            self.surface.say(_("This message has no picture that can be shown (PNG, JPEG, GIF, WebP)."))
        elif self.view.app.no_color:
            self.surface.say(_("A picture needs colours, which NO_COLOR has turned off. Save it to see it."))
        else:
            self._asked_unconfined = False
            self._run("picture", self._show, entry)

    async def _show(self, opened: Conversation, entry: EntryView) -> None:
        self.surface.say(_("Decoding the picture…"))
        shown = await self.surface.ask(self._decoded(entry))
        if shown is not None and self.state.conversation is opened and entry.id in opened.window:
            kept = list(self._pictures.items())[1 - _PICTURES_MAX :]
            self._show_pictures({**dict(kept), entry.id: shown})
            self.surface.say("")

    async def _decoded(self, entry: EntryView) -> PictureView | None:
        width, height = self.view.picture_size(sharp=self._sharp)
        try:
            return await self.messenger.show_picture(entry.contact, entry.id, width, height)
        except Unconfined as refused:
            if not self._asked_unconfined:
                self._asked_unconfined = True
                allow = partial(self._run, "picture", self._show_unconfined, entry)
                self.surface.confirm(_("Decode pictures here all the same?"), told(refused.phrase), allow)
                return None
            raise

    async def _show_unconfined(self, opened: Conversation, entry: EntryView) -> None:
        if await self.surface.done(self.messenger.set_preference(PICTURES_UNCONFINED, ON)):
            await self._show(opened, entry)

    def pictures(self, view: ContactView) -> None:
        """Show the pictures of a conversation without being asked for each, or not any more."""
        name, on = pictures_of(view.person), self.preferences.get(pictures_of(view.person)) != ON
        self.preferences.hold(name, ON if on else "")
        self.surface.post(PreferenceChosen(name, ON if on else ""))
        shown = _("Pictures of {name} are shown as they come.")
        said = shown if on else _("Pictures of {name} are shown when you ask for one.")
        self.surface.say(said.format(name=self.state.named(view)))
        self._show_allowed()

    def _show_allowed(self) -> None:
        """Show the newest pictures that are not shown, where the person allowed that for the contact."""
        opened = self.state.conversation
        if opened is None or self.preferences.get(pictures_of(opened.person)) != ON or self.view.app.no_color:
            return
        due = [one for one in opened.window.entries if one.file is not None and may_be_picture(one.file)]
        due = [one for one in due[-_ALLOWED_MAX:] if one.id not in self._tried]
        self._tried |= {one.id for one in due}
        if due:
            self._run("pictures", self._show_each, due)

    async def _show_each(self, opened: Conversation, entries: list[EntryView]) -> None:
        for entry in entries:
            if self.state.conversation is opened and entry.id not in self._pictures:
                await self._show(opened, entry)

    def _show_pictures(self, pictures: dict[str, PictureView]) -> None:
        self._pictures = pictures
        self.view.show_pictures(pictures, sharp=self._sharp)

    @property
    def _sharp(self) -> bool:
        return self.preferences.drawing is Drawing.KITTY

    def _hide_picture(self, entry: str) -> None:
        """An entry is gone: keep nothing of its picture."""
        if entry in self._pictures:
            self._show_pictures({one: held for one, held in self._pictures.items() if one != entry})

    def fold(self) -> None:
        """Show all rows of the entry under the cursor, or only the first again."""
        entry = self.view.chosen
        if entry is not None and not self.view.fold(entry):
            self.surface.say(_("This message is short: all of it is shown."))

    def details(self) -> None:
        entry = self.view.chosen
        if entry is not None:
            self.surface.run("details", self._details, entry, exclusive=True)

    def copy_address(self, address: str) -> None:
        self.surface.copy(address)
        self.surface.say(_("Copied: {address}").format(address=shorten(address, _ADDRESS_CELLS)))

    def delete(self, view: ContactView) -> None:
        entry = self.view.chosen
        if entry is None:
            return
        if not entry.scopes:
            self.surface.say(gone_line(entry.kind))
            return
        text = shorten(safe_line(entry.text), _QUOTED_CELLS)
        question = _("Delete “{text}”?").format(text=text) if text else _("Delete this message?")
        others = len(self.view.selected_entries) - 1
        if others > 0:
            stay = _n(
                "The other selected message stays.", "The other {number} selected messages stay.", others
            )
            question = sentences(question, stay.format(number=others))
        name = self.state.named(view)
        consequences = {one: deletion(entry, name, one) for one in entry.scopes}
        if len(consequences) == 1:
            scope, consequence = next(iter(consequences.items()))
            self.surface.confirm(question, consequence, partial(self._delete, entry, scope))
            return
        self.surface.choose(DeleteDialog(question, consequences), partial(self._delete, entry))

    def _delete(self, entry: EntryView, scope: DeletionScope) -> None:
        self.surface.call("delete", self.messenger.delete, entry.contact, entry.id, scope)

    def entry_deleted(self, contact: str, entry: str, deleted_by: DeletedBy) -> None:
        """Draw a deleted entry as being deleted: the profile's file may hold its text until it is cleaned."""
        self._hide_picture(entry)
        self._erasing[entry] = contact
        if self.state.conversation is not None and contact == self.state.conversation.person:
            self.state.conversation.erased(entry, by=deleted_by)
            self.view.erase(frozenset(self._erasing))
            self.surface.say(_("Deleting… Parlour erases it from the profile file in the background."))

    def file_being_cleaned(self, done: float) -> None:
        if self.state.current in self._erasing.values():
            said = _("Erasing deleted messages from the profile file: {percent} %…")
            self.surface.say(said.format(percent=int(done * 100)))

    def entry_expired(self, contact: str, entry: str) -> None:
        """Draw an entry as gone whose timer has ended."""
        self._hide_picture(entry)
        if self.state.conversation is not None and contact == self.state.conversation.person:
            self.state.conversation.erased(entry, EntryKind.EXPIRED)
            self.view.erase(frozenset(self._erasing))

    def history_cleared(self, step: HistoryCleared) -> None:
        """Say how far clearing is, and read again what is shown at its end."""
        name = self.state.talk(step.contact)
        if step.done < step.total:
            how = f"{100 * step.done // step.total} %"
            self.surface.say(_("Clearing the conversation… {share}").format(share=how))
            return
        if name is not None:
            said = _("The conversation with {name} is cleared.").format(name=self.state.named(name))
            self.surface.say(said)
        self.entries_marked(step.contact)

    def file_cleaned(self) -> None:
        if self._erasing:
            here = self.state.current in self._erasing.values()
            self._erasing.clear()
            self.view.erase(frozenset())
            if here:
                self.surface.say(_("Deleted. The profile file no longer contains it."))

    # What the view asks for.

    def read_newest(self) -> None:
        self._run("jump", self._to_end)

    def read_origins(self, entries: tuple[str, ...]) -> None:
        self._run("origins", self._origins, entries)

    def entry_changed(self, contact: str, entry: str, state: EntryState) -> None:
        opened = self.state.conversation
        if opened is not None and contact == opened.person and opened.moved(entry, state):
            self.view.window_changed(opened.window)

    def mark_seen(self) -> None:
        """Mark the entries as read that are on the screen, if somebody looks at it now.

        An entry was read once its first and its last row were on the screen, together or one after the other.
        """
        opened, view = self.state.conversation, self.state.contact
        if opened is None or view is None or not (self.surface.active and self.attention.there):
            return
        if self.view.window is not opened.window:
            return
        begun, ended = self.view.on_screen()
        self._shown_first = {entry for entry in self._shown_first if entry in opened.window} | begun
        self._shown_last = {entry for entry in self._shown_last if entry in opened.window} | ended
        shown = (begun | ended) & self._shown_first & self._shown_last - self._asked_to_mark
        if shown and view.unread:
            self._asked_to_mark = {entry for entry in self._asked_to_mark if entry in opened.window} | shown
            self.surface.run("seen", self._mark, opened, shown)

    # Reading, in workers.

    async def open_history(self, opened: Conversation) -> None:
        """Show the first unread entry with a line before it, and the end where everything was read."""
        view = self.state.talk(opened.person)
        unread = await attempt(self.messenger.first_unread(opened.person)) if view and view.unread else None
        first = unread if isinstance(unread, str) else ""
        found = await attempt(opened.around(first)) if first else False
        problem = found if isinstance(found, Problem) else None
        if found is not True:
            newest = await attempt(opened.open())
            first, problem = "", newest if isinstance(newest, Problem) else problem
        if self.state.conversation is not opened:
            return
        if problem is not None:
            self.surface.say(problem.text, problem=True)
        self._jumps.clear()
        self._tried.clear()
        self._show_pictures({})
        for entries in (self._shown_first, self._shown_last, self._asked_to_mark):
            entries.clear()
        self.view.unread = first
        self.view.show(opened.window, first, many=bool(view and view.unread > _MANY))
        self._show_allowed()

    async def read_again(self, opened: Conversation) -> None:
        """Read what is shown once more, in its place: names in it may have changed."""
        if not self.view.window.entries:
            await self.open_history(opened)
            return
        spot = None if self.view.at_end else self.view.spot
        found = (
            await self.surface.ask(opened.around(spot[0])) if spot else await self.surface.done(opened.open())
        )
        if found and self.state.conversation is opened:
            self.view.window_changed(opened.window)

    async def _mark(self, opened: Conversation, entries: set[str]) -> None:
        if not await self.surface.done(self.messenger.mark_read(opened.person, tuple(sorted(entries)))):
            self._asked_to_mark -= entries

    async def _mark_all(self, person: str) -> None:
        if await self.surface.done(self.messenger.mark_all_read(person)):
            self.surface.say(_("All messages in this conversation are marked as read."))

    def entry_added(self, entry: EntryView) -> None:
        """Show a new entry of the open conversation; one's own is shown wherever one reads."""
        if self.state.conversation is not None and entry.contact == self.state.conversation.person:
            self.catching_up += 1
            self._run("own" if entry.own else "read", self._catch_up, entry)

    def entry_filled(self, entry: EntryView) -> None:
        """Draw the content of an entry that was missing; only now it can be read."""
        for entries in (self._shown_first, self._shown_last, self._asked_to_mark):
            entries.discard(entry.id)
        opened = self.state.conversation
        if opened is not None and entry.contact == opened.person and opened.filled(entry):
            self.view.window_changed(opened.window)

    def entry_edited(self, entry: EntryView) -> None:
        """Draw what an entry says now."""
        opened = self.state.conversation
        if opened is not None and entry.contact == opened.person and opened.edited(entry):
            self.view.window_changed(opened.window)

    def file_moved(self, event: FileProgress) -> None:
        """Draw how much of a file is here."""
        opened = self.state.conversation
        if opened is not None and event.contact == opened.person and opened.file_moved(event.id, event.file):
            self.view.window_changed(opened.window)
            if event.file.state is FileState.WHOLE:
                self._show_allowed()

    def entries_conflict(self, contact: str, entries: Iterable[str]) -> None:
        """Mark entries of one terminal that claim one place in its chain."""
        opened = self.state.conversation
        if opened is not None and contact == opened.person:
            opened.conflict(entries)
            self.view.window_changed(opened.window)
        view = self.state.talk(contact)
        if view is not None:
            news = _("{name}: two messages of one device conflict. Their details say more.")
            self.surface.say(news.format(name=self.state.named(view)))

    def entries_marked(self, contact: str) -> None:
        """Read again which entries of the open conversation are quarantined, gone or moved, or end sooner."""
        opened = self.state.conversation
        if opened is not None and contact == opened.person:
            self._run("marks", self.read_again)

    async def _catch_up(self, opened: Conversation, entry: EntryView) -> None:
        try:
            came = await self.surface.ask(opened.catch_up(entry))
            if came and self.state.conversation is opened:
                opened.trim(self.view.reading)
                self.view.window_changed(opened.window, came)
                self._show_allowed()
                if any(new.own for new in came):
                    self.view.action_newest()
                    self.surface.release_frame()
        finally:
            self.catching_up -= 1
        self.show_people()

    def _run(self, group: str, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        if self.state.conversation is not None:
            self.surface.run(group, work, self.state.conversation, *arguments)

    def read_page(self, read: Callable[[Conversation], Awaitable[bool]]) -> None:
        """One page at a time: the next is asked for when this one is laid out."""
        opened = self.state.conversation
        if opened is not None and opened not in self._paging:
            self._paging.add(opened)
            self.surface.run("page", self._read_page, opened, read)

    async def _read_page(self, opened: Conversation, read: Callable[[Conversation], Awaitable[bool]]) -> None:
        try:
            found = await self.surface.ask(read(opened))
        finally:
            self._paging.discard(opened)
        if found is not None and self.state.conversation is opened:
            opened.trim(self.view.reading)
            self.view.window_changed(opened.window)

    async def _origins(self, opened: Conversation, entries: tuple[str, ...]) -> None:
        await self.surface.ask(opened.read_origins(entries))
        if self.state.conversation is opened:
            self.view.window_changed(opened.window)

    async def _to_end(self, opened: Conversation) -> None:
        if await self.surface.done(opened.open()) and self.state.conversation is opened:
            self.view.show(opened.window)
            await self._say_unread(opened)

    async def _jump(
        self, opened: Conversation, entry: str, terms: tuple[Term, ...], remember: bool = True
    ) -> None:
        began = self.view.chosen
        held = entry in opened.window or await self.surface.ask(opened.around(entry))
        if self.state.conversation is not opened:
            return
        if not held:
            self.surface.say(
                _("This message is not on this device: it was never received, or it was deleted.")
            )
            return
        if remember and began is not None and began.id != entry:
            self._jumps = [*self._jumps[1 - _JUMPS_MAX :], began.id]
        self.view.point_at(opened.window, entry, terms)
        if self.view.screen.focused is not self.view:
            self.go_write()

    async def _to_unread(self, opened: Conversation) -> None:
        entry = await self.surface.ask(self.messenger.first_unread(opened.person))
        entry = entry or self.view.unread
        if entry:
            await self._jump(opened, entry, ())
        else:
            self.surface.say(_("No unread messages."))

    def _to_day(self, day: date) -> None:
        begin = datetime.combine(day, time(), self.options.zone).astimezone(UTC)
        self._run("jump", self._to_time, begin)

    async def _to_time(self, opened: Conversation, moment: datetime) -> None:
        entry = await self.surface.ask(self.messenger.entry_at(opened.person, moment))
        if entry:
            await self._jump(opened, entry, ())
        elif self.state.conversation is opened:
            self.surface.say(_("There are no messages on or after that day. This is the newest one."))
            self.view.action_newest()

    async def _details(self, entry: EntryView) -> None:
        from tui.screens.details import DetailsDialog

        found = await self.surface.ask(self.messenger.details(entry.contact, entry.id))
        if found is not None:
            names = {view.person: self.state.named(view) for view in self.state.contacts.values()}
            names[self.state.me.person] = _("You")
            self.surface.push(DetailsDialog(found, names, self.options.zone))

    def _copy(self, choose: Callable[[str], list[str]], done: str, nothing: str) -> None:
        entry = self.view.chosen
        found = choose(exact(entry.text)) if entry is not None and entry.kind is EntryKind.TEXT else []
        if found and found[0]:
            self.surface.copy(found[0])
            self.surface.say(done)
        else:
            self.surface.say(nothing)
