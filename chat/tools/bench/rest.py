"""What Parlour costs while nobody writes: wake-ups, what its network card carries, and memory.

A wake-up is a voluntary context switch of one of the process's threads, which ends a wait (proc(5)). The
process has one end of a cable and its contacts have the other, so that the counters of its card are its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from chat.tools.bench.flows import PASSPHRASE, Enter, Round, figures, neighbours
from chat.tools.bench.measure import Aim, Figure, FlowSample, NotTaken, Unit
from chat.tools.bench.terminals import PATIENCE, Program, Terminals

SETTLES: Final = 40.0
"""Seconds after the last pairing: questions of the start, and what follows a pairing, are over."""
WINDOW: Final = 180.0
"""Seconds that are measured; the figures are for an hour at this rate."""
HOUR: Final = 3_600.0
LOOKS_EVERY: Final = 0.5
"""Seconds between two looks at what a card has carried: longer than a burst, much shorter than a pause."""
STOPPED_FROM: Final = 5.0
"""Seconds between two looks from which on this process was stopped, and the others most likely with it."""
WINDOWS_MAX: Final = 3
REPLACED_AFTER: Final = 780.0
LIVES: Final = 900.0
"""Seconds from which on a link is to be replaced, and which it lives at most (SPEC 6.5)."""
BEFORE: Final = 15.0
"""Seconds before the first link is replaced from which on the wake-ups of a replacement are counted."""
QUIET: Final = 20.0
"""Seconds without a new connection after which all has been replaced: a house-keeping comes every few."""

_MEASURED: Final = (
    f"of one process 'parlour listen' at rest, all links direct; {WINDOW:.0f} s were measured, all cases at"
    f" once, and an hour is that times {HOUR / WINDOW:.0f}"
)
ONE: Final = Aim("rest.one", 3_000.0, f"{_MEASURED}; one contact", unit=Unit.WAKES)
TERMINALS: Final = Aim(
    "rest.two_terminals", 3_000.0, f"{_MEASURED}; one contact with two devices", unit=Unit.WAKES
)
TWO: Final = Aim("rest.two_contacts", 6_000.0, f"{_MEASURED}; two contacts", unit=Unit.WAKES)
MANY: Final = Aim(
    "rest.thirty", 6_000.0, f"{_MEASURED}; 30 contacts, who do not know each other", unit=Unit.WAKES
)
HEALING: Final = Aim(
    "rest.healing",
    6_000.0,
    f"{_MEASURED}; 30 contacts, and each of the 30 links is replaced once in its life: what that adds to the"
    f" wake-ups of rest.thirty, counted {REPLACED_AFTER:.0f} s after the start, and an hour has it"
    f" {HOUR / REPLACED_AFTER:.1f} times",
    unit=Unit.WAKES,
)
MUTUAL: Final = Aim(
    "rest.eight_mutual", 6_000.0, f"{_MEASURED}; 8 contacts, who all know each other", unit=Unit.WAKES
)
RATIO: Final = Aim(
    "rest.terminals_cost",
    1.1,
    "what two devices of one contact cost as a multiple of what two contacts cost: the larger of the ratios"
    " of links and of bytes; the tenth is what two equal cases differ by. A tick wakes the process that pings"
    " first three times and another one once or twice, and chance decides which it is: wake-ups have a bound"
    " of their own, and their ratio is only said",
    unit=Unit.TIMES,
)
MEMORY: Final = Aim(
    "rest.memory",
    50.0,
    "resident memory (VmRSS) of the process with most of it after the window; pages of programs and"
    " libraries, which processes share, count fully, and its own memory (RssAnon) is without them",
    unit=Unit.MIB,
)
INTERFACE: Final = Aim(
    "rest.interface",
    80.0,
    f"resident memory (VmRSS) of the interface, engine included, {SETTLES:.0f} s after it was opened; 30"
    " contacts, who are there",
    unit=Unit.MIB,
)
AIMS: Final = (ONE, TERMINALS, TWO, RATIO, MUTUAL, MANY, HEALING, MEMORY, INTERFACE)


class Case(Struct, frozen=True):
    """So many contacts, each of whom has so many devices; whether they are all contacts of each other.

    `heals`: what the replacement of all links costs is measured, too. `interface`: then somebody with these
    contacts opens the interface.
    """

    contacts: int
    devices: int = 1
    mutual: bool = False
    heals: bool = False
    interface: bool = False


CASES: Final = {
    ONE: Case(1),
    TERMINALS: Case(1, devices=2),
    TWO: Case(2),
    MUTUAL: Case(8, mutual=True),
    MANY: Case(30, heals=True, interface=True),
}


def measure() -> Iterator[Figure]:
    """One Figure per aim. Raises Unseen."""
    return figures(AIMS, _rounds)


def _rounds() -> list[Round]:
    """All cases at the same time, so that their ratio is not one of two moments."""
    return [samples(dict(zip(CASES, at_rest(list(CASES.values())), strict=True)))]


def samples(costs: Mapping[Aim, Cost]) -> Round:
    """The sample of every aim, from the costs of every case."""
    most = max(costs.values(), key=lambda cost: cost.resident)
    return {
        **{aim: FlowSample(cost.wakes, aside=cost.said()) for aim, cost in costs.items()},
        RATIO: compared(costs[TERMINALS], costs[TWO]),
        HEALING: healed(costs[MANY]),
        MEMORY: FlowSample(most.resident, aside=f"{most.own:.1f} MiB of its own"),
        INTERFACE: FlowSample(
            costs[MANY].interface.resident, aside=f"{costs[MANY].interface.own:.1f} MiB of its own"
        ),
    }


class Memory(Struct, frozen=True):
    """Of a process, in MiB: what it holds of its own, and that with pages of programs and libraries."""

    own: float = 0.0
    resident: float = 0.0

    @classmethod
    def of(cls, process: int) -> Memory:
        status = Path(f"/proc/{process}/status").read_text()
        own, resident = (re.search(rf"^{name}:\s*(\d+) kB", status, re.M) for name in ("RssAnon", "VmRSS"))
        if own is None or resident is None:
            raise NotTaken("the system does not say how much memory a process holds")
        return cls(int(own[1]) / 1024, int(resident[1]) / 1024)


class Cost(Struct, frozen=True):
    """Of a process at rest: open connections, bytes both ways and wake-ups in an hour, and memory in MiB.

    `healing`: the wake-ups that the replacement of all connections once has added. `interface`: the memory of
    the interface with the same contacts, where it was opened.
    """

    links: int
    carried: float
    wakes: float
    own: float
    resident: float
    healing: float = 0.0
    interface: Memory = Memory()

    def said(self) -> str:
        links = f"{self.links} link{'' if self.links == 1 else 's'}"
        carried = f"{self.carried / 2**20:.2f} MiB an hour both ways"
        return f"{links}, {carried}, {self.own:.1f} MiB held, {self.resident:.1f} MiB resident"


def compared(terminals: Cost, contacts: Cost) -> FlowSample:
    """The larger of the ratios of links and bytes, with each of them and that of wake-ups."""
    links, carried = terminals.links / contacts.links, terminals.carried / contacts.carried
    wakes = terminals.wakes / contacts.wakes
    return FlowSample(
        max(links, carried), aside=f"links {links:.2f}, bytes {carried:.2f}, wake-ups {wakes:.2f}"
    )


def healed(cost: Cost) -> FlowSample:
    """The wake-ups of an hour in which all links are replaced as often as their age demands."""
    amount = cost.wakes + cost.healing * HOUR / REPLACED_AFTER
    return FlowSample(amount, aside=f"{cost.healing:.0f} wake-ups replaced {cost.links} links")


def at_rest(cases: Sequence[Case], *, settles: float = SETTLES, window: float = WINDOW) -> list[Cost]:
    """What each case costs somebody with these contacts."""
    if sys.platform != "linux":
        raise NotTaken("wake-ups of a process are read from /proc, which is not there")
    with ExitStack() as stack:
        grounds = [stack.enter_context(_ground()) for _ in cases]
        terminals = stack.enter_context(Terminals())  # its programs end before what they use
        places = [_Place(ground, terminals, case) for ground, case in zip(grounds, cases, strict=True)]
        began = time.monotonic()
        for place in places:
            place.begin_again()
        terminals.rest_for(settles)
        costs = _counted([place.hub.id for place in places], terminals, window)
        for at, place in enumerate(places):
            if cases[at].heals:
                costs[at] = _replaced(place.hub.id, costs[at], began, terminals)
        for place in places:
            place.check()
        shown = {at: place.open() for at, place in enumerate(places) if cases[at].interface}
        if shown:
            terminals.rest_for(settles)
        for at, program in shown.items():
            places[at].check()
            costs[at] = replace(costs[at], interface=Memory.of(program.id))
    return costs


def _counted(processes: Sequence[int], terminals: Terminals, window: float) -> list[Cost]:
    """What each process costs in a window in which all of its links stood, and nothing stopped this one.

    Raises NotTaken where none of WINDOWS_MAX was so: a link that is opened again is no rest, and of a window
    in which everything was stopped most of the time a few bursts are left, one more or less by chance.
    """
    for _ in range(WINDOWS_MAX):
        watches = [_Watch(process) for process in processes]
        looked, longest = time.monotonic(), 0.0
        until = looked + window
        while looked < until:
            terminals.rest_for(min(LOOKS_EVERY, until - looked))
            for watch in watches:
                watch.look()
            longest, looked = max(longest, time.monotonic() - looked), time.monotonic()
        if longest < STOPPED_FROM and all(watch.stood for watch in watches):
            return [watch.cost() for watch in watches]
    raise NotTaken("links were lost, or processes stopped, while nobody wrote: the machine is too busy")


def _replaced(process: int, cost: Cost, began: float, terminals: Terminals) -> Cost:
    """The cost of a process with the wake-ups that replacing all its links once has added to those at rest.

    `began`: a moment before the first of the links opened. Raises NotTaken where not all were replaced.
    """
    terminals.rest_for(max(began + REPLACED_AFTER - BEFORE - time.monotonic(), 0.0))
    before, counting = _Counts.of(process), time.monotonic()
    old = connections = _connections(process)
    looked = changed = counting
    while connections & old or len(connections) != len(old) or looked < changed + QUIET:
        if looked > began + LIVES + PATIENCE:
            raise NotTaken(f"{len(connections & old)} of {len(old)} links were not replaced")
        terminals.rest_for(LOOKS_EVERY)
        last, connections, looked = connections, _connections(process), time.monotonic()
        changed = looked if connections != last else changed
    woke = _Counts.of(process).wakes - before.wakes
    return replace(cost, healing=max(woke - cost.wakes * (time.monotonic() - counting) / HOUR, 0.0))


class Bursts:
    """What a card carried from the end of one burst to that of another: so many bursts in so many pauses.

    A window holds one burst more or less by chance, which is a thirtieth of all.
    """

    def __init__(self, carried: int) -> None:
        self._seen, self._moves = carried, False
        self._first: tuple[float, int] | None = None
        self._last = (0.0, 0)

    def look(self, now: float, carried: int) -> None:
        """Take in how much it has carried by now."""
        moved, self._seen = carried != self._seen, carried
        if self._moves and not moved:
            self._last = now, carried
            self._first = self._first or self._last
        self._moves = moved

    def rate(self) -> float | None:
        """Bytes a second; None where there were no two bursts."""
        if self._first is None or self._last == self._first:
            return None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])


class _Watch:
    """Looks at a process from now on."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._before, self._began = _Counts.of(process), time.monotonic()
        self._connections, self._bursts = _connections(process), Bursts(self._before.carried)
        self.stood = True
        """Whether it has the links that it had."""

    def look(self) -> None:
        self._bursts.look(time.monotonic(), _carried(self._process))
        self.stood = self.stood and _connections(self._process) == self._connections

    def cost(self) -> Cost:
        after, taken = _Counts.of(self._process), time.monotonic() - self._began
        carried = self._bursts.rate() or (after.carried - self._before.carried) / taken
        wakes = (after.wakes - self._before.wakes) / taken
        memory = Memory.of(self._process)
        return Cost(len(self._connections), carried * HOUR, wakes * HOUR, memory.own, memory.resident)


