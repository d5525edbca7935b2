"""One's own devices from the chat screen: the list, adding one, removing one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING

from chat.interface import LinkingStage, LinkingView, Messenger, TerminalView
from tui.screens.chat.surface import Surface
from tui.screens.dialog import ConfirmDialog, RemoveDialog
from tui.text.recovery import foreseen_lines, removal_lines, removed_line
from tui.text.safe import safe_name
from tui.text.translation import _

if TYPE_CHECKING:
    from tui.screens.devices import AddDialog, DevicesDialog


@dataclass(repr=False)
class DevicesController:
    """After adding or removing one, its person is back among the devices."""

    messenger: Messenger
    surface: Surface
    zone: tzinfo | None = None

    def devices(self) -> None:
        self.surface.run("dialogs", self._devices, exclusive=True)

    def changed(self) -> None:
        """The own log changed: an open list shows it."""
        self.surface.run("devices", self._read_again, exclusive=True)

    def linking_changed(self, view: LinkingView) -> None:
        from tui.screens.devices import AddDialog

        dialogs = [dialog for dialog in self.surface.dialogs(AddDialog) if dialog.concerns(view)]
        for dialog in dialogs:
            dialog.follow(view)
        if view.stage is LinkingStage.DONE and not dialogs:
            said = _("The device {name} was added. Your contacts see that.")
            self.surface.say(said.format(name=safe_name(view.name)))
            self.changed()

    async def _devices(self) -> None:
        from tui.screens.devices import DevicesDialog

        devices = await self.surface.ask(self.messenger.terminals())
        me = await self.surface.ask(self.messenger.me()) if devices is not None else None
        if devices is not None and me is not None:
            dialog = DevicesDialog(devices, me, self.zone)
            self.surface.choose(dialog, partial(self._chosen, dialog))

    async def _read_again(self) -> None:
        from tui.screens.devices import DevicesDialog

        dialogs = self.surface.dialogs(DevicesDialog)
        devices = await self.surface.ask(self.messenger.terminals()) if dialogs else None
        for dialog in dialogs if devices is not None else ():
            dialog.follow(devices or ())

    def _chosen(self, among: DevicesDialog, chosen: str) -> None:
        from tui.screens.devices import ADD

        view = among.find(chosen)
        if chosen == ADD:
            self._add()
        elif view is not None:
            first = among.removal_of_first(view)
            self.surface.run("dialogs", self._ask_to_remove, view, first, exclusive=True)

    def remove(self, terminal: str) -> None:
        """Ask whether a device is to be removed that did what its person says was somebody else."""
        self.surface.run("dialogs", self._remove_asked_about, terminal, exclusive=True)

    async def _remove_asked_about(self, terminal: str) -> None:
        from tui.screens.devices import DevicesDialog

        devices = await self.surface.ask(self.messenger.terminals())
        me = await self.surface.ask(self.messenger.me())
        if devices is not None and me is not None:
            self._chosen(DevicesDialog(devices, me, self.zone), terminal)

    def _add(self) -> None:
        from tui.screens.devices import AddDialog

        dialog = AddDialog(self.messenger, self.surface.state.me.addresses)
        self.surface.push(dialog, lambda _ended: self._adding_left(dialog))

    async def _ask_to_remove(self, view: TerminalView, first: list[str]) -> None:
        foreseen = await self.surface.ask(self.messenger.foresee_removal(view.terminal))
        devices = await self.surface.ask(self.messenger.terminals())
        if foreseen is None or devices is None:
            await self._devices()
            return
        question, consequence = removal_lines(view, devices)
        falls = foreseen_lines(foreseen, devices, self.surface.state.name_of, self.zone)
        consequence = "\n".join((consequence, *first, *falls))
        if view.this:
            self.surface.push(ConfirmDialog(question, consequence), partial(self._leave, view))
        else:
            self.surface.push(RemoveDialog(question, consequence), partial(self._remove, view))

    def _adding_left(self, dialog: AddDialog) -> None:
        async def leave() -> None:
            if dialog.under_way:
                await self.surface.done(self.messenger.stop_adding())
            await self._devices()

        self.surface.run("dialogs", leave, exclusive=True)

    def _leave(self, view: TerminalView, yes: bool | None) -> None:
        self._remove(view, False if yes else None)

    def _remove(self, view: TerminalView, stolen: bool | None) -> None:
        if stolen is None:
            self.devices()
        else:
            self.surface.say(_("Signing…"))
            self.surface.run("sign", self._sign_removal, view, stolen)

    async def _sign_removal(self, view: TerminalView, stolen: bool) -> None:
        if await self.surface.done(self.messenger.remove_terminal(view.terminal, stolen)):
            self.surface.say(removed_line(view))
        self.devices()
