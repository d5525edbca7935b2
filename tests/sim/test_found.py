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
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    with pool(1) as processes:
        law, how, _ = processes.submit(outcome, FOUND[name]).result()
    assert law == "", how
