"""The person log against an independent model of its rules, which PARLOUR_MODELS names (SPEC §7.3).

tests/support/protocol/random_logs.py says how many sets are drawn.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from protocol.identity.log import Unknown
from protocol.identity.reduction import NO_PINS, PersonState, Pins, Standing
from tests.support import machine
from tests.support.protocol.random_logs import (
    FREE,
    Growing,
    at_once,
    every_log,
    every_order,
    for_the_model,
    one_by_one,
    random_logs,
)

SETS = 2_000


@pytest.fixture(scope="module")
def models() -> Iterator[tuple[ModuleType, ModuleType]]:
    """The model of the person log, and a second one of the same rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(machine.needs_models()))
        yield importlib.import_module("person"), importlib.import_module("ref")


Models = tuple[ModuleType, ModuleType]


def agree(models: Models, growing: Growing, pins: Pins = NO_PINS) -> PersonState:
    """The state, after a comparison with that of both models."""
    state, (model, second) = at_once(growing.log, pins), models
    pinned = [one.hex() for one in pins.seen | pins.confirmed]
    operations = for_the_model(growing, model.Op)
    read = model.Person(operations, pinned)
    seniority, removed, name, path, contested, keys, standings, copies = read.state()
    assert second.Ref(operations, pinned).state() == read.state()
    assert [one.hex() for one in state.live] == list(seniority)
    assert {one.hex() for one in state.removed} == set(removed)
    assert [one.hex() for one in state.path] == list(path)
    # To the models an operation of a later version is a rename to no name.
    if not any(isinstance(one.operation, Unknown) for one in growing.log.values()):
        assert state.name == name
    if not pins.seen:
        assert state.contested == contested
    assert [one.hex() for one in state.drawn] == [one for one in keys if bytes.fromhex(one) in state.drawn]
    assert list(state.drawn.values()) == [
        standing for one, standing in zip(keys, standings, strict=True) if bytes.fromhex(one) in state.drawn
    ]
    for pair in state.copied.values():
        assert frozenset(one.hex() for one in pair) in copies
    return state


def test_random_logs_come_to_what_the_model_says_in_any_order_of_arrival(models: Models) -> None:
    count, seen = 0, {"copied": 0, "contested": 0, "removed": 0, "recovered": 0, "fallen": 0}
    for growing, pins, order in random_logs(SETS):
        state = agree(models, growing, pins)
        assert one_by_one(growing, order, pins) == state
        seen["copied"] += bool(state.copied)
        seen["fallen"] += Standing.FALLEN in state.drawn.values()
        seen["contested"] += state.contested
        seen["removed"] += bool(state.removed)
        seen["recovered"] += state.recoveries > 1
        count += 1
    assert min(seen.values()) > count // 100, seen


def test_every_order_of_concurrent_operations_comes_to_what_the_model_says(models: Models) -> None:
    count = 0
    for growing in every_log(FREE):
        state = agree(models, growing)
        assert all(one_by_one(growing, order) == state for order in every_order(growing))
        count += 1
    assert count > 1_000
