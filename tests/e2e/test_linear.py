"""The linear mode on two machines, through pipes: from first run to unlock, in English and in Chinese."""

from __future__ import annotations

import gettext
import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.e2e.people import PASSPHRASE, locale
from tests.support.e2e.programs import PATIENCE
from tests.support.lab.hosts import Host, Lab
from tui.text.translation import DOMAIN, ENGLISH, FOLDER

pytestmark = [pytest.mark.network, pytest.mark.slow]


class Listener:
    """Somebody who types lines and hears lines, in a language."""

    def __init__(self, name: str, language: str, profile: Path, host: Host) -> None:
        self.name = name
        self._catalogue = gettext.translation(DOMAIN, FOLDER, [language], fallback=language == ENGLISH)
        command = [sys.executable, "-m", "chat.cli", "--profile", str(profile), "--linear"]
        environment = {**os.environ, **locale(language), "PYTHONUTF8": "1"}
        self.program = host.start(*command, environment=environment)

    def hear(self, text: str, /, **values: object) -> None:
        """Wait for a line of the program, given in English."""
        wanted = self._catalogue.gettext(text).format(**values)
        self.program.wait_for(lambda line: line == wanted, PATIENCE)

    def hear_said(self, name: str, text: str) -> None:
        self.hear("{name}: {text}", name=name, text=text)

    def between(self, text: str) -> str:
        """The text at the place of the value in a line that is waited for."""
        start, end = self._catalogue.gettext(text).split("{words}")
        line = self.program.wait_for(lambda one: one.startswith(start) and one.endswith(end), PATIENCE)
        return line.removeprefix(start).removesuffix(end)

    def enter(self, *lines: str) -> None:
        self.program.write("".join(f"{line}\n" for line in lines))

    def introduce(self) -> None:
        self.hear("Type the name.")
        self.enter(self.name, PASSPHRASE, PASSPHRASE)
        self.hear("You have no contacts yet: add one with /nearby, /invite, /join or /address.")

    def unlock(self, passphrase: str = PASSPHRASE) -> None:
        self.hear("Type your passphrase. It is not shown.")
        self.enter(passphrase)

    def quit(self) -> None:
        """Leave; nothing was said that is not a line of text."""
        self.enter("/quit")
        assert self.program.wait_exit(PATIENCE) == 0
        assert self.program.complained == []
        assert not [one for line in self.program.said for one in line if not one.isprintable()]
        assert PASSPHRASE not in "\n".join(self.program.said)


def test_from_first_run_to_unlock_in_both_languages(lab: Lab, tmp_path: Path) -> None:
    ada = Listener("Ada", ENGLISH, tmp_path / "ada", lab.hosts[0])
    ben = Listener("Ben", "zh_CN", tmp_path / "ben", lab.hosts[1])
    with ada.program, ben.program:
        meet(ada, ben)
        talk(ada, ben)
        verify(ada, ben)
        lock(ada, ben)
        ada.quit()
        ben.quit()


def meet(ada: Listener, ben: Listener) -> None:
    """Pairing by words, which Ada begins."""
    ada.introduce()
    ben.introduce()
    ada.hear("{name} is visible nearby. /pair pairs with them.", name="Ben")
    ada.enter("/pair")
    here, there = (
        re.findall("[a-z]+", person.between("The five words are {words}.")) for person in (ada, ben)
    )
    assert here == there
    assert len(here) == 5
    for person, other in ((ada, "Ben"), (ben, "Ada")):
        person.hear(
            "Read them to each other. Does {name} have the same words in the same order? Type /yes or /no.",
            name=other,
        )
        person.enter("/yes")
    for person, other in ((ada, "Ben"), (ben, "Ada")):
        person.hear("Paired with {name}. You can write now.", name=other)


def talk(ada: Listener, ben: Listener) -> None:
    ada.enter("Good morning, Ben.")
    ben.hear_said("Ada", "Good morning, Ben.")
    ada.hear("Read.")
    ben.enter("/write", "早上好。", "我们在湖边见面吧。", ".")
    ada.hear_said("Ben", "早上好。")
    ada.hear("{name}, line {number}: {text}", name="Ben", number=2, text="我们在湖边见面吧。")


def verify(ada: Listener, ben: Listener) -> None:
    numbers = []
    for person, other in ((ada, "Ben"), (ben, "Ada")):
        person.enter("/verify")
        person.hear("{name} should see exactly this number.", name=other)
        numbers.append([person.program.line(PATIENCE) for _row in range(3)])
        person.enter("/verify yes")
        person.hear("{name} is verified.", name=other)
    digits = ["".join(one for one in "".join(rows) if one.isdigit()) for rows in numbers]
    assert digits[0] == digits[1]
    assert len(digits[0]) == 60 + 3  # each part has its number


def lock(ada: Listener, ben: Listener) -> None:
    """Ben locks; what Ada writes meanwhile arrives when the right passphrase was typed."""
    ben.enter("/lock")
    ben.hear("Locked.")
    ada.hear("{name} is offline.", name="Ben")
    ada.enter("while you were locked")
    ada.hear("Queued until {name} is online.", name="Ben")
    ben.unlock("not the passphrase")
    ben.unlock()
    ben.hear_said("Ada", "while you were locked")
    ada.hear("Read.")
