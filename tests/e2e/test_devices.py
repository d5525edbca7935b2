"""A second device of one's own, linked by real programs on two machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.e2e.programs import PATIENCE, Station, is_words, listening, pair, wait_event
from tests.support.lab.hosts import Lab
from tests.support.lab.programs import Program

pytestmark = [pytest.mark.network, pytest.mark.slow]


def test_a_device_is_linked_by_words_and_talks_in_its_persons_name(
    lab: Lab, ada: Station, ben: Station, tmp_path: Path
) -> None:
    pair(ada, ben)
    laptop = Station("Ada", tmp_path, lab.hosts[1])
    laptop.profile = tmp_path / "laptop"
    with listening(ben) as (listener,):
        with (
            ada.start("terminal", "add", joined=True) as adding,
            laptop.start("terminal", "link", "--name", "laptop", joined=True) as linking,
        ):
            words = [program.wait_for(is_words, PATIENCE) for program in (adding, linking)]
            assert words[0] == words[1]
            for program in (adding, linking):
                program.write("y\n")
            made, added = _result(linking), _result(adding)
        assert added == {"terminal": made["terminal"], "name": "laptop"}
        wait_event(listener, "identity", name="Ada", cause='added the device "laptop"')
        (sent,) = laptop.run("send", "Ben", "from", "the", "laptop", "--wait", "60").objects
        assert sent["state"] == "delivered"
        assert [one["name"] for one in laptop.run("terminal", "list").objects] == ["", "laptop"]
        assert ada.run("terminal", "remove", "laptop", "--yes").objects == [{"removed": made["terminal"]}]
        wait_event(listener, "identity", name="Ada", cause="removed a device")
    assert "from the laptop" in [entry["text"] for entry in ben.run("history", "Ada").objects]


def _result(program: Program) -> dict[str, object]:
    found: dict[str, object] = json.loads(program.wait_for(lambda line: line.startswith("{"), PATIENCE))
    assert program.wait_exit(PATIENCE) == 0
    return found
