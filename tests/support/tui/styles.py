"""The styles of the interface, parsed once for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet


@contextmanager
def parsed_once() -> Iterator[None]:
    """Each of the thousand interfaces would parse the same styles, as each would that a person starts."""
    parse, parsed = Stylesheet._parse_rules, dict[object, list[RuleSet]]()

    def once(self: Stylesheet, *given: object, **named: object) -> list[RuleSet]:
        key = given, *named.items(), frozenset(self._variables.items())
        if key not in parsed:
            parsed[key] = parse(self, *given, **named)  # type: ignore[arg-type]
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", once)
        yield
