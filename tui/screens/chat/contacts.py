"""Actions on the open contact, and the dialogs of the profile: relays, settings, diagnosis."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from chat.interface import ContactView, Messenger, RelayView
from tui.actions import Group, action, of_group
from tui.messages import Problem, attempt
from tui.preferences import Preferences
from tui.screens.chat.surface import ChatState, Surface
from tui.text.formatting import GONE, place
from tui.text.translation import _

if TYPE_CHECKING:
    from tui.screens.relays import RelaysDialog


class ContactActions:
    """Verifies, renames, blocks, removes and mutes the contact that was open when the key was pressed.

    `show_people` draws the list of contacts.
    """

    def __init__(
        self,
        messenger: Messenger,
        state: ChatState,
        surface: Surface,
        preferences: Preferences,
        show_people: Callable[[], None],
    ) -> None:
        self._messenger = messenger
        self._state = state
        self._surface = surface
        self._preferences = preferences
        self._show_people = show_people

    def contact(self) -> None:
        from tui.screens.dialog import MenuDialog

        view = self._surface.chosen()
        if view is not None:
            ways = tuple(one for one in of_group(Group.CONTACT) if one.id != "contact")
            self._surface.push(MenuDialog(action("contact").title, ways), self._surface.act)

    def verify(self) -> None:
        view = self._surface.chosen()
        if view is not None:
            self._surface.run("contact", self._verify, view, exclusive=True)

    def rename(self) -> None:
        from tui.screens.dialog import RenameDialog

        view = self._surface.chosen()
        if view is not None:
            self._surface.push(
                RenameDialog(view.name),
                lambda name: self._call(self._messenger.rename, view.person, name) if name else None,
            )

    def block(self) -> None:
        from tui.screens.dialog import ConfirmDialog

        view = self._surface.chosen()
        if view is None:
            return
        if view.blocked:
            self._call(self._messenger.block, view.person, False)
            return
        dialog = ConfirmDialog(
            _("Block {name}?").format(name=self._state.named(view)),
            _("A blocked contact gets no answer, and you see nothing from them. You can unblock them later."),
        )
        self._surface.push(
            dialog, lambda yes: self._call(self._messenger.block, view.person, True) if yes else None
        )

    def remove(self) -> None:
        from tui.screens.dialog import ConfirmDialog

        view = self._surface.chosen()
        if view is not None:
            dialog = ConfirmDialog(
                _("Remove {name}?").format(name=self._state.named(view)),
                _("Deletes the contact, their keys and the conversation from this device permanently."),
            )
            self._surface.push(
                dialog, lambda yes: self._call(self._messenger.remove, view.person) if yes else None
            )

    def _call(self, method: Callable[..., Awaitable[None]], *arguments: object) -> None:
        self._surface.call("contact", method, *arguments)

    async def _verify(self, view: ContactView) -> None:
        from tui.screens.details import VerifyDialog

        number = await self._surface.ask(self._messenger.safety_number(view.person))
        if number is not None:
            verify, person = self._messenger.set_verified, view.person
            others = [self._state.contacts[one] for one in view.same_key if one in self._state.contacts]
            same_key = [self._state.named(other) for other in others]
            self._surface.push(
                VerifyDialog(view, self._state.named(view), number, same_key),
                lambda same: self._call(verify, person, same) if same is not None else None,
            )

    def mute(self) -> None:
        view = self._surface.chosen()
        if view is not None:
            self._surface.run("contact", self._mute, view.person, not self._preferences.muted(view.person))

    async def _mute(self, person: str, on: bool) -> None:
        kept = await attempt(self._preferences.mute(person, on=on))
        self._show_people()
        if isinstance(kept, Problem):
            self._surface.say(kept.text, problem=True)
        elif on:
            self._surface.say(_("Muted. New messages do not ring the bell or count in the title."))
        else:
            self._surface.say(_("Unmuted."))


class ProfileDialogs:
    def __init__(self, messenger: Messenger, surface: Surface, preferences: Preferences) -> None:
        self._messenger = messenger
        self._surface = surface
        self._preferences = preferences

    def doctor(self) -> None:
        from tui.screens.help import DoctorDialog

        self._surface.push(DoctorDialog(self._messenger.diagnose))

    def relays(self) -> None:
        self._surface.run("dialogs", self._relays, exclusive=True)

    def relay_changed(self, relay: RelayView) -> None:
        for dialog in self._relay_dialogs():
            dialog.follow(relay)

    def relay_removed(self, address: str) -> None:
        for dialog in self._relay_dialogs():
            dialog.forget(address)

    def settings(self) -> None:
        self._surface.run("dialogs", self._settings, exclusive=True)

    def _relay_dialogs(self) -> list[RelaysDialog]:
        from tui.screens.relays import RelaysDialog

        return self._surface.dialogs(RelaysDialog)

    async def _relays(self) -> None:
        from tui.screens.relays import RelaysDialog

        relays = await self._surface.ask(self._messenger.relays())
        if relays is not None:
            self._surface.push(RelaysDialog(self._messenger, relays), self._ask_to_remove)

    def _ask_to_remove(self, view: RelayView | None) -> None:
        from tui.screens.dialog import ConfirmDialog

        if view is not None:
            question = _("Remove the relay {relay}?").format(relay=place(view))
            self._surface.push(ConfirmDialog(question, _(GONE)), lambda yes: self._remove_relay(view, yes))

    def _remove_relay(self, view: RelayView, yes: bool | None) -> None:
        """Either way the person is back among the relays."""

        async def remove() -> None:
            if yes:
                await self._surface.done(self._messenger.remove_relay(view.address))
            await self._relays()

        self._surface.run("dialogs", remove, exclusive=True)

    async def _settings(self) -> None:
        from tui.screens.settings import SettingsDialog

        settings = await self._surface.ask(self._messenger.settings())
        if settings is not None:
            self._surface.push(SettingsDialog(self._messenger, settings, self._preferences))
