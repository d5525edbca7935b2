"""What most end-to-end tests begin with: a lab, profiles for the command line, people at terminals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.e2e.people import Person
from tests.support.e2e.programs import Station
from tests.support.lab.hosts import Lab
from tests.support.machine import needs_root_network, needs_strace, needs_tmux
from tui.text.translation import ENGLISH


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """As many hosts as the module of the test wants in HOSTS, else two."""
    needs_root_network()
    with Lab(getattr(request.module, "HOSTS", 2)) as built:
        yield built


@pytest.fixture
def ada(lab: Lab, tmp_path: Path) -> Station:
    return Station("Ada", tmp_path, lab.hosts[0]).create()


@pytest.fixture
def ben(lab: Lab, tmp_path: Path) -> Station:
    """Ben with a new profile on the last host, which may be Ada's."""
    return Station("Ben", tmp_path, lab.hosts[-1]).create()


@pytest.fixture
def languages() -> tuple[str, str]:
    return ENGLISH, ENGLISH


@pytest.fixture
def people(lab: Lab, tmp_path: Path, languages: tuple[str, str]) -> Iterator[tuple[Person, Person]]:
    """Ada and Ben at the interface, each at a machine with a new installation."""
    needs_tmux()
    one, other = lab.hosts[:2]
    with (
        Person("Ada", tmp_path / "ada", one, languages[0]) as ada,
        Person("Ben", tmp_path / "ben", other, languages[1]) as ben,
    ):
        yield ada, ben


@pytest.fixture
def strace() -> None:
    needs_root_network()
    needs_strace()
