"""Steps that are calls by name: one table of actions makes them and checks them (SPEC §20).

Rules: a step holds `do`, what is given, and in `gives` what must come of it; the world is whatever the
steps of one test share. A failing test's last step gives nothing and raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from protocol.vectors.frame import SUCCESS, Json, VectorMismatch, expect_equal, expect_outcome

W = TypeVar("W")
Action = Callable[[W, Json], Json]
"""action(world, step): what the step gives, in the form of the file."""


class Script(Generic[W]):
    """Steps of one test, written down as they are taken."""

    def __init__(self, actions: Mapping[str, Action[W]], world: W) -> None:
        self._actions, self.world = actions, world
        self.steps: list[Json] = []

    def take(self, do: str, **given: Any) -> Json:
        """Take a step that must succeed; returns what it gives."""
        gives = self._actions[do](self.world, given)
        self.steps.append({"do": do} | given | ({"gives": gives} if gives else {}))
        return gives

    def refused(self, do: str, **given: Any) -> list[Json]:
        """All steps so far, and the last one, which must fail."""
        return [*self.steps, {"do": do} | given]


def one_step(actions: Mapping[str, Action[W]], world: W, do: str, **given: Any) -> list[Json]:
    """The steps of a test that has one, which succeeds."""
    script = Script(actions, world)
    script.take(do, **given)
    return script.steps


def run_steps(
    test: Json, actions: Mapping[str, Action[W]], world: W, trace: Callable[[], object] = lambda: None
) -> None:
    """Take all steps of a test. `trace` shows the state that a refused last step must leave as it was.

    VectorMismatch if a step gives something else, or the last one has another outcome.
    """
    *steps, last = test["steps"]
    for step in steps:
        _take(actions, world, step)
    before = trace()
    expect_outcome(test["expect"], lambda: _take(actions, world, last))
    if test["expect"] != SUCCESS and trace() != before:
        raise VectorMismatch("what was refused changed the state")


def _take(actions: Mapping[str, Action[W]], world: W, step: Json) -> None:
    gives = actions[step["do"]](world, step)
    expect_equal(step["do"], gives, step.get("gives", {}))
