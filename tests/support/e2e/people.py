"""A person at Parlour's interface in a real terminal: what they type and what they read."""

from __future__ import annotations

import gettext
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.support.e2e.programs import PARLOUR, PATIENCE
from tests.support.lab.hosts import Host
from tests.support.lab.terminal import Terminal, Wanted, attached
from tui.text.translation import DOMAIN, ENGLISH, FOLDER

PASSPHRASE = "quiet rivers under old bridges"
_WORD = re.compile(r"│ +([1-5])  (\w+) +│")
_ENTRY = re.compile(r"(?P<text>.*?) +(?P<mark>(?:…|✓✓?) \w+ )?\d\d:\d\d *")
_MARKS = {"queued": "… queued", "sent": "✓ sent", "delivered": "✓✓ delivered", "read": "✓✓ read"}


def locale(language: str) -> dict[str, str]:
    name = "C" if language == ENGLISH else language
    return {"LANG": f"{name}.UTF-8", "LC_ALL": "", "LC_MESSAGES": "", "LANGUAGE": ""}


@dataclass(frozen=True)
class Said:
    """One entry as a screen shows it; `mark` is queued, sent, delivered, read, or empty for others'."""

    author: str
    text: str
    mark: str


class Person(AbstractContextManager["Person"]):
    """Somebody with a terminal of their own; `inputs` counts the decisions they had to take.

    `language`: the one of their locale. Texts of the program are given in English and sought in it.
    """

    def __init__(
        self,
        name: str,
        profile: Path,
        host: Host | None = None,
        language: str = ENGLISH,
        program: Sequence[str] = PARLOUR,
    ) -> None:
        self.name = name
        self.inputs = 0
        self._texts: gettext.NullTranslations = gettext.translation(DOMAIN, FOLDER, [language], fallback=True)
        self._marks = {self.text(shown): mark for mark, shown in _MARKS.items()}
        command = [*program, "--profile", str(profile)]
        self.terminal = Terminal(command, host=host, rows=44, environment=locale(language))
        # In a detached terminal nothing is read.
        self._attached = ExitStack()
        self._attached.enter_context(attached(self.terminal, columns=100, rows=44))

    def text(self, english: str, **values: str) -> str:
        """A whole text of the program as this person reads it."""
        return self._texts.gettext(english).format(**values)

    def count(self, one: str, many: str, number: int) -> str:
        """A text with a number in it as this person reads it."""
        return self._texts.ngettext(one, many, number).format(number=number)

    def see(self, wanted: Wanted) -> str:
        return self.terminal.wait_for(wanted, PATIENCE)

    def see_text(self, english: str, **values: str) -> str:
        """Wait until the program says something, given in English and whole."""
        return self.see(self.text(english, **values))

    def introduce(self) -> None:
        self.see_text("Start")
        self.inputs += 1
        self.terminal.burst(f"{self.name}\r{PASSPHRASE}\r{PASSPHRASE}\r")

    def unlock(self, passphrase: str = PASSPHRASE) -> None:
        self.see_text("Enter your passphrase.")
        self.terminal.burst(f"{passphrase}\r")

    def choose(self, other: Person) -> None:
        """Pick somebody nearby who is the only one there."""
        self.see(f"+ {other.name}")
        self.inputs += 1
        self.terminal.send("Enter")

    def words(self) -> list[str]:
        """The five words, or their digits, that the screen shows now, none where it asks for no answer."""
        screen = self.terminal.screen()
        asked = f"y  {self.text('They match')}" in screen
        return [word for _, word in sorted(_WORD.findall(screen))] if asked else []

    def confirm(self) -> None:
        self.inputs += 1
        self.terminal.send("y")

    def answer(self, key: str, question: str) -> None:
        """Press a key until it answers a question, given as shown: before typing paused, it does not."""
        held = self.text("Nothing was answered: pause a moment, then press the key again.")
        begin = held[:8]
        self.terminal.send(key)
        while question in self.see(lambda screen: question not in screen or begin in screen):
            self.see(lambda screen: begin not in screen)
            self.terminal.send(key)

    def write(self, text: str) -> None:
        self.terminal.burst(f"{text}\r")

    def read(self, *texts: str) -> list[Said]:
        """The conversation on the screen, once it contains all these texts."""
        wanted = set(texts)
        screen = self.see(lambda screen: wanted <= {one.text for one in self.conversation(screen)})
        return self.conversation(screen)

    def see_marks(self, mark: str, *texts: str) -> None:
        """Wait until one's own entries of these texts have this mark."""
        wanted = {Said(self.name, text, mark) for text in texts}
        self.see(lambda screen: wanted <= set(self.conversation(screen)))

    def conversation(self, screen: str) -> list[Said]:
        """The entries that a screen shows, top to bottom, under the authors' names."""
        author, said = "", []
        for row in screen.splitlines():
            _, bar, text = row.partition("▎ ")
            if not bar:
                continue
            entry = _ENTRY.fullmatch(text)
            if entry is None:
                author = self.name if text.strip() == self.text("You") else text.strip()
            else:
                mark = self._marks[entry["mark"].strip()] if entry["mark"] else ""
                said.append(Said(author, entry["text"], mark))
        return said

    def quit(self) -> None:
        self.terminal.send("C-q")
        assert self.terminal.wait_exit(PATIENCE) == 0

    def __exit__(self, *_: object) -> None:
        self._attached.close()
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
    for person, peer in ((one, other), (other, one)):
        person.see_text("Paired with {name}. You can write now.", name=peer.name)


def in_touch(one: Person, other: Person) -> None:
    for person in (one, other):
        person.see_text("● online")
