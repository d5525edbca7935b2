"""The system's keyring and real programs, which share one that is a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.cli.line import PASSPHRASE, Outcome
from tests.support.e2e.programs import Station
from tests.support.fakes.keyring import FILE, FileKeyring

pytestmark = pytest.mark.slow

NOT_PERMITTED = 77
MISSING = "no.such.Keyring"


class Home:
    """A profile whose programs have a keyring, and the passphrase only where the test gives it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "keyring"
        self.station = Station("Ada", folder).create()
        self._options = self.station.options

    def run(self, *arguments: str, given: bool = False) -> Outcome:
        self.station.options = self._options if given else ()
        return self.station.run(*arguments)

    def saved(self) -> list[str]:
        entries = json.loads(self.file.read_text()) if self.file.exists() else []
        return [password for _service, _name, password in entries]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path)
    monkeypatch.setenv(FILE, str(made.file))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", f"{FileKeyring.__module__}.{FileKeyring.__name__}")
    return made


def test_programs_open_the_profile_until_it_is_locked_or_wiped(home: Home) -> None:
    assert home.run("contacts").status == NOT_PERMITTED
    assert home.run("keyring", "--save", given=True).status == 0
    assert home.saved() == [PASSPHRASE]
    assert home.run("contacts").status == 0
    assert home.run("lock").status == 0
    assert home.run("contacts").status == NOT_PERMITTED
    assert home.run("contacts", given=True).status == 0
    assert home.run("contacts").status == 0
    written = [path.read_bytes() for path in home.station.profile.iterdir() if path.is_file()]
    assert not [data for data in written if PASSPHRASE.encode() in data]
    assert home.run("wipe", "--yes").status == 0
    assert (home.saved(), home.station.profile.exists()) == ([], False)


def _empties(home: Home, patch: pytest.MonkeyPatch) -> None:
    home.file.unlink()


def _cannot_load(home: Home, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PYTHON_KEYRING_BACKEND", MISSING)


def _is_headless(home: Home, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")


def _has_another(home: Home, patch: pytest.MonkeyPatch) -> None:
    home.file.write_text(home.file.read_text().replace(PASSPHRASE, "not " + PASSPHRASE))


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (_empties, "has no passphrase of this profile"),
        (_cannot_load, "is locked or refuses"),
        (_is_headless, "no keyring that Parlour can use"),
        (_has_another, "does not open this profile"),
    ],
)
def test_what_fails_is_one_line_and_the_passphrase_still_opens(
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Home, pytest.MonkeyPatch], None],
    said: str,
) -> None:
    assert home.run("keyring", "--save", given=True).status == 0
    happens(home, monkeypatch)
    outcome = home.run("contacts")
    assert (outcome.status, outcome.out) == (NOT_PERMITTED, "")
    assert said in outcome.err.splitlines()[0]
    assert len(outcome.err.splitlines()) == 2, "and that nobody is there to type it"
    assert home.run("contacts", given=True).status == 0


def test_who_does_not_use_it_has_a_broken_keyring_and_does_not_notice(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", MISSING)
    assert home.run("contacts", given=True) == Outcome(0, "", "")
