"""The service of a user: what is written, that it starts and is checked, and the list of profiles."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chat.cli import service
from chat.cli.service import MARK, Launchd, Manager, Systemd, name_of, quoted
from chat.interface import CannotCreate, DoorState, Kept, UsageError
from tests.support.cli import systemctl
from tests.support.cli.line import Line
from tests.support.cli.running import running_engine
from tests.support.e2e.programs import Station
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.unit.tools.bundle.test_bundle import small

HOSTILE = '/a b/"c"\\d/$HOME/%h/;e'


def plays(folder: Path, name: str) -> Path:
    """A program of this name in a folder, which plays systemctl; and its state."""
    state, program = folder / "state", folder / "tools" / name
    state.mkdir()
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{systemctl.__file__}" "{state}" "$@"\n')
    program.chmod(0o755)
    return state


@pytest.fixture
def state(line: Line, tmp_path: Path) -> Path:
    made = plays(tmp_path, "systemctl")
    line.patch.setenv("PATH", str(tmp_path / "tools"))
    line.patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    line.patch.setattr(service, "STARTS_WITHIN", 0.0)
    line.file.chmod(0o600)
    return made


def asked(state: Path) -> list[str]:
    return (state / "log").read_text().splitlines()


def test_a_real_listener_is_installed_started_checked_shown_and_removed(tmp_path: Path) -> None:
    station = Station("Ada", tmp_path).create()
    state = plays(tmp_path, "systemctl")
    path = f"{tmp_path / 'tools'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    (tmp_path / "passphrase").chmod(0o600)

    def run(*arguments: str, status: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            station.line(*arguments), env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done
        first: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        return first

    assert run("service", status=1)["installed"] is False
    try:
        done = run("service", "install")
        assert (done["enabled"], done["active"], done["running"]) == (True, True, True)
        assert run("service", "status")["active"] is True
        (listed,) = [one for one in [run("profiles", str(tmp_path))] if one["profile"] == done["profile"]]
        assert (listed["state"], listed["name"], listed["unread"]) == ("running", "Ada", 0)
        unit = Path(done["file"])
        if shutil.which("systemd-analyze"):
            verified = subprocess.run(
                ["systemd-analyze", "--user", "verify", str(unit)],
                env={**environment, "XDG_RUNTIME_DIR": str(tmp_path)},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert unit.name not in verified.stderr, verified
    finally:
        assert run("service", "remove")["removed"] is True
    assert not unit.exists()
    assert asked(state)[-1] == "--user daemon-reload"
    assert run("service", "remove")["removed"] is False


def test_the_unit_has_the_profile_and_the_ways_to_open_it_and_is_private(
    line: Line, state: Path, tmp_path: Path
) -> None:
    line.door = FakeDoor(line.messenger, state=DoorState.RUNNING, passphrase="x")
    profile = tmp_path / 'pro "file" %h $HOME'
    outcome = line.run("service", "install", "--notify", "who", "--profile", str(profile), "--json")
    (fields,) = outcome.objects
    unit = Path(fields["file"])
    text = unit.read_text()
    (command,) = [one for one in text.splitlines() if one.startswith("ExecStart=")]
    assert systemctl.words(command)[-7:] == [
        "--profile", str(profile), "--passphrase-file", str(line.file), "listen", "--notify", "who",
    ]  # fmt: skip
    assert "StandardOutput=null\n" in text
    assert "MemorySwapMax=0\nNoNewPrivileges=yes\n" in text.partition("LimitCORE=0\n")[2]
    assert unit.stat().st_mode & 0o777 == 0o600
    assert [one for one in asked(state) if "is-" not in one][-3:] == [
        "--user daemon-reload", f"--user enable {unit.name}", f"--user restart {unit.name}",
    ]  # fmt: skip


def test_without_a_way_to_open_the_profile_nothing_is_installed(line: Line, state: Path) -> None:
    assert "keyring" in line.run("service", "install", passphrase=False).failed(UsageError.exit_status)
    line.run("service", "install", "--passphrase-file", "-", passphrase=False).failed(UsageError.exit_status)
    line.file.chmod(0o644)
    assert "chmod 600" in line.run("service", "install").failed(UsageError.exit_status)
    line.door.in_keyring = Kept.YES
    line.door._state = DoorState.RUNNING
    (fields,) = line.run("service", "install", "--json", passphrase=False).objects
    assert "passphrase" not in Path(fields["file"]).read_text()


def test_a_service_that_does_not_open_the_profile_is_said(line: Line, state: Path) -> None:
    outcome = line.run("service", "install")
    assert (outcome.status, outcome.out) == (1, "")
    assert "journalctl --user -u" in outcome.err
    assert "service remove" in outcome.err


def test_a_file_of_somebody_else_stays(line: Line, state: Path, tmp_path: Path) -> None:
    unit = Path(line.run("service", "--json", passphrase=False).objects[0]["file"])
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\n")
    for words in (["install"], ["remove"]):
        line.run("service", *words).failed(UsageError.exit_status)
    assert unit.read_text() == "[Service]\n"
    shutil.rmtree(unit.parent)
    unit.parent.write_text("")
    line.run("service", "install").failed(CannotCreate.exit_status)


def test_without_a_manager_nothing_is_written(line: Line, state: Path, tmp_path: Path) -> None:
    line.patch.setenv("PATH", str(tmp_path))
    line.run("service", "install").failed(UsageError.exit_status)
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize("word", [HOSTILE, "%", "a\\", '"', "$$", "é 李"])
def test_systemd_reads_a_word_as_it_is(word: str) -> None:
    assert systemctl.words(f"{quoted(word, program=True)} {quoted(word)}") == [word, word]
    with pytest.raises(UsageError):
        quoted(f"{word}\nExecStart=/bin/sh")


@pytest.mark.parametrize("kind", [Systemd, Launchd])
@pytest.mark.parametrize("word", ["a\nExecStart=/bin/sh", "a\x1b", os.fsdecode(b"/\xff")])
def test_a_path_that_no_service_can_name_is_refused(kind: type[Manager], word: str) -> None:
    with pytest.raises(UsageError):
        kind("parlour", ["/bin/parlour", "--profile", word]).content()


def test_an_agent_of_launchd_has_the_same_line(tmp_path: Path) -> None:
    agent = plistlib.loads(Launchd("parlour", ["/p", HOSTILE]).content())
    assert agent["ProgramArguments"] == ["/p", HOSTILE]
    assert agent["StandardOutPath"] == "/dev/null"
    assert MARK.encode() in Launchd("parlour", ["/p"]).content()
    assert b"\nExecStart=" in Systemd("parlour", ["/p"]).content()


def test_launchd_is_asked_to_start_and_to_stop(line: Line, tmp_path: Path) -> None:
    state = plays(tmp_path, "launchctl")
    line.patch.setenv("PATH", str(tmp_path / "tools"))
    line.patch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    line.patch.setenv("HOME", str(tmp_path))
    agent = Launchd("parlour", ["/p"])
    agent.write()
    agent.start()
    assert agent.remove()
    domain = f"gui/{os.getuid()}"
    assert asked(state) == [
        f"bootout {domain}/org.parlour.parlour",
        f"bootstrap {domain} {agent.path}",
        f"bootout {domain}/org.parlour.parlour",
    ]
    assert not agent.path.exists()


def test_each_profile_has_a_service_of_its_own(tmp_path: Path) -> None:
    standard = tmp_path / "parlour"
    names = {name_of(one, standard) for one in (standard, tmp_path / "a b", tmp_path / "x" / "a b")}
    assert len(names) == 3
    assert "parlour" in names
    assert all(name.replace("-", "").isalnum() for name in names)


def test_profiles_says_which_run_and_what_is_unread(line: Line, tmp_path: Path) -> None:
    from chat.assemble import door

    ada, ben = Station("Ada", tmp_path).create(), Station("Ben", tmp_path).create()
    (tmp_path / "other").mkdir()
    broken = Station("Cleo", tmp_path).create()
    for one in broken.profile.glob("header*"):
        one.write_bytes(b"x")
    line.patch.setattr(Line, "_open", lambda _line, folder, port: door(folder, port=port))
    line.patch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    messenger = FakeMessenger("Ada")
    messenger.add_contact("Ben", unread=2)
    messenger.add_contact("Cleo", unread=5, blocked=True)
    with running_engine(ada.profile, messenger):
        found = line.run("profiles", str(tmp_path), "--json", passphrase=False).objects
        said = line.run("profiles", str(tmp_path), passphrase=False).out
    by = {Path(one["profile"]).name: one for one in found}
    assert set(by) == {"ada", "ben", "cleo"}
    assert (by["ada"]["state"], by["ada"]["name"], by["ada"]["unread"]) == ("running", "Ada", 2)
    assert (by["ben"]["state"], by["ben"]["unread"]) == ("locked", None)
    assert by["cleo"]["state"] == "damaged"
    assert f"{ada.profile}  (running as Ada, 2 unread)" in said
    assert f"{ben.profile}  (locked)" in said


def test_a_bundle_is_started_by_its_file_under_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = small(tmp_path / "parlour.pyz", m="1")
    bundle.chmod(0o644)  # as `parlour share` leaves it
    monkeypatch.setattr(sys, "argv", [str(bundle)])
    assert service.this_program() == [sys.executable, str(bundle)]
