"""Noticing changes: of the state and not of its signs, once each, in virtual time and on a real network."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from chat.network import clock_steps, interfaces, netlink
from chat.network.clock_steps import ClockSteps
from chat.network.interfaces import SETTLE, SLEPT, TICK, NetworkWatch
from tests.support.lab.hosts import Host, Lab
from tests.support.lab.programs import Program
from tests.support.lab.virtual import VirtualClock, run_virtual
from tests.support.machine import needs_clock_steps

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}


class Machine:
    """A network state and a clock that the test moves; counts what it was asked and told."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.state: Hashable = "before"
        self.asleep = 0.0
        self.unreadable = False
        self.looks = 0
        self.told: list[float] = []

    def look(self) -> Hashable:
        self.looks += 1
        if self.unreadable:
            raise OSError("not now")
        return self.state

    def now(self) -> float:
        return self.clock.monotonic() + self.asleep

    def changed(self) -> None:
        self.told.append(self.clock.monotonic())


@pytest.fixture(autouse=True)
def _polling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kernel's signs a virtual clock rules everything."""
    if "lab" not in request.fixturenames:
        monkeypatch.setattr(netlink, "AVAILABLE", False)


def watched(seconds: float, flickers: bool = False, before: float = 2.0, **change: object) -> Machine:
    """Watch for two seconds or `before`, change something (for a moment), and watch on."""

    async def scenario(clock: VirtualClock) -> Machine:
        machine = Machine(clock)
        await asyncio.sleep(50.0)  # a machine has run before a program starts on it
        watch = NetworkWatch(machine.changed, state=machine.look, clock=machine.now)
        watch.start()
        await asyncio.sleep(before)
        vars(machine).update(change)
        if flickers:
            asyncio.get_running_loop().call_later(TICK + SETTLE / 2, setattr, machine, "state", "before")
        await asyncio.sleep(seconds)
        watch.close()
        await asyncio.sleep(10.0)
        return machine

    return run_virtual(scenario)


def test_a_change_is_told_once_and_soon_but_not_after_close() -> None:
    (told,) = watched(60, state="after").told
    assert told <= 50.0 + 2.0 + TICK + SETTLE
    for before in (0.0, 2.0):
        assert len(watched(60, before=before, asleep=SLEPT + 1).told) == 1, (
            "a sleep of the machine is a change"
        )
    assert watched(0.0, state="after").told == []


@pytest.mark.parametrize(
    "change",
    [{}, {"flickers": True, "state": "after"}, {"asleep": SLEPT / 2}, {"unreadable": True}],
    ids=["nothing", "a flicker", "a clock set right", "what cannot be read"],
)
def test_what_is_no_change_is_not_told(change: dict[str, Any]) -> None:
    assert watched(600, **change).told == []


WATCH = """
import asyncio, sys
from chat.network import interfaces
async def main():
    looks = []
    def look():
        looks.append(1)
        return interfaces.network_state()
    watching = interfaces.NetworkWatch(lambda: print("changed", flush=True), state=look)
    watching.start()
    print("watching", flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print("looks", len(looks), flush=True)
    watching.close()
asyncio.run(main())
"""


HOSTS = 1


def watching(host: Host) -> Program:
    program = host.start(sys.executable, "-c", WATCH, environment=ENVIRONMENT)
    assert program.line() == "watching"
    return program


def looks(program: Program) -> int:
    program.write("\n")
    return int(program.wait_for(lambda line: line.startswith("looks")).split()[1])


@pytest.mark.network
def test_cables_addresses_and_interfaces_are_noticed(lab: Lab) -> None:
    host = lab.hosts[0]
    program = watching(host)
    pair = "ip link add eth9 type veth peer name eth8; ip link set eth9 up; ip link set eth8 up"
    changes: list[Callable[[], object]] = [
        lambda: lab.cut(host),
        lambda: lab.heal(host),
        lambda: host.run("ip", "address", "add", "192.168.9.1/24", "dev", "eth0"),
        lambda: host.run("ip", "address", "delete", "192.168.9.1/24", "dev", "eth0"),
        lambda: host.run("sh", "-c", pair),
        lambda: host.run("ip", "link", "delete", "eth9"),
    ]
    for change in changes:
        change()
        assert program.line() == "changed"


