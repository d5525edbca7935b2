"""What a person declares that is a bot: a program that writes in its name, and its commands (SPEC §11.11)."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from protocol.codec import encode
from protocol.errors import LocalMisuse, Malformed
from protocol.identity.names import is_line
from protocol.messages import BOT_BODY, BotBody, BotCommand

_COMMAND: Final = re.compile(r"[a-z][a-z0-9_-]*")


def bot_body(body: BotBody) -> bytes:
    """The encoded body of a declaration. LocalMisuse where a reader would reject it."""
    encoded = encode(body)
    try:
        read_bot(encoded)
    except Malformed as refused:
        raise LocalMisuse(f"not the body of a bot: {refused}") from None
    return encoded


def read_bot(encoded: bytes) -> BotBody:
    """Parse the body of a declaration, which is text of a peer. Errors: Malformed, LimitExceeded."""
    body = BOT_BODY.decode(encoded)
    if body.commands and not body.bot:
        raise Malformed("commands of a person that is no bot")
    if any(one.name >= other.name for one, other in pairwise(body.commands)):
        raise Malformed("commands are not ascending by name")
    if not all(map(is_command, body.commands)):
        raise Malformed("not the name or the description of a command")
    return body


def is_command(command: BotCommand) -> bool:
    """Whether a command of the right lengths has a name and a description as SPEC §11.11 has them."""
    return _COMMAND.fullmatch(command.name) is not None and is_line(command.description)
