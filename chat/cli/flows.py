"""What people wait for, measured on the real program with two profiles on this machine.

Rules: every figure is the median of ROUNDS, each round with people who have just met; it stands beside
its bound; typing takes no time, so that what is left is the machine's part.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from chat.cli.screens import Screen, Unseen
from chat.interface import ParlourError

ROUNDS: Final = 5
MESSAGES: Final = 20
"""Messages of one round of `message`, whose own median is the round's figure."""

INPUTS_MAX: Final = 3
"""Inputs a person from seeing somebody nearby to the first message."""

SECRET: Final = "correct horse battery"
PATIENCE: Final = 60.0


@dataclass(frozen=True)
class Person:
    """One profile on this machine."""

    name: str
    profile: Path
    file: Path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "chat.cli", "--profile", str(self.profile), *arguments]

    def run(self, *arguments: str, typed: str = "") -> str:
        """Run a command to its end. Raises CalledProcessError, TimeoutExpired."""
        command = self.command(*arguments, "--passphrase-file", str(self.file))
        return subprocess.run(
            command, input=typed, capture_output=True, text=True, check=True, timeout=PATIENCE
        ).stdout

    def open(self, stack: ExitStack) -> Screen:
        """The interface, not yet unlocked."""
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        return stack.enter_context(Screen(self.command(), environment))

    def unlocked(self, stack: ExitStack, shows: str) -> Screen:
        """The interface, unlocked, when it shows something."""
        screen = self.open(stack)
        screen.wait("Passphrase")
        screen.press(f"{SECRET}\r")
        screen.wait(shows)
        screen.inputs = 0
        return screen


class Round:
    """Two people on this machine, new in each round."""

    def __init__(self, folder: Path) -> None:
        file = folder / "passphrase"
        file.write_text(SECRET + "\n")
        self.ada, self.ben = (Person(name, folder / name, file) for name in ("Ada", "Ben"))
        for person in (self.ada, self.ben):
            person.run("init", "--name", person.name)

    def meet(self) -> None:
        """Pair without anybody's doing."""
        inviter = subprocess.Popen(
            self.ada.command("invite", "--yes", "--passphrase-file", str(self.ada.file)),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with inviter:
            assert inviter.stdout is not None
            self.ben.run("join", "-", typed=inviter.stdout.readline())
            inviter.wait(PATIENCE)


def first(people: Round) -> float:
    """From opening the second profile to the first message delivered, discovery and words included."""
    with ExitStack() as stack:
        ada = people.ada.unlocked(stack, "Nearby")
        ben = people.ben.open(stack)
        ben.wait("Passphrase")
        began = ben.press(f"{SECRET}\r")
        ben.inputs = 0
        ada.wait("+ Ben")
        ada.press("\r")
        for screen in (ada, ben):
            screen.wait("They are the same")
            screen.press("y")
        ada.wait("Write to Ben", since=0)
        ada.press("first\r")
        arrived = max(ada.wait("✓✓"), ben.wait("first"))
        if max(ada.inputs, ben.inputs) > INPUTS_MAX:
            raise Unseen(f"it took more than {INPUTS_MAX} inputs")
        return arrived - began


def start(people: Round) -> float:
    """From the command to the screen that asks for the passphrase."""
    with ExitStack() as stack:
        screen = people.ada.open(stack)
        return screen.wait("Passphrase") - screen.started


def launch(people: Round) -> float:
    """From the command to a message delivered to a known contact, passphrase included."""
    people.meet()
    with ExitStack() as stack:
        people.ben.unlocked(stack, "Write to Ada")
        ada = people.ada.open(stack)
        ada.wait("Passphrase")
        ada.press(f"{SECRET}\r")
        ada.wait("Write to Ben")
        ada.press("launched\r")
        return ada.wait("✓✓") - ada.started


def send(people: Round) -> float:
    """`parlour send` to a contact who is there, from the command to its end."""
    people.meet()
    with ExitStack() as stack:
        people.ben.unlocked(stack, "Write to Ada")
        began = time.perf_counter()
        people.ada.run("send", "Ben", "sent", "--wait", "60")
        return time.perf_counter() - began


def message(people: Round) -> float:
    """From Enter to the peer's screen, both interfaces open, commit included: the median of 20."""
    people.meet()
    with ExitStack() as stack:
        ben = people.ben.unlocked(stack, "Write to Ada")
        ada = people.ada.unlocked(stack, "Write to Ben")
        ada.wait("● here")
        return median(_one_message(ada, ben, f"message-{number:03}") for number in range(MESSAGES))


def _one_message(ada: Screen, ben: Screen, text: str) -> float:
    seen = ada.mark()
    ada.press(text)
    ada.wait(text, since=seen)
    since = ben.mark()
    typed = ada.press("\r")
    return ben.wait(text, since=since) - typed


@dataclass(frozen=True)
class Flow:
    """One figure: how it is measured, and the bound in seconds that it must stay under."""

    name: str
    measure: Callable[[Round], float]
    bound: float


FLOWS: Final = (
    Flow("flow.first", first, 3.0),
    Flow("flow.start", start, 0.6),
    Flow("flow.launch", launch, 2.0),
    Flow("flow.send", send, 2.5),
    Flow("flow.message", message, 0.040),
)


NAMES: Final = tuple(flow.name for flow in FLOWS)


def run(names: tuple[str, ...] = NAMES) -> Iterator[dict[str, Any]]:
    """Rows {"name", "seconds", "bound", "good", "note"}, one a flow. Raises ParlourError when one broke."""
    for flow in FLOWS:
        if flow.name in names:
            yield _row(flow, [_in_a_new_folder(flow) for _ in range(ROUNDS)])


def _row(flow: Flow, figures: list[float]) -> dict[str, Any]:
    seconds = median(figures)
    what = (flow.measure.__doc__ or "").rstrip(".")
    return {
        "name": flow.name,
        "seconds": round(seconds, 4),
        "bound": flow.bound,
        "good": seconds < flow.bound,
        "note": f"{what}; median of {len(figures)}, {min(figures):.3f} to {max(figures):.3f} s",
    }


def _in_a_new_folder(flow: Flow) -> float:
    with tempfile.TemporaryDirectory(prefix="parlour-flow-") as folder:
        try:
            return flow.measure(Round(Path(folder)))
        except (Unseen, subprocess.SubprocessError) as error:
            kind = str(error) if isinstance(error, Unseen) else type(error).__name__
            raise ParlourError(f"{flow.name} did not come to its end ({kind}): try again.") from error
