"""Pairing from the chat screen: with people nearby, by invitation, by address.

One pairing dialog is open at a time. A pairing that another person began opens its dialog when an answer is
due.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from chat.interface import Messenger, PairingStage, PairingView
from tui.actions import Group, action, of_group
from tui.preferences import Options
from tui.screens.chat.surface import ChatState, Surface
from tui.screens.pairing import ASKING, BeginDialog, PairingDialog
from tui.text.formatting import safe_line, safe_name
from tui.text.translation import _, told

_OVER = (PairingStage.DONE, PairingStage.FAILED)


class PairingController:
    """Pairs, invites, joins, and makes visible. `open_conversation` takes a person id."""

    def __init__(
        self,
        messenger: Messenger,
        state: ChatState,
        surface: Surface,
        options: Options,
        open_conversation: Callable[[str], object],
    ) -> None:
        self._messenger = messenger
        self._state = state
        self._surface = surface
        self._options = options
        self._open_conversation = open_conversation
        self._waiting: dict[str, PairingView] = {}
        self._hidden: set[str] = set()
        self._refused: set[str] = set()
        self._invitation = ""
        self._address = ""
        self._meanwhile = ""

    def notice(self, text: str) -> None:
        """Show a line of the engine; the end of a pairing repeats it where the dialog covered it."""
        self._surface.notice(text)
        if self._dialog() is not None:
            self._meanwhile = f"{self._meanwhile} {text}".strip()

    def add(self) -> None:
        from tui.screens.dialog import MenuDialog

        ways = tuple(one for one in of_group(Group.ADD) if one.id != "add")
        self._surface.push(MenuDialog(action("add").title, ways), self._surface.act)

    def visible(self) -> None:
        self._surface.call("visible", self._messenger.set_visible, not self._state.me.visible)

    def invite(self) -> None:
        self._surface.run("invite", self._invite, exclusive=True)

    def pair_nearby(self, instance: str, name: str) -> None:
        self._begin(name, lambda: self._messenger.pair_nearby(instance))

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

        for dialog in self._surface.dialogs(InviteDialog):
            if dialog.invitation.text == text:
                dialog.end(None)

    def _begin(
        self, peer: str, call: Callable[[], Awaitable[PairingView]], form: Callable[[str], None] | None = None
    ) -> None:
        """Begin a pairing. `form` asks again for what was typed, with the reason why it did not work."""
        dialog = BeginDialog(self._messenger, peer, call, from_form=form is not None)
        self._surface.push(dialog, lambda view: self._ended(dialog, view, form))

    def join(self, reason: str = "") -> None:
        from tui.screens.invitations import JoinDialog

        self._surface.push(JoinDialog(self._invitation, reason), self._join)

    def address(self, reason: str = "") -> None:
        from tui.screens.invitations import AddressDialog

        self._surface.push(AddressDialog(self._state.me.addresses, self._address, reason), self._call)

    async def _invite(self) -> None:
        from tui.screens.invitations import InviteDialog

        invitation = await self._surface.ask(self._messenger.invite())
        if invitation is not None:
            self._surface.push(InviteDialog(invitation, self._options.zone))

    def _join(self, text: str | None) -> None:
        if text:
            self._invitation = text
            self._begin("", lambda: self._messenger.join(text), self.join)

    def _call(self, address: tuple[str, int] | None) -> None:
        if address:
            host, port = address
            self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._begin("", lambda: self._messenger.pair_address(host, port), self.address)

    def _dialog(self) -> PairingDialog | None:
        return next(iter(self._surface.dialogs(PairingDialog)), None)

    def _open_waiting(self) -> None:
        """Show the first pairing that waits for an answer, unless another one is being answered."""
        if self._waiting and self._dialog() is None:
            view = self._waiting.pop(next(iter(self._waiting)))
            dialog = PairingDialog(self._messenger, view, quiet=self._options.quiet)
            self._surface.push(dialog, lambda last: self._ended(dialog, last))

    def _ended(
        self, dialog: PairingDialog, view: PairingView | None, form: Callable[[str], None] | None = None
    ) -> None:
        if view is None:
            self._hidden.add(dialog.view.id)
        elif dialog.refused:
            self._refused.add(view.id)
            self._surface.call("answer", self._messenger.answer_pairing, view.id, False)
        elif view.stage is PairingStage.DONE:
            self._invitation = self._address = ""
            said = _paired(view, compared=bool(view.words))
            self._open_conversation(view.contact)
            self._surface.say(f"{said} {self._meanwhile}".rstrip())
        elif view.problem and form is not None:
            form(safe_line(told(view.problem)))
        self._meanwhile = ""
        self._surface.after_refresh(self._open_waiting)

    def _ended_unseen(self, view: PairingView) -> None:
        refused = view.id in self._refused
        known = self._waiting.pop(view.id, None) is not None or refused or view.id in self._hidden
        self._hidden.discard(view.id)
        self._refused.discard(view.id)
        if view.stage is PairingStage.DONE:
            self._surface.say(_paired(view, compared=bool(view.words)))
        elif known and view.problem:
            said = _("Pairing with {name}: {problem}")
            text = said.format(name=safe_name(view.peer), problem=safe_line(told(view.problem)))
            self._surface.say(text, problem=not refused)


def _paired(view: PairingView, *, compared: bool) -> str:
    name = safe_name(view.peer)
    if compared:
        return _("Paired with {name}. You can write now.").format(name=name)
    later = _("Paired with {name}. Compare the safety number when you can: {key}.")
    return later.format(name=name, key=action("verify").key)
