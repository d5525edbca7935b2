"""The one port of a profile: kept from the first start on, the next free one if it is taken."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable

from chat.interface import CannotCreate, Notice
from chat.phrases import phrase
from chat.ports import Connection, Listener, Transport
from chat.service.world import World
from chat.storage.vault import Vault


async def listen(
    transport: Transport, vault: Vault, world: World, accept: Callable[[Connection], Awaitable[None]]
) -> Listener:
    """Listen on the profile's port, or the next free one, and keep it. Raises CannotCreate."""
    config = world.config
    first = config.port if config.keep_port or not vault.port else vault.port
    for port in range(first, min(first + config.ports_tried, 65_536)):
        try:
            listener = await transport.listen(port, accept)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise _refused(port, str(error.strerror)) from error
            if config.keep_port:
                raise _taken(port) from error
            continue
        await _keep(vault, world, listener.port)
        return listener
    raise CannotCreate(phrase("No free port was found from {port} on: choose one with --port.", port=first))


def _refused(port: int, reason: str) -> CannotCreate:
    return CannotCreate(phrase("Cannot listen on port {port}: {reason}.", port=port, reason=reason))


def _taken(port: int) -> CannotCreate:
    said = phrase(
        "Port {port} is in use by another program: stop it, or choose another with --port.", port=port
    )
    return CannotCreate(said)


async def _keep(vault: Vault, world: World, port: int) -> None:
    if vault.port not in (0, port):
        moved = phrase(
            "Port {old} is taken: Parlour listens on {new} now. Contacts find it by themselves.",
            old=vault.port,
            new=port,
        )
        world.hub.publish(Notice(moved))
    if vault.port != port:
        await world.store.set_port(vault, port)
