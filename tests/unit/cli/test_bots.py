"""bot: what is declared is shown, replaced and taken back, to all contacts or to one."""

from __future__ import annotations

import pytest

from tests.support.cli.line import Line

ECHO = {"name": "echo", "description": "says = the same"}


def test_a_bot_is_declared_shown_and_withdrawn(line: Line) -> None:
    ben, cleo = line.messenger.add_contact("Ben"), line.messenger.add_contact("Cleo")
    assert line.run("bot").out == "You are not declared as a bot.\n"
    declared = line.run("bot", "declare", "echo=says = the same", "--json")
    assert declared.objects == [{"bot": True, "commands": [ECHO], "person": None}]
    assert line.run("bot", "show", "--with", "Cleo", "--json").objects[0]["commands"] == [ECHO]
    said = line.run("bot", "declare", "--with", "Ben", "/time=says what time it is").out
    assert said == "You are declared as a bot to Ben.\n  /time  says what time it is\n"
    assert line.run("bot").out == "You are declared as a bot to all contacts.\n  /echo  says = the same\n"
    withdrawn = line.run("bot", "withdraw", "--with", "Cleo", "--json").objects
    assert withdrawn == [{"bot": False, "commands": [], "person": cleo.person}]
    assert line.run("bot", "show", "--with", ben.person, "--json").objects[0]["bot"]
    line.run("bot", "withdraw")
    assert line.run("bot").out == "You are not declared as a bot.\n"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(["declare", "echo"], "NAME=DESCRIPTION"), (["withdraw", "--with", "Dan"], "Dan")],
)
def test_what_is_no_command_or_contact_declares_nothing(line: Line, wrong: list[str], said: str) -> None:
    line.messenger.add_contact("Ben")
    assert said in line.run("bot", *wrong).failed(64)
    assert not line.messenger.called("declare_bot")
