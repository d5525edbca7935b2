"""Two terminals through reordering, loss, duplication, simultaneous links and crashes, in any order.

PARLOUR_SEED=N and PARLOUR_EXAMPLES=N take other cases and more of them; PARLOUR_SHRINK=1 shortens what fails.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from protocol import messages as m
from tests.fuzz.values import values
from tests.support.engines.faults import Trouble, make_template
from tests.support.lab.virtual import DAY, VirtualLoop, wind_up

SEED = int(os.environ.get("PARLOUR_SEED", "1"))
EXAMPLES = int(os.environ.get("PARLOUR_EXAMPLES", "100"))
STEPS = 30

SIDES = st.integers(0, 1)
PLACES = st.integers(0, 7)
WRITES = st.integers(0, 14)
SECONDS = st.sampled_from([0.0, 0.0007, 0.003, 0.02, 0.3, 1.3, 4.5, 11.0, 70.0])
LATENCIES = st.sampled_from([0.001, 0.05, 0.7, 2.0])
TEXTS = {"short": "Good morning", "long": "🙂" * 16_000}
"""The long one travels in two pieces."""
HOURS = st.integers(-11, 11)
"""By how much a clock is wrong: two that differ by more than a day may not find each other (SPEC §13)."""
SAID = st.lists(st.tuples(SIDES, st.sampled_from([*["short"] * 7, "long"])), max_size=3)
"""What is written just before something happens, and by whom."""
NONSENSE = st.sampled_from(
    [m.LogHeads, m.LogOperations, m.Reachable, m.HeadsHash, m.Heads, m.Entry, m.Receipt, m.Typing, m.Record]
).flatmap(values)


class Terminals(RuleBasedStateMachine):
    """What may happen to two paired terminals."""

    template: ClassVar[Path]
    folder: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop(10 * DAY)
        self.world = Trouble(self.template, self.folder)
        self.broken = False

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            self.loop.run_until_complete(work)
        except BaseException:
            self.broken = True
            raise

    def teardown(self) -> None:
        try:
            if not self.broken:
                self.run(self.world.settle())
        finally:
            self.loop.run_until_complete(self.world.end())
            wind_up(self.loop)
            self.loop.close()
            shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        self.run(self.world.begin())

    @invariant()
    def everything_holds(self) -> None:
        if self.world.sides:
            self.run(self.world.check())

    # The persons.

    def say(self, said: list[tuple[int, str]]) -> None:
        for side, text in said:
            self.run(self.world.send(side, TEXTS[text]))

    @rule(said=SAID, seconds=SECONDS)
    def persons_write(self, said: list[tuple[int, str]], seconds: float) -> None:
        for each in said:
            self.say([each])
            self.run(asyncio.sleep(seconds))

    @rule(side=SIDES)
    def read(self, side: int) -> None:
        self.run(self.world.read(side))

    # The network.

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.3, 12.0]))
    def all_is_well(self, seconds: float) -> None:
        """For a while, so that troubles also begin from links that live."""
        self.run(self.world.calm())
        self.run(asyncio.sleep(seconds))

    @rule(side=SIDES, said=SAID)
    def cut(self, side: int, said: list[tuple[int, str]]) -> None:
        self.say(said)
        self.world.network.cut(self.world.sides[side].person.host)

    @rule(side=SIDES)
    def heal(self, side: int) -> None:
        self.run(_called(self.world.network.heal, self.world.sides[side].person.host))

    @rule(place=PLACES, said=SAID)
    def a_connection_breaks(self, place: int, said: list[tuple[int, str]]) -> None:
        self.say(said)
        if (pipe := self.world.pipe(place)) is not None:
            self.run(_called(pipe.break_now))

    @rule(place=PLACES, writes=WRITES, said=SAID)
    def a_connection_will_break(self, place: int, writes: int, said: list[tuple[int, str]]) -> None:
        if (pipe := self.world.pipe(place)) is not None:
            pipe.left = writes
        self.say(said)

    @rule(writes=WRITES, answering=st.booleans())
    def the_next_connection_will_break(self, writes: int, answering: bool) -> None:
        self.world.network.break_next_after = (None, writes) if answering else (writes, None)

    @rule(seconds=LATENCIES)
    def the_next_connection_will_be_slow(self, seconds: float) -> None:
        self.world.network.latency_of_next = seconds

    @rule(place=PLACES, seconds=LATENCIES)
    def a_direction_becomes_slow(self, place: int, seconds: float) -> None:
        if (pipe := self.world.pipe(place)) is not None:
            pipe.latency = seconds

    @rule(place=PLACES, said=SAID)
    def bytes_come_twice(self, place: int, said: list[tuple[int, str]]) -> None:
        self.say(said)
        if (pipe := self.world.pipe(place)) is not None:
            self.run(_called(pipe.repeat))

    @rule(number=st.integers(0, 40))
    def a_stranger_replays_a_connection(self, number: int) -> None:
        self.run(self.world.replay(number))

    @rule(side=SIDES, message=NONSENSE)
    def a_contact_says_anything(self, side: int, message: m.Message) -> None:
        self.run(self.world.say(side, message))

    # The terminals.

    @rule(sides=st.sampled_from([(0,), (1,), (0, 1)]), said=SAID)
    def links_are_begun(self, sides: tuple[int, ...], said: list[tuple[int, str]]) -> None:
        self.say(said)
        self.run(self.world.dial(*sides))

    @rule(side=SIDES, writes=WRITES, said=SAID)
    def crash(self, side: int, writes: int, said: list[tuple[int, str]]) -> None:
        self.say(said)
        self.run(self.world.crash(side, writes))

    @rule(side=SIDES, hours=HOURS)
    def a_clock_is_set(self, side: int, hours: int) -> None:
        self.world.sides[side].person.clock.offset_ms = hours * 3_600_000

    @rule(side=SIDES)
    def start(self, side: int) -> None:
        self.run(self.world.start(side))


async def _called(call: Any, *arguments: Any) -> None:
    """Some calls need the running loop."""
    call(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("number", [SEED])
def test_two_terminals_in_any_trouble(tmp_path: Path, number: int) -> None:
    make_template(tmp_path / "template")
    bounds = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink] if os.environ.get("PARLOUR_SHRINK") else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    kind = type("Bound", (Terminals,), {"template": tmp_path / "template", "folder": tmp_path / "world"})
    run_state_machine_as_test(seed(number)(kind), settings=bounds)
