"""A terminal's discovery as a program for hosts of the lab: commands in, events out as JSON lines.

Commands, one a line: `announce INSTANCE [NAME]` (its own addresses, port 4747, slots derived from the
instance), `withdraw`. The end of the input closes it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from chat.network.interfaces import own_addresses
from chat.network.mdns import ZeroconfDiscovery
from chat.ports import Announcement
from tests.support.lab.hosts import Host
from tests.support.lab.programs import Program

PORT = 4747


def slots(instance: str, count: int = 32) -> tuple[bytes, ...]:
    """Slots that a test knows again."""
    return tuple(hashlib.blake2b(f"{instance} {n}".encode(), digest_size=8).digest() for n in range(count))


class Teller:
    """Prints what it hears."""

    def found(self, announcement: Announcement) -> None:
        say(
            event="found",
            instance=announcement.instance,
            addresses=list(announcement.addresses),
            port=announcement.port,
            name=announcement.name,
            own_slots=announcement.slots == slots(announcement.instance),
        )

    def lost(self, instance: str) -> None:
        say(event="lost", instance=instance)

    def network_changed(self) -> None:
        say(event="changed")


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(count: int) -> None:
    discovery = ZeroconfDiscovery()
    await discovery.start(Teller())
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    say(event="ready", problem=discovery.problem)
    while line := (await commands.readline()).decode():
        command, *words = line.split()
        if command == "announce":
            name = " ".join(words[1:])
            told = slots(words[0], count)
            await discovery.announce(Announcement(words[0], own_addresses(), PORT, told, name))
        elif command == "withdraw":
            await discovery.announce(None)
        say(event="done", command=command)
    await discovery.close()
    say(event="closed")


class Beacon:
    """The program on a host, as a test sees it."""

    def __init__(self, host: Host, count: int = 32) -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        command = (sys.executable, "-m", "tests.support.network.beacon", str(count))
        self.program: Program = host.start(*command, environment=environment)
        self.wait("ready")

    def do(self, command: str) -> None:
        self.program.write(command + "\n")

    def wait(self, event: str, instance: str = "", seconds: float = 15) -> dict[str, Any]:
        """The next event of that kind (about that instance); others before it are passed over."""

        def wanted(line: str) -> bool:
            heard = json.loads(line)
            return heard["event"] == event and instance in ("", heard.get("instance"))

        return dict(json.loads(self.program.wait_for(wanted, seconds)))

    def wait_for_found(self, instance: str) -> dict[str, Any]:
        """What was or is found of that instance, in whatever order."""
        for found in self.heard("found"):
            if found["instance"] == instance:
                return found
        return self.wait("found", instance)

    def heard(self, event: str) -> list[dict[str, Any]]:
        """All events of that kind so far."""
        return [each for line in list(self.program.said) if (each := json.loads(line))["event"] == event]


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
