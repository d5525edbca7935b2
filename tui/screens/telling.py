"""The part of the chat screen that says what is to be told outside of it, and mutes contacts.

Rules: nothing is told of what this person looks at, nor of a contact who is muted or blocked; what is told,
and how, is decided by the application, which has the terminal.
"""

from __future__ import annotations

from chat.interface import EntryView
from tui.bridge import Problem, attempt
from tui.messages import SomethingCame, UnreadMoved
from tui.screens.base import ChatBase
from tui.texts import _


class Telling(ChatBase):
    """New entries elsewhere, how many are unread, who is muted."""

    def tell(self, entry: EntryView) -> None:
        """An entry was stored: tell of it where nobody looks at it."""
        view = self.contacts.get(entry.contact)
        if not entry.own and view is not None and self._heard(view.person, blocked=view.blocked):
            self.post_message(SomethingCame(self.named(view), entry.text))

    def count_unread(self) -> None:
        """How many entries there are that nobody looks at."""
        heard = [view for view in self.contacts.values() if self._heard(view.person, blocked=view.blocked)]
        self.post_message(UnreadMoved(sum(view.unread for view in heard)))

    def muted(self) -> frozenset[str]:
        """The contacts (person ids) whose entries come without a sound."""
        return frozenset(person for person in self.contacts if self.preferences.muted(person))

    def action_mute(self) -> None:
        view = self.chosen()
        if view is not None:
            self.run_worker(self._mute(view.person, on=not self.preferences.muted(view.person)), group="care")

    def show_people(self) -> None:
        """Show everybody anew."""
        raise TypeError("the chat screen shows people")

    async def _mute(self, person: str, *, on: bool) -> None:
        kept = await attempt(self.preferences.mute(person, on=on))
        self.show_people()
        if isinstance(kept, Problem):
            self.say(kept.text, problem=True)
        elif on:
            self.say(_("Muted: entries come without a bell and are not counted in the title."))
        else:
            self.say(_("Not muted any more."))

    def _heard(self, person: str, *, blocked: bool) -> bool:
        looked_at = person == self.current and self.attention.there
        return not (looked_at or blocked or self.preferences.muted(person))
