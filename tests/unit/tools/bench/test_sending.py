"""The rows file.send and file.resume: two real programs, of which the second takes the file of the first."""

from __future__ import annotations

import pytest

from chat.tools.bench import report, resuming, sending
from chat.tools.bench.measure import GOALS
from protocol.attachments import root_of
from protocol.limits import PIECE_BYTES
from tests.support.machine import needs_root_network


@pytest.mark.network
@pytest.mark.slow
def test_a_file_goes_and_is_compared_with_tls_and_with_scp_where_there_is_an_sshd() -> None:
    needs_root_network()
    ours, whole, tls, *rest = sending.measure(rounds=2, size=3 << 20)
    assert [row["subject"] for row in (ours, whole, tls, *rest)] == ["parlour", "parlour-whole", "tls", "scp"]
    assert (ours["name"], ours["unit"]) == ("file.send", "MiB/s")
    assert ours["per_second"] > whole["per_second"] > 0
    assert "x tls" in ours["note"]
    assert "RssAnon" in ours["note"]


@pytest.mark.network
@pytest.mark.slow
def test_a_file_of_holes_goes_on_when_its_link_opens() -> None:
    needs_root_network()
    (ours,) = resuming.measure(rounds=2, size=1 << 30)
    assert (ours["subject"], ours["unit"]) == ("parlour", "resumes/s")
    assert ours["per_second"] > 0


@pytest.mark.parametrize("count", [130, 131, 133])
def test_the_tree_of_a_file_of_holes_is_that_of_its_leaves(count: int) -> None:
    large = resuming._make(count * PIECE_BYTES - 7)
    _, usual, others = large.tree[0]
    assert large.shape.count == count
    assert large.tree[-1][2][0] == root_of([others.get(number, usual) for number in range(count)])


def test_the_bound_is_that_of_a_usual_run() -> None:
    assert ("file.send", sending.SIZE) in GOALS
    assert {"file.send", "file.resume"} < set(report.NAMES)
