"""What holds after each test of the interface: English, and the keys of the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet

from tui import actions
from tui.text import translation


@pytest.fixture(autouse=True, scope="session")
def _styles_parsed_once() -> Iterator[None]:
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


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    translation.use(translation.ENGLISH)
    actions.use({})
