"""/quit says what it would end or leave waiting, and a person at a terminal types it once more."""

from __future__ import annotations

from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.linear.played import Recorder, locked_door, play
from tui.linear.state import End, Exit

SEALED = "big.bin is still being encrypted."


def leaving(*unfinished: str, live: bool = True) -> tuple[Exit, Recorder, list[str]]:
    output, lines = Recorder(), list(unfinished)
    return Exit(FakeMessenger("Ada"), output, live, lambda: lines), output, lines


async def test_a_person_hears_what_is_not_finished_and_quits_the_second_time() -> None:
    leave, output, _ = leaving(SEALED)
    await leave.quit()
    assert leave.reached is None
    assert output.take() == [SEALED, "Type /quit again to quit now."]
    await leave.quit()
    assert leave.reached == (End.QUIT, "")


async def test_what_is_new_since_then_is_said_before_the_end() -> None:
    leave, output, lines = leaving(SEALED)
    await leave.quit()
    output.take()
    lines[:] = ["Messages to Ben wait on this device."]
    await leave.quit()
    assert leave.reached is None
    assert output.take()[0] == lines[0]


async def test_a_script_hears_it_too_and_is_asked_nothing() -> None:
    leave, output, _ = leaving(SEALED, live=False)
    await leave.quit()
    assert leave.reached == (End.QUIT, "")
    assert output.take() == [SEALED]


async def test_with_nothing_unfinished_the_first_time_is_enough() -> None:
    leave, output, _ = leaving()
    await leave.quit()
    assert leave.reached == (End.QUIT, "")
    assert output.take() == []


async def test_a_message_to_somebody_away_waits_and_one_that_was_delivered_does_not() -> None:
    for name, waits in (("Ben", False), ("Carla", True)):
        steps = [">> correct horse", f"> /open {name}", "> hello", "> /quit"]
        said, _status = await play(iter(steps), locked_door())
        assert any(f"Messages to {name} wait" in line for line in said) == waits
