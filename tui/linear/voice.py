"""Voice messages line by line: one is recorded while other lines are typed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from chat.interface import (
    VOICE_MAX,
    Messenger,
    ParlourError,
    Recording,
    UsageError,
    Voice,
    length_text,
    send_voice,
)
from tui.linear.history import History
from tui.linear.output import Output
from tui.linear.state import State
from tui.preferences import Options
from tui.text.translation import _

_OFF = "off"


@dataclass(repr=False)
class VoiceMessages:
    """At most one is recorded. What could not be sent is kept until it is, or is discarded."""

    messenger: Messenger
    output: Output
    options: Options
    state: State
    history: History
    _person: str = field(init=False, default="")  # whom it goes to, whichever conversation is open by now
    _send_id: str = field(init=False, default="")
    _recording: Recording | None = field(init=False, default=None)
    _voice: Voice | None = field(init=False, default=None)

    @property
    def heard(self) -> int:
        """Seconds that are recorded until now."""
        return 0 if self._recording is None else self._recording.seconds

    async def voice(self, typed: str) -> None:
        """Begin to record, or end that and send it; off discards it. Raises ParlourError."""
        if typed not in ("", _OFF):
            raise UsageError(_("Type /voice, or /voice off."))
        if typed == _OFF:
            if self._recording is None:
                raise UsageError(_("Nothing is being recorded."))
            await self.discard()
            await self.output.say(_("Discarded."))
        elif self._recording is None:
            await self._begin()
        else:
            await self._send(self._recording)

    async def discard(self) -> None:
        """Record nothing any more, and keep nothing."""
        recording, self._recording, self._voice = self._recording, None, None
        if recording is not None:
            await recording.discard()

    async def _begin(self) -> None:
        person = self.state.chosen().person
        self._recording = await Recording.begin()
        self._person, self._send_id = person, secrets.token_hex(16)
        said = _("Recording for {name}, at most {most}. /voice sends it, /voice off discards it.")
        name = self.state.name_of(person)
        await self.output.say(said.format(name=name, most=length_text(VOICE_MAX)))

    async def _send(self, recording: Recording) -> None:
        if self._voice is None:
            now = self.options.now().astimezone(self.options.zone)
            try:
                self._voice = await recording.stop(now)
            except ParlourError:
                await self.discard()
                raise
        voice = self._voice
        entry = await send_voice(self.messenger, self._person, voice, self._send_id)
        self.history.sent(entry.id)
        await self.discard()
        name, length = self.state.name_of(self._person), length_text(voice.seconds)
        await self.output.say(_("Sent to {name}: voice message, {length}").format(name=name, length=length))
