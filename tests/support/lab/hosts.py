"""Hosts in network namespaces on a bridge of their own; processes inside a lab end with it."""

from __future__ import annotations

import itertools
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Self

from tests.support.lab.programs import Deadline, Program

_labs = itertools.count(1)


class LabError(Exception):
    """The lab itself could not do something; the text is what the tool said."""


class Host:
    """One machine: `eth0` with 10.77.0.N and an IPv6 link-local address, loopback, no way out."""

    def __init__(self, namespace: str, number: int) -> None:
        self.namespace = namespace
        self.number = number
        self.address = f"10.77.0.{number}"
        self.link_local = f"fe80::77:ff:fe00:{number:x}"
        self._children: list[subprocess.Popen[str]] = []
        self._programs: list[Program] = []

    def enter(self, *command: str) -> list[str]:
        """The command line that runs `command` on this host, under the same process id."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def run(self, *command: str, seconds: float = 30, check: bool = True, **options: Any) -> str:
        """Run a command to its end; its output. Raises LabError if it fails, unless `check` is off."""
        return _sh(self.enter(*command), seconds=seconds, check=check, **options)

    def popen(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command; the lab ends it."""
        child = subprocess.Popen(self.enter(*command), text=True, **options)
        self._children.append(child)
        return child

    def start(self, *command: str, environment: Mapping[str, str] | None = None) -> Program:
        """Start a command whose lines the test waits for; the lab ends it."""
        program = Program(self.enter(*command), environment=environment)
        self._programs.append(program)
        return program

    def reap(self) -> None:
        """Collect what `popen` and `start` began, after it was ended."""
        for program in self._programs:
            program.close()
        for child in self._children:
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()


class Lab:
    """`count` hosts on one wire: `with Lab(2) as lab: ...`; `lab.hosts[0]` is 10.77.0.1."""

    def __init__(self, count: int) -> None:
        prefix = f"parlour-{os.getpid()}-{next(_labs)}"
        self._switch = f"{prefix}-switch"
        self.hosts = tuple(Host(f"{prefix}-h{number}", number) for number in range(1, count + 1))
        self._namespaces = [self._switch, *(host.namespace for host in self.hosts)]

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def cut(self, host: Host) -> None:
        """Pull the host's cable. Its addresses stay, and no program on it gets an error at once."""
        _batch(self._switch, f"link set p{host.number} down")

    def heal(self, host: Host) -> None:
        """Undo `cut`, and every `block` of what this host hears."""
        _batch(self._switch, f"link set p{host.number} up")
        for filters in ("iptables", "ip6tables"):
            host.run(filters, "--wait", "--flush", "INPUT")

    def block(self, deaf: Host, other: Host) -> None:
        """From now on `deaf` does not hear `other`, who still hears it. Nobody gets an error."""
        for filters, address in (("iptables", other.address), ("ip6tables", other.link_local)):
            deaf.run(filters, "--wait", "--insert", "INPUT", "--source", address, "--jump", "DROP")

    def switch(self, *command: str, **options: Any) -> None:
        """Run a command where the wire is: host N is on port `pN` of the bridge `lan`. Raises LabError."""
        _sh(["ip", "netns", "exec", self._switch, *command], **options)

    def down(self) -> None:
        """End every process inside the lab, then the lab. May be called twice."""
        existing = {line.split()[0] for line in _sh(["ip", "netns", "list"]).splitlines() if line.strip()}
        names = [name for name in self._namespaces if name in existing]
        for name in names:
            _end_processes(name)
        for host in self.hosts:
            host.reap()
        for name in names:
            _sh(["ip", "netns", "delete", name])

    def _build(self) -> None:
        for name in self._namespaces:
            _sh(["ip", "netns", "add", name])
        # Snooping forgets groups without a querier on the wire, and then multicast stops.
        _batch(self._switch, "link add lan type bridge mcast_snooping 0", "link set lan up")
        for host in self.hosts:
            self._plug(host)

    def _plug(self, host: Host) -> None:
        # Without it a new IPv6 address is unusable for a second or two (duplicate address detection).
        host.run("sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad")
        _batch(
            self._switch,
            f"link add p{host.number} type veth peer name eth0 netns {host.namespace}",
            f"link set p{host.number} master lan up",
        )
        _batch(
            host.namespace,
            "link set lo up",
            f"link set eth0 address 02:77:00:00:00:{host.number:02x} up",
            f"address add {host.address}/24 broadcast + dev eth0",
        )


def _batch(namespace: str, *commands: str) -> None:
    """Run several commands of `ip` in one process inside a namespace."""
    _sh(["ip", "-n", namespace, "-batch", "-"], input="\n".join(commands) + "\n")


def _sh(command: list[str], *, seconds: float = 30, check: bool = True, **options: Any) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, check=False, **options
    )
    if check and done.returncode:
        raise LabError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def _end_processes(namespace: str) -> None:
    """Kill until nothing is left: a process may fork while the list is read."""
    while pids := [int(pid) for pid in _sh(["ip", "netns", "pids", namespace]).split()]:
        end_processes(pids)


def end_processes(pids: Iterable[int], seconds: float = 10) -> None:
    """Kill -9 and wait until they have ended. Raises LabError if one stays."""
    deadline = Deadline(seconds)
    for pid in pids:
        with suppress(ProcessLookupError), os.fdopen(os.pidfd_open(pid)) as handle:
            signal.pidfd_send_signal(handle.fileno(), signal.SIGKILL)
            if not select.select([handle], [], [], deadline.left())[0]:
                raise LabError(f"process {pid} does not end")


RELAY_ADDRESS = "192.0.2.1"
"""Where the host between is reached from both networks: outside of every local network."""


class TwoNetworks(Lab):
    """`ada` and `ben`, each alone on a network, and `between`, which stands on both."""

    def __init__(self) -> None:
        super().__init__(3)
        self.ada, self.ben, self.between = self.hosts

    def join(self) -> None:
        """One network from now on."""
        _batch(self._switch, "link set cable up")

    def part(self) -> None:
        """Two networks again. No program gets an error at once."""
        _batch(self._switch, "link set cable down")

    def _build(self) -> None:
        super()._build()
        _batch(
            self._switch,
            "link add lan2 type bridge mcast_snooping 0",
            "link set lan2 up",
            "link set p2 master lan2",
            "link add cable type veth peer name cable2",
            "link set cable master lan",
            "link set cable2 master lan2 up",
            f"link add p4 type veth peer name eth1 netns {self.between.namespace}",
            "link set p4 master lan2 up",
        )
        self._stand_between()
        for host in (self.ada, self.ben):
            _batch(host.namespace, f"route add default via {self.between.address}")

    def _stand_between(self) -> None:
        """One address towards both, and the relay's, which is neither network's; nothing is forwarded."""
        between = self.between
        _batch(
            between.namespace,
            "address flush dev eth0 scope global",
            "link set eth1 up",
            f"address add {between.address} peer {self.ada.address}/32 dev eth0",
            f"address add {between.address} peer {self.ben.address}/32 dev eth1",
            f"address add {RELAY_ADDRESS}/32 dev lo",
        )
        between.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
