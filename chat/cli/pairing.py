"""Commands that gain a contact: invite, join, pair.

Rules: nothing is confirmed for a person but by `invite --yes`; whoever finds nobody is told what to do.

Leading a pairing to its end: events of the engine on one side, answers of the person on the other.

Rules: only yes and no are answers, and only when typed after the question was seen; without a person
nothing is confirmed; questions go to standard error, so that results can be piped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click

from chat.cli.output import DONE, label_of, note, one_line, question, timestamp
from chat.cli.session import TEXT, Call, Feed, command, feed
from chat.cli.terminal import Lines, is_interactive
from chat.interface import (
    Closed,
    Event,
    InvitationUsed,
    InvitationView,
    Messenger,
    NearbyChanged,
    NearbyView,
    Notice,
    NotPermitted,
    PairingChanged,
    PairingStage,
    PairingView,
    ParlourError,
    Ready,
    Unreachable,
    UsageError,
    VisibilityChanged,
)

YES: Final = frozenset({"y", "yes"})
NO: Final = frozenset({"n", "no"})
CUT: Final = "The engine stopped before pairing was complete: run the command again."
NOBODY_ANSWERED: Final = "The question was not answered, which counts as no: run the command in a terminal."


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
            raise NotPermitted(f"The engine has stopped ({event.reason}): run the command again.")
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
                note(f"{_peer(view)} used the invitation.")
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
            note(f"Pairing with {peer}. Both screens must show these words:")
            note(f"    {'  '.join(view.words)}")
            self.ask(f"Does {peer} see the same five words? [y/n]")
        elif view.stage is PairingStage.JOINER:
            self.ask(f"{peer} used the invitation. Is this the person you invited? [y/n]")
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


HINT_AFTER: Final = 5.0
"""Seconds without anybody nearby after which that is said."""

HINT: Final = (
    "No one found yet: run 'parlour pair' on the other device too. 'parlour doctor' diagnoses the connection."
)
NOBODY: Final = (
    "No one is visible nearby: use 'parlour invite' or --address, or run 'parlour doctor'. A relay connects"
    " networks that cannot reach each other: 'parlour relays --help'."
)
UNUSED: Final = "The invitation expired before anyone used it: create a new one."


@command("invite")
@click.option("--yes", is_flag=True, help="Confirm anyone who uses it without asking, for scripts.")
@click.pass_obj
def invite(call: Call, yes: bool) -> int:
    """Print a one-time invitation and wait until it is used."""
    return _pairing(call, lambda opened, dialogue: _invite(call, opened, dialogue, yes))


async def _invite(call: Call, opened: Messenger, dialogue: Dialogue, yes: bool) -> str:
    invitation = await opened.invite()
    expires = timestamp(invitation.expires)
    call.result({"invitation": invitation.text, "expires": expires}, _invitation_text(invitation))
    note(f"It works once, until {expires}. Waiting for the other person.")
    while True:
        left = (invitation.expires - datetime.now(UTC)).total_seconds()
        came = await dialogue.next(asking=False, timeout=max(left, 0))
        if isinstance(came, InvitationUsed) and came.text == invitation.text:
            return came.contact
        if isinstance(came, PairingChanged) and came.pairing.stage is PairingStage.JOINER:
            return await dialogue.finish(came.pairing, yes=yes)
        if came is None:
            raise Unreachable(UNUSED)


def _invitation_text(invitation: InvitationView) -> str:
    """For a person the QR code too; for a pipe the text alone, as `join -` reads it."""
    text = one_line(invitation.text)
    if not is_interactive():
        return text
    import io

    import segno

    drawn = io.StringIO()
    segno.make(text, error="l").terminal(out=drawn, compact=True)
    return f"{drawn.getvalue()}\n{text}\n\nThe other person runs: parlour join INVITATION"


@command("join")
@click.argument("invitation", type=TEXT, nargs=-1, required=True)
@click.pass_obj
def join(call: Call, invitation: tuple[str, ...]) -> int:
    """Pair with an invitation; - reads it from standard input."""
    return _pairing(call, lambda opened, dialogue: _join(call, opened, dialogue, "".join(invitation)))


async def _join(call: Call, opened: Messenger, dialogue: Dialogue, text: str) -> str:
    if text == "-":
        line = await call.lines.next_line()
        if not line:
            raise UsageError("There is no invitation on standard input: give it as one line.")
        text = line
    return await dialogue.finish(await opened.join(text))


@command("pair")
@click.option("--address", metavar="HOST:PORT", help="The address of the other device, if it is not found.")
@click.option("--wait", type=click.FloatRange(0), default=30.0, metavar="SECONDS", show_default=True)
@click.pass_obj
def pair(call: Call, address: str | None, wait: float) -> int:
    """Pair with someone nearby by comparing five words.

    Both sides run this command. With --address, the other side runs it without, or is visible in the
    interface.
    """
    if address is None:
        return _pairing(call, lambda opened, dialogue: _pair_nearby(opened, dialogue, wait))
    host, port = _host_and_port(address)
    return _pairing(call, lambda opened, dialogue: _pair_address(opened, dialogue, host, port))


async def _pair_address(opened: Messenger, dialogue: Dialogue, host: str, port: int) -> str:
    return await dialogue.finish(await opened.pair_address(host, port))


async def _pair_nearby(opened: Messenger, dialogue: Dialogue, wait: float) -> str:
    async with _visible(opened):
        return await dialogue.finish(await _meet(opened, dialogue, wait))


@asynccontextmanager
async def _visible(opened: Messenger) -> AsyncIterator[None]:
    """Visible to strangers for the time of the block, and afterwards as before."""
    before = (await opened.me()).visible
    await opened.set_visible(True)
    try:
        yield
    finally:
        if not before:
            with suppress(ParlourError):  # the engine has ended, and so has its visibility
                await opened.set_visible(False)


async def _meet(opened: Messenger, dialogue: Dialogue, wait: float) -> PairingView:
    """A pairing that this person began with a stranger, or a stranger with them. Raises Unreachable."""
    patience = _Patience(wait)
    strangers = await opened.nearby()
    note("This device is visible nearby.")
    _offer(dialogue, strangers)
    asking = True
    while True:
        came = await dialogue.next(asking=asking and bool(strangers), timeout=patience.left(bool(strangers)))
        if came is None:
            patience.lose()
        elif isinstance(came, NearbyChanged):
            strangers = came.nearby
            _offer(dialogue, strangers)
        elif isinstance(came, PairingChanged) and _is_offer(came.pairing):
            return came.pairing
        elif isinstance(came, Ready):  # of another engine, which shows this terminal to nobody yet
            await opened.set_visible(True)
            strangers = await opened.nearby()
            _offer(dialogue, strangers)
        elif isinstance(came, VisibilityChanged) and not came.visible:
            raise Unreachable(NOBODY)
        elif isinstance(came, Typed):
            if (chosen := _choice(dialogue, strangers, came)) is not None:
                return await opened.pair_nearby(chosen.instance)
            asking = came.line is not None


class _Patience:
    """How long to wait while nobody is found: a hint first, then the end."""

    def __init__(self, wait: float) -> None:
        self._ends = _now() + wait
        self._hint_at: float | None = _now() + HINT_AFTER if wait > HINT_AFTER else None

    def left(self, found: bool) -> float | None:
        """Seconds to the hint or to the end; no bound but visibility's own once somebody is found."""
        if found:
            return None
        return max(0.0, (self._ends if self._hint_at is None else self._hint_at) - _now())

    def lose(self) -> None:
        """The time is over. Raises Unreachable at the end."""
        if self._hint_at is None:
            raise Unreachable(NOBODY)
        self._hint_at = None
        note(HINT)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_offer(view: PairingView) -> bool:
    """Somebody else began, and the words are there to be compared."""
    return view.incoming and view.stage is PairingStage.WORDS


