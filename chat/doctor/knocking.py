"""Who answers at an address: one connection, at most one greeting read, nothing said.

Rules: only `Transport.connect` opens it; whether nobody is there or somebody keeps silent is told by the
neighbours, not here.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Final

from chat.ports import Transport

WITHIN: Final = 1.5
"""Seconds for the connection, and again for the greeting."""
MAGIC: Final = b"PARLOUR\0"  # SPEC §5.1: what a terminal says first


class Answer(StrEnum):
    """PARLOUR greets; OTHER is another program; REFUSED: the machine has nobody at this port; SILENT: the
    machine is there and lets nothing in; NOBODY: no sign of a machine.
    """

    PARLOUR = "parlour"
    OTHER = "other"
    REFUSED = "refused"
    SILENT = "silent"
    NOBODY = "nobody"


async def knock(transport: Transport, host: str, port: int, within: float = WITHIN) -> Answer:
    """What answers there; SILENT is left to whoever knows the neighbours."""
    try:
        connection = await transport.connect(host, port, within)
    except ConnectionRefusedError:
        return Answer.REFUSED
    except OSError:
        return Answer.NOBODY
    try:
        async with asyncio.timeout(within):
            greeting = await connection.read()
    except TimeoutError:
        return Answer.OTHER
    finally:
        connection.close()
    return Answer.PARLOUR if greeting.startswith(MAGIC) else Answer.OTHER
