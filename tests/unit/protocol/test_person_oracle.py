"""The person log against an independent model of its rules, which PARLOUR_MODELS names (SPEC §7.3).

PARLOUR_MODEL_SETS and PARLOUR_MODEL_FREE set the number of random sets and of concurrent operations.
A long run needs `-o faulthandler_timeout=0`.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from random import Random
from types import ModuleType
from typing import Any

import pytest

from protocol.identity.reduction import NO_PINS, PersonState, Pins
from tests.support import machine
from tests.support.protocol.random_logs import (
    Growing,
    at_once,
    every_log,
    for_the_model,
    grow_at_random,
    one_by_one,
)

SETS = int(os.environ.get("PARLOUR_MODEL_SETS", "2000"))
FREE = int(os.environ.get("PARLOUR_MODEL_FREE", "2"))


@pytest.fixture(scope="module")
def model() -> ModuleType:
    """The model of the person log."""
    spec = importlib.util.spec_from_file_location("parlour_model", machine.needs_models() / "person.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def read_by(model: ModuleType, growing: Growing, pins: list[str]) -> Any:
    """The model of a log without what is not valid, and without what follows it: it has no rule for these."""
    operations = for_the_model(growing, model.POp)
    while True:
        read = model.Person(operations, pins)
        wrong = {one for one in read.o if read.has(read.view, one) and not read.valid(one)}
        if not wrong:
            return read
        following = {one for one in read.o if any(read.has(read.upto(one), bad) for bad in wrong)}
        operations = [operation for operation in operations if operation.id not in following]


def named_by(read: Any) -> str:
    """The name of the last rename that counts; operations of later versions give none."""
    view = read.view
    renames = [(read.depth[one], one) for one, operation in read.o.items() if operation.kind == "rename"]
    counting = [place for place in renames if read.has(view, place[1]) and read.counts(place[1], view)]
    return max(((*place, name) for place in counting if (name := read.o[place[1]].target)), default=("",))[-1]


def agree(model: ModuleType, growing: Growing, pins: Pins = NO_PINS) -> PersonState:
    """The state, after a comparison with the model's."""
    state = at_once(growing.log, pins)
    read = read_by(model, growing, [one.hex() for one in pins.seen | pins.confirmed])
    live, frozen, _, path, contested = read.state()
    assert [one.hex() for one in state.live] == list(live)
    assert [one.hex() for one in state.frozen] == list(frozen)
    assert state.name == named_by(read)
    assert state.newest.hex() == (path[-1] if path else growing.person.hex())
    assert state.recoveries == len(path)
    if not pins.confirmed:
        assert state.contested == contested
    return state


def test_random_logs_come_to_what_the_model_says_in_any_order_of_arrival(model: ModuleType) -> None:
    random = Random(20)
    seen = {"frozen": 0, "contested": 0, "removed": 0, "recovered": 0}
    for number in range(SETS):
        growing, pins = grow_at_random(random, random.randint(1, 12), recoveries=number % 2 == 0)
        state = agree(model, growing, pins)
        order = list(growing.log)
        random.shuffle(order)
        assert one_by_one(growing, order, pins) == state
        seen["frozen"] += bool(state.frozen)
        seen["contested"] += state.contested
        seen["removed"] += bool(state.removed)
        seen["recovered"] += state.recoveries > 1
    assert min(seen.values()) > SETS // 100, seen


def test_every_order_of_concurrent_operations_comes_to_what_the_model_says(model: ModuleType) -> None:
    count = 0
    for growing in every_log(FREE):
        state = agree(model, growing)
        free = list(growing.log)[growing.base :]
        for order in itertools.permutations(free):
            assert one_by_one(growing, [*list(growing.log)[: growing.base], *order]) == state
        count += 1
    assert count > 500
