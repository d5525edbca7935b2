"""Taking the five flows: each round makes two persons, and all flows run once in it.

Rules: a flow ends with what a person sees, never with what a process believes; flows alternate, so that a
slow moment of the machine does not fall on one of them alone.

A network of the benchmark's own, so that nothing it starts is seen by anybody nearby.

Rules: one network namespace with nothing but loopback (Linux, as root or with user namespaces); a process
holds it, and it is gone with that process.

A person of a measurement: a throw-away profile, a passphrase, and what such a person does.

Rules: everything goes through the program, as processes; the cost of the passphrase is the usual one; an
input is what a person decides to do, and each is counted.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Final, Self

from chat.tools.bench.measure import (
    FLOWS,
    LAUNCH,
    PAIRING,
    RUNS,
    SEND,
    START,
    TALK,
    Aim,
    Figure,
    FlowSample,
    NotTaken,
)
from chat.tools.bench.terminals import Program, Terminals

_TOOLS: Final = ("unshare", "nsenter", "ip")
_HOLD: Final = "ip link set lo up && echo up && exec cat"


class OwnNetwork:
    """`with OwnNetwork() as network: Popen(network.enter(command))`. Raises NotTaken where there is none."""

    def __init__(self) -> None:
        self._as_root: Final = hasattr(os, "geteuid") and os.geteuid() == 0

    def enter(self, command: Sequence[str]) -> list[str]:
        """The command line that runs `command` inside; the process keeps its id."""
        kinds = ["--net"] if self._as_root else ["--user", "--preserve-credentials", "--net"]
        return ["nsenter", f"--target={self._holder.pid}", *kinds, *command]

    def __enter__(self) -> Self:
        kinds = ["--net"] if self._as_root else ["--user", "--map-root-user", "--net"]
        pipe = subprocess.PIPE
        if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
            raise NotTaken(f"no network namespace can be had without {' and '.join(missing)}")
        self._holder = subprocess.Popen(
            ["unshare", *kinds, "sh", "-c", _HOLD], stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != "up\n":
            _, complaint = self._holder.communicate()
            raise NotTaken(f"no network namespace can be had: {' '.join(complaint.split())}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.communicate()  # its input ends, and so does it


PASSPHRASE: Final = "a passphrase for one minute"
DELIVERED: Final = "✓✓"

_Enter = Callable[[Sequence[str]], list[str]]


class Person:
    """`enter` puts a command line into the network of the measurement."""

    def __init__(self, name: str, folder: Path, terminals: Terminals, enter: _Enter) -> None:
        self.name = name
        self.inputs = 0
        self._terminals = terminals
        self._enter = enter
        self._profile = folder / name
        self._secret = folder / f"{name}.passphrase"
        self._secret.write_text(PASSPHRASE + "\n")

    def command(self, *words: str) -> Program:
        """A command, with the passphrase from a file."""
        return self._run(*words, "--passphrase-file", str(self._secret))

    def interface(self) -> Program:
        """The terminal interface."""
        return self._run()

    def _run(self, *words: str) -> Program:
        line = [sys.executable, "-m", "chat.cli", *words, "--profile", str(self._profile)]
        return self._terminals.start(self._enter(line))

    def begin(self) -> tuple[Program, float]:
        """First run, to the Enter after the new passphrase; and when that was."""
        screen = self.interface()
        screen.wait_for("Choose a name")
        screen.press(f"{self.name}\r{PASSPHRASE}")
        screen.wait_for("•" * len(PASSPHRASE))
        return screen, screen.press("\r")

    def unlock(self) -> Program:
        """The interface, open on the one contact there is."""
        screen = self.interface()
        screen.wait_for("Enter your passphrase")
        screen.press(f"{PASSPHRASE}\r")
        screen.wait_for("Write to")
        return screen

    def do(self, screen: Program, keys: str) -> float:
        """One input; returns when."""
        self.inputs += 1
        return screen.press(keys)


def leave(screen: Program) -> None:
    """Close the interface."""
    screen.press("\x11")
    screen.wait_end()


ENTRIES: Final = 20
"""Entries of one run of TALK."""

Round = dict[Aim, FlowSample]


def measure(runs: int = RUNS) -> Iterator[Figure]:
    """All flows, `runs` times each; a Figure a flow. Raises Unseen where the program does not get on."""
    rounds: list[Round] = []
    problem = ""
    try:
        with stoppable():
            rounds = [_round() for _ in range(runs)]
    except NotTaken as lacking:
        problem = str(lacking)
    for flow in FLOWS:
        yield Figure(flow, tuple(taken[flow] for taken in rounds), problem)


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends the measurement as Ctrl-C does: nothing that it made is left behind."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _round() -> Round:
    """Two persons who have never met, from their first run to twenty entries."""
    with (
        tempfile.TemporaryDirectory(prefix="parlour-bench-") as folder,
        OwnNetwork() as network,
        Terminals() as terminals,
    ):
        ada, ben = (Person(name, Path(folder), terminals, network.enter) for name in ("Ada", "Ben"))
        return {
            PAIRING: pairing(ada, ben),
            START: start(ada),
            LAUNCH: launch(ada, ben),
            SEND: send(ada, ben),
            TALK: talk(ada, ben),
        }


def pairing(ada: Person, ben: Person) -> FlowSample:
    """Two first runs, the words, the first entry."""
    hers, _ = ada.begin()
    hers.wait_for("Looking for people nearby")
    his, begun = ben.begin()
    hers.wait_for("+ Ben")
    ada.do(hers, "\r")
    hers.wait_for("They match")
    his.wait_for("They match")
    ada.do(hers, "y")
    ben.do(his, "y")
    hers.wait_for("Write to Ben")
    ada.do(hers, "the first entry\r")
    seen = hers.wait_for(DELIVERED)
    his.wait_for("the first entry")
    leave(hers)
    leave(his)
    return FlowSample(seen - begun, (ada.inputs, ben.inputs))


def start(ada: Person) -> FlowSample:
    """The interface of a locked profile."""
    screen = ada.interface()
    seen = screen.wait_for("Enter your passphrase")
    leave(screen)
    return FlowSample(seen - screen.started)


def launch(ada: Person, ben: Person) -> FlowSample:
    """The interface, the passphrase and an entry, to a contact who listens."""
    listening = ben.command("listen", "--json")
    listening.wait_for('"ready"')
    screen = ada.unlock()
    screen.press("here again\r")
    seen = screen.wait_for(DELIVERED)
    leave(screen)
    listening.stop()
    return FlowSample(seen - screen.started)


def send(ada: Person, ben: Person) -> FlowSample:
    """The command, to a contact who listens."""
    listening = ben.command("listen", "--json")
    listening.wait_for('"ready"')
    sending = ada.command("send", "Ben", "by the command")
    seen = sending.wait_end()
    listening.stop()
    return FlowSample(seen - sending.started)


def talk(ada: Person, ben: Person) -> FlowSample:
    """Entries one by one between two interfaces."""
    hers, his = ada.unlock(), ben.unlock()
    hers.wait_for("● online")
    spans = [_one_entry(hers, his, f"entry number {number:02}") for number in range(ENTRIES)]
    leave(hers)
    leave(his)
    return FlowSample(median(spans))


def _one_entry(hers: Program, his: Program, text: str) -> float:
    """From Enter to the other screen. Both show all the typing before: no person is as fast."""
    hers.press(text)
    hers.wait_for(text)
    hers.rest()
    sent = hers.press("\r")
    return his.wait_for(text) - sent
