"""The row history.move: two real programs, of which the new device gets every entry."""

from __future__ import annotations

import pytest

from chat.tools.bench import moving, report
from chat.tools.bench.measure import GOALS
from tests.support.machine import needs_root_network

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_a_history_moves_and_is_compared_with_bare_inserts() -> None:
    needs_root_network()
    ours, floor = report.run(moving.NAME, entries=1_000, rounds=2)
    assert (ours["subject"], floor["subject"]) == ("parlour", "sqlcipher")
    assert (ours["name"], ours["size"], ours["unit"]) == ("history.move", 1_000, "entries/s")
    assert min(ours["per_second"], floor["per_second"]) > 0
    assert "x sqlcipher" in ours["note"]
    assert ours["note"].endswith("MiB")


def test_the_bound_is_that_of_a_usual_run() -> None:
    assert ("history.move", moving.ENTRIES) in GOALS
