"""`listen` and its notifications take every event with every value of each enum, and a fault ends neither."""

from __future__ import annotations

import pytest

from chat.cli.notices import Herald
from chat.cli.printing import Printer
from chat.interface import Bursts, FileState, FileView, Level, Notified
from tests.support.cli.line import Line
from tests.support.every_event import every_event


@pytest.mark.parametrize("language", ["en", "zh_CN"])
@pytest.mark.parametrize("given", [(), ("--json",), ("--commands",), ("--house",)])
def test_listen_prints_every_event(line: Line, language: str, given: tuple[str, ...]) -> None:
    line.patch.setenv("LANGUAGE", language)
    ben = line.messenger.add_contact("Ben", present=True)

    def happens() -> None:
        for event in every_event(ben.person, "Ben"):
            line.messenger.emit(event)
        line.messenger.notice("that was all")
        line.messenger._end("stopped", locked=True)

    line.messenger.after["questions"] = happens
    outcome = line.run("listen", *given, typed="" if "--commands" not in given else "read Ben\n")
    assert outcome.status == 0
    assert "that was all" in outcome.err
    assert "could not be shown" not in outcome.err
    if given == ("--json",):
        said = {one["file"]["state"] for one in outcome.objects if one["event"] == "entry" and "file" in one}
        assert said == {state.value for state in FileState}
        assert {one["state"] for one in outcome.objects if one["event"] == "file"} == said


class Shown:
    """An outside that shows nothing."""

    def __init__(self) -> None:
        self.shown: list[Notified] = []

    def show(self, one: Notified) -> None:
        self.shown.append(one)

    def close(self, tag: str, entry: str = "") -> None:
        """Nothing is shown."""


@pytest.mark.parametrize("level", Level)
def test_notifications_take_every_event(line: Line, level: Level) -> None:
    line.patch.setattr(Bursts, "due", lambda *_, mention: True)
    ben = line.messenger.add_contact("Ben", present=True)
    outside = Shown()
    herald = Herald(level, outside, "Ann", None)  # type: ignore[arg-type]
    herald.know((ben,))
    for event in every_event(ben.person, "Ben"):
        herald.heed(event)
    assert outside.shown


def test_a_fault_of_the_program_in_one_event_is_named_and_ends_nothing(line: Line) -> None:
    """Whatever a later state of a file, or a fault of a notification, does."""
    ben = line.messenger.add_contact("Ben", present=True)

    def breaks(*_: object) -> None:
        raise KeyError("a secret of a peer")

    def happens() -> None:
        line.messenger.receive_file(ben.person, FileView("a.bin", "", 12, FileState.WHOLE, 12))
        line.messenger.notice("and on it goes")
        line.messenger._end("stopped", locked=True)

    line.messenger.after["questions"] = happens
    line.patch.setattr(Printer, "_entry", breaks)
    outcome = line.run("listen")
    assert outcome.status == 0
    named, *others = outcome.err.splitlines()
    assert named.startswith("EntryAdded could not be shown (KeyError): ")
    assert others[0] == "and on it goes"
    assert "secret" not in outcome.err
    line.messenger.after["questions"] = happens
    line.messenger.closed = False
    assert "in breaks" in line.run("listen", "--verbose").err
