"""What holds before and after each test of the interface: a terminal whose keys are clear, English, keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.tui.styles import parsed_once
from tui import actions
from tui.text import translation


@pytest.fixture(autouse=True, scope="session")
def _styles_parsed_once() -> Iterator[None]:
    with parsed_once():
        yield


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    translation.use(translation.ENGLISH)
    actions.use({})
