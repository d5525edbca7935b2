"""A bot with commands: `/list`, `/echo TEXT`, `/time`. It answers each once, however often it is killed.

    python examples/echo_bot.py --passphrase-file pass

It answers whom its profile is paired with, and it runs until its profile is locked.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from chat.client import Parlour, connect
from chat.interface import BotCommand, EntryView, ParlourError, UsageError

NAME: Final = "echo-bot"


def list_text(_: str) -> str:
    return "\n".join(f"/{name}  {about}" for name, (about, _) in COMMANDS.items())


COMMANDS: Final[dict[str, tuple[str, Callable[[str], str]]]] = {
    "list": ("lists the commands", list_text),
    "echo": ("says the same", lambda rest: rest or "…"),
    "time": ("says what time it is", lambda _: datetime.now(UTC).isoformat(timespec="seconds")),
}


def answer_to(text: str) -> str | None:
    """What the bot says to a text; None where that is no command."""
    name, _, rest = text.strip().partition(" ")
    if not name.startswith("/"):
        return None
    if name[1:] not in COMMANDS:
        return f"There is no {name}.\n{list_text('')}"
    return COMMANDS[name[1:]][1](rest.strip())


async def answer(parlour: Parlour, message: EntryView) -> None:
    said = answer_to(message.text) if message.kind == "text" else None
    if said is None:
        return
    try:
        # The id is that of the message: where this bot died before it acknowledged, nothing is sent again.
        await parlour.send(message.contact, said, reply=message.id, send_id=f"{NAME}-{message.id[:48]}")
    except UsageError as problem:  # the contact was blocked or removed meanwhile
        print(f"no answer: {problem}", flush=True)


async def run(profile: str | None, passphrase_file: str | None) -> None:
    async with connect(NAME, profile=profile, passphrase_file=passphrase_file) as parlour:
        # Contacts see that it is a bot, and Parlour completes its commands. Nothing goes to whom it was said.
        await parlour.declare_bot(tuple(BotCommand(name, about) for name, (about, _) in COMMANDS.items()))
        async for told in parlour.subscribe(live=False):
            if told.message is not None:
                await answer(parlour, told.message)
            await parlour.ack(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--profile")
    parser.add_argument("--passphrase-file")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.profile, options.passphrase_file))
    except ParlourError as problem:
        raise SystemExit(str(problem)) from None


if __name__ == "__main__":
    main()
