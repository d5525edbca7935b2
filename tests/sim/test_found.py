"""Smallest plans of what runs have found. Each failed before its mend."""

from __future__ import annotations

import pytest

from tests.sim.plan import Plan, Step
from tests.sim.run import outcome, pool

FOUND = {
    "a relay that is named again after a commit that failed too late": Plan(
        seed=262,
        fresh=True,
        relay=True,
        steps=(
            Step("init"),
            Step("late", other=1, number=5, pause=0.003),
        ),
    ),
    "two pairings of the same persons at one time": Plan(
        seed=930,
        fresh=True,
        latency=0.05,
        steps=(
            Step("init"),
            Step("swap", other=1),
            Step("init", who=1),
            Step("swap", who=1, pause=0.02),
            Step("pair", who=1, number=1),
            Step("pair", other=1, number=1),
            Step("delete_for_all", who=1, pause=11.0),
            Step("send", other=1),
        ),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    with pool(1) as processes:
        law, how, _ = processes.submit(outcome, FOUND[name]).result()
    assert law == "", how
