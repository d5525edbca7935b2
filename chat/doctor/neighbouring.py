"""An address that somebody else could have: for questions to the kernel and to rules, never to be sent to.

Rules: pure arithmetic of networks.
"""

from __future__ import annotations

import ipaddress


def neighbour(network: str) -> str:
    """The address of somebody else in ADDRESS/PREFIX; empty where there is room for nobody."""
    own = ipaddress.ip_interface(network)
    if own.network.num_addresses < 4:
        return ""
    first = own.network.network_address + 1
    return str(first if first != own.ip else first + 1)
