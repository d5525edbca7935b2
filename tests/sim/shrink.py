"""Delta debugging of plans: the fewest steps and persons with which the same law still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.sim.plan import Plan, Step

Fails = Callable[[Plan], bool]


def shrink(plan: Plan, fails: Fails, runs: int = 400) -> Plan:
    """The smallest plan found that fails as this one does, in at most so many runs."""
    left = runs

    def tried(smaller: Plan) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and smaller != plan and fails(smaller)

    before = None
    while before != plan and left > 0:
        before = plan
        plan = _fewer_steps(plan, tried)
        for number in range(len(_simpler(plan))):
            if tried(smaller := _simpler(plan)[number]):
                plan = smaller
        plan = _simpler_steps(plan, tried)
    return plan


def _fewer_steps(plan: Plan, fails: Fails) -> Plan:
    """Leave out halves, then quarters, down to single steps, from the end."""
    size = len(plan.steps)
    while size >= 1:
        at = len(plan.steps) - size
        while at > -size:
            start = max(at, 0)
            smaller = replace(plan, steps=plan.steps[:start] + plan.steps[at + size :])
            if len(smaller.steps) < len(plan.steps) and fails(smaller):
                plan = smaller
            at -= size
        size //= 2
    return plan


def _simpler(plan: Plan) -> list[Plan]:
    """The same without one of its circumstances."""
    return [
        _without_terminals(plan),
        replace(plan, gone=False),
        replace(plan, apart=False, relay=False),
        replace(plan, apart=False),
        replace(plan, linked=0),
        replace(plan, linked=len(plan.devices)),
        replace(plan, jitter=0.0),
        replace(plan, latency=0.001),
    ]


def _without_terminals(plan: Plan) -> Plan:
    """The same without terminals and persons at the end of whom no step says anything."""
    used = {number for step in plan.steps for number in (step.who, step.other)}
    kept = [one for one in range(plan.persons, plan.terminals) if one in used]
    owners = {plan.owner(one) for one in {*used, *kept} if one < plan.terminals}
    persons = max(2, max(owners, default=0) + 1)
    numbers = {old: new for new, old in enumerate((*range(persons), *kept, plan.terminals))}
    steps = tuple(
        replace(step, who=numbers.get(step.who, 0), other=numbers.get(step.other, 0)) for step in plan.steps
    )
    devices = tuple(plan.owner(one) for one in kept)
    linked = sum(one < plan.persons + plan.linked for one in kept)
    return replace(plan, persons=persons, devices=devices, linked=linked, steps=steps)


def _simpler_steps(plan: Plan, fails: Fails) -> Plan:
    """Each step with less in it: no pause, a shorter time, a lower number."""
    for at in range(len(plan.steps)):
        for smaller in _less(plan.steps[at]):
            changed = replace(plan, steps=(*plan.steps[:at], smaller, *plan.steps[at + 1 :]))
            if smaller != plan.steps[at] and fails(changed):
                plan = changed
    return plan


def _less(step: Step) -> Iterator[Step]:
    yield replace(step, pause=0.0)
    yield replace(step, seconds=0.0)
    yield replace(step, number=0)
    if step.number > 8:
        yield replace(step, number=step.number // 2)
