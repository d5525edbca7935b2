"""A file between two programs, whose cable is pulled and each of which is killed, arrives whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.files import carry
from tests.support.machine import needs_root_network

pytestmark = [pytest.mark.network, pytest.mark.slow]

ACTS = [(0.1, "Ada"), (0.2, "cut"), (0.3, "Ben"), (0.5, "cut"), (0.6, "Ben"), (0.7, "Ada"), (0.9, "cut")]


def test_after_cuts_and_kills_a_file_is_whole_and_what_was_stored_did_not_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_root_network()
    monkeypatch.setenv("PIECES_NOTED", "")  # which the run sets
    outcome = carry(tmp_path, 30 << 20, ACTS)
    assert (outcome.cuts, outcome.kills) == (3, {"Ada": 2, "Ben": 2})
    assert outcome.problems() == []
