"""The commands of docs/relays.md, typed on two networks that reach only the machine between them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import machine as needs
from tests.support.lab.hosts import TwoNetworks
from tests.unit.cli.test_readme import lines_of
from tests.unit.cli.test_two_machines import Machine

pytestmark = pytest.mark.network
WORDS = re.compile(r"parlour ((?:[^#\s]+ ?)+)")


@pytest.fixture
def lab() -> Iterator[TwoNetworks]:
    needs.needs_root_network()
    with TwoNetworks() as lab:
        yield lab


def typed(line: str, **values: str) -> list[str]:
    """The words of a line behind `parlour`, with the words in capitals replaced."""
    match = WORDS.match(line)
    assert match is not None, line
    return [values.get(word, word) for word in match[1].split()]


def test_the_lines_about_a_relay_hold(lab: TwoNetworks, tmp_path: Path) -> None:
    new_key, run, add, invite, join = lines_of("docs/relays.md", "Connect two people through a relay")
    ada, ben = Machine(lab.ada, tmp_path, "Ada"), Machine(lab.ben, tmp_path, "Ben")
    program = (sys.executable, "-m", "chat.cli")
    lab.between.run(*program, *_in(tmp_path, typed(new_key)), env=ada.environment)
    relay = lab.between.start(*program, *_in(tmp_path, typed(run)), environment=ada.environment)
    address = relay.wait_for(lambda line: line.startswith("parlour-relay:"))
    ada.run(*typed(add, ADDRESS=address))
    inviting = ada.start(*typed(invite), "--yes")
    invitation = inviting.wait_for(lambda line: '"invitation"' in line, 60).split('"')[3]
    assert ben.run(*typed(join, INVITATION=invitation)) == [{"paired": "Ada"}]
    inviting.wait_for(lambda line: '"paired"' in line, 60)
    assert [one["relay"] for one in ben.run("relays")] == [address]
    ben.start("listen").wait_for(lambda line: '"ready"' in line, 60)
    assert [sent["state"] for sent in ada.run("send", "Ben", "Good morning", "--wait", "60")] == ["delivered"]


def _in(folder: Path, words: list[str]) -> list[str]:
    """The words, with the file's place."""
    return [str(folder / word) if word.endswith(".key") else word for word in words]
