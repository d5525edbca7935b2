"""`python -m tests.soak.run --minutes N`: two terminals talk in a lab, with cuts and kills. Exits with 1.

Both are real programs in network namespaces, and write ten entries a second. Each minute the cable is pulled
for some seconds, and every two minutes one of the programs is killed and started again, in turn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chat.interface import OutcomeUnknown, ParlourError
from tests.soak.check import Outcome, problems
from tests.support.e2e.programs import (
    Station,
    created,
    end,
    pair,
    until_nothing_waits,
    wait_event,
    whole_history,
)
from tests.support.lab.hosts import Lab
from tests.support.lab.programs import Program

RATE: Final = 10.0  # entries that each writes in a second
CUT_EVERY: Final = 60.0
CUT_FOR: Final = 5.0
KILL_EVERY: Final = 120.0
MEASURED_EVERY: Final = 1.0
SAID_EVERY: Final = 60.0


@dataclass
class Side:
    """One terminal: its program, and what it wrote."""

    station: Station
    running: Program
    acknowledged: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.station.name

    def shown(self) -> list[tuple[str, str]]:
        lines = (json.loads(line) for program in self.programs for line in program.said)
        return [(line["author"], line["text"]) for line in lines if line.get("event") == "entry"]

    def start(self, stack: ExitStack) -> None:
        self.running = stack.enter_context(self.station.start("listen"))
        wait_event(self.running, "ready")
        self.programs.append(self.running)


class Soak:
    """A soak of so many seconds in a lab of two hosts."""

    def __init__(self, lab: Lab, sides: list[Side], seconds: float, stack: ExitStack) -> None:
        self._lab, self._sides, self._seconds, self._stack = lab, sides, seconds, stack
        self._begun = time.monotonic()
        self._did: defaultdict[str, int] = defaultdict(int)

    async def run(self) -> None:
        """Everything at once until the time is over; then the cable is whole and both programs run."""
        tasks = [
            *(self._write(side) for side in self._sides),
            *(self._measure(side) for side in self._sides),
            *(self._cut(), self._kill(), self._say()),
        ]
        await asyncio.gather(*tasks)

    @property
    def _now(self) -> float:
        return time.monotonic() - self._begun

    async def _until(self, moment: float) -> bool:
        """Whether a moment comes before the end; waits for it."""
        if moment >= self._seconds:
            await asyncio.sleep(max(0.0, self._seconds - self._now))
            return False
        await asyncio.sleep(max(0.0, moment - self._now))
        return True

    async def _write(self, side: Side) -> None:
        number = 0
        while self._now < self._seconds:
            with suppress(ParlourError, OSError):
                async with side.station.opened() as messenger:
                    (contact,) = await messenger.contacts()
                    while await self._until(max(self._now, number / RATE)):
                        text = f"entry {number} of {side.name}"
                        if text not in side.tried[-1:]:
                            side.tried.append(text)
                        with suppress(OutcomeUnknown):  # sent again, with the same id
                            await messenger.send(contact.person, text, send_id=text.replace(" ", "-"))
                            side.acknowledged.append(text)
                            number = max(number + 1, int(self._now * RATE))
            await asyncio.sleep(1 / RATE)  # the pace of the load

    async def _measure(self, side: Side) -> None:
        moment = 0.0
        while await self._until(moment := moment + MEASURED_EVERY):
            size = _resident(side.running.pid)
            if size is not None:
                side.memory.append((self._now, size))

    async def _cut(self) -> None:
        moment = 0.0
        while await self._until(moment := moment + CUT_EVERY):
            await asyncio.to_thread(self._lab.cut, self._lab.hosts[1])
            self._did["cuts"] += 1
            await self._until(moment + CUT_FOR)
            await asyncio.to_thread(self._lab.heal, self._lab.hosts[1])

    async def _kill(self) -> None:
        moment, victim = 0.0, 0
        while await self._until((moment := moment + KILL_EVERY) + CUT_FOR * 2):
            side = self._sides[victim]
            victim = 1 - victim
            await asyncio.to_thread(side.running.kill)
            self._did["kills"] += 1
            await asyncio.to_thread(side.start, self._stack)

    async def _say(self) -> None:
        moment = 0.0
        while await self._until(moment := moment + SAID_EVERY):
            sys.stdout.write(f"{self.account()}\n")
            sys.stdout.flush()

    def account(self) -> str:
        last = [(side.name, side.memory[-1][1] // 1024) for side in self._sides if side.memory]
        sizes = ", ".join(f"{name} {size} MiB" for name, size in last)
        sent = sum(len(side.acknowledged) for side in self._sides)
        did = f"{self._did['cuts']} cuts, {self._did['kills']} kills"
        return f"{self._now:.0f} s: {sent} entries, {did}; {sizes}"


def _resident(pid: int) -> int | None:
    """Resident memory of a process in KiB; None where it was killed a moment ago."""
    with suppress(OSError, StopIteration):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    return None


def soak(seconds: float, folder: Path) -> Outcome:
    """Run it, and let both ends come to rest."""
    with Lab(2) as lab, ExitStack() as stack:
        stations = created(folder, lab.hosts, "Ada", "Ben")
        pair(*stations)
        sides = []
        for station in stations:
            program = stack.enter_context(station.start("listen"))
            wait_event(program, "ready")
            sides.append(Side(station, program, programs=[program]))
        running = Soak(lab, sides, seconds, stack)
        asyncio.run(running.run())
        sys.stdout.write(f"{running.account()}\n")
        held = {}
        for side in sides:
            side.station.ask(until_nothing_waits)
        for side in sides:
            entries = side.station.ask(whole_history)
            held[side.name] = [(entry.author, entry.text) for entry in entries]
        end(*(side.running for side in sides))
        return Outcome(
            seconds,
            {side.name: side.acknowledged for side in sides},
            {side.name: side.tried for side in sides},
            held,
            {side.name: side.shown() for side in sides},
            {side.name: side.memory for side in sides},
        )


def main() -> int:
    """Run it, print what is wrong, and return the exit status."""
    parser = argparse.ArgumentParser(prog="tests.soak.run")
    parser.add_argument("--minutes", type=float, default=20.0)
    minutes: float = parser.parse_args().minutes
    with tempfile.TemporaryDirectory(prefix="parlour-soak-") as folder:
        found = problems(soak(minutes * 60, Path(folder)))
    for line in found[:50]:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(found)} violations\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
