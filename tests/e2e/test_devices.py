"""A second device of one's own, linked by real programs on two machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.e2e.programs import Station, link, listening, pair, wait_event
from tests.support.lab.hosts import Lab

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_a_device_is_linked_by_words_and_talks_in_its_persons_name(
    lab: Lab, ada: Station, ben: Station, tmp_path: Path
) -> None:
    pair(ada, ben)
    laptop = Station("Ada", tmp_path, lab.hosts[1])
    laptop.profile = tmp_path / "laptop"
    with listening(ben) as (listener,):
        made = link(ada, laptop, "laptop")
        wait_event(listener, "identity", name="Ada", cause='added the device "laptop"')
        (sent,) = laptop.run("send", "Ben", "from", "the", "laptop", "--wait", "60").objects
        assert sent["state"] == "delivered"
        assert [one["name"] for one in laptop.run("terminal", "list").objects] == ["", "laptop"]
        (removed,) = ada.run("terminal", "remove", "laptop", "--yes").objects
        assert (removed["removed"], removed["added"]) == (made, [])
        wait_event(listener, "identity", name="Ada", cause='removed the device "laptop"')
    assert "from the laptop" in [entry["text"] for entry in ben.run("history", "Ada").objects]
