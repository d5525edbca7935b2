"""NATS nodes, as processes of their own on this machine: core NATS alone, in memory.

Rules: ports are free ones; a node is ready when it answers as NATS does; with the block
every node is gone, and its folder was never written to.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.lab.programs import Program
from tests.support.needs import needs_nats
from tests.support.relay.terminals import PATIENCE


class Node(Program):
    """One node; `url` is where relays reach it."""

    def __init__(
        self, name: str, ports: tuple[int, int], others: list[int], before: Sequence[str] = ()
    ) -> None:
        """A node of its own where the second port, of its routes, is 0."""
        client, route = ports
        command = ["nats-server", "--addr", "127.0.0.1", "--port", str(client), "--name", name]
        if route:
            command += ["--cluster_name", "parlour", "--cluster", f"nats://127.0.0.1:{route}"]
        if others:
            command += ["--routes", ",".join(f"nats://127.0.0.1:{each}" for each in others)]
        super().__init__(["sh", "-c", 'exec "$@" 2>&1', "nats", *before, *command])
        self.url = f"nats://127.0.0.1:{client}"

    def ready(self) -> None:
        """Once it takes clients."""
        self.wait_for(lambda line: "Server is ready" in line, PATIENCE)


def free_ports(number: int) -> list[int]:
    """So many ports that nobody has, below those that the kernel gives to whoever asks for any."""
    found: set[int] = set()
    while len(found) < number:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.add(port)
    return list(found)


@contextmanager
def nodes(number: int) -> Iterator[list[Node]]:
    """A cluster of so many nodes."""
    needs_nats()
    ports = free_ports(2 * number)
    routes = ports[number:]
    made: list[Node] = []
    try:
        for index, client in enumerate(ports[:number]):
            made.append(Node(f"node{index}", (client, routes[index]), routes[:index]))
        for node in made:
            node.ready()
        yield made
    finally:
        for node in made:
            node.close()
