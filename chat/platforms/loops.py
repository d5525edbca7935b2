"""What the event loop of this system can wait for."""

from __future__ import annotations

import asyncio


def waits_for_sockets(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop calls back when a socket is ready. That of Windows waits for whole operations only."""
    try:
        loop.remove_reader(-1)
    except NotImplementedError:
        return False
    except (OSError, ValueError):  # no such descriptor, which the loop looked for
        pass
    return True
