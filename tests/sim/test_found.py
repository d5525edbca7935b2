"""Smallest plans of what runs have found. Each failed before its mend."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

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
    "notes that are pinned by a commit that reports a failure": Plan(
        seed=80116,
        persons=3,
        devices=(1,),
        steps=(
            Step("mark", who=1, number=3),
            Step("late", who=1, other=2, number=6),
            Step("link", who=1, other=3),
        ),
    ),
    "a setting that a removed terminal alone wrote": Plan(
        seed=81004,
        devices=(0,),
        linked=1,
        relay=True,
        steps=(
            Step("remove", who=2, other=2),
            Step("theft", who=2, pause=1.3),
            Step("mark", who=2, other=1, number=5),
            Step("recover", who=2, other=2),
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
    "the self key of a stolen copy that a terminal with new keys never got": Plan(
        seed=10639,
        devices=(0, 0, 0),
        linked=3,
        jitter=0.02,
        steps=(
            Step("remove", who=2, other=4),
            Step("theft"),
            Step("drop", who=2, other=3, pause=0.02),
            Step("send", who=4, other=1, pause=0.02),
            Step("torn", other=1, pause=0.02),
            Step("send", who=5, other=1),
        ),
    ),
    "an entry that crossed with heads on a link that ended before the answer": Plan(
        seed=11000,
        latency=0.3,
        steps=(
            Step("send", other=1, pause=1.3),
            Step("edit", other=1, pause=0.02),
            Step("late", other=1, number=6, seconds=9.0),
            Step("old_copy", who=1, number=13),
            Step("pair", other=1, pause=70.0),
            Step("old_copy", who=1, number=2),
            Step("send", other=1, pause=11.0),
        ),
    ),
    "an entry of a removed device whose receipt that one alone got": Plan(
        seed=11414,
        devices=(0,),
        linked=1,
        steps=(
            Step("old_copy", who=1, other=2, number=5),
            Step("send", who=2, other=1, pause=0.0007),
            Step("remove", other=2),
            Step("torn", other=1, number=130, pause=0.02),
        ),
    ),
    "a message read before a recovery, whose read receipt was lost": Plan(
        seed=10935,
        devices=(0,),
        steps=(
            Step("send", who=1, other=2),
            Step("send", other=1),
            Step("repeat", other=1),
            Step("recover", pause=0.0007),
        ),
    ),
    "a pairing again by a copy from before a removal": Plan(
        seed=11530,
        devices=(1,),
        linked=1,
        steps=(
            Step("old_copy", who=1, other=2),
            Step("remove", who=1, other=2),
            Step("send", who=2, pause=1.3),
            Step("send", other=1),
            Step("read", other=1),
            Step("old_copy", who=1, other=2, number=5),
            Step("clock", other=2, number=28125, seconds=120.0, pause=0.3),
        ),
    ),
    "an entry of a contact that follows what an own device passed on": Plan(
        seed=16446,
        devices=(0,),
        linked=1,
        steps=(
            Step("broken", other=1, number=6, pause=0.0007),
            Step("send", who=1, pause=0.02),
            Step("broken", who=1, other=2, number=1),
            Step("send", who=1, other=2, pause=0.02),
            Step("edit", who=1, other=2, pause=0.02),
            Step("recover", who=2, other=2, pause=0.0007),
        ),
    ),
    "the removal of a stolen copy, whose commit reports a failure": Plan(
        seed=17125,
        steps=(
            Step("theft"),
            Step("recover", pause=0.003),
            Step("late", who=1, number=1, seconds=1.0, pause=1.3),
            Step("send", who=1),
        ),
    ),
    "a message that was deleted on the device that wrote it, and whose receipt was lost": Plan(
        seed=16248,
        persons=3,
        devices=(0,),
        linked=1,
        latency=0.3,
        steps=(
            Step("timer", who=1, other=2, pause=4.5),
            Step("send", other=2, pause=0.02),
            Step("delete", other=2, pause=0.0007),
            Step("unread", other=1, number=1),
            Step("pair", who=2, other=3, pause=1.3),
            Step("send", who=2, other=3, pause=0.003),
            Step("unread", who=3, other=1, number=5),
            Step("cut", who=3, other=2, seconds=30.0),
            Step("cut", other=1, pause=1.3),
        ),
    ),
    "a device that removes itself and crashes": Plan(
        seed=16213,
        devices=(0,),
        linked=1,
        steps=(
            Step("remove", who=2, other=2, pause=0.003),
            Step("crash", who=2, number=6, pause=0.0007),
            Step("send", who=2, other=1, pause=0.02),
        ),
    ),
    "a device that was linked with a share that the contact drew again meanwhile": Plan(
        seed=42774,
        devices=(0, 0, 1),
        linked=3,
        fresh=True,
        jitter=0.02,
        steps=(
            Step("init", pause=0.003),
            Step("init", who=1, pause=0.003),
            Step("pair", who=1),
            Step("link", other=2, pause=4.5),
            Step("crash", who=1, other=2, number=1, seconds=0.05, pause=0.003),
            Step("send", other=1, number=3, pause=0.003),
            Step("link", other=3, pause=0.3),
            Step("crash", who=3, other=4, number=1, seconds=9.0),
            Step("link", who=1, other=4, number=3, pause=0.02),
            Step("remove", other=3, number=1),
            Step("corrupt", other=1, number=2, seconds=9.0, pause=0.02),
            Step("link", other=2, number=1, pause=0.003),
            Step("corrupt", who=2, other=3, number=8, seconds=30.0, pause=0.003),
            Step("edit", other=1, number=1, pause=0.003),
        ),
    ),
    "a contact that is unmuted while its log grows": Plan(
        seed=1893,
        persons=3,
        devices=(0, 0, 1),
        linked=3,
        relay=True,
        steps=(
            Step("mark", who=4, other=2, pause=11.0),
            Step("mark", other=2, number=3, pause=0.3),
            Step("send", who=2, other=1, pause=0.003),
            Step("crash", who=2),
            Step("old_copy", who=2, other=3, number=4, seconds=0.4),
            Step("send", who=3, other=2),
            Step("mark", who=4, other=5, number=3),
            Step("send", who=5, other=3, pause=70.0),
            Step("read", who=3, other=5, pause=4.5),
            Step("remove", who=1, other=5, pause=0.02),
            Step("mark", who=3, other=5, number=2),
        ),
    ),
}


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    with pool(1) as processes:
        yield processes


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str, process: ProcessPoolExecutor) -> None:
    law, how, _ = process.submit(outcome, FOUND[name]).result()
    assert law == "", how
