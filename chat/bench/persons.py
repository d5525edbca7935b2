"""A person of a measurement: a throw-away profile, a passphrase, and what such a person does.

Rules: everything goes through the program, as processes; the cost of the passphrase is the usual one; an
input is what a person decides to do, and each is counted.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from chat.bench.terminals import Program, Terminals

PASSPHRASE: Final = "a passphrase for one minute"
DELIVERED: Final = "✓✓"

_Enter = Callable[[Sequence[str]], list[str]]


class Person:
    """`enter` puts a command line into the network of the measurement."""

    def __init__(self, name: str, folder: Path, terminals: Terminals, enter: _Enter) -> None:
        self.name = name
        self.inputs = 0
        self._terminals = terminals
        self._enter = enter
        self._profile = folder / name
        self._secret = folder / f"{name}.passphrase"
        self._secret.write_text(PASSPHRASE + "\n")

    def command(self, *words: str) -> Program:
        """A command, with the passphrase from a file."""
        return self._run(*words, "--passphrase-file", str(self._secret))

    def interface(self) -> Program:
        """The terminal interface."""
        return self._run()

    def _run(self, *words: str) -> Program:
        line = [sys.executable, "-m", "chat.cli", *words, "--profile", str(self._profile)]
        return self._terminals.start(self._enter(line))

    def begin(self) -> tuple[Program, float]:
        """First run, to the Enter after the new passphrase; and when that was."""
        screen = self.interface()
        screen.wait_for("Choose a name")
        screen.press(f"{self.name}\r{PASSPHRASE}")
        screen.wait_for("•" * len(PASSPHRASE))
        return screen, screen.press("\r")

    def unlock(self) -> Program:
        """The interface, open on the one contact there is."""
        screen = self.interface()
        screen.wait_for("Enter your passphrase")
        screen.press(f"{PASSPHRASE}\r")
        screen.wait_for("Write to")
        return screen

    def do(self, screen: Program, keys: str) -> float:
        """One input; returns when."""
        self.inputs += 1
        return screen.press(keys)


def leave(screen: Program) -> None:
    """Close the interface."""
    screen.press("\x11")
    screen.wait_end()
