"""What is wrong with a text that should be the address of a relay, said to whoever typed or pasted it.

Rules: reading only; which part is wrong is found by reading it beside parts that are right.
"""

from __future__ import annotations

import re
from typing import Final

from chat.phrases import Phrase, phrase
from protocol.errors import ProtocolError
from protocol.limits import RELAY_ADDRESS_MAX
from protocol.relay_address import PREFIX, parse_relay

_PLACE: Final = re.compile(r"(\S+|\[\S+\]):[0-9]+")
_HOST: Final = "127.0.0.1"

NOT_ONE = phrase(
    "This is no relay's address: copy the whole line that 'parlour relay' prints, from parlour-relay: on."
)
NO_KEY = phrase(
    "The relay's key is missing, which tells it from another: take the whole address, as 'parlour relay'"
    " prints it where the relay runs: with # and the key at its end."
)
BAD_KEY = phrase("The key (behind #) of this relay's address is damaged: copy the whole address again.")
BAD_PORT = phrase("The port of this relay's address is not one of 1 to 65535: copy the whole address again.")
BAD_HOST = phrase(
    "The host of this relay's address is neither an IP address nor a name in small letters: copy it again."
)
TOO_LONG = phrase("A relay's address has at most {number} characters.", number=RELAY_ADDRESS_MAX)


def problem(text: str) -> Phrase:
    """What is wrong with a text that is no relay's address, and what to do."""
    if len(text) > RELAY_ADDRESS_MAX:
        return TOO_LONG
    if not text.startswith(PREFIX):
        return NO_KEY if _PLACE.fullmatch(text) else NOT_ONE
    place, mark, key = text.removeprefix(PREFIX).partition("#")
    if not mark or not key:
        return NO_KEY
    if not _reads(f"{PREFIX}{_HOST}:1#{key}"):
        return BAD_KEY
    port = place.rpartition(":")[2]
    return BAD_HOST if _reads(f"{PREFIX}{_HOST}:{port}#{key}") else BAD_PORT


def _reads(text: str) -> bool:
    try:
        parse_relay(text)
    except ProtocolError:
        return False
    return True
