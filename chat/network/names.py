"""Looking a name up: the one question to the system's resolver, asked for relays alone.

Rules: only `chat/network/tcp.py` asks, and only for a relay that its person named; a resolver that does not
answer holds up nobody, not even the end of the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

ADDRESSES_MAX: Final = 8
"""Addresses of one name that are tried."""


async def look_up(name: str) -> list[str]:
    """The IP addresses of a DNS name, of both families, at most 8; with scope where they have one.

    Raises OSError where there are none. Cancelling leaves the question behind in a thread of its own.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def ask() -> None:
        settle: Callable[[], None]
        try:
            settle = partial(_succeed, answer, _addresses(name))
        except (OSError, UnicodeError):
            settle = partial(_fail, answer)
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle)

    # A pool's threads are waited for at the end of the program; a resolver may take half a minute.
    threading.Thread(target=ask, name="look-up", daemon=True).start()
    return await answer


def _addresses(name: str) -> list[str]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    hosts = dict.fromkeys(str(address[0]) for *_, address in found)
    if not hosts:
        raise OSError(errno.EADDRNOTAVAIL, "the name has no address")
    return list(hosts)[:ADDRESSES_MAX]


def _succeed(answer: asyncio.Future[list[str]], found: list[str]) -> None:
    if not answer.done():
        answer.set_result(found)


def _fail(answer: asyncio.Future[list[str]]) -> None:
    if not answer.done():
        answer.set_exception(OSError(errno.EHOSTUNREACH, "the name is not known"))
        answer.exception()  # whoever asked may have gone: then nobody is to be told
