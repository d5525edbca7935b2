"""The demo network of seeds/, as the command line shows it."""

from __future__ import annotations

from chat.cli.tools import language
from tests.support.cli.line import Line, Played
from tests.support.fakes.demo import DEMO, demo
from tests.support.fakes.messenger import FakeDoor


def test_the_sample_speaks_the_language_of_the_locale() -> None:
    assert language({}) == language({"LANG": "C.UTF-8"}) == language({"LANG": "it_IT.UTF-8"}) == "en"
    assert language({"LANG": "zh_CN.UTF-8"}) == language({"LANG": "en_US", "LC_ALL": "zh_CN"}) == "zh"


def test_the_command_line_shows_all_of_it(line: Line) -> None:
    line.messenger = Played(DEMO["person"], prompt=False)
    line.door = FakeDoor(demo(line.messenger))
    listed = line.run("contacts", "--json").objects
    assert [contact["name"] for contact in listed] == sorted(contact["name"] for contact in DEMO["contacts"])
    for conversation in DEMO["conversations"]:
        shown = line.run("history", conversation["with"], "--json").objects
        assert [(entry["author"], entry["text"]) for entry in shown] == [
            (entry["author"], entry["text"]) for entry in conversation["entries"]
        ]
    assert "你好" in line.run("history", "--search", "设备").out
