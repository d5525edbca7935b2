"""A person at Parlour's interface in a real terminal: what they type and what they read.

Rules: a person sees only the screen; every decision they take is counted; a wait ends with what is on the
screen, never with time.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab.hosts import Host
from tests.lab.terminal import Terminal, Wanted

PATIENCE = 60.0
"""Seconds after which a test that waits is broken; no test passes because of it."""

PASSPHRASE = "quiet rivers under old bridges"
_WORD = re.compile(r"│ +([1-5])  ([a-z]+) +│")
_ENTRY = re.compile(r"(?P<text>.*?) +(?P<mark>(?:…|✓✓?) [a-z]+ )?\d\d:\d\d *")


@dataclass(frozen=True)
class Said:
    """One entry as a screen shows it; `mark` is queued, sent, delivered, read, or empty for others'."""

    author: str
    text: str
    mark: str


class Person:
    """Somebody with a terminal of their own; `inputs` counts the decisions they had to take."""

    def __init__(self, name: str, profile: Path, host: Host | None = None) -> None:
        self.name = name
        self.inputs = 0
        command = [sys.executable, "-m", "chat.cli", "--profile", str(profile)]
        self.terminal = Terminal(command, host=host, rows=44)

    def see(self, wanted: Wanted) -> str:
        return self.terminal.wait_for(wanted, PATIENCE)

    def introduce(self) -> None:
        """First run: a name and a passphrase, one form."""
        self.see("Choose a name")
        self.inputs += 1
        self.terminal.burst(f"{self.name}\r{PASSPHRASE}\r")

    def unlock(self, passphrase: str = PASSPHRASE) -> None:
        self.see("Enter your passphrase")
        self.terminal.burst(f"{passphrase}\r")

    def choose(self, other: Person) -> None:
        """Pick somebody nearby who is the only one there."""
        self.see(f"+ {other.name}")
        self.inputs += 1
        self.terminal.send("Enter")

    def words(self) -> list[str]:
        """The five words that the screen shows now, none where it asks for no answer."""
        screen = self.terminal.screen()
        return [word for _, word in sorted(_WORD.findall(screen))] if "They are the same" in screen else []

    def confirm(self) -> None:
        self.inputs += 1
        self.terminal.send("y")

    def write(self, text: str) -> None:
        """Write a message and send it."""
        self.terminal.burst(f"{text}\r")

    def read(self, *texts: str) -> list[Said]:
        """The conversation on the screen, once all these texts stand in it."""
        return self.read_when(lambda said: set(texts) <= {one.text for one in said})

    def read_when(self, holds: Callable[[list[Said]], bool]) -> list[Said]:
        return self.conversation(self.see(lambda screen: holds(self.conversation(screen))))

    def see_marks(self, mark: str, *texts: str) -> None:
        """Wait until one's own entries of these texts have this mark."""
        wanted = {Said(self.name, text, mark) for text in texts}
        self.read_when(lambda said: wanted <= set(said))

    def conversation(self, screen: str) -> list[Said]:
        """The entries that a screen shows, top to bottom, under the authors' names."""
        author, said = "", []
        for row in screen.splitlines():
            _, bar, text = row.partition("▎ ")
            if not bar:
                continue
            entry = _ENTRY.fullmatch(text)
            if entry is None:
                author = self.name if text.strip() == "You" else text.strip()
            else:
                mark = (entry["mark"] or "").strip("…✓ ")
                said.append(Said(author, entry["text"], mark))
        return said

    def quit(self) -> None:
        """Leave the program; it must end by itself and well."""
        self.terminal.send("C-q")
        assert self.terminal.wait_exit(PATIENCE) == 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.terminal.close()


def pair(one: Person, other: Person) -> None:
    """Both on first run, to the end of pairing nearby; `one` picks `other`."""
    one.introduce()
    other.introduce()
    one.choose(other)
    compare(one, other)


def compare(one: Person, other: Person) -> None:
    """Read the words to each other and confirm them."""
    one.see(lambda _: len(one.words()) == 5 and one.words() == other.words())
    one.confirm()
    other.confirm()
    one.see(f"Paired with {other.name}")
    other.see(f"Paired with {one.name}")


def in_touch(one: Person, other: Person) -> None:
    """Wait until both see each other."""
    for person in (one, other):
        person.see("● here")
