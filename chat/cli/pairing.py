"""The commands that gain a contact: invite, join, pair. Only a person confirms, but for `invite --yes`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import click

from chat.cli.output import label_among, note, one_line, question, say_marks, timestamp
from chat.cli.session import TEXT, Call, Feed, command, coroutine, messenger
from chat.cli.terminal import YES, Lines, is_interactive
from chat.interface import CUT as CONNECTION_CUT
from chat.interface import (
    WORDS_READ,
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

NO: Final = frozenset({"n", "no"})
CUT: Final = "The engine stopped before pairing was complete: run the command again."
IN_DIGITS: Final = "The same in digits, for a screen in another language:  {digits}"
NOBODY_ANSWERED: Final = "The question was not answered, which counts as no: run the command in a terminal."


@dataclass(frozen=True)
class Typed:
    """A line that was typed, or None at the end of the input."""

    line: str | None


class Dialogue:
    """Leads a pairing to its end by the engine's events and the person's answers."""

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
            if line is not None and line.done():
                return Typed(line.result())
        finally:
            if line is not None:
                line.cancel()
        if not self._next_event.done():
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
        """Lead a pairing to its end, confirming a joiner unasked with `yes`: the person id. ParlourError."""
        while view.stage is not PairingStage.DONE:
            if view.stage is PairingStage.FAILED:
                view = await self._other_of(view)
            if yes and view.stage is PairingStage.JOINER:
                note(f"{_peer(view)} used the invitation.")
                for line in namesake_lines(view):
                    note(line)
                await self._answer(view, True)
                asking = False
            else:
                asking = self._present(view)
            view = await self._moved(view, asking)
        return view.contact

    def _present(self, view: PairingView) -> bool:
        """Show the stage of the pairing. Returns whether that is a question."""
        peer, hints = _peer(view), namesake_lines(view)
        if view.stage in (PairingStage.WORDS, PairingStage.JOINER):
            for line in hints:
                note(line)
        if view.stage is PairingStage.WORDS:
            note(f"Pairing with {peer}. Both screens must show these words:")
            note(f"    {'  '.join(view.words)}")
            note(IN_DIGITS.format(digits=" ".join(view.digits)))
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
        """Keep the pairing that the other side began: this side's own may give way to it."""
        if isinstance(came, PairingChanged) and came.pairing.incoming:
            self._incoming = came.pairing

    async def _moved(self, view: PairingView, asking: bool) -> PairingView:
        """Take the person's answer until the pairing reaches another stage."""
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


def namesake_lines(view: NearbyView | PairingView) -> list[str]:
    """For whom one could take somebody who pairs, or wants to."""
    lines = [f"This name looks like yours, and {NOT_YOURS}"] if view.mine else []
    if view.known:
        lines.append(f"You already know {one_line(' and '.join(view.known))}. This is {NOT_KNOWN}")
    return lines


NOT_YOURS: Final = "it is not a device of yours."
NOT_KNOWN: Final = "somebody else, or a new device that was set up as a new person."


def _peer(view: PairingView) -> str:
    """The name that the other side claims, or a phrase before it has claimed one."""
    return view.peer or "the other person"


HINT_AFTER: Final = 5.0  # seconds without anybody nearby after which that is said

HINT: Final = (
    "No one found yet: run 'parlour pair' on the other device too. 'parlour doctor' diagnoses the connection."
)
NOBODY: Final = (
    "No one is visible nearby: use 'parlour invite' or --address, or run 'parlour doctor'. A relay connects"
    " networks that cannot reach each other: 'parlour relays --help'."
)
SAME_DEVICE: Final = "Only that device can still use the invitation."
USED_UP: Final = "The invitation may be used up: create a new one."
UNUSED: Final = "The invitation expired before anyone used it: create a new one."


@command("invite")
@click.option("--yes", is_flag=True, help="Confirm anyone who uses it without asking, for scripts.")
@coroutine
async def invite(call: Call, yes: bool) -> None:
    """Print a one-time invitation and wait until it is used."""

    async def way(opened: Messenger, dialogue: Dialogue) -> str:
        invitation = await opened.invite()
        expires = timestamp(invitation.expires)
        call.result({"invitation": invitation.text, "expires": expires}, _invitation_text(invitation))
        note(f"It works once, until {expires}. Waiting for the other person.")
        while True:
            left = (invitation.expires - datetime.now(UTC)).total_seconds()
            came = await dialogue.next(asking=False, timeout=max(left, 0))
            if isinstance(came, InvitationUsed) and came.text == invitation.text:
                return came.contact
            if isinstance(came, PairingChanged) and came.pairing.invitation == invitation.text:
                if came.pairing.stage is PairingStage.JOINER:
                    return await dialogue.finish(came.pairing, yes=yes)
                _check_use(came.pairing)
            if came is None:
                raise Unreachable(UNUSED)

    await _pairing(call, way)


