"""Asking a relay whether it is there, and whether it is the one that its address names.

Rules: the relay's own protocol as far as its welcome and no further: nothing is waited on, nobody is dialled;
a relay that does not know the key hangs up after a right greeting, and nothing else tells that apart.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Final

from chat.doctor.context import Relay
from chat.ports import Clock, Connection
from protocol.relay_states import RelayEnded, RelayEnding, RelayState, Welcomed
from protocol.relay_terminal import RelayTerminal

WITHIN: Final = 1.5
"""Seconds for the connection, and again for the welcome."""


class Reply(StrEnum):
    """WELCOME proves the key; OTHER_KEY is a relay that has another one; OTHER is no relay; TURNED_AWAY took
    the connection and closed it without a word; NOBODY took none.
    """

    WELCOME = "welcome"
    OTHER_KEY = "other key"
    OTHER_VERSION = "other version"
    OTHER = "other"
    TURNED_AWAY = "turned away"
    NOBODY = "nobody"


async def call(relay: Relay, clock: Clock) -> Reply:
    """What the relay says."""
    try:
        connection = await relay.connect(WITHIN)
    except OSError:
        return Reply.NOBODY
    terminal = RelayTerminal(relay.key, clock.monotonic())
    try:
        async with asyncio.timeout(WITHIN):
            return await _converse(terminal, connection, clock)
    except TimeoutError:
        return Reply.OTHER
    finally:
        connection.close()


async def _converse(terminal: RelayTerminal, connection: Connection, clock: Clock) -> Reply:
    while True:
        data, before = await connection.read(), terminal.state
        for event in terminal.receive(data, clock.monotonic()) if data else terminal.end_of_stream():
            if isinstance(event, Welcomed):
                return Reply.WELCOME
            if isinstance(event, RelayEnded):
                return _meaning(event, before)
        try:
            await connection.write(terminal.data_to_send())
        except ConnectionError:
            return Reply.TURNED_AWAY if before is RelayState.GREETING else Reply.OTHER_KEY


def _meaning(ended: RelayEnded, before: RelayState) -> Reply:
    if ended.reason in (RelayEnding.VERSION, RelayEnding.REFUSED):
        return Reply.OTHER_VERSION
    if before is RelayState.GREETING:
        return Reply.TURNED_AWAY if ended.reason is RelayEnding.CUT else Reply.OTHER
    return Reply.OTHER_KEY
