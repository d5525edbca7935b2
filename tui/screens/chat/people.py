"""The list of people, the header of the open conversation, the guide, the status, and unread counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.interface import (
    SAYS_SOMETHING,
    ContactView,
    DiagnosisView,
    EntryView,
    HistoryMoving,
    Messenger,
    NearbyView,
    Phrase,
    SelfView,
    mentions,
)
from tui.attention import Attention
from tui.messages import NotifyEntry, UnreadChanged
from tui.preferences import Options, Preferences
from tui.screens.chat.sending import ComposerController
from tui.screens.chat.surface import ChatState, Surface
from tui.text.formatting import safe_label
from tui.text.people import digits_line, renamed_line
from tui.text.safe import safe_line
from tui.text.translation import _, sentences, told
from tui.widgets.guide import Guide
from tui.widgets.lines import Header, Status
from tui.widgets.people import People

_NAME_CELLS = 22  # in the header, which has room for marks of every kind next to it on 80 columns
_CAUSES_MAX = 3


@dataclass(repr=False)
class PeopleController:
    """Keeps contacts, people nearby and oneself up to date in `state`, and draws them."""

    messenger: Messenger
    state: ChatState
    surface: Surface
    options: Options
    attention: Attention
    preferences: Preferences
    composer: ComposerController
    view: People = field(init=False, default_factory=People)
    header: Header = field(init=False, default_factory=Header)
    _causes: dict[str, tuple[Phrase, ...]] = field(init=False, default_factory=dict)
    _alone: bool = field(init=False, default=False)
    _diagnosis: tuple[DiagnosisView, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        self.guide = Guide(demo=bool(self.options.demo))
        self.status = Status(demo=bool(self.options.demo))

    # What the engine says.

    def me_changed(self, me: SelfView) -> None:
        self.state.me = me
        self.show_me()

    def nearby_changed(self, nearby: tuple[NearbyView, ...]) -> None:
        self.state.nearby = nearby
        self.show()

    def contact_changed(self, view: ContactView) -> bool:
        """Take in a contact; True where its name is another, or it is new."""
        before = self.state.contacts.get(view.person)
        self.state.contacts[view.person] = view
        if not view.held:
            self._causes.pop(view.person, None)
        elif view.person == self.state.current and not (before is not None and before.held):
            self.surface.clear()  # the banner says it, for as long as it holds
        if before is not None and before.label != view.label:
            said = renamed_line(self.state.named(before), self.state.named(view))
            self.surface.say(sentences(said, digits_line(view.label)))
        return before is None or (before.name, before.label) != (view.name, view.label)

    def identity_changed(self, person: str, name: str, cause: Phrase) -> None:
        self._causes[person] = (*self._causes.get(person, ()), cause)[-_CAUSES_MAX:]
        view = self.state.contacts.get(person)
        if view is None or not view.held:
            news = _("{name}: {cause}").format(name=safe_label(name), cause=safe_line(told(cause)))
            self.surface.say(news)
        self.show_header()

    def notify(self, entry: EntryView) -> None:
        """Notify of a new entry that can be read, unless it is on a watched screen, muted or blocked."""
        view = self.state.contacts.get(entry.contact)
        told = not entry.own and not entry.claimed and entry.kind in SAYS_SOMETHING
        if told and view is not None and self._notifies(view):
            mention = mentions(entry.text, self.state.me.name)
            named = self.state.named(view)
            self.surface.post(NotifyEntry(named, entry.text, view.person, entry.id, mention))

    # Reading.

    async def read(self) -> None:
        self.state.me = await self.surface.ask(self.messenger.me()) or self.state.me
        await self.read_contacts()
        await self.read_latest()
        self.state.nearby = await self.surface.ask(self.messenger.nearby()) or ()
        self.show_me()
        self.show()

    async def read_contacts(self) -> bool:
        """Read all contacts, in the engine's order; False after a refusal."""
        contacts = await self.surface.ask(self.messenger.contacts())
        if contacts is None:
            return False
        self.state.contacts = {view.person: view for view in contacts}
        self.show()
        return True

    async def read_latest(self) -> None:
        """Read the last entry of each conversation."""
        latest = await self.surface.ask(self.messenger.latest())
        if latest is not None:
            self.state.recent.read(latest)
            self.show()

    def most_recent(self) -> str | None:
        """The conversation that was open last, else the latest: somebody who types at once writes to it.

        None in a demo of several people, whose guide is read first.
        """
        if self.preferences.opened == self.state.me.person:
            return self.preferences.opened
        views = self.state.recent.latest_first(self.state.contacts.values())  # a pin does not open it
        people = [view.person for view in views if not view.blocked] or [view.person for view in views]
        if self.preferences.opened in people:
            return self.preferences.opened
        if self.options.demo and len(people) > 1:
            return None
        return people[0] if people else None

    def lose_patience(self) -> None:
        self._alone = not self.state.nearby
        self._show_guide()
        if self._alone and not self.state.contacts:
            self.surface.run("doctor", self._find_causes)

    async def _find_causes(self) -> None:
        self._diagnosis = await self.surface.ask(self.messenger.diagnose()) or ()
        self._show_guide()

    # Showing.

    def show_me(self) -> None:
        self.status.show(self.state.me)
        self._show_guide()

    def history_moves(self, event: HistoryMoving) -> None:
        self.status.move(event)
        self.show_me()

    def show(self) -> None:
        state = self.state
        lines = {person: self._last_line(person) for person in state.talks}
        self.view.show(state.in_order(), state.nearby, state.current, lines)
        self.count_unread()
        self.show_header()
        self._show_guide()

    def _last_line(self, person: str) -> str:
        # The draft of the open conversation is in the text field.
        draft = "" if person == self.state.current else self.composer.drafts.of(person).text
        return self.state.recent.line(person, draft)

    def show_header(self) -> None:
        view = self.state.contact
        if view is not None:
            name = self.state.named(view, _NAME_CELLS)
            self.header.show(view, name)
            self.composer.show_contact(view, name, self._causes.get(view.person, ()))

    def count_unread(self) -> None:
        """Tell the application how many entries are unread that it notifies of."""
        views = [view for view in self.state.contacts.values() if self._notifies(view)]
        self.surface.post(UnreadChanged(sum(view.unread for view in views)))

    def _show_guide(self) -> None:
        if self.state.current is None:
            causes = [line for line in self._diagnosis if not line.good]
            state = self.state
            self.guide.show(state.me, len(state.contacts), len(state.nearby), self._alone, causes)

    def _notifies(self, view: ContactView) -> bool:
        watched = view.person == self.state.current and self.attention.there
        return not (watched or view.blocked or view.muted)
