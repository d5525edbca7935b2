"""The command that records a voice message and sends it: record."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import aclosing
from datetime import datetime
from typing import Final

import click

from chat.cli.messages import taken_within, within
from chat.cli.output import KEPT, SignOfLife, find, note, one_line, talks
from chat.cli.session import TEXT, Call, Feed, command, coroutine, messenger
from chat.cli.terminal import Lines
from chat.interface import VOICE_MAX, Recording, Voice, length_text, send_voice

EVERY: Final = 0.2
"""Seconds between two looks at how much is recorded."""


@command("record")
@click.argument("name", type=TEXT)
@click.option(
    "--seconds",
    type=click.IntRange(1, VOICE_MAX),
    metavar="SECONDS",
    help="End the message by itself after SECONDS.",
)
@click.option("--wait", type=click.FloatRange(0), default=5.0, metavar="SECONDS", show_default=True)
@click.option("--id", "send_id", type=TEXT, metavar="ID", help="Send nothing where ID was used before.")
@coroutine
async def record(call: Call, name: str, seconds: int | None, wait: float, send_id: str | None) -> int | None:
    """Record a voice message, and send it to the contact NAME.

    Enter ends and sends it. Ctrl+C discards it. It is at most 10 minutes long, and ends by itself then.

    arecord or parec records it, whichever is installed. It is sent as a WAV file, which system players open:
    'parlour save' saves it. It is never stored in plain here.

    Status 0: a device of the contact has all of it. Status 75: it waits until the contact is online.
    """
    async with messenger(call) as opened:
        label, contact = find(await talks(opened), name)
        voice = await _record(call.lines, seconds)
        async with aclosing(Feed(opened)) as events:
            entry = await send_voice(opened, contact.person, voice, send_id or secrets.token_hex(16))
            taken = await taken_within(events, entry, within(wait, contact, await opened.terminals()))
            now = await opened.entry(contact.person, entry.id) or entry
    state = now.state.value
    fields = {"id": entry.id, "state": state, "taken": taken, "voice": voice.seconds}
    length, said = length_text(voice.seconds), "taken" if taken else state
    call.result(fields, f"To {label}: voice message, {length}: {said}")
    if taken or contact.notes:
        return None
    note(f"{one_line(label)} takes it while Parlour is open here: leave it open, or run 'parlour listen'.")
    return KEPT


async def _record(lines: Lines, seconds: int | None) -> Voice:
    """Record until a line or the end of the input, or for so many seconds. Raises ParlourError."""
    lines.forget_typed()
    recording, life = await Recording.begin(), SignOfLife()
    waits = [asyncio.create_task(_ended(recording))]
    try:
        if seconds is None or lines.at_terminal:
            waits.append(asyncio.create_task(_line(lines)))
        waits.append(asyncio.create_task(_watch(recording, seconds, life)))
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        return await recording.stop(datetime.now().astimezone())
    finally:
        for one in waits:
            one.cancel()
        await asyncio.wait(waits)
        life.end()
        await recording.discard()


async def _ended(recording: Recording) -> bool:
    return await recording.ended.wait()


async def _line(lines: Lines) -> bool:
    await lines.next_line()
    return True


async def _watch(recording: Recording, seconds: int | None, life: SignOfLife) -> bool:
    """Say how much is recorded, until it is as much as was asked for."""
    while seconds is None or recording.seconds < seconds:
        life.show("Recording:", f"{length_text(recording.seconds)} (Enter sends it, Ctrl+C discards it)")
        await asyncio.sleep(EVERY)
    return True
