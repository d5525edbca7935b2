"""What is seen from here, once for all causes: multicast, routers, and who answers where terminals should be.

Rules: values only, no cause is decided here; `gathering.py` looks, tests make them up.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chat.doctor.calling import Reply
from chat.doctor.context import Sought
from chat.doctor.knocking import Answer
from chat.doctor.tables import Tables
from chat.network import probe
from chat.network.addresses import is_link_local_v6
from chat.network.interfaces import Interface, Kind, outward
from chat.network.neighbours import Router

Echo = probe.Heard | OSError


@dataclass(frozen=True, slots=True)
class Visit:
    """One place of a terminal and what answered there.

    `on`: the index of the interface on whose network the address lies; `way`: of the one by which the kernel
    sends there. Either is 0 where there is none.
    """

    host: str
    port: int
    answer: Answer
    on: int = 0
    way: int = 0

    @property
    def is_scoped(self) -> bool:
        """Link-local IPv6: it is possible on every wire, so its silence tells nothing of a network."""
        return is_link_local_v6(self.host.partition("%")[0])


@dataclass(frozen=True, slots=True)
class Finding:
    """A terminal that is sought and what its places said. `is_it`: this very terminal was met there."""

    sought: Sought
    visits: tuple[Visit, ...]
    is_it: bool = False

    @property
    def greeted(self) -> bool:
        """Whether Parlour is there, this terminal's or another's."""
        return any(visit.answer is Answer.PARLOUR for visit in self.visits)


@dataclass(frozen=True, slots=True)
class Evidence:
    """`echoes`: what came back of the question by multicast, by interface index and family.

    `tables`: the packet filters, None where they were not looked at. `routers`: whether each answers.
    `ways`: for each (interface index, network) with room for a neighbour, the interface by which the kernel
    sends to one. `relays`: what each says, by its name.
    """

    interfaces: Sequence[Interface]
    tables: Tables | None = None
    echoes: Mapping[tuple[int, socket.AddressFamily], Echo] = field(default_factory=dict)
    routers: Mapping[Router, bool] = field(default_factory=dict)
    ways: Mapping[tuple[int, str], int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    relays: Mapping[str, Reply] = field(default_factory=dict)

    @property
    def lan(self) -> list[Interface]:
        """The networks on which this machine shows itself, without loopback."""
        return [each for each in outward(self.interfaces) if each.kind is not Kind.LOOPBACK]

    @property
    def heard(self) -> frozenset[str]:
        """Addresses of others that multicast was heard from: neither of this machine nor of a router."""
        own = {address for interface in self.interfaces for address in interface.addresses}
        senders = (echo.others for echo in self.echoes.values() if isinstance(echo, probe.Heard))
        return frozenset[str]().union(*senders) - own - {router.address for router in self.routers}
