"""The dialog that records a voice message and sends it."""

from __future__ import annotations

import secrets
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.widgets import Static

from chat.interface import VOICE_MAX, Messenger, Recording, Voice, length_text, send_voice
from tui.actions import add_keys, keys_of
from tui.messages import Problem, StillUsed, attempt, start_worker
from tui.preferences import Options
from tui.screens.dialog import Dialog, plain
from tui.text.translation import N_, _

_EVERY = 0.25


class RecordingDialog(Dialog[bool]):
    """True where a voice message was sent. What could not be sent stays here until it is, or is discarded."""

    KEYS_WAIT_FOR = frozenset(("sending",))  # Escape after Enter would discard what is being sent
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "finish", show=False)]
    heading = N_("Voice message")
    hints = (("enter", N_("Send")), ("escape", N_("Discard")))

    def __init__(self, messenger: Messenger, options: Options, person: str, name: str) -> None:
        """`name`: of the contact, as it is shown."""
        super().__init__()
        self._messenger, self._options, self._person, self._called = messenger, options, person, name
        self._recording: Recording | None = None
        self._voice: Voice | None = None
        self._send_id = secrets.token_hex(16)
        self._sending = self._failed = False
        self._drawn = 0  # seconds

    def body(self) -> list[Widget]:
        return [
            plain(_("To {name}").format(name=self._called)),
            plain("", id="recorded", classes="strong"),
            plain(_("Nothing of it is on the disk before it is encrypted."), id="kept", classes="quiet"),
        ]

    def on_mount(self) -> None:
        super().on_mount()
        add_keys(self, keys_of("voice"), "finish")
        start_worker(self, "recording", self._begin)
        self.set_interval(_EVERY, self._tick)

    async def on_unmount(self) -> None:
        """The profile may have locked: whatever closes this, nothing is recorded any more."""
        if self._recording is not None:
            await self._recording.discard()

    def _tick(self) -> None:
        """Draw what changed: links may be slow."""
        if self._recording is not None and self._voice is None and self._recording.seconds != self._drawn:
            self._drawn = self._recording.seconds
            self.post_message(StillUsed())  # who speaks is there; a recorder that hears nothing says nothing
            self.draw()

    def draw(self) -> None:
        try:
            line = self.query_one("#recorded", Static)
        except NoMatches:
            return  # closed meanwhile
        line.update(Content(self._line()))
        line.display = self.query_one("#kept").display = not self._failed

    def _line(self) -> str:
        if self._recording is None:
            return "" if self._failed else _("The recorder starts…")
        if self._voice is not None:
            return _("Recorded: {length}").format(length=length_text(self._voice.seconds))
        length = length_text(self._recording.seconds)
        if self._recording.ended.is_set():
            return _("Recorded: {length}").format(length=length)
        return _("● Recording {length} of {most}").format(length=length, most=length_text(VOICE_MAX))

    async def _begin(self) -> None:
        begun = await attempt(Recording.begin())
        if isinstance(begun, Problem):
            self._failed = True
            self.fail(begun.text)
            self.set_hints((("escape", _("Close")),))
            self.draw()
            return
        self._recording = begun
        if not self.is_running:  # it closed while the recorder started
            await begun.discard()
            return
        self.draw()
        await begun.ended.wait()
        self.draw()

    def action_finish(self) -> None:
        if self._recording is not None and not self._sending:
            self._sending = True
            start_worker(self, "sending", self._finish, self._recording)

    async def _finish(self, recording: Recording) -> None:
        self.fail("")
        sent = await attempt(self._send(recording))
        self._sending = False
        if isinstance(sent, Problem):
            self.fail(sent.text)
        else:
            self.end(True)

    async def _send(self, recording: Recording) -> None:
        if self._voice is None:
            now = self._options.now().astimezone(self._options.zone)
            self._voice = await recording.stop(now)
        self.draw()
        await send_voice(self._messenger, self._person, self._voice, self._send_id)
