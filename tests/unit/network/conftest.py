"""What the tests of the network start from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.lab.hosts import Lab
from tests.support.machine import needs_root_network


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """As many hosts in network namespaces as the module says in HOSTS."""
    needs_root_network()
    with Lab(request.module.HOSTS) as lab:
        yield lab


@pytest.fixture
async def faults() -> list[dict[str, Any]]:
    """What the event loop reports that nobody has handled."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    return told
