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
    "a removal whose commit reports a failure": Plan(
        seed=13,
        devices=(0,),
        linked=1,
        steps=(
            Step("late", number=50),
            Step("remove", other=2, number=1, pause=4.5),
        ),
    ),
    "what only a stolen copy had acknowledged, after the recovery": Plan(
        seed=52,
        steps=(
            Step("theft", pause=4.5),
            Step("send", who=1),
        ),
    ),
    "two own terminals that remove one at the same time": Plan(
        seed=26,
        devices=(0, 0),
        linked=2,
        steps=(
            Step("remove", who=2, other=3, pause=0.003),
            Step("remove", other=2),
        ),
    ),
    "two self keys that were drawn at one time": Plan(
        seed=164,
        devices=(0, 0),
        linked=2,
        steps=(
            Step("remove", who=2, other=3),
            Step("send", who=3, other=1),
        ),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    with pool(1) as processes:
        law, how, _ = processes.submit(outcome, FOUND[name]).result()
    assert law == "", how
