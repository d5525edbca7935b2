"""The main screen: people on the left, the open conversation on the right, the status below.

Rules: engine messages change what is known and the widgets are told to show it; every call to the
engine runs in a short worker, so that no key waits for it.

The part of the chat screen that deletes entries, and says of one that it is deleted when it is.

Rules: it is asked first, with what stays where; between a deletion and the cleaning of the profile's file
an entry is only being deleted, whoever deleted it; what said more of it than that goes at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import PurePath
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from chat.interface import ContactView, DiagnosisView, EntryView, Messenger, Phrase
from tui import messages
from tui.actions import chat_bindings
from tui.attention import Attention
from tui.conversation import DELETED, Conversation
from tui.messages import Problem, attempt, listen
from tui.preferences import Density, Options, Preferences
from tui.screens.chat.composer import Drafts, Writing
from tui.screens.chat.contacts import ContactActions, Telling
from tui.screens.chat.finding import Finding
from tui.screens.chat.pairing import PairingActions
from tui.text.formatting import deletion, safe_line, safe_name, shorten
from tui.text.translation import _, told
from tui.widgets.composer import Completion, Composer
from tui.widgets.guide import Guide
from tui.widgets.history import History
from tui.widgets.lines import Banner, Header, KeyLine, ReplyLine, Said, Status
from tui.widgets.people import People

_QUOTED_CELLS = 40


class Deleting(Finding, Writing):
    """The entry under the cursor, deleted."""

    def __init__(self, messenger: Messenger, options: Options, attention: Attention) -> None:
        super().__init__(messenger, options, attention)
        self._erasing: dict[str, str] = {}  # the contacts of entries, by the entries' ids

    def action_delete(self) -> None:
        from tui.screens.dialog import ConfirmDialog

        view, entry = self.chosen(), self.query_one(History).chosen
        if view is None or entry is None:
            return
        if entry.kind == DELETED:
            self.say(_("This message was deleted."))
            return
        dialog = ConfirmDialog(_question(entry), deletion(entry, self.named(view)))
        self.app.push_screen(dialog, partial(self._delete, entry))

    def _delete(self, entry: EntryView, yes: bool | None) -> None:
        if yes:
            self.run_worker(self.ask(self.messenger.delete(entry.contact, entry.id)), group="delete")

    def on_entry_erased(self, message: messages.EntryErased) -> None:
        self._erasing[message.entry] = message.contact
        self.forget_answer(message.contact, message.entry)
        self.forget_hit(message.entry)
        if self.conversation is not None and message.contact == self.conversation.person:
            self.conversation.erased(message.entry)
            self.query_one(History).erase(frozenset(self._erasing))
            self.say(_("Deleting… Parlour erases it from the profile file in the background."))

    def on_file_cleaned(self, message: messages.FileCleaned) -> None:
        if self._erasing:
            here = self.current in self._erasing.values()
            self._erasing.clear()
            self.query_one(History).erase(frozenset())
            if here:
                self.say(_("Deleted. The profile file no longer contains it."))


def _question(entry: EntryView) -> str:
    text = shorten(safe_line(entry.text), _QUOTED_CELLS)
    return _("Delete “{text}”?").format(text=text) if text else _("Delete this message?")


_NAME_CELLS = 22  # in the header, where marks of every kind have to stand beside it on 80 columns
_CAUSES_MAX = 3
_BREAKPOINTS = [(0, "-narrow"), (70, "-normal"), (110, "-wide")]


class ChatScreen(Deleting, PairingActions, ContactActions, Telling):
    """People, history, composer."""

    CSS_PATH: ClassVar[list[str | PurePath]] = ["chat.tcss", "writing.tcss"]
    AUTO_FOCUS = ""
    # What opens a dialog or moves the focus; then what commands act on, which writing does not wait for.
    KEYS_WAIT_FOR = frozenset(("start", "find", "jump", "care", "invite", "details"))
    COMMANDS_WAIT_FOR = frozenset(("open", "own", "page", "reply", "delete", "visible"))
    HORIZONTAL_BREAKPOINTS = _BREAKPOINTS
    BINDINGS: ClassVar[list[BindingType]] = [*chat_bindings()]

    def __init__(
        self,
        messenger: Messenger,
        options: Options,
        attention: Attention,
        preferences: Preferences,
        last: str | None = None,
    ) -> None:
        super().__init__(messenger, options, attention)
        self.preferences = preferences
        self.drafts = Drafts(preferences)
        self._last = last
        self._causes: dict[str, tuple[Phrase, ...]] = {}
        self._alone = False
        self._diagnosis: tuple[DiagnosisView, ...] = ()
        self._catching_up = 0

    def compose(self) -> ComposeResult:
        with Horizontal(id="panes"):
            yield People()
            yield Guide(demo=bool(self.options.demo))
            with Vertical(id="conversation"):
                yield Header()
                yield History(self.options.today, self.options.zone)
                yield Banner()
                yield ReplyLine()
                yield Composer(self.earlier)
                yield Completion()
        yield Said(self.options.news)
        yield Status(demo=bool(self.options.demo))
        yield KeyLine()

    def on_mount(self) -> None:
        # The first layout is the right one already; the break points hold from the second.
        self.add_class(next(name for least, name in reversed(_BREAKPOINTS) if self.app.size.width >= least))
        self.query_one("#conversation").display = False
        self._dress_history()
        self.query_one(People).focus()
        # The stream is open before anything is read, so that nothing falls between the two.
        self.run_worker(listen(self.messenger, self), group="events")
        self.run_worker(self._read_everything(), group="start")
        self.set_timer(self.options.patience, self._lose_patience)

    def dress(self) -> None:
        """Show everything in the spacing and the language that hold now."""
        self._dress_history()
        self.query_one(KeyLine).show()
        self.query_one(Said).clear()
        self._show_answered(self._answered)
        self._show_me()
        self.show_people()

    def _dress_history(self) -> None:
        roomy = self.preferences.density is Density.ROOMY
        self.query_one(History).dress(roomy=roomy, language=self.preferences.language)

    # What the engine says.

    def on_engine_listened(self, message: messages.EngineListened) -> None:
        self.me = replace(self.me, addresses=message.addresses)
        self._show_me()

    def on_visibility_moved(self, message: messages.VisibilityMoved) -> None:
        self.me = replace(self.me, visible=message.visible)
        self._show_me()

    def on_engine_said(self, message: messages.EngineSaid) -> None:
        self.hear(safe_line(told(message.text)))

    def on_strangers_moved(self, message: messages.StrangersMoved) -> None:
        self.nearby = message.nearby
        self.show_people()

    def on_contact_moved(self, message: messages.ContactMoved) -> None:
        view = message.contact
        before = self.contacts.get(view.person)
        self.contacts[view.person] = view
        if not view.held:
            self._causes.pop(view.person, None)
        elif view.person == self.current and not (before is not None and before.held):
            self.query_one(Said).clear()  # the banner says it, for as long as it holds
        if not self._catching_up:  # else it is shown with the entry, which would be a frame late otherwise
            self.show_people()
        if view.person == self.current and view.unread:
            self.call_after_refresh(self.mark_seen)  # its count may come after the entry was drawn
        if before is None or (before.name, before.label) != (view.name, view.label):
            self.run_worker(self._read_contacts(view.person), group="contacts")

    def on_contact_forgotten(self, message: messages.ContactForgotten) -> None:
        self.contacts.pop(message.person, None)
        self.forget_draft(message.person)
        if self.current == message.person:
            self._close_conversation()
        self.say(_("{name} was removed.").format(name=safe_name(message.name)))
        self.run_worker(self._read_contacts(None), group="contacts")

    def on_identity_moved(self, message: messages.IdentityMoved) -> None:
        held = self._causes.get(message.person, ())
        self._causes[message.person] = (*held, message.cause)[-_CAUSES_MAX:]
        view = self.contacts.get(message.person)
        if view is None or not view.held:
            news = _("{name}: {cause}").format(
                name=safe_name(message.name), cause=safe_line(told(message.cause))
            )
            self.say(news)
        self._show_header()

    def on_entry_stored(self, message: messages.EntryStored) -> None:
        self.tell(message.entry)
        if self.conversation is not None and message.entry.contact == self.conversation.person:
            self._catching_up += 1
            group = "own" if message.entry.own else "read"
            self.run_worker(self._catch_up(self.conversation, message), group=group)

    # What the person does.

    def on_open_conversation(self, message: messages.OpenConversation) -> None:
        self.open_conversation(message.person)

    def open_conversation(self, person: str) -> None:
        """Show a conversation; the draft of the one before is kept."""
        if person == self.current:
            self.go_write()
            return
        self.leave_draft()
        self.remember(person)
        self.current = person
        self.query_one(Said).opened(person)
        self.conversation = Conversation(self.messenger, person)
        self.take_up_draft()
        self.query_one(History).show(self.conversation.window)
        self.show_people()
        self.query_one(People).point_at(person)
        self.go_write()
        self.run_worker(self.open_history(self.conversation), group="open", exclusive=True)

    def action_next_conversation(self) -> None:
        self._step(1)

    def action_previous_conversation(self) -> None:
        self._step(-1)

    # Reading, in workers.

    async def _read_everything(self) -> None:
        me = await self.ask(self.messenger.me())
        self.me = me or self.me
        await self._read_contacts(None)
        self.nearby = await self.ask(self.messenger.nearby()) or ()
        self._show_me()
        self.show_people()
        wanted = self._last if self._last in self.contacts else await self._most_recent()
        if wanted in self.contacts and self.current is None:
            self.open_conversation(wanted)

    async def _most_recent(self) -> str | None:
        """The contact with the newest entry, or the first one: somebody who types at once writes to it.

        None in a demo of several people, whose guide is read first.
        """
        people = [view.person for view in self.contacts.values() if not view.blocked] or list(self.contacts)
        if len(people) < 2:
            return people[0] if people else None
        if self.options.demo:
            return None
        newest: dict[str, datetime] = {}
        for person in people:
            page = await attempt(self.messenger.history(person, 1))
            if not isinstance(page, Problem) and page:
                newest[person] = page[-1].time
        return max(newest, key=lambda person: newest[person], default=people[0])

    async def _read_contacts(self, changed: str | None) -> None:
        contacts = await self.ask(self.messenger.contacts())
        if contacts is None:
            return
        self.contacts = {view.person: view for view in contacts}
        self.show_people()
        if changed is not None and changed == self.current and self.conversation is not None:
            self.conversation = Conversation(self.messenger, changed)
            await self.read_again(self.conversation)

    async def _catch_up(self, opened: Conversation, stored: messages.EntryStored) -> None:
        try:
            await self.take_in(opened, stored)
        finally:
            self._catching_up -= 1
        self.show_people()

    # Showing.

    def attention_moved(self) -> None:
        self.mark_seen()
        self.count_unread()

    def _show_me(self) -> None:
        self.query_one(Status).show(self.me)
        self._show_guide()

    def show_people(self) -> None:
        """Show everybody anew, and what hangs on who they are."""
        people = list(self.contacts.values())
        self.query_one(People).show(people, self.nearby, self.current, self.muted())
        self.count_unread()
        self._show_header()
        self._show_guide()

    def _show_guide(self) -> None:
        guide = self.query_one(Guide)
        guide.display = self.current is None
        self.query_one("#conversation").display = self.current is not None
        if self.current is None:
            causes: Sequence[DiagnosisView] = [line for line in self._diagnosis if not line.good]
            guide.show(self.me, len(self.contacts), len(self.nearby), self._alone, causes)

    def _show_header(self) -> None:
        view = self.contacts.get(self.current or "")
        if view is not None:
            name = self.named(view, _NAME_CELLS)
            self.query_one(Header).show(view, name, muted=view.person in self.muted())
            self.query_one(Composer).placeholder = Content(
                "" if view.held else _("Write to {name}").format(name=name)
            )
            self._show_held(view, name)

    def _show_held(self, view: ContactView, name: str) -> None:
        """Let nothing be written to a contact whose identity has changed, and say why."""
        banner, composer = self.query_one(Banner), self.query_one(Composer)
        if view.held:
            banner.show(name, self._causes.get(view.person, ()))
        if composer.disabled != view.held:
            writing = self.focused in (composer, banner)
            composer.disabled = banner.display = view.held
            if writing:
                self.go_write()

    def _lose_patience(self) -> None:
        self._alone = not self.nearby
        self._show_guide()
        if self._alone and not self.contacts:
            self.run_worker(self._find_causes(), group="doctor")

    async def _find_causes(self) -> None:
        self._diagnosis = await self.ask(self.messenger.diagnose()) or ()
        self._show_guide()

    def _close_conversation(self) -> None:
        self.current, self.conversation = None, None
        self.query_one(Said).opened(None)
        self.show_people()
        self.query_one(People).focus()

    def _step(self, by: int) -> None:
        order = list(self.contacts)
        if order:
            at = order.index(self.current) + by if self.current in order else 0
            self.open_conversation(order[at % len(order)])
