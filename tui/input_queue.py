"""Keys, pastes and clicks act in order: each reaches a widget when the effects of those before are in force.

Textual forwards an event to the widget that has the focus when the event arrives. The effects of a key come
later: a key travels from widget to widget, its action opens a screen, a worker asks the engine. In a burst
the second key would meet the state before the first. This queue holds an event until the last has settled.

An event has settled when no message waits in the application, in a screen or in a widget of the top screen,
no screen is being mounted or removed, and no worker runs that its screen declares in `KEYS_WAIT_FOR`. An
event that does more than type text also needs the layout and the workers of `COMMANDS_WAIT_FOR`.

What was typed after a wrong passphrase goes into the masked passphrase field, as it does when typed slowly:
it is not lost, nobody can read it there, and the next text replaces it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from enum import Enum
from typing import Any, Final
from weakref import WeakSet

from textual import events
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.worker import Worker

from tui.messages import start_worker

PATIENCE: Final = 10.0
"""Seconds for which a worker holds keys: an engine that does not answer would hold them for good."""

# Turns of the event loop. A chain of messages needs fewer; a flood of events of the engine would fill more.
_TURNS: Final = 64
# Textual lays out within a sixtieth of a second, and not at all within a batch of updates.
_FRAME: Final = 1 / 60
_FRAMES: Final = 6

_QUEUED: Final = (events.InputEvent, events.Paste)
_TYPED: Final = (events.Key, events.Paste)
_PASSIVE: Final = (events.MouseMove, events.MouseScrollUp, events.MouseScrollDown)
_PRIVATE: Final = {
    MessagePump: ("_message_queue", "_pending_message", "_next_callbacks"),
    Screen: ("_callbacks", "_layout_required"),
}


class _Unsettled(Enum):
    MESSAGES = "messages"
    WORKERS = "workers"
    LAYOUT = "layout"


class InputQueue:
    """The events of the keyboard and the mouse that the application has not handled.

    `deliver` handles one, in the task of the application. An event for which `urgent` holds ends the wait for
    workers, so that nobody has to wait to quit.
    """

    def __init__(
        self,
        app: App[Any],
        deliver: Callable[[events.Event], Awaitable[None]],
        urgent: Callable[[events.Event], bool],
        patience: float = PATIENCE,
    ) -> None:
        self._app = app
        self._deliver = deliver
        self._urgent = urgent
        self._patience = patience
        self._held: deque[events.Event] = deque()  # the keyboard fills it, while workers hold keys
        self._hurry = asyncio.Event()
        self._given_up: WeakSet[Worker[Any]] = WeakSet()
        self._releasing = False
        self._turns, self._frames = _TURNS, _FRAMES

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def resume(self, typed: Iterable[tuple[str, str]]) -> None:
        """Handle first what `untaken` returned."""
        self._held.extend(events.Key(key, text) if key else events.Paste(text) for key, text in typed)
        if self._held:
            self._releasing = True
            start_worker(self._app, "input", self._release)

    def untaken(self) -> tuple[tuple[str, str], ...]:
        """What was typed and not handled: each key's name and its text, and pastes without a name."""
        return tuple(
            (event.key, event.character or "") if isinstance(event, events.Key) else ("", event.text)
            for event in (*self._held, *self._app._message_queue.values)
            if isinstance(event, _TYPED) and not event.is_forwarded
        )

    def drop_typed(self) -> None:
        """Forget what was typed and not handled, but for what is urgent."""
        kept = [event for event in self._held if self._urgent(event) or not isinstance(event, _TYPED)]
        self._held.clear()
        self._held.extend(kept)

    @staticmethod
    def takes(event: events.Event) -> bool:
        """Whether an event comes from the keyboard or the mouse and no widget has got it."""
        return isinstance(event, _QUEUED) and not event.is_forwarded

    async def put(self, event: events.Event) -> None:
        """Handle an event now, or after those before it. Called in the task of the application."""
        if not self._held and (isinstance(event, _PASSIVE) or self._unsettled(event) is None):
            await self._hand_on(event)
            return
        self._held.append(event)
        if self._urgent(event):
            self._hurry.set()
        if not self._releasing:
            self._releasing = True
            start_worker(self._app, "input", self._release)

    async def _hand_on(self, event: events.Event) -> None:
        self._turns, self._frames = _TURNS, _FRAMES
        await self._deliver(event)

    async def _release(self) -> None:
        try:
            while self._held:
                await self._settle(self._held[0])
                handled = asyncio.Event()
                # The application mounts and removes screens in its task: this callback comes after that.
                if not self._app.call_later(self._release_first, handled):
                    return  # the application ends
                await handled.wait()
        finally:
            self._releasing = False

    async def _release_first(self, handled: asyncio.Event) -> None:
        try:
            if self._held and self._unsettled(self._held[0]) is None:
                event = self._held.popleft()
                if not any(map(self._urgent, self._held)):
                    self._hurry.clear()
                await self._hand_on(event)
        finally:
            handled.set()

    async def _settle(self, event: events.Event) -> None:
        while unsettled := self._unsettled(event):
            if unsettled is _Unsettled.MESSAGES:
                self._turns -= 1
                await asyncio.sleep(0)
            elif unsettled is _Unsettled.LAYOUT:
                self._frames -= 1
                await asyncio.sleep(_FRAME)
            else:
                await self._wait_for(list(self._workers(event)))
                self._turns = _TURNS

    async def _wait_for(self, workers: list[Worker[Any]]) -> None:
        """Wait until workers have ended, patience has, or somebody wants to quit."""
        ended = asyncio.gather(*(worker.wait() for worker in workers), return_exceptions=True)
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait((ended, hurry), timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()
        if not ended.done():
            self._given_up.update(workers)

    # What has not settled.

    def _unsettled(self, event: events.Event) -> _Unsettled | None:
        if self._turns and any(_is_busy(pump) for pump in self._pumps()):
            return _Unsettled.MESSAGES
        if not self._hurry.is_set() and next(self._workers(event), None) is not None:
            return _Unsettled.WORKERS
        if self._frames and not self._types(event) and self._is_laid_out_later():
            return _Unsettled.LAYOUT
        return None

    def _pumps(self) -> Iterator[MessagePump]:
        yield self._app
        stack = self._app.screen_stack
        yield from stack[:-1]
        for screen in stack[-1:]:
            yield from screen.walk_children(with_self=True)

    def _workers(self, event: events.Event) -> Iterator[Worker[Any]]:
        declared = ("KEYS_WAIT_FOR",) if self._types(event) else ("KEYS_WAIT_FOR", "COMMANDS_WAIT_FOR")
        for worker in self._app.workers:
            if worker.is_finished or worker in self._given_up:
                continue
            if any(worker.group in getattr(worker.node, name, ()) for name in declared):
                yield worker

    def _types(self, event: events.Event) -> bool:
        """Whether an event only puts text into a field, which needs nothing but the focus."""
        top = self._app.screen_stack[-1:]  # none while the program ends
        if not any(getattr(screen.focused, "TAKES_TEXT", False) for screen in top):
            return False
        typed = isinstance(event, events.Key) and event.is_printable and "+" not in event.key
        return typed or isinstance(event, events.Paste)

    def _is_laid_out_later(self) -> bool:
        return any(screen._layout_required or screen._callbacks for screen in self._app.screen_stack[-1:])


def _is_busy(pump: MessagePump) -> bool:
    """Whether anything waits there but input, which this queue takes out as it comes."""
    waiting: deque[Message | None] = pump._message_queue.values
    return bool(pump._next_callbacks) or _counts(pump._pending_message) or any(map(_counts, waiting))


def _counts(message: Message | None) -> bool:
    return message is not None and not (isinstance(message, _QUEUED) and not message.is_forwarded)


def _check_library() -> None:
    """Textual offers no way to ask for these. Raises ImportError where a version lacks one."""
    pump, screen = MessagePump(), Screen[None]()
    lacking = [name for name in _PRIVATE[MessagePump] if not hasattr(pump, name)]
    lacking += [name for name in _PRIVATE[Screen] if not hasattr(screen, name)]
    if lacking or not hasattr(pump._message_queue, "values"):
        raise ImportError(lacking)


_check_library()
