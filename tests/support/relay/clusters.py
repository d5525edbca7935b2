"""Relays that share core NATS, each a process of its own, as people run them.

Rules: every wait is for something that happens; with the block no process is left, and no file but the key.
"""

from __future__ import annotations

import selectors
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from protocol.relay.states import WaitBegun, WasAbsent, WasCalled, WasJoined
from tests.architecture.imports import ROOT
from tests.support.relay.nats import Node, nodes
from tests.support.relay.terminals import PATIENCE, Ended, Relay, Terminal, eventually

TRIES = 16
"""Dials of one connection."""


class Member(Relay):
    """A relay of a cluster, whose metrics can be asked for."""

    @property
    def page(self) -> str:
        """Where its metrics are."""
        (line,) = [line for line in self.said if "http://" in line]
        return line.split()[-1]

    def count(self, name: str) -> int:
        """A number of its metrics, 0 where it is not there."""
        with urllib.request.urlopen(self.page, timeout=PATIENCE) as answer:
            lines = answer.read().decode().splitlines()
        return next((int(line.split()[-1]) for line in lines if line.startswith(f"parlour_relay_{name} ")), 0)

    def on_nats(self, connected: bool = True) -> None:
        """Once it is, or is not, on the backplane."""
        eventually(lambda: self.count("backplane_connected") == connected, f"on NATS: {connected}")


def shared_key(folder: Path) -> Path:
    """A new key in a file."""
    path = folder / "relay.key"
    command = [sys.executable, "-m", "chat.cli", "relay", "--new-key", str(path)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return path


def options(key: Path, *urls: str) -> list[str]:
    """What makes a relay one of a cluster."""
    named = [word for url in urls for word in ("--nats", url)]
    return ["--key-file", str(key), "--metrics", "127.0.0.1:0", "--examinable", *named]


@contextmanager
def member(key: Path, *urls: str, before: Sequence[str] = ()) -> Iterator[Member]:
    with Member(*options(key, *urls), before=before) as running:
        yield running


@contextmanager
def cluster(folder: Path, number: int = 3) -> Iterator[tuple[list[Node], list[Member]]]:
    """So many NATS nodes and as many relays: each begins at its own node, and knows the others."""
    key = shared_key(folder)
    with nodes(number) as running, ExitStack() as stack:
        urls = [node.url for node in running]
        relays = [stack.enter_context(member(key, *urls[n:], *urls[:n])) for n in range(number)]
        for each in relays:
            each.on_nats()
        yield running, relays


def waiting(at: Relay, token: bytes, source: str = "127.0.0.1") -> Terminal:
    """A terminal that waits there on a token."""
    waiter = at.terminal(source).welcomed().wait(token)
    waiter.expect(WaitBegun)
    return waiter


def _first(*terminals: Terminal) -> Terminal | None:
    """Who hears something first."""
    with selectors.DefaultSelector() as selector:
        for terminal in terminals:
            selector.register(terminal.socket, selectors.EVENT_READ, terminal)
        return next((key.data for key, _ in selector.select(PATIENCE)), None)


def meet(
    waiter: Terminal, dialling: Relay, token: bytes, source: str = "127.0.0.1"
) -> tuple[Terminal, WasJoined]:
    """A dialler at a relay, joined with a terminal that waits at another.

    That somebody waits there is known everywhere a moment later: whoever is told *absent* asks again.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            dialler = dialling.terminal(source).welcomed()
        except (Ended, ConnectionError):
            continue  # too many of this address at the moment: its bounds let it in again soon
        for _ in range(TRIES):
            dialler.dial(token)
            if _first(waiter, dialler) is waiter:
                waiter.expect(WasCalled)
                return dialler, dialler.expect(WasJoined)
            dialler.expect(WasAbsent)
        dialler.close()
    raise AssertionError("in vain: nobody was found at another relay")
