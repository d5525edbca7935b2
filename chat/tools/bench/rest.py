"""How often `parlour listen` wakes the processor while nobody writes, and what its network carries.

A wake-up is a voluntary context switch of one of the process's threads, which ends a wait (proc(5)).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from chat.tools.bench.flows import PASSPHRASE, Enter, Round, figures, own_network
from chat.tools.bench.measure import Aim, Figure, FlowSample, NotTaken, Unit
from chat.tools.bench.terminals import PATIENCE, Program, Terminals

SETTLES: Final = 40.0
"""Seconds after the last pairing: questions of the start, and what follows a pairing, are over."""
WINDOW: Final = 60.0
"""Seconds that are measured; the figures are for an hour at this rate."""
HOUR: Final = 3_600.0

_MEASURED: Final = (
    f"of one process 'parlour listen' at rest, all links direct; {WINDOW:.0f} s were measured, and an hour is"
    " that times 60"
)
ONE: Final = Aim("rest.one", 3_000.0, f"{_MEASURED}; one contact", unit=Unit.WAKES)
TWO: Final = Aim("rest.two_terminals", 3_000.0, f"{_MEASURED}; one contact with two devices", unit=Unit.WAKES)
MANY: Final = Aim(
    "rest.thirty", 6_000.0, f"{_MEASURED}; 30 contacts, who do not know each other", unit=Unit.WAKES
)
AIMS: Final = (ONE, TWO, MANY)


def measure() -> Iterator[Figure]:
    """One Figure per aim. Raises Unseen."""
    return figures(AIMS, _round)


def _round() -> Iterable[Round]:
    return [{ONE: at_rest(1), TWO: at_rest(1, devices=2), MANY: at_rest(30)}]


def at_rest(
    contacts: int, *, devices: int = 1, settles: float = SETTLES, window: float = WINDOW
) -> FlowSample:
    """Somebody with so many contacts, each of whom has so many devices."""
    if sys.platform != "linux":
        raise NotTaken("wake-ups of a process are read from /proc, which is not there")
    with _place() as place:
        hub = place.begin("hub")
        for number in range(contacts):
            name = f"c{number}"
            place.begin(name)
            place.pair("hub", name)
            for device in range(1, devices):
                place.link(name, f"{name}d{device}")
        place.terminals.rest_for(settles)
        began, before = time.monotonic(), _Counts.of(hub.id)
        place.terminals.rest_for(window)
        after, part = _Counts.of(hub.id), HOUR / (time.monotonic() - began)
        held, present = _held(hub.id), sum(one["present"] for one in place.run("contacts", name="hub"))
    if present != contacts:
        raise NotTaken(f"{present} of {contacts} contacts were present")
    carried = (after.carried - before.carried) * part / 2**20
    aside = f"{contacts * devices} links, {carried:.1f} MiB an hour both ways, {held / 1024:.0f} MiB held"
    return FlowSample((after.wakes - before.wakes) * part, aside=aside)


class _Counts(Struct, frozen=True):
    """What a process did so far: waits that ended; and the bytes that its network has carried, both ways."""

    wakes: int
    carried: int

    @classmethod
    def of(cls, process: int) -> _Counts:
        threads = Path(f"/proc/{process}/task").glob("*/status")
        switches = [re.search(r"^voluntary_ctxt_switches:\s*(\d+)", one.read_text(), re.M) for one in threads]
        carried = re.search(r"^ *lo: *(\d+)", Path(f"/proc/{process}/net/dev").read_text(), re.M)
        if not all(switches) or carried is None:
            raise NotTaken("the system does not say how often a process waits")
        return cls(sum(int(one[1]) for one in switches if one), int(carried[1]))


def _held(process: int) -> int:
    """KiB of memory that are the process's own, not those of the files that it has mapped."""
    status = Path(f"/proc/{process}/status").read_text()
    held = re.search(r"RssAnon:\s*(\d+) kB", status)
    if held is None:
        raise NotTaken("the system does not say how much memory a process holds")
    return int(held[1])


class _Place:
    """A network with people on it, each of whom listens."""

    def __init__(self, folder: Path, enter: Enter, terminals: Terminals) -> None:
        self.terminals = terminals
        self._folder, self._enter = folder, enter
        self._secret = folder / "passphrase"
        self._secret.write_text(PASSPHRASE + "\n")

    def begin(self, name: str) -> Program:
        """A new person, who listens."""
        self.run("init", "--name", name, name=name)
        return self._listen(name)

    def pair(self, inviter: str, joiner: str) -> None:
        line, pipe = self._line(inviter, "invite", "--yes"), subprocess.PIPE
        with subprocess.Popen(line, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as inviting:
            assert inviting.stdout is not None
            self.run("join", json.loads(inviting.stdout.readline())["invitation"], name=joiner)
            if inviting.wait(PATIENCE):
                raise NotTaken("two people could not be paired")

    def link(self, first: str, name: str) -> None:
        """One more device of a person, which listens."""
        adding = self.terminals.start(self._line(first, "terminal", "add"))
        linking = self.terminals.start(self._line(name, "terminal", "link", "--name", name))
        for program in (adding, linking):
            program.wait_for("five words?")
            program.press("y\r")
        for program in (linking, adding):
            program.wait_end()
        self._listen(name)

    def run(self, *words: str, name: str) -> list[Any]:
        """What a command says. Raises NotTaken where it fails."""
        done = subprocess.run(
            self._line(name, *words), capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode:
            raise NotTaken(f"'parlour {words[0]}' failed: {' '.join(done.stderr.split())}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _listen(self, name: str) -> Program:
        program = self.terminals.start(self._line(name, "listen"))
        program.wait_for('"ready"')
        return program

    def _line(self, name: str, *words: str) -> list[str]:
        options = ("--json", "--profile", str(self._folder / name), "--passphrase-file", str(self._secret))
        return self._enter([sys.executable, "-m", "chat.cli", *options, *words])


@contextmanager
def _place() -> Iterator[_Place]:
    with (
        tempfile.TemporaryDirectory(prefix="parlour-bench-") as folder,
        own_network() as enter,
        Terminals() as terminals,
    ):
        yield _Place(Path(folder), enter, terminals)
