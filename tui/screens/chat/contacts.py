"""The part of the chat screen that cares for contacts: verify, rename, block, remove; relays; the settings.

Rules: what cannot be taken back is asked first; the contact meant is the one that was open when the key
was pressed, whatever happens meanwhile.

The part of the chat screen that says what is to be told outside of it, and mutes contacts.

Rules: nothing is told of what this person looks at, nor of a contact who is muted or blocked; what is told,
and how, is decided by the application, which has the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.interface import ContactView, EntryView, RelayView
from tui.actions import Group, action, of_group
from tui.messages import Problem, RelayForgotten, RelayMoved, SomethingCame, UnreadMoved, attempt
from tui.screens.chat.base import ChatBase
from tui.text.formatting import GONE, place
from tui.text.translation import _

if TYPE_CHECKING:
    from tui.screens.relays import RelaysDialog


class ContactActions(ChatBase):
    """Contact actions, relays, settings, doctor."""

    def action_contact(self) -> None:
        from tui.screens.dialog import MenuDialog

        view = self.chosen()
        if view is not None:
            ways = tuple(one for one in of_group(Group.CONTACT) if one.id != "contact")
            self.app.push_screen(MenuDialog(action("contact").title, ways), self.run_chosen)

    def action_verify(self) -> None:
        view = self.chosen()
        if view is not None:
            self.run_worker(self._verify(view), group="care", exclusive=True)

    def action_rename(self) -> None:
        from tui.screens.dialog import RenameDialog

        view = self.chosen()
        if view is not None:
            self.app.push_screen(RenameDialog(view.name), lambda name: self._rename(view, name))

    def action_block(self) -> None:
        from tui.screens.dialog import ConfirmDialog

        view = self.chosen()
        if view is None:
            return
        if view.blocked:
            self._block(view, on=False)
            return
        dialog = ConfirmDialog(
            _("Block {name}?").format(name=self.named(view)),
            _("A blocked contact gets no answer, and you see nothing from them. You can unblock them later."),
        )
        self.app.push_screen(dialog, lambda yes: self._block(view, on=True) if yes else None)

    def action_remove(self) -> None:
        from tui.screens.dialog import ConfirmDialog

        view = self.chosen()
        if view is not None:
            dialog = ConfirmDialog(
                _("Remove {name}?").format(name=self.named(view)),
                _("Deletes the contact, their keys and the conversation from this device permanently."),
            )
            self.app.push_screen(dialog, lambda yes: self._remove(view) if yes else None)

    def action_doctor(self) -> None:
        from tui.screens.help import DoctorDialog

        self.app.push_screen(DoctorDialog(self.messenger.diagnose))

    def action_relays(self) -> None:
        self.run_worker(self._relays(), group="care", exclusive=True)

    def on_relay_moved(self, message: RelayMoved) -> None:
        for dialog in self._relay_dialogs():
            dialog.follow(message.relay)

    def on_relay_forgotten(self, message: RelayForgotten) -> None:
        for dialog in self._relay_dialogs():
            dialog.forget(message.address)

    def action_settings(self) -> None:
        self.run_worker(self._settings(), group="care", exclusive=True)

    def _block(self, view: ContactView, *, on: bool) -> None:
        self.run_worker(self.done(self.messenger.block(view.person, on)), group="care")

    def _remove(self, view: ContactView) -> None:
        self.run_worker(self.done(self.messenger.remove(view.person)), group="care")

    def _rename(self, view: ContactView, name: str | None) -> None:
        if name:
            self.run_worker(self.done(self.messenger.rename(view.person, name)), group="care")

    async def _verify(self, view: ContactView) -> None:
        from tui.screens.details import VerifyDialog

        number = await self.ask(self.messenger.safety_number(view.person))
        if number is not None:
            self.app.push_screen(
                VerifyDialog(view, self.named(view), number), lambda same: self._verified(view, same)
            )

    def _verified(self, view: ContactView, same: bool | None) -> None:
        if same is not None:
            self.run_worker(self.done(self.messenger.set_verified(view.person, same)), group="care")

    def _relay_dialogs(self) -> list[RelaysDialog]:
        from tui.screens.relays import RelaysDialog

        return [screen for screen in self.app.screen_stack if isinstance(screen, RelaysDialog)]

    async def _relays(self) -> None:
        from tui.screens.relays import RelaysDialog

        relays = await self.ask(self.messenger.relays())
        if relays is not None:
            self.app.push_screen(RelaysDialog(self.messenger, relays), self._ask_to_remove)

    def _ask_to_remove(self, view: RelayView | None) -> None:
        from tui.screens.dialog import ConfirmDialog

        if view is not None:
            question = _("Remove the relay {relay}?").format(relay=place(view))
            self.app.push_screen(ConfirmDialog(question, _(GONE)), lambda yes: self._remove_relay(view, yes))

    def _remove_relay(self, view: RelayView, yes: bool | None) -> None:
        """Either way the person is back among the relays."""

        async def remove() -> None:
            if yes:
                await self.done(self.messenger.remove_relay(view.address))
            await self._relays()

        self.run_worker(remove(), group="care", exclusive=True)

    async def _settings(self) -> None:
        from tui.screens.settings import SettingsDialog

        settings = await self.ask(self.messenger.settings())
        if settings is not None:
            self.app.push_screen(SettingsDialog(self.messenger, settings, self.preferences))


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
            self.say(_("Muted. New messages do not ring the bell or count in the title."))
        else:
            self.say(_("Unmuted."))

    def _heard(self, person: str, *, blocked: bool) -> bool:
        looked_at = person == self.current and self.attention.there
        return not (looked_at or blocked or self.preferences.muted(person))
