"""What the tests of this folder begin with: hosts, strace and the profiles of every flow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.flows.every import FLOWS
from tests.crash.run import Stage
from tests.support.machine import needs_root_network, needs_strace


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    needs_root_network()
    needs_strace()
    with Stage(tmp_path_factory.mktemp("crash"), 2) as built:
        built.prepare(FLOWS)
        yield built
