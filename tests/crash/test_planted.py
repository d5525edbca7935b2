"""Three of the planted violations are found; `make crash` shows it of all."""

from __future__ import annotations

import pytest

from tests.crash.planted import PLANTED
from tests.crash.run import Stage, find

pytestmark = [pytest.mark.network, pytest.mark.crash, pytest.mark.slow]


@pytest.mark.parametrize("violation", ["header in place", "rename denied", "not cleaned"])
def test_the_planted_violation_is_found(stage: Stage, violation: str) -> None:
    assert find(stage, violation, PLANTED[violation]) is not None
