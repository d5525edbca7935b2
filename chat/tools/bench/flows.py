"""Five flows of two people in terminals, timed from the outside: what they wait for in the real program.

A flow ends with what a person sees. The flows alternate, so that a slow moment does not hit only one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

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
_NEW: Final = ("--net", "sh", "-c", "ip link set lo up && echo up && exec cat")
_CABLE: Final = "ip link add eth0 type veth peer name eth0 netns {far}"
_PLUGGED: Final = "ip link set eth0 up && ip addr add {address}/24 dev eth0"

Enter = Callable[[Sequence[str]], list[str]]
"""Makes the command line that runs a command in a network. The process keeps its id."""


@contextmanager
def own_network() -> Iterator[Enter]:
    """A network for the block, with loopback alone. Raises NotTaken where there is none."""
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        raise NotTaken(f"no network namespace can be had without {' and '.join(missing)}")
    with _held(["unshare", *([] if _as_root() else ["--user", "--map-root-user"]), *_NEW]) as holder:
        yield _enter(holder)


@contextmanager
def neighbours() -> Iterator[tuple[Enter, Enter]]:
    """Two networks for the block, which a cable joins: nothing else has its ends. Raises NotTaken."""
    with own_network() as near, _held(near(["unshare", *_NEW])) as holder:
        far = _enter(holder)
        _run(near(_CABLE.format(far=holder).split()))
        for enter, address in ((near, "10.0.0.1"), (far, "10.0.0.2")):
            _run(enter(["sh", "-c", _PLUGGED.format(address=address)]))
        yield near, far


@contextmanager
def _held(hold: Sequence[str]) -> Iterator[int]:
    """The process that holds a network, which ends with its input: the end of the block closes it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(hold, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as holder:
        assert holder.stdout
        if holder.stdout.readline() != "up\n":
            _, complaint = holder.communicate()
            raise NotTaken(f"no network namespace can be had: {' '.join(complaint.split())}")
        yield holder.pid


def _enter(holder: int) -> Enter:
    user = [] if _as_root() else ["--user", "--preserve-credentials"]
    return lambda command: ["nsenter", f"--target={holder}", *user, "--net", *command]


def _as_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotTaken(f"two networks cannot be joined: {' '.join(done.stderr.split())}")


PASSPHRASE: Final = "a passphrase for one minute"
DELIVERED: Final = "✓✓"


class Person:
    """A person with a profile. `enter` moves a command into the network of the measurement."""

    def __init__(self, name: str, folder: Path, terminals: Terminals, enter: Enter) -> None:
        self.name = name
        self.inputs = 0
        self._terminals = terminals
        self._enter = enter
        self._profile = folder / name
        self._secret = folder / f"{name}.passphrase"
        self._secret.touch(0o600)
        self._secret.write_text(PASSPHRASE + "\n")

    def command(self, *words: str) -> Program:
        return self._run(*words, "--passphrase-file", str(self._secret))

    def interface(self) -> Program:
        return self._run()

    def _run(self, *words: str) -> Program:
        line = [sys.executable, "-m", "chat.cli", *words, "--profile", str(self._profile)]
        return self._terminals.start(self._enter(line))

    def begin(self) -> tuple[Program, float]:
        """First run, to the Enter after the new passphrase, with the time of that Enter."""
        screen = self.interface()
        screen.wait_for("Choose a name")
        for keys in (f"{self.name}\r{PASSPHRASE}", f"\r{PASSPHRASE}"):
            screen.press(keys)
            screen.wait_for("•" * len(PASSPHRASE))
        return screen, screen.press("\r")

    def unlock(self) -> Program:
        screen = self.interface()
        screen.wait_for("Enter your passphrase")
        screen.press(f"{PASSPHRASE}\r")
        screen.wait_for("Write to")
        return screen

    def do(self, screen: Program, keys: str) -> float:
        self.inputs += 1
        return screen.press(keys)


def leave(screen: Program) -> None:
    screen.press("\x11")
    screen.wait_end()


ENTRIES: Final = 20  # entries of one run of TALK

Round = dict[Aim, FlowSample]


def measure(runs: int = RUNS) -> Iterator[Figure]:
    """All flows, `runs` times each: one Figure per flow. Raises Unseen."""
    return figures(FLOWS, lambda: [_round() for _ in range(runs)])


def figures(aims: Sequence[Aim], play: Callable[[], Iterable[Round]]) -> Iterator[Figure]:
    """Play all rounds: one Figure per aim. SIGTERM ends them like Ctrl-C, so that nothing is left behind."""
    taken: list[Round] = []
    problem = ""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        taken = list(play())
    except NotTaken as lacking:
        problem = str(lacking)
    finally:
        signal.signal(signal.SIGTERM, before)
    for aim in aims:
        yield Figure(aim, tuple(one[aim] for one in taken), problem)


def _round() -> Round:
    """Two people who have never met, from their first run to twenty entries."""
    with (
        tempfile.TemporaryDirectory(prefix="parlour-bench-") as folder,
        own_network() as enter,
        Terminals() as terminals,
    ):
        ada, ben = (Person(name, Path(folder), terminals, enter) for name in ("Ada", "Ben"))
        return {
            PAIRING: pairing(ada, ben),
            START: start(ada),
            LAUNCH: launch(ada, ben),
            SEND: send(ada, ben),
            TALK: talk(ada, ben),
        }


def pairing(ada: Person, ben: Person) -> FlowSample:
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
    screen = ada.interface()
    seen = screen.wait_for("Enter your passphrase")
    leave(screen)
    return FlowSample(seen - screen.started)


def launch(ada: Person, ben: Person) -> FlowSample:
    listening = ben.command("listen", "--json")
    listening.wait_for('"ready"')
    screen = ada.unlock()
    screen.press("here again\r")
    seen = screen.wait_for(DELIVERED)
    leave(screen)
    listening.stop()
    return FlowSample(seen - screen.started)


def send(ada: Person, ben: Person) -> FlowSample:
    listening = ben.command("listen", "--json")
    listening.wait_for('"ready"')
    sending = ada.command("send", "Ben", "by the command")
    seen = sending.wait_end()
    listening.stop()
    return FlowSample(seen - sending.started)


def talk(ada: Person, ben: Person) -> FlowSample:
    hers, his = ada.unlock(), ben.unlock()
    hers.wait_for("● online")
    spans = []
    for number in range(ENTRIES):
        text = f"entry number {number:02}"
        hers.press(text)
        hers.wait_for(text)
        hers.rest()
        sent = hers.press("\r")  # the typing itself is not measured
        spans.append(his.wait_for(text) - sent)
    leave(hers)
    leave(his)
    return FlowSample(median(spans))
