"""Two networks that reach only a host between them, whose relay has an address that is not local.

Rules: a lab like the others; the host between forwards nothing; joining puts a cable between the two
switches, and parting pulls it, which tells nobody.
"""

from __future__ import annotations

from typing import Self

from tests.support.lab.hosts import Lab

RELAY_ADDRESS = "192.0.2.1"
"""Where the host between is reached from both networks: outside of every local network."""


class TwoNetworks(Lab):
    """`ada` and `ben`, each alone on a network, and `between`, which stands on both."""

    def __init__(self) -> None:
        super().__init__(3)
        self.ada, self.ben, self.between = self.hosts

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._divide()
        except BaseException:
            self.down()
            raise
        return self

    def join(self) -> None:
        """One network from now on."""
        self.switch("ip", "link", "set", "cable", "up")

    def part(self) -> None:
        """Two networks again. No program gets an error at once."""
        self.switch("ip", "link", "set", "cable", "down")

    def _divide(self) -> None:
        for command in (
            "link add lan2 type bridge mcast_snooping 0",
            "link set lan2 up",
            "link set p2 master lan2",
            "link add cable type veth peer name cable2",
            "link set cable master lan",
            "link set cable2 master lan2 up",
            f"link add p4 type veth peer name eth1 netns {self.between.namespace}",
            "link set p4 master lan2 up",
        ):
            self.switch("ip", *command.split())
        self._stand_between()
        for host in (self.ada, self.ben):
            host.run("ip", "route", "add", "default", "via", self.between.address)

    def _stand_between(self) -> None:
        """One address towards both, and the relay's, which is neither network's; nothing is forwarded."""
        between = self.between
        between.run("ip", "address", "flush", "dev", "eth0", "scope", "global")
        between.run("ip", "link", "set", "eth1", "up")
        for device, host in (("eth0", self.ada), ("eth1", self.ben)):
            between.run("ip", "address", "add", between.address, "peer", f"{host.address}/32", "dev", device)
        between.run("ip", "address", "add", f"{RELAY_ADDRESS}/32", "dev", "lo")
        between.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