def _offer(dialogue: Dialogue, strangers: tuple[NearbyView, ...]) -> None:
    if not strangers:
        return
    for number, stranger in enumerate(strangers, 1):
        note(f"  {number}  {stranger.name}")
    dialogue.ask("Pair with which number? (or wait for the other person to start)")


def _choice(dialogue: Dialogue, strangers: tuple[NearbyView, ...], typed: Typed) -> NearbyView | None:
    """The stranger of a typed number; after any other line the question is put again."""
    if typed.line is None:
        note("Waiting for the other person to start.")
        return None
    line = typed.line.strip()
    if line.isascii() and line.isdigit() and 1 <= int(line) <= len(strangers):
        return strangers[int(line) - 1]
    dialogue.ask(f"Type a number from 1 to {len(strangers)}:")
    return None


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise UsageError("Write the address as HOST:PORT, like 192.168.1.20:4747 or [fe80::1%eth0]:4747.")
    return host, int(port)


Pairing = Callable[[Messenger, Dialogue], Awaitable[str]]


def _pairing(call: Call, way: Pairing) -> int:
    """Run one way of pairing and say with whom."""

    async def use(opened: Messenger) -> int:
        async with feed(opened) as events:
            dialogue = Dialogue(opened, events, call.lines)
            try:
                label = await label_of(opened, await way(opened, dialogue))
            finally:
                dialogue.stop()
        call.result({"paired": label}, f"Paired with {label}")
        return DONE

    return call.run(use)
