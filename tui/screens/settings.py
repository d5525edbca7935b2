"""The settings dialog. Each choice holds at once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar, Final

from msgspec.structs import replace
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from chat.interface import Messenger, RetentionView, SettingsView, TerminalView, osc_of
from tui.actions import action
from tui.messages import PreferenceChosen, Problem, attempt, start_worker
from tui.preferences import AMOUNTS, Amount, Density, Drawing, Keys, Preferences, Theme, amount, switch
from tui.screens.dialog import CSSPath, Dialog, plain
from tui.text.formatting import STAYS, device_name
from tui.text.translation import LANGUAGES, N_, _, _n, sentences
from tui.widgets.controls import Choice, Value
from tui.widgets.opens import Opens

_MINUTES: Final = (0, 1, 5, 15, 30, 60)
_NATIVE: Final = dict(zip(LANGUAGES, ("English", "简体中文"), strict=True))
_NONE_SHOWN: Final = N_("This terminal is not known to support notifications.")
_TOLD: Final = ("read_receipts", "typing")
_OPENED: Final = ("rename_self", "passphrase", "relays", "devices", "recovery", "backup", "wipe")
"""Actions that change what belongs to this person, each in a dialog of its own."""
_KEEP: Final = "keep"
_KEEPER: Final = "keeper"
_LEAVES: Final = "leaves"
_DAYS: Final = (0, 365, 90, 30, 7)


class SettingsDialog(Dialog[str]):
    """All that can be chosen. `settings` and `kept` are those of the engine, `devices` all of this person.

    Ends with the action (id) that changes something in a dialog of its own, where one was chosen.
    """

    CSS_PATH: ClassVar[CSSPath] = ["dialog.tcss", "settings.tcss"]
    AUTO_FOCUS = "Choice"
    heading = N_("Settings")
    hints = (("↑ ↓", N_("Move")), ("← →", N_("Change")), ("escape", N_("Close")))

    def __init__(
        self,
        messenger: Messenger,
        settings: SettingsView,
        kept: RetentionView,
        devices: Sequence[TerminalView],
        preferences: Preferences,
    ) -> None:
        super().__init__()
        self._messenger = messenger
        self._settings = settings
        self._kept = kept
        self._devices = [one for one in devices if one.is_live]
        self._preferences = preferences

    def body(self) -> list[Widget]:
        return [
            *self._looks(),
            *self._being_told(),
            *self._safety(),
            *self._this_device(),
            *self._contacts_are_told(),
            *self._files(),
            *_other_networks(),
            *_of_this_person(),
        ]

    def on_opens_chosen(self, message: Opens.Chosen) -> None:
        message.stop()
        self.end(message.name)

    def on_mount(self) -> None:
        self.watch(self.app, "theme", self._theme_moved, init=False)
        self.call_after_refresh(self._begin_above)

    def on_preference_chosen(self, message: PreferenceChosen) -> None:
        if message.name in _TOLD:
            message.stop()
            self._settings = replace(self._settings, **{message.name: message.value == "on"})
            start_worker(self, "settings", self._keep, self._settings)
        elif message.name == _KEEP:
            message.stop()
            start_worker(self, "settings", self._keep_days, int(message.value))
        elif message.name == _KEEPER:
            message.stop()
            start_worker(self, "settings", self._choose_keeper, message.value)

    async def recompose(self) -> None:
        """In the language in use; the cursor stays where it is."""
        focused = self.focused
        await super().recompose()
        if focused is not None and focused.id:
            self.query_one(f"#{focused.id}").focus()

    def _begin_above(self) -> None:
        self.query_one("#body", VerticalScroll).scroll_home(animate=False)

    def _theme_moved(self) -> None:
        self.query_one("#choose-theme", Choice).hold(self._preferences.theme)

    async def _keep(self, settings: SettingsView) -> None:
        kept = await attempt(self._messenger.change_settings(settings))
        self.fail(kept.text if isinstance(kept, Problem) else "")

    async def _keep_days(self, days: int) -> None:
        self._show(await attempt(self._messenger.keep(days)))

    async def _choose_keeper(self, terminal: str) -> None:
        self._show(await attempt(self._messenger.choose_keeper(terminal)))

    def _show(self, kept: RetentionView | Problem) -> None:
        if isinstance(kept, Problem):
            self.query_one(f"#choose-{_KEEP}", Choice).hold(str(self._kept.days))
            self.query_one(f"#choose-{_KEEPER}", Choice).hold(self._kept.keeper)
        else:
            self._kept = kept
            self.query_one(f"#{_LEAVES}", Static).update(Content(self._what_leaves()))
        self.fail(kept.text if isinstance(kept, Problem) else "")

    def _looks(self) -> list[Widget]:
        chosen = self._preferences
        themes = ((Theme.DARK, _("dark")), (Theme.LIGHT, _("light")), (Theme.CONTRAST, _("high contrast")))
        spacing = ((Density.COMPACT, _("compact")), (Density.ROOMY, _("roomy")))
        keys = ((Keys.PLAIN, _("standard")), (Keys.VI, _("vi")))
        drawings = ((Drawing.BLOCKS, _("blocks of colour")), (Drawing.KITTY, _("kitty graphics")))
        note = _("kitty and Ghostty draw kitty graphics. It holds from the next picture on.")
        languages = (("", _("same as system")), *_NATIVE.items())
        return [
            plain(_("Appearance and keys"), classes="section -first"),
            _choice("theme", _("Colours"), themes, chosen.theme),
            _choice("density", _("Spacing"), spacing, chosen.density),
            _choice("language", _("Language"), languages, chosen.language),
            _choice("keys", _("Keys"), keys, chosen.keys),
            _switch("mouse", _("Use the mouse"), chosen.mouse, default=True),
            _choice("drawing", _("Pictures"), drawings, chosen.drawing),
            plain(note, classes="quiet"),
        ]

    def _being_told(self) -> list[Widget]:
        chosen = self._preferences
        note = _("Parlour receives nothing while it is closed or locked. 'parlour listen' keeps receiving.")
        says = (("", _("nothing more")), ("who", _("who")), ("on", _("who and what")))
        return [
            _section(_("Notifications")),
            _switch("bell", _("Ring the bell"), chosen.bell, default=True),
            _switch("notify", _("Show a notification"), chosen.notify, default=True),
            _choice("notify_content", _("… that says"), says, chosen.get("notify_content")),
            _switch("notify_mentions", _("… always of @your-name"), chosen.notify_mentions, default=False),
            plain(note if osc_of(os.environ) else f"{note}\n{_(_NONE_SHOWN)}", classes="quiet"),
        ]

    def _safety(self) -> list[Widget]:
        chosen = self._preferences.autolock
        minutes = sorted({*_MINUTES, chosen})
        values = [(_kept(one), str(one) if one else _("never")) for one in minutes]
        note = _("Locking also ends every other use of the profile, including 'parlour listen'.")
        change = _("{key} changes the passphrase.").format(key=action("passphrase").key)
        return [
            _section(_("Lock")),
            _choice("autolock", _("Minutes of inactivity"), values, _kept(chosen)),
            plain(sentences(note, change), classes="quiet"),
        ]

    def _this_device(self) -> list[Widget]:
        kept = self._kept
        values = [
            (str(one), str(one) if one else _("all")) for one in sorted({*_DAYS, kept.days}, key=_last_0)
        ]
        return [
            _section(_("This device")),
            _choice(_KEEP, _("Days to keep messages"), values, str(kept.days)),
            _choice(_KEEPER, _("Keeper, which holds all"), self._keepers(), kept.keeper),
            plain(self._what_leaves(), id=_LEAVES, classes="quiet"),
        ]

    def _keepers(self) -> list[tuple[str, str]]:
        called = [(one.terminal, _("this one") if one.this else device_name(one)) for one in self._devices]
        return [("", _("none")), *called]

    def _files(self) -> list[Widget]:
        note = _(
            "Larger files wait for your answer, or for a direct connection. {key} of a contact has others."
        )
        return [
            _section(_("Files on this device")),
            self._amount("files", _("MiB without a question")),
            self._amount("relayed", _("MiB of a file by a relay")),
            self._amount("most", _("MiB in all, then ask")),
            self._amount("rate", _("KiB sent a second"), _("unlimited")),
            plain(note.format(key=action("contact").key), classes="quiet"),
        ]

    def _amount(self, which: str, label: str, none: str = "") -> Choice:
        one = AMOUNTS[which]
        chosen = amount({one.name: self._preferences.get(one.name)}, one)
        values = [
            (_amount_of(number, one), (none if none and not number else str(number)))
            for number in sorted({*one.offered, chosen})
        ]
        return _choice(one.name, label, values, _amount_of(chosen, one))

    def _what_leaves(self) -> str:
        note = _(
            "Older messages leave this device once your keeper holds them. All your devices have the same "
            "keeper."
        )
        if self._kept.days and not self._kept.keeper:
            note = _(STAYS)
        if gone := self._kept.elsewhere:
            number = _n("{number} is not on this device.", "{number} are not on this device.", gone)
            note = sentences(note, number.format(number=gone))
        return note

    def _contacts_are_told(self) -> list[Widget]:
        told = self._settings
        note = _("If this is off, you still see the read receipts that others send.")
        answers = (("on", _("on")), ("off", _("off")))
        return [
            _section(_("Privacy")),
            _choice("read_receipts", _("Send read receipts"), answers, _on(told.read_receipts)),
            _choice("typing", _("Show that I am typing"), answers, _on(told.typing)),
            plain(note, classes="quiet"),
        ]


def _other_networks() -> list[Widget]:
    note = _("Relays connect networks that cannot reach each other. {key} shows your relays.")
    return [_section(_("Other networks")), plain(note.format(key=action("relays").key), classes="quiet")]


def _of_this_person() -> list[Widget]:
    return [_section(_("Your identity")), *map(Opens, _OPENED)]


def _section(heading: str) -> Widget:
    return plain(heading, classes="section")


def _choice(name: str, label: str, values: Sequence[tuple[str, str]], chosen: str) -> Choice:
    return Choice(name, label, [Value(value, words) for value, words in values], chosen)


def _switch(name: str, label: str, on: bool, *, default: bool) -> Choice:
    values = ((switch(True, default=default), _("on")), (switch(False, default=default), _("off")))
    return _choice(name, label, values, switch(on, default=default))


def _amount_of(number: int, one: Amount) -> str:
    """What is kept: nothing where it is the usual one."""
    return "" if number == one.usual else str(number)


def _on(on: bool) -> str:
    return "on" if on else "off"


def _last_0(days: int) -> tuple[bool, int]:
    return days == 0, days


def _kept(minutes: int) -> str:
    return str(minutes) if minutes else ""
