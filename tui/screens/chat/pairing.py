"""Pairing from the chat screen: with people nearby, by invitation, by address.

One pairing dialog is open at a time. A pairing that another person began opens its dialog when an answer is
due.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from chat.interface import Messenger, PairingStage, PairingView
from tui.actions import action
from tui.preferences import Options
from tui.screens.chat.surface import ChatState, Surface
from tui.screens.pairing import ASKING, AddContactDialog, BeginDialog, PairingDialog
from tui.text.people import digits_line
from tui.text.safe import safe_line, safe_name
from tui.text.translation import _, sentences, told

_OVER = (PairingStage.DONE, PairingStage.FAILED)


@dataclass(repr=False)
class PairingController:
    """Pairs, invites, joins, and makes visible. `open_conversation` takes a person id."""

    messenger: Messenger
    state: ChatState
    surface: Surface
    options: Options
    open_conversation: Callable[[str], object]
    _waiting: dict[str, PairingView] = field(init=False, default_factory=dict)
    _hidden: set[str] = field(init=False, default_factory=set)
    _refused: set[str] = field(init=False, default_factory=set)
    _invitation: str = field(init=False, default="")
    _address: str = field(init=False, default="")
    _meanwhile: str = field(init=False, default="")

    def notice(self, text: str) -> None:
        """Show a line of the engine; the end of a pairing repeats it where the dialog covered it."""
        self.surface.notice(text)
        if self._dialog() is not None:
            self._meanwhile = f"{self._meanwhile} {text}".strip()

    def add(self) -> None:
        dialog = AddContactDialog(self.state.nearby)

        async def chosen(one: str) -> None:
            name = dialog.name_of(one)
            if name is None:
                await self.surface.act(one)
            else:
                self.pair_nearby(one, name)

        self.surface.choose(dialog, chosen)

    def nearby_changed(self) -> None:
        for dialog in self.surface.dialogs(AddContactDialog):
            dialog.show_nearby(self.state.nearby)

    def visible(self) -> None:
        self.surface.call("visible", self.messenger.set_visible, not self.state.me.visible)

    def invite(self) -> None:
        self.surface.run("invite", self._invite, exclusive=True)

    def pair_nearby(self, instance: str, name: str) -> None:
        self._begin(name, lambda: self.messenger.pair_nearby(instance))

    def pairing_changed(self, view: PairingView) -> None:
        dialog = self._dialog()
        if dialog is not None and dialog.concerns(view):
            dialog.follow(view)
        elif view.stage in ASKING and (view.incoming or view.id in self._hidden):
            self._waiting[view.id] = view
            self._open_waiting()
        elif view.stage in _OVER:
            self._ended_unseen(view)

    def invitation_used(self, text: str) -> None:
        from tui.screens.invitations import InviteDialog

        for dialog in self.surface.dialogs(InviteDialog):
            if dialog.invitation.text == text:
                dialog.end(None)

    def _begin(
        self, peer: str, call: Callable[[], Awaitable[PairingView]], form: Callable[[str], None] | None = None
    ) -> None:
        """Begin a pairing. `form` asks again for what was typed, with the reason why it did not work."""
        dialog = BeginDialog(self.messenger, peer, call, from_form=form is not None)
        self.surface.push(dialog, lambda view: self._ended(dialog, view, form))

    def join(self, reason: str = "") -> None:
        from tui.screens.invitations import JoinDialog

        self.surface.choose(JoinDialog(self._invitation, reason), self._join)

    def address(self, reason: str = "") -> None:
        from tui.screens.invitations import AddressDialog

        self.surface.choose(AddressDialog(self.state.me.addresses, self._address, reason), self._call)

    async def _invite(self) -> None:
        from tui.screens.invitations import InviteDialog

        invitation = await self.surface.ask(self.messenger.invite())
        if invitation is not None:
            self.surface.push(InviteDialog(invitation, self.options.zone))

    def _join(self, text: str) -> None:
        self._invitation = text
        self._begin("", lambda: self.messenger.join(text), self.join)

    def _call(self, address: tuple[str, int]) -> None:
        host, port = address
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._begin("", lambda: self.messenger.pair_address(host, port), self.address)

    def _dialog(self) -> PairingDialog | None:
        return next(iter(self.surface.dialogs(PairingDialog)), None)

    def _open_waiting(self) -> None:
        """Show the first pairing that waits for an answer, unless another one is being answered."""
        if self._waiting and self._dialog() is None:
            view = self._waiting.pop(next(iter(self._waiting)))
            dialog = PairingDialog(self.messenger, view, quiet=self.options.quiet)
            self.surface.push(dialog, lambda last: self._ended(dialog, last))

    def _ended(
        self, dialog: PairingDialog, view: PairingView | None, form: Callable[[str], None] | None = None
    ) -> None:
        if view is None:
            self._hidden.add(dialog.view.id)
        elif dialog.refused:
            self._refused.add(view.id)
            self.surface.call("answer", self.messenger.answer_pairing, view.id, False)
        elif view.stage is PairingStage.DONE:
            self._invitation = self._address = ""
            said = self._paired(view, compared=bool(view.words))
            self.open_conversation(view.contact)
            self.surface.say(sentences(said, self._meanwhile))
        elif view.problem and form is not None:
            form(safe_line(told(view.problem)))
        self._meanwhile = ""
        self.surface.after_refresh(self._open_waiting)

    def _ended_unseen(self, view: PairingView) -> None:
        refused = view.id in self._refused
        known = self._waiting.pop(view.id, None) is not None or refused or view.id in self._hidden
        self._hidden.discard(view.id)
        self._refused.discard(view.id)
        if view.stage is PairingStage.DONE:
            self.surface.say(self._paired(view, compared=bool(view.words)))
        elif known and view.problem:
            said = _("Pairing with {name}: {problem}")
            text = said.format(name=safe_name(view.peer), problem=safe_line(told(view.problem)))
            self.surface.say(text, problem=not refused)

    def _paired(self, view: PairingView, *, compared: bool) -> str:
        contact = self.state.contacts.get(view.contact)
        name, label = safe_name(view.peer), ""
        if contact is not None:
            name, label = self.state.named(contact), contact.label
        said = _("Paired with {name}. Compare the safety number when you can: {key}.")
        if compared:
            said = _("Paired with {name}. You can write now.")
        return sentences(said.format(name=name, key=action("verify").key), digits_line(label))