_ESTABLISHED: Final = "01"


def _connections(process: int) -> frozenset[tuple[str, ...]]:
    """The open connections of its network, of which it has all: the addresses of both ends."""
    tables = [Path(f"/proc/{process}/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    lines = [line.split() for table in tables for line in table]
    return frozenset(tuple(line[1:3]) for line in lines if line[3] == _ESTABLISHED)


class _Counts(Struct, frozen=True):
    """What a process did so far: waits that ended; and the bytes that its card has carried, both ways."""

    wakes: int
    carried: int

    @classmethod
    def of(cls, process: int) -> _Counts:
        threads = Path(f"/proc/{process}/task").glob("*/status")
        switches = [re.search(r"^voluntary_ctxt_switches:\s*(\d+)", one.read_text(), re.M) for one in threads]
        if not all(switches):
            raise NotTaken("the system does not say how often a process waits")
        return cls(sum(int(one[1]) for one in switches if one), _carried(process))


def _carried(process: int) -> int:
    """Bytes that the card of its network has carried, both ways."""
    devices = Path(f"/proc/{process}/net/dev").read_text()
    carried = re.search(r"^ *eth0: *(\d+)(?: +\d+){7} +(\d+)", devices, re.M)
    if carried is None:
        raise NotTaken("the system does not say what a network card carries")
    return int(carried[1]) + int(carried[2])


class _Ground(NamedTuple):
    folder: Path
    near: Enter
    far: Enter


@contextmanager
def _ground() -> Iterator[_Ground]:
    with tempfile.TemporaryDirectory(prefix="parlour-bench-") as folder, neighbours() as (near, far):
        yield _Ground(Path(folder), near, far)


_HUB: Final = "hub"


class _Place:
    """The people of a case, each of whom listens. `hub`: the one whose costs are counted."""

    def __init__(self, ground: _Ground, terminals: Terminals, case: Case) -> None:
        self._ground, self._terminals, self._case = ground, terminals, case
        self._secret = ground.folder / "passphrase"
        self._secret.touch(0o600)
        self._secret.write_text(PASSPHRASE + "\n")
        self.hub = self.begin(_HUB)
        for number in range(case.contacts):
            name = f"c{number}"
            self.begin(name)
            self.pair(_HUB, name)
            for device in range(1, case.devices):
                self.link(name, f"{name}d{device}")
        for one, other in combinations(range(case.contacts), 2) if case.mutual else ():
            self.pair(f"c{one}", f"c{other}")

    def begin_again(self) -> None:
        """Start the one whose costs are counted, so that all who are counted were started at one time."""
        self.hub.stop()
        self.hub = self._listen(_HUB)

    def open(self) -> Program:
        """The interface, in the place of the listener whose costs were counted."""
        self.hub.stop()
        line = [sys.executable, "-m", "chat.cli", "--profile", str(self._ground.folder / _HUB)]
        shown = self._terminals.start(self._ground.near(line))
        shown.wait_for("Enter your passphrase")
        shown.press(f"{PASSPHRASE}\r")
        shown.wait_for("Write to")
        return shown

    def check(self) -> None:
        """Raises NotTaken if a contact is not there: then there were fewer links."""
        present = sum(one["present"] for one in self.run("contacts", name=_HUB))
        if present != self._case.contacts:
            raise NotTaken(f"{present} of {self._case.contacts} contacts were present")

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
        adding = self._terminals.start(self._line(first, "terminal", "add"))
        linking = self._terminals.start(self._line(name, "terminal", "link", "--name", name))
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
        program = self._terminals.start(self._line(name, "listen"))
        program.wait_for('"ready"')
        return program

    def _line(self, name: str, *words: str) -> list[str]:
        profile = str(self._ground.folder / name)
        options = ("--json", "--profile", profile, "--passphrase-file", str(self._secret))
        enter = self._ground.near if name == _HUB else self._ground.far
        return enter([sys.executable, "-m", "chat.cli", *options, *words])
