"""Leading a pairing to its end: events of the engine on one side, answers of the person on the other.

Rules: only yes and no are answers, and only when typed after the question was seen; without a person
nothing is confirmed; questions go to standard error, so that results can be piped.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from chat.cli.output import note, question
from chat.cli.session import Feed
from chat.cli.terminal import Lines
from chat.interface import (
    Closed,
    Event,
    Messenger,
    Notice,
    NotPermitted,
    PairingChanged,
    PairingStage,
    PairingView,
    ParlourError,
    Ready,
    Unreachable,
    UsageError,
)

YES: Final = frozenset({"y", "yes"})
NO: Final = frozenset({"n", "no"})
CUT: Final = "The engine ended before pairing was complete: run the command again."
NOBODY_ANSWERED: Final = "Nobody answered the question, which counts as no: run the command in a terminal."


@dataclass(frozen=True)
class Typed:
    """A line that was typed, or None at the end of the input."""

    line: str | None


class Dialogue:
    """Waits for what comes first, an event or a typed line, and leads pairings with it."""

    def __init__(self, opened: Messenger, events: Feed, lines: Lines) -> None:
        self._opened = opened
        self._events = events
        self._lines = lines
        self._next_event: asyncio.Task[Event] | None = None
        self._incoming: PairingView | None = None

    async def next(self, *, asking: bool, timeout: float | None = None) -> Event | Typed | None:
        """An event; a line where a question is open; None when neither came in time."""
        if self._next_event is None:
            self._next_event = asyncio.create_task(self._events.next())
        waiting: set[asyncio.Task[Event] | asyncio.Task[str | None]] = {self._next_event}
        line = asyncio.create_task(self._lines.next_line()) if asking else None
        if line is not None:
            waiting.add(line)
        try:
            await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            return self._came(line)
        finally:
            if line is not None:
                line.cancel()

    def _came(self, line: asyncio.Task[str | None] | None) -> Event | Typed | None:
        if line is not None and line.done():
            return Typed(line.result())
        if self._next_event is None or not self._next_event.done():
            return None
        event, self._next_event = self._next_event.result(), None
        if isinstance(event, Closed):
            raise NotPermitted(f"The engine has ended ({event.reason}): run the command again.")
        if isinstance(event, Notice):
            note(event.text)
        return event

    def ask(self, text: str) -> None:
        """Put a question; what was typed before it is no answer to it."""
        self._lines.forget_typed()
        question(text)

    def stop(self) -> None:
        if self._next_event is not None:
            self._next_event.cancel()

    async def finish(self, view: PairingView, *, yes: bool = False) -> str:
        """Lead a pairing to its end; with `yes` a joiner is confirmed unasked. Returns the person id.

        Raises ParlourError with the pairing's problem when it fails.
        """
        while view.stage is not PairingStage.DONE:
            if view.stage is PairingStage.FAILED:
                view = await self._other_of(view)
            if yes and view.stage is PairingStage.JOINER:
                note(f"{_peer(view)} joins.")
                await self._answer(view, True)
                asking = False
            else:
                asking = self._present(view)
            view = await self._moved(view, asking)
        return view.contact

    def _present(self, view: PairingView) -> bool:
        """Say where the pairing stands; whether that is a question."""
        peer = _peer(view)
        if view.stage is PairingStage.WORDS:
            note(f"Pairing with {peer}. The words on both screens must be:")
            note(f"    {'  '.join(view.words)}")
            self.ask(f"Does {peer} see the same five words? [y/n]")
        elif view.stage is PairingStage.JOINER:
            self.ask(f"{peer} has used the invitation. Is that who you gave it to? [y/n]")
        elif view.stage is PairingStage.WAITING:
            note(f"Waiting for {peer} to confirm.")
        return view.stage in (PairingStage.WORDS, PairingStage.JOINER)

    async def _other_of(self, view: PairingView) -> PairingView:
        """The pairing that goes on where both began at once. Raises ParlourError for a real failure."""
        if view.problem:
            raise ParlourError(view.problem)
        while self._incoming is None:
            self._remember(await self.next(asking=False))
        return self._incoming

    def _remember(self, came: Event | Typed | None) -> None:
        """Keep the pairing that another has begun: this side's own may give way to it."""
        if isinstance(came, PairingChanged) and came.pairing.incoming:
            self._incoming = came.pairing

    async def _moved(self, view: PairingView, asking: bool) -> PairingView:
        """The pairing's next stage; until then, take the person's answer."""
        while True:
            came = await self.next(asking=asking)
            if isinstance(came, Ready):  # an engine that was killed: another knows nothing of the pairing
                raise Unreachable(CUT)
            if isinstance(came, PairingChanged) and came.pairing.id == view.id and came.pairing != view:
                return came.pairing
            self._remember(came)
            if isinstance(came, Typed):
                asking = not await self._take(view, came)

    async def _take(self, view: PairingView, typed: Typed) -> bool:
        """Whether the line was an answer."""
        if typed.line is None:
            note(NOBODY_ANSWERED)
        word = (typed.line if typed.line is not None else "no").strip().casefold()
        if word not in YES | NO:
            self.ask("Answer y or n:")
            return False
        await self._answer(view, word in YES)
        return True

    async def _answer(self, view: PairingView, accept: bool) -> None:
        with suppress(UsageError):  # it has ended meanwhile, or another client was faster: its event says so
            await self._opened.answer_pairing(view.id, accept)


def _peer(view: PairingView) -> str:
    """The name that the other side claims, before it has claimed one a stand-in."""
    return view.peer or "the other person"
