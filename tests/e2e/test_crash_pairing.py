"""kill -9 of either side at each step of pairing by words that a person sees.

`tests/crash` kills either side at system calls.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.e2e.programs import PATIENCE, created, is_words, settle_pairing
from tests.support.lab.hosts import Lab
from tests.support.lab.programs import Program

pytestmark = [pytest.mark.network, pytest.mark.crash, pytest.mark.slow, pytest.mark.usefixtures("strace")]


class Meeting:
    def __init__(self, lab: Lab, folder: Path) -> None:
        folder.mkdir()
        self.ada, self.ben = created(folder, lab.hosts, "Ada", "Ben")

    def settle(self) -> None:
        settle_pairing(self.ada, self.ben)


STAGES = ("words", "own", "other", "done")
"""The words are shown; this person has confirmed; the other one has; the program says that it is done."""


def by_words(meeting: Meeting, stage: str, chooser_dies: bool) -> None:
    """Pair by words up to a stage, at which one side is killed."""
    with ExitStack() as stack:
        choosing, waiting = (
            stack.enter_context(station.start("pair", "--wait", "60", joined=True))
            for station in (meeting.ada, meeting.ben)
        )
        choosing.wait_for(lambda line: line.strip() == "1  Ben", PATIENCE)
        choosing.write("1\n")
        words = [program.wait_for(is_words, PATIENCE) for program in (choosing, waiting)]
        assert words[0] == words[1]
        victim, other = (choosing, waiting) if chooser_dies else (waiting, choosing)
        if stage in ("own", "done"):
            confirm(victim)
        if stage in ("other", "done"):
            confirm(other)
        if stage == "done":
            victim.wait_for(lambda line: "paired" in line, PATIENCE)
        victim.kill()
        assert other.wait_exit(PATIENCE) in ((0, 1) if stage == "done" else (1,))


def confirm(program: Program) -> None:
    """Say that the words are the same; the program has heard it."""
    program.write("y\n")
    program.wait_for(lambda line: "Waiting for" in line, PATIENCE)


@pytest.mark.parametrize("chooser_dies", [True, False], ids=["chooser", "waiter"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_kill_at_every_step_that_a_person_sees(
    lab: Lab, tmp_path: Path, stage: str, chooser_dies: bool
) -> None:
    meeting = Meeting(lab, tmp_path / "profiles")
    by_words(meeting, stage, chooser_dies)
    meeting.settle()
