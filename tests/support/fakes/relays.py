"""The relays of the fake `Messenger`: named, removed, and standing as the test says."""

from __future__ import annotations

from dataclasses import replace

from chat.errors import phrase
from chat.interface import BadData, RelayChanged, RelayRemoved, RelayStanding, RelayView, UsageError
from chat.service.settings import problem
from protocol.errors import ProtocolError
from protocol.relay.rendezvous import parse_relay
from tests.support.fakes.others import Others

RELAYS_MOST = 8


class FakeRelays(Others):
    """What a client asks about relays, and what the network would report."""

    async def relays(self) -> tuple[RelayView, ...]:
        self._enter("relays")
        return tuple(self._relays.values())

    async def add_relay(self, address: str) -> RelayView:
        self._enter("add_relay", address)
        compact = "".join(address.split())
        try:
            relay = parse_relay(compact)
        except ProtocolError:
            raise BadData(problem(compact)) from None
        if compact in self._relays:
            return self._relays[compact]
        same = [one for one in self._relays.values() if (one.host, one.port) == (relay.host, relay.port)]
        if len(self._relays) - len(same) >= RELAYS_MOST:
            raise UsageError(phrase("You already have {number} relays: remove one.", number=RELAYS_MOST))
        for one in same:
            self._drop(one.address)
        return self.name_relay(compact)

    async def remove_relay(self, address: str) -> None:
        self._enter("remove_relay", address)
        if address not in self._relays:
            raise UsageError(phrase("No relay of this address is named here."))
        self._drop(address)

    def name_relay(self, address: str, *, invited: bool = False) -> RelayView:
        """A relay is named, by hand or by an invitation; announced."""
        relay = parse_relay(address)
        view = RelayView(address, relay.host, relay.port, RelayStanding.UNKNOWN, invited)
        self._relays[address] = view
        self.emit(RelayChanged(view))
        return view

    def stand_relay(self, address: str, standing: RelayStanding) -> None:
        """A relay stands otherwise than before."""
        self._relays[address] = replace(self._relays[address], standing=standing)
        self.emit(RelayChanged(self._relays[address]))

    def _drop(self, address: str) -> None:
        del self._relays[address]
        self.emit(RelayRemoved(address))
