"""A group of vectors that read one person's history (SPEC §7.2, §7.3).

Rules: the group's inputs are the person's operations as they are when the group is done; tests name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from protocol.vectors.frame import SUCCESS
from protocol.vectors.persons import ACTIONS
from tests.vectors.files import Group, one_step
from tests.vectors.persons_made import Person


class History:
    """A group of tests that read one person's history."""

    def __init__(self, person: Person, section: str = "7.3") -> None:
        self.person = person
        self.group = Group(section, {})

    def reads(self, comment: str, flag: str, names: Sequence[str] = ()) -> None:
        """What these operations, or all, come to."""
        self._succeeds(comment, flag, "reduce", operations=list(names or self.person.log))

    def refuses(self, rule: str, expect: str, comment: str, names: Sequence[str]) -> None:
        """These operations are no log."""
        step = {"do": "reduce", "operations": list(names)}
        self.group.add(comment, ["BadLog"], expect, [step], rule=rule)

    def takes(self, comment: str, held: Sequence[str], received: Sequence[str], **given: Any) -> None:
        """What is added by what is received."""
        step = {"held": list(held), "received": list(received)} | given
        self._succeeds(comment, "Exchange", "extend", **step)

    def turns_away(
        self, rule: tuple[str, str], comment: str, flag: str, received: Sequence[str], **given: Any
    ) -> None:
        """Nothing of what is received is taken."""
        step = {"do": "extend", "held": [], "received": list(received)} | given
        self.group.add(comment, [flag], rule[1], [step], rule=rule[0])

    def _succeeds(self, comment: str, flag: str, do: str, **given: Any) -> None:
        steps = one_step(ACTIONS, {"operations": self.person.named()}, do, **given)
        self.group.add(comment, [flag], SUCCESS, steps)

    def computes(self, comment: str, flag: str, do: str, **given: Any) -> None:
        """Any other action that succeeds."""
        self._succeeds(comment, flag, do, **given)

    def done(self) -> Group:
        """The group, its operations in hex."""
        self.group.inputs = {"operations": self.person.named()}
        return self.group
