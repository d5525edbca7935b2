"""One run of a plan in a folder in memory: what it came to, and a digest of all that happened."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Final

from tests.sim.prepare import KEM, NONCES  # first of all

from tests.sim.disk import disks  # isort: skip
from tests.sim.laws import Broken  # isort: skip
from tests.sim.loop import SimLoop  # isort: skip
from tests.sim.plan import Plan  # isort: skip
from tests.sim.steps import STEPS  # isort: skip
from tests.sim.world import NAMES, World, label  # isort: skip
from tests.support.engines.devices import device, link  # isort: skip
from tests.support.engines.engines import invite, people, play  # isort: skip
from tests.support.lab.virtual import DAY, Deadlock  # isort: skip

MEMORY: Final = Path("/dev/shm")  # a folder of each run is made in it
_GRAVES: Final[list[asyncio.Task[object]]] = []
"""Tasks that no cancellation ended. The collector must not end them in another run."""

SETTLES_IN: Final = 20.0
"""Seconds in which all learn of what was linked."""

CANCELLED_MOST: Final = 10
"""Times that what is left of a run is cancelled."""


@dataclass
class Outcome:
    """`law` is the law that did not hold, empty for none; `digest` is of all bytes and events in order."""

    seed: int
    law: str = ""
    how: str = ""
    digest: str = ""
    seconds: float = 0.0
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)


def scratch() -> Path:
    """A new folder, in memory where there is one, which goes with this process at the latest."""
    folder = Path(tempfile.mkdtemp(prefix="parlour-sim-", dir=MEMORY if MEMORY.is_dir() else None))
    Finalize(None, partial(shutil.rmtree, folder, ignore_errors=True), exitpriority=0)
    return folder


@cache
def template(persons: int, devices: tuple[int, ...]) -> Path:
    """Profiles of so many persons who are contacts of each other, made once per process.

    `devices`: the person of each further terminal, which is linked.
    """
    folder, plan = scratch(), Plan(0, persons=persons, devices=devices)

    async def scenario() -> None:
        async with people(folder, *NAMES[:persons]) as (_, made):
            for number, one in enumerate(made):
                for other in made[:number]:
                    await invite(one, other)
            for number, owner in enumerate(devices, persons):
                name = label(plan, number)
                new = device(made[owner], folder / name, f"10.0.0.{number + 1}", number)
                await link(made[owner], new, name)
                made.append(new)
            await asyncio.sleep(SETTLES_IN)

    KEM.begin(f"template {persons} {devices}")
    play(scenario)
    return folder


def run(plan: Plan) -> Outcome:
    """The same plan gives the same outcome, to the byte."""
    made = None if plan.fresh else template(plan.persons, plan.devices[: plan.linked])
    NONCES.begin()
    KEM.begin(str(plan.seed))
    folder, loop = scratch(), SimLoop(str(plan.seed), 10 * DAY)
    asyncio.set_event_loop(loop)
    outcome = Outcome(plan.seed)
    world: World | None = None

    async def scenario() -> None:
        nonlocal world
        world = World(plan, folder, made, STEPS)
        with disks(world.disks):
            try:
                await world.run()
            except Broken as broken:
                outcome.law, outcome.how = broken.law, broken.how
            world.over = True
            outcome.seconds = loop.time()
            outcome.digest = _digest(world)

    try:
        loop.run_until_complete(scenario())
    except Deadlock as stuck:
        outcome.law, outcome.how = "liveness", str(stuck)
    finally:
        if world is not None:
            outcome.cells, outcome.counts = world.cells, world.counts
        _end(loop)
        shutil.rmtree(folder)
    return outcome


def _end(loop: SimLoop) -> None:
    """The tasks of the dead see their cancellation too: the collector would end them in another run."""
    loop.revive()
    for _ in range(CANCELLED_MOST):
        if not (left := asyncio.all_tasks(loop)):
            break
        for task in left:
            task.cancel()
        with suppress(Deadlock):
            loop.run_until_complete(asyncio.wait(left, timeout=1.0))
    _GRAVES.extend(asyncio.all_tasks(loop))
    asyncio.set_event_loop(None)
    loop.close()


def _digest(world: World) -> str:
    trace = hashlib.blake2b(digest_size=16)
    for here, there, data in world.network.seen:
        trace.update(f"{here} {there} {len(data)} ".encode() + data)
    for host in world.hosts:
        for event in host.person.seen:
            trace.update(repr(event).encode())
    trace.update(f"{world.loop.time():.9f}".encode())
    return trace.hexdigest()
