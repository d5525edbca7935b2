"""TCP between hosts: link-local addresses, silent peers, and that nothing leaves for the internet."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab.hosts import Host, Lab
from tests.support.lab.programs import Program
from tests.support.network.mdns import Tap

pytestmark = pytest.mark.network

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}

# Listens, greets each connection and prints its peer.
LISTEN = """
import asyncio
from chat.network.transport import TcpTransport
async def greet(connection):
    print(connection.peer, flush=True)
    await connection.write(b"hello")
    connection.close()
async def main():
    await TcpTransport().listen(4747, greet)
    print("listening", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

# Dials HOST within SECONDS and prints what came of it.
DIAL = """
import asyncio, json, sys
from chat.network.transport import TcpTransport
async def main():
    try:
        connection = await TcpTransport().connect(sys.argv[1], 4747, float(sys.argv[2]))
    except OSError as error:
        return {"error": type(error).__name__}
    said = (await connection.read()).decode()
    connection.close()
    return {"peer": connection.peer, "said": said}
print(json.dumps(asyncio.run(main())))
"""

# Dials without any check, as a stranger on the host would; prints what is said, or that it is reset.
RAW = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], 4747), 5) as stranger:
        print(stranger.recv(5).decode() or "reset")
except ConnectionResetError:
    print("reset")
"""


HOSTS = 2


def listening(host: Host) -> Program:
    program = host.start(sys.executable, "-c", LISTEN, environment=ENVIRONMENT)
    program.wait_for(lambda line: line == "listening")
    return program


def dial(host: Host, address: str, seconds: float = 10) -> dict[str, Any]:
    output = host.run(sys.executable, "-c", DIAL, address, str(seconds), env=ENVIRONMENT)
    return dict(json.loads(output))


def test_every_address_of_a_host_can_be_dialled(lab: Lab) -> None:
    caller, called = lab.hosts
    program = listening(called)
    assert dial(caller, called.address) == {"peer": called.address, "said": "hello"}
    assert program.line() == caller.address
    scoped = f"{called.link_local}%eth0"
    for address in (scoped, called.link_local):
        assert dial(caller, address) == {"peer": scoped, "said": "hello"}
        assert program.line() == f"{caller.link_local}%eth0"


def test_link_local_without_a_scope_finds_the_right_one_of_several_interfaces(lab: Lab) -> None:
    """Of an address that was discovered nobody knows which of one's interfaces leads to it."""
    caller, called = lab.hosts
    listening(called)
    for number in (1, 2):
        pair = f"ip link add a{number} type veth peer name b{number}"
        caller.run("sh", "-c", f"{pair}; ip link set a{number} up; ip link set b{number} up")
    assert dial(caller, called.link_local)["said"] == "hello"


def test_a_silent_host_costs_the_time_that_was_given_and_no_more(lab: Lab) -> None:
    caller, called = lab.hosts
    listening(called)
    lab.block(called, caller)
    assert dial(caller, called.address, 0.3) == {"error": "TimeoutError"}
    assert dial(caller, called.link_local, 0.3) == {"error": "TimeoutError"}


def test_not_a_packet_leaves_for_the_internet(lab: Lab) -> None:
    """With a way out at hand: what is not local is refused before anything is sent (claim C3)."""
    caller, gateway = lab.hosts
    caller.run("ip", "route", "add", "default", "via", gateway.address)
    tap = Tap(gateway, what="all")
    for address in ("203.0.113.9", "::ffff:203.0.113.9", "example.com", "0.0.0.0"):
        assert dial(caller, address, 1) == {"error": "NotLocal"}
    # What is seen of a local address shows that the tap would have seen the others.
    dial(caller, "10.99.99.99", 0.2)
    tap.wait_for(bytes([10, 99, 99, 99]))
    assert not [frame for frame in tap.frames() if bytes([203, 0, 113, 9]) in frame]


def test_nobody_from_outside_the_local_networks_gets_in(lab: Lab) -> None:
    caller, called = lab.hosts
    listening(called)
    caller.run("ip", "address", "add", "203.0.113.1/24", "dev", "eth0")
    called.run("ip", "address", "add", "203.0.113.2/24", "dev", "eth0")
    assert caller.run(sys.executable, "-c", RAW, "203.0.113.2").strip() == "reset"
    assert caller.run(sys.executable, "-c", RAW, called.address).strip() == "hello"
