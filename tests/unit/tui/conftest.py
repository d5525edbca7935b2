"""What holds after each test of the interface: English, and the keys of the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tui import actions
from tui.text import translation


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    translation.use(translation.ENGLISH)
    actions.use({})
