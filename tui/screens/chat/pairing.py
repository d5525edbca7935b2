"""The part of the chat screen that meets people: nearby, by invitation, by address.

Rules: one pairing dialog at a time; a pairing that somebody else began opens its dialog by itself when
this person has to answer, and only then; pairings begun here open where they were begun.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from chat.interface import Messenger, PairingStage, PairingView
from tui.actions import Group, action, of_group
from tui.attention import Attention
from tui.messages import InvitationSpent, PairingMoved, PairWith
from tui.preferences import Options
from tui.screens.chat.base import ChatBase
from tui.screens.pairing import ASKING, BeginDialog, PairingDialog
from tui.text.formatting import safe_line, safe_name
from tui.text.translation import _, told
from tui.widgets.lines import Said

_OVER = (PairingStage.DONE, PairingStage.FAILED)


class PairingActions(ChatBase):
    """Pairing, inviting, joining, being visible."""

    def __init__(self, messenger: Messenger, options: Options, attention: Attention) -> None:
        super().__init__(messenger, options, attention)
        self._waiting: dict[str, PairingView] = {}
        self._hidden: set[str] = set()
        self._refused: set[str] = set()
        self._invitation = ""
        self._address = ""
        self._meanwhile = ""

    def hear(self, text: str) -> None:
        """Show what the engine says; what nobody could read under a pairing is said again with its end."""
        self.query_one(Said).say(text, stays=True)
        if self._dialog() is not None:
            self._meanwhile = f"{self._meanwhile} {text}".strip()

    def action_add(self) -> None:
        from tui.screens.dialog import MenuDialog

        ways = tuple(one for one in of_group(Group.ADD) if one.id != "add")
        self.app.push_screen(MenuDialog(action("add").title, ways), self.run_chosen)

    def action_visible(self) -> None:
        self.run_worker(self.done(self.messenger.set_visible(not self.me.visible)), group="visible")

    def action_invite(self) -> None:
        self.run_worker(self._invite(), group="invite", exclusive=True)

    def action_join(self) -> None:
        self._ask_invitation()

    def action_address(self) -> None:
        self._ask_address()

    def on_pair_with(self, message: PairWith) -> None:
        self._begin(message.name, lambda: self.messenger.pair_nearby(message.instance))

    def on_pairing_moved(self, message: PairingMoved) -> None:
        view = message.pairing
        dialog = self._dialog()
        if dialog is not None and dialog.concerns(view):
            dialog.follow(view)
        elif view.stage in ASKING and (view.incoming or view.id in self._hidden):
            self._waiting[view.id] = view
            self._open_waiting()
        elif view.stage in _OVER:
            self._ended_unseen(view)

    def on_invitation_spent(self, message: InvitationSpent) -> None:
        from tui.screens.invitations import InviteDialog

        for screen in self.app.screen_stack:
            if isinstance(screen, InviteDialog) and screen.invitation.text == message.text:
                screen.end(None)

    def _begin(
        self, peer: str, call: Callable[[], Awaitable[PairingView]], form: Callable[[str], None] | None = None
    ) -> None:
        """Begin a pairing. `form` asks again for what was typed, with the reason why it did not work."""
        dialog = BeginDialog(self.messenger, peer, call, from_form=form is not None)
        self.app.push_screen(dialog, lambda view: self._ended(dialog, view, form))

    def _ask_invitation(self, reason: str = "") -> None:
        from tui.screens.invitations import JoinDialog

        self.app.push_screen(JoinDialog(self._invitation, reason), self._join)

    def _ask_address(self, reason: str = "") -> None:
        from tui.screens.invitations import AddressDialog

        self.app.push_screen(AddressDialog(self.me.addresses, self._address, reason), self._call)

    async def _invite(self) -> None:
        from tui.screens.invitations import InviteDialog

        invitation = await self.ask(self.messenger.invite())
        if invitation is not None:
            self.app.push_screen(InviteDialog(invitation, self.options.zone))

    def _join(self, text: str | None) -> None:
        if text:
            self._invitation = text
            self._begin("", lambda: self.messenger.join(text), self._ask_invitation)

    def _call(self, address: tuple[str, int] | None) -> None:
        if address:
            host, port = address
            self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._begin("", lambda: self.messenger.pair_address(host, port), self._ask_address)

    def _dialog(self) -> PairingDialog | None:
        return next((one for one in self.app.screen_stack if isinstance(one, PairingDialog)), None)

    def _open_waiting(self) -> None:
        """Show the first pairing that waits for an answer, unless another one is being answered."""
        if self._waiting and self._dialog() is None:
            view = self._waiting.pop(next(iter(self._waiting)))
            dialog = PairingDialog(self.messenger, view, quiet=self.options.quiet)
            self.app.push_screen(dialog, lambda last: self._ended(dialog, last))

    def _ended(
        self, dialog: PairingDialog, view: PairingView | None, form: Callable[[str], None] | None = None
    ) -> None:
        if view is None:
            self._hidden.add(dialog.view.id)
        elif dialog.refused:
            self._refused.add(view.id)
            self.run_worker(self.done(self.messenger.answer_pairing(view.id, False)), group="answer")
        elif view.stage is PairingStage.DONE:
            self._invitation = self._address = ""
            said = _paired(view, compared=bool(view.words))
            self.open_conversation(view.contact)
            self.say(f"{said} {self._meanwhile}".rstrip())
        elif view.problem and form is not None:
            form(safe_line(told(view.problem)))
        self._meanwhile = ""
        self.call_after_refresh(self._open_waiting)

    def _ended_unseen(self, view: PairingView) -> None:
        refused = view.id in self._refused
        known = self._waiting.pop(view.id, None) is not None or refused or view.id in self._hidden
        self._hidden.discard(view.id)
        self._refused.discard(view.id)
        if view.stage is PairingStage.DONE:
            self.say(_paired(view, compared=bool(view.words)))
        elif known and view.problem:
            said = _("Pairing with {name}: {problem}")
            text = said.format(name=safe_name(view.peer), problem=safe_line(told(view.problem)))
            self.say(text, problem=not refused)


def _paired(view: PairingView, *, compared: bool) -> str:
    name = safe_name(view.peer)
    if compared:
        return _("Paired with {name}. You can write now.").format(name=name)
    later = _("Paired with {name}. Compare the safety number when you can: {key}.")
    return later.format(name=name, key=action("verify").key)
