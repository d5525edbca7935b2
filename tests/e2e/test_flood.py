"""Strangers who flood the port from forty addresses, and two people who talk all the same."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chat.network.transport import ACCEPTED_MAX
from tests.support.e2e.flooder import KINDS, SOURCES
from tests.support.e2e.programs import PATIENCE, Station, created, listening, pair, wait_event
from tests.support.lab.hosts import Host, Lab
from tests.support.lab.programs import Deadline, Program
from tests.support.relay.measure import resident

pytestmark = [pytest.mark.network, pytest.mark.slow]
HOSTS = 3

GROWTH_MOST = 8 << 20
"""Bytes that the attacked engine may grow by: all connections' buffers at their bound, and slack."""

CONNECTIONS = 6_000


def attack(host: Host, kind: str, victim: Station) -> Program:
    for source in SOURCES:
        host.run("ip", "address", "add", f"{source}/24", "dev", "eth0")
    assert victim.host
    return host.start(sys.executable, "-m", "tests.support.e2e.flooder", kind, victim.host.address, "4747")


def descriptors(program: Program) -> int:
    return sum(1 for _ in Path(f"/proc/{program.pid}/fd").iterdir())


def at_rest(station: Station, program: Program, count: int) -> None:
    """Wait until an engine has no more descriptors than that, but for those through which it is asked."""
    deadline = Deadline(PATIENCE)
    while (still := descriptors(program)) > count + 2:
        assert deadline.left(), f"{still} descriptors stay open, {count} before"
        station.contacts()


def talk(one: Station, here: Program, other: Station, there: Program, mark: str) -> None:
    """Ten texts each way, each delivered before the next."""
    for number in range(10):
        for station, program in ((one, here), (other, there)):
            wait_event(program, "state", id=station.say(f"{mark} {number}"), state="delivered")


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_neither_grows_memory_nor_stops_a_conversation(lab: Lab, tmp_path: Path, kind: str) -> None:
    ada, ben, cy = created(tmp_path, lab.hosts, "Ada", "Ben", "Cy")
    pair(ada, ben)
    with listening(ada) as (here,):
        with listening(ben) as (there,):
            wait_event(here, "peer", name="Ben", present=True)
            talk(ada, here, ben, there, "before")
            before, opened = resident(here.pid), descriptors(here)
            flooding = attack(lab.hosts[2], kind, ada)
            flooding.line(PATIENCE)
            talk(ada, here, ben, there, "meanwhile")
        wait_event(here, "peer", name="Ben", present=False)
        with listening(ben) as (there,):  # a contact gets in although strangers fill the port
            wait_event(here, "peer", name="Ben", present=True)
            talk(ada, here, ben, there, "again")
            flooding.wait_for(lambda line: int(line) >= CONNECTIONS, PATIENCE)
            grown = resident(here.pid) - before
            assert descriptors(here) <= opened + ACCEPTED_MAX + 16
            flooding.kill()
            sys.stdout.write(f"{kind}: {grown >> 10} KiB more after {flooding.said[-1]} connections\n")
            assert grown < GROWTH_MOST
            at_rest(ada, here, opened)
            talk(ada, here, ben, there, "after")
        assert len(ada.said()) == 80
        pair(ada, cy)
    assert [line for line in here.complained if not line.startswith("Cy used your invitation")] == []