# A container's bridge and cable; a DHCP server or router that confirms an address.
INDIFFERENT = """
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip link set docker0 up
ip link add leaf type veth peer name inside
ip link set leaf master docker0
ip link set leaf up
ip address change 10.77.0.1/24 dev eth0 valid_lft 900 preferred_lft 900
"""


@pytest.mark.network
def test_what_does_not_matter_is_not_told_and_idling_costs_no_look(lab: Lab) -> None:
    host = lab.hosts[0]
    program = watching(host)
    assert looks(program) == 1
    host.run("sh", "-c", INDIFFERENT)
    while looks(program) == 1:
        continue  # until the signs have made it look
    assert "changed" not in program.said
    host.run("ip", "address", "add", "192.168.9.1/24", "dev", "eth0")
    program.wait_for(lambda line: line == "changed")


async def test_signs_are_read_and_cause_one_look_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    signs, kernel = socket.socketpair()
    signs.setblocking(False)
    monkeypatch.setattr(netlink, "AVAILABLE", True)
    monkeypatch.setattr(netlink, "subscribe", lambda: signs)
    states, changed = iter(["before", "after"]), asyncio.Event()
    watch = NetworkWatch(changed.set, state=lambda: next(states))
    with signs, kernel:
        watch.start()
        kernel.sendall(b"address")
        kernel.sendall(b"link")
        await changed.wait()
        with pytest.raises(BlockingIOError):
            signs.recv(1)
        watch.close()
        assert signs.fileno() == -1


async def test_a_step_of_the_clock_causes_a_look_and_nothing_wakes_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel says that the machine slept: what comes of a sleep is then looked at at once."""
    signs, changed, now = _Steps(), asyncio.Event(), [1000.0]
    monkeypatch.setattr(netlink, "AVAILABLE", True)
    monkeypatch.setattr(netlink, "subscribe", socket.socket)
    monkeypatch.setattr(clock_steps, "AVAILABLE", True)
    monkeypatch.setattr(interfaces, "ClockSteps", lambda: signs)
    watch = NetworkWatch(changed.set, state=lambda: "same", clock=lambda: now[0])
    watch.start()
    assert watch._tick is None
    now[0] += 1e6
    signs.kernel.sendall(b"set")
    await changed.wait()
    watch.close()
    assert signs.steps.fileno() == -1


class _Steps:
    """Steps of the clock that a test makes."""

    def __init__(self) -> None:
        self.steps, self.kernel = socket.socketpair()

    def fileno(self) -> int:
        return self.steps.fileno()

    def drain(self) -> None:
        self.steps.recv(64)

    def close(self) -> None:
        self.steps.close()
        self.kernel.close()


@pytest.mark.parametrize("without", ["netlink", "clock"])
async def test_what_the_kernel_does_not_tell_is_looked_at_each_second(
    monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    monkeypatch.setattr(netlink, "AVAILABLE", without != "netlink")
    monkeypatch.setattr(netlink, "subscribe", socket.socket)
    monkeypatch.setattr(
        interfaces, "ClockSteps", mock.Mock(side_effect=OSError if without == "clock" else _Steps)
    )
    watch = NetworkWatch(lambda: None, state=lambda: "same")
    watch.start()
    assert watch._tick is not None
    watch.close()
    assert watch._tick is None


def test_the_kernel_tells_nothing_while_the_clock_runs_on() -> None:
    needs_clock_steps()
    steps = ClockSteps()
    with pytest.raises(BlockingIOError):
        os.read(steps.fileno(), 8)
    steps.drain()
    with pytest.raises(BlockingIOError):
        os.read(steps.fileno(), 8)
    steps.close()
    with pytest.raises(OSError, match="timerfd"):
        steps._arm()
