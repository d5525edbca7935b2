"""Where contacts were reached, for the next start: discovery takes a moment, a kept address does not.

Rules: an address is a hint; the host is where a link came from, only the port is the contact's word.
"""

from __future__ import annotations

from chat.network.link_set import LiveLink
from chat.service.world import World
from chat.storage import known_addresses
from chat.storage.known_addresses import AddressRow

KEPT = 8
"""Addresses kept in memory a contact."""


class Remembering:
    """Keeps the addresses of contacts."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def met(self, person: bytes, host: str, port: int) -> None:
        """A contact was dialled here to pair: without discovery there may be no other way to it."""
        if (terminal := self._world.keyring.contacts[person].terminal()) is not None:
            await self._keep(person, terminal.id, (host, port))

    async def reached(self, link: LiveLink, port: int) -> None:
        """A contact's terminal says on which port it listens: keep that beside the address of the link.

        Through a relay there is no address: where the terminal is, only the relay knows.
        """
        if not link.relayed and (terminal := self._terminal(link)) is not None:
            await self._keep(link.person, terminal, (link.address, port))

    async def _keep(self, person: bytes, terminal: bytes, place: tuple[str, int]) -> None:
        kept = self._world.keyring.remembered.get(person, ())
        if kept[:1] == (place,):
            return
        row = AddressRow(terminal, *place, self._world.clock.wall())
        await self._world.store.write(known_addresses.add, row)
        self._world.keyring.remembered[person] = tuple(dict.fromkeys((place, *kept)))[:KEPT]

    def _terminal(self, link: LiveLink) -> bytes | None:
        live = self._world.keyring.log(link.person).live.values()
        return next((terminal.id for terminal in live if terminal.static == link.terminal), None)
