"""timer and clear: what they say, ask and do."""

from __future__ import annotations

import pytest

from chat.cli import timers
from chat.interface import UsageError, parse_timer, timer_text
from tests.support.cli.line import Line


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("off", 0), ("30s", 30), ("5m", 300), ("1h", 3_600), ("1d", 86_400), ("1w", 604_800), (" 90 M ", 5_400)],
)
def test_a_timer_is_typed_with_its_unit(typed: str, seconds: int) -> None:
    assert parse_timer(typed) == seconds
    assert parse_timer(timer_text(seconds)) == seconds


@pytest.mark.parametrize("typed", ["", "0", "0s", "5", "m", "1y", "-1h", "1h30m", "٣s", "999999999s"])
def test_what_is_no_timer_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        parse_timer(typed)


def test_a_timer_is_set_shown_and_switched_off(line: Line) -> None:
    friend = line.messenger.add_contact("Ben")
    line.messenger.receive(friend.person, "from before")
    assert line.run("timer", "Ben").out == "Messages with Ben stay.\n"
    outcome = line.run("timer", "Ben", "1h")
    assert outcome.out == "New messages with Ben disappear 1h after they were read.\n"
    assert "Only new messages follow it: 'parlour clear Ben'" in outcome.err
    assert line.run("timer", "Ben", "60m").err == ""
    assert line.run("timer", "Ben", "--json").objects == [{"conversation": "Ben", "timer": 3_600}]
    line.messenger.receive(friend.person, "ends")
    before, setting, ends = line.run("history", "Ben", "--json").objects
    assert "expires" not in before
    assert (setting["kind"], setting["timer"]) == ("timer", 3_600)
    assert str(ends["expires"]).startswith("2026-11-24T")
    shown = line.run("history", "Ben").out.splitlines()
    assert "(set the timer: new messages disappear 1h after they were read)" in shown[1]
    assert "disappears 2026-11-24" in shown[2]
    assert line.run("timer", "Ben", "off").out == "New messages with Ben stay.\n"
    assert "(switched the timer off: new messages stay)" in line.run("history", "Ben").out
    for wrong in ("soon", "9999w"):
        assert line.run("timer", "Ben", wrong).failed(64)


def test_a_conversation_is_cleared_after_a_question(line: Line) -> None:
    friend = line.messenger.add_contact("Ben")
    for text in ("one", "two"):
        line.messenger.receive(friend.person, text)
    assert line.run("clear", "Ben").failed(64)
    line.patch.setattr(timers, "is_interactive", lambda: True)
    assert line.run("clear", "Ben", typed="n\n").status == 1
    assert line.messenger.called("clear") == []
    assert line.run("clear", "Ben", typed="y\n").out.endswith("no longer contains it.\n")
    assert line.run("clear", "Ben", "--yes", "--json").objects == [{"cleared": "Ben"}]
    assert [one["kind"] for one in line.run("history", "Ben", "--json").objects] == ["deleted", "deleted"]
    assert not line.messenger.uncleaned
