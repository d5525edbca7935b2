"""The simulation itself: one seed is one run, and a failing plan is shrunk to what it needs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sim.plan import Plan, Step, draw
from tests.sim.run import outcome, pool
from tests.sim.shrink import shrink

KINDS: tuple[Callable[[Plan], bool], ...] = (
    lambda plan: plan.fresh,
    lambda plan: plan.apart,
    lambda plan: "torn" in plan.faults and "old_copy" in plan.faults and not plan.relay,
    lambda plan: plan.persons == 5,
    lambda plan: plan.linked > 0 and any(step.kind == "theft" for step in plan.steps),
)
SEEDS = tuple(next(seed for seed in range(1, 1_000) if kind(draw(seed))) for kind in KINDS)
"""The first of each kind of plan."""


def digests(seeds: tuple[int, ...]) -> dict[int, str]:
    """Of the runs of these seeds, in this order, in one process."""
    with pool(1) as processes:
        runs = processes.map(outcome, [draw(seed) for seed in seeds])
        return {seed: digest for seed, (_, _, digest) in zip(seeds, runs, strict=True)}


@pytest.mark.slow
def test_a_seed_is_one_run() -> None:
    """Whatever ran before it in its process, every byte and every event is the same."""
    forwards, backwards = digests(SEEDS), digests(SEEDS[::-1])
    assert forwards == backwards
    assert len(set(forwards.values())) == len(SEEDS)


def test_a_plan_is_printed_as_python() -> None:
    for seed in range(50):
        plan = draw(seed)
        again = eval(str(plan), {"Plan": Plan, "Step": Step})  # noqa: S307  # the text of this test
        assert (again.steps, again.persons, again.seed) == (plan.steps, plan.persons, plan.seed)
        assert (again.relay, again.apart, again.fresh) == (plan.relay, plan.apart, plan.fresh)
        assert (again.devices, again.linked) == (plan.devices, plan.linked)


def test_shrinking_leaves_what_the_failure_needs() -> None:
    def fails(plan: Plan) -> bool:
        kinds = [step.kind for step in plan.steps]
        return "crash" in kinds and "send" in kinds[kinds.index("crash") :] and plan.relay

    seed = next(seed for seed in range(1, 10_000) if fails(draw(seed)))
    found = shrink(draw(seed), fails)
    assert [step.kind for step in found.steps] == ["crash", "send"]
    assert found.relay
    assert not found.apart
    assert found.persons == 2 + (max(max(step.who, step.other) for step in found.steps) >= 2)