def _check_use(view: PairingView) -> None:
    """Say why the use of an invitation failed. Raises Unreachable unless the same device may try again."""
    if view.stage is PairingStage.FAILED and view.problem == CONNECTION_CUT:
        note(f"{view.problem} {SAME_DEVICE}")
    elif view.stage is PairingStage.FAILED and view.problem:
        raise Unreachable(f"{view.problem} {USED_UP}")


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
@coroutine
async def join(call: Call, invitation: tuple[str, ...]) -> None:
    """Pair by an invitation; - reads it from standard input."""

    async def way(opened: Messenger, dialogue: Dialogue) -> str:
        text = "".join(invitation)
        if text == "-":
            text = await call.lines.next_line() or ""
            if not text:
                raise UsageError("There is no invitation on standard input: give it as one line.")
        return await dialogue.finish(await opened.join(text))

    await _pairing(call, way)


@command("pair")
@click.option("--address", metavar="HOST:PORT", help="The address of the other device, if it is not found.")
@click.option("--wait", type=click.FloatRange(0), default=30.0, metavar="SECONDS", show_default=True)
@click.option(
    "--words", type=click.Choice(["en", "zh"]), help="The language of the words that you read. It is kept."
)
@coroutine
async def pair(call: Call, address: str | None, wait: float, words: str | None) -> None:
    """Pair with somebody nearby by comparing five words.

    Both sides run this command. With --address, the other side runs it without, or is visible in the
    interface. The words are Chinese if both of you read them (--words zh), else English.
    """
    place = host_and_port(address) if address is not None else None

    async def way(opened: Messenger, dialogue: Dialogue) -> str:
        if words is not None:
            await opened.set_preference(WORDS_READ, "" if words == "en" else words)
        if place is not None:
            return await dialogue.finish(await opened.pair_address(*place))
        before = (await opened.me()).visible
        await opened.set_visible(True)
        try:
            return await dialogue.finish(await _meet(opened, dialogue, wait))
        finally:
            if not before:
                with suppress(ParlourError):  # the engine has ended, and so has its visibility
                    await opened.set_visible(False)

    await _pairing(call, way)


async def _meet(opened: Messenger, dialogue: Dialogue, wait: float) -> PairingView:
    """A pairing that this person began with a stranger, or a stranger with them. Raises Unreachable."""
    now = asyncio.get_running_loop().time
    ends = now() + wait
    hint_at: float | None = now() + HINT_AFTER if wait > HINT_AFTER else None
    strangers = await opened.nearby()
    note("This device is visible nearby.")
    _offer(dialogue, strangers)
    asking = True
    while True:
        # Once somebody is found, only the end of visibility ends the wait.
        left = None if strangers else max(0.0, (ends if hint_at is None else hint_at) - now())
        came = await dialogue.next(asking=asking and bool(strangers), timeout=left)
        if came is None and hint_at is None:
            raise Unreachable(NOBODY)
        if came is None:
            hint_at = None
            note(HINT)
        elif isinstance(came, NearbyChanged):
            strangers = came.nearby
            _offer(dialogue, strangers)
        elif isinstance(came, PairingChanged):
            if came.pairing.incoming and came.pairing.stage is PairingStage.WORDS:
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


def _offer(dialogue: Dialogue, strangers: tuple[NearbyView, ...]) -> None:
    if not strangers:
        return
    for number, stranger in enumerate(strangers, 1):
        note(f"  {number}  {stranger.name}")
        for line in namesake_lines(stranger):
            note(f"     {line}")
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


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise UsageError("Write the address as HOST:PORT, like 192.168.1.20:4747 or [fe80::1%eth0]:4747.")
    return host, int(port)


async def _pairing(call: Call, way: Callable[[Messenger, Dialogue], Awaitable[str]]) -> None:
    """Pair in one way, which returns the person id, and print with whom."""
    async with messenger(call) as opened, aclosing(Feed(opened)) as events:
        dialogue = Dialogue(opened, events, call.lines)
        try:
            person = await way(opened, dialogue)
            label = label_among(await opened.contacts(), person)
        finally:
            dialogue.stop()
        call.result({"paired": label}, f"Paired with {label}")
        say_marks([label])
