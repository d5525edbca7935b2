"""The measurement of rest with real programs: that it counts, whatever it counts on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chat.tools.bench import rest
from chat.tools.bench.measure import NotTaken
from tests.support.machine import needs_root_network


@pytest.mark.network
@pytest.mark.slow
def test_a_contact_with_two_devices_is_two_links() -> None:
    needs_root_network()
    sample = rest.at_rest(1, devices=2, settles=1.0, window=2.0)
    assert sample.amount > 0
    assert re.fullmatch(r"2 links, \d+\.\d MiB an hour both ways, \d+ MiB held", sample.aside)


def test_what_the_system_does_not_say_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(NotTaken, match="/proc"):
        rest.at_rest(1)
