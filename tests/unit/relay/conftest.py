"""What the tests of the relay start from."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.relay.in_process import House, house
from tests.unit.relay.test_limits import limits


@pytest.fixture
async def made() -> AsyncIterator[House]:
    """A relay without bounds on handshakes."""
    async with house(limits()) as made:
        yield made
