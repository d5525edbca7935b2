"""init, passphrase and lock, and how every command comes to its profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.cli import people
from chat.interface import BadData, CannotCreate, DoorState, UnlockCost, Unreachable
from tests.support.cli.line import PASSPHRASE, Line
from tests.support.fakes.messenger import FakeDoor


def called(line: Line, method: str) -> list[tuple[object, ...]]:
    return [call.arguments for call in line.door.calls if call.method == method]


def put(line: Line, state: DoorState) -> None:
    line.messenger.closed = False
    line.door = FakeDoor(line.messenger, state=state, passphrase=PASSPHRASE)


def test_init_makes_a_person_and_says_who(line: Line) -> None:
    put(line, DoorState.NEW)
    outcome = line.run("init", "--name", "Ann", "--json")
    (made,) = outcome.objects
    assert (outcome.status, outcome.err) == (0, "")
    assert list(made) == ["person", "terminal", "port"]
    assert made["port"] == 4747
    assert called(line, "create") == [("Ann", PASSPHRASE)]
    assert line.messenger.called("close") == [()]


def test_init_over_a_profile_is_73_and_asks_for_nothing(line: Line) -> None:
    assert "--profile" in line.run("init", "--name", "Ann", passphrase=False).failed(73)
    assert not called(line, "create")


def test_init_without_a_name_is_64(line: Line) -> None:
    put(line, DoorState.NEW)
    assert [line.run("init", *name).status for name in ([], ["--name", " "])] == [64, 64]


def test_case_71_a_wrong_passphrase_is_77_and_damage_is_65_and_changes_nothing(line: Line) -> None:
    for step, arguments in (("state", ["init", "--name", "Ann"]), ("unlock", ["contacts"])):
        line.door.failures[step] = BadData("It is damaged: restore it from a backup.")
        assert line.run(*arguments).failed(65) == "It is damaged: restore it from a backup."
    assert not called(line, "create")
    line.door.failures["unlock"] = CannotCreate("No port is free: name one with --port.")
    assert line.run("contacts").status == 73
    line.file.write_text("wrong\n")
    assert line.run("contacts").status == 77


def test_without_a_profile_it_is_64_with_what_to_do(line: Line) -> None:
    put(line, DoorState.NEW)
    for arguments in (["contacts"], ["lock"], ["passphrase"], ["listen"]):
        assert "parlour init" in line.run(*arguments, passphrase=False).failed(64)


def test_a_running_engine_is_used_and_one_that_ended_a_moment_ago_is_no_failure(line: Line) -> None:
    put(line, DoorState.RUNNING)
    assert line.run("contacts", passphrase=False).status == 0
    assert called(line, "attach") == [()]
    assert not called(line, "unlock")
    put(line, DoorState.RUNNING)
    line.door.failures["attach"] = Unreachable("gone")
    assert line.run("contacts").status == 0
    assert called(line, "unlock") == [(PASSPHRASE, "offline")]


def test_another_port_than_the_running_engines_is_said(line: Line) -> None:
    line.messenger.add_contact("Ben")
    put(line, DoorState.RUNNING)
    outcome = line.run("contacts", "--port", "5000", passphrase=False)
    assert (outcome.status, line.opened[0][1]) == (0, 5000)
    assert "5000" in outcome.failure
    put(line, DoorState.RUNNING)
    assert line.run("contacts", "--port", "4747", passphrase=False).err == ""


def test_the_profile_is_the_option_the_variable_or_the_platforms_folder(line: Line, tmp_path: Path) -> None:
    line.run("contacts")
    line.patch.setenv("PARLOUR_PROFILE", str(tmp_path / "variable"))
    line.run("contacts")
    line.run("contacts", "--profile", str(tmp_path / "option"))
    line.patch.chdir(tmp_path)
    line.run("--profile", "relative", "contacts")
    usual, *named = [profile for profile, _ in line.opened]
    assert usual.name == "parlour"
    assert usual.is_absolute()
    assert named == [tmp_path / "variable", tmp_path / "option", tmp_path / "relative"]


def test_options_for_all_commands_stand_anywhere_and_the_last_counts(line: Line, tmp_path: Path) -> None:
    person = line.messenger.add_contact("Ben").person
    options = ["--json", "--profile", str(tmp_path / "a")]
    words = ["contacts", "block", "Ben"]
    lines = [[*words[:at], *options, *words[at:]] for at in range(4)]
    for arguments in (*lines, ["--profile", str(tmp_path / "b"), *words, *options]):
        outcome = line.run(*arguments)
        assert outcome.objects == [
            {
                "name": "Ben",
                "person": person,
                "called": "Ben",
                "seen": None,
                "verified": False,
                "present": False,
                "held": False,
                "unvouched": False,
                "same_key": [],
                "pinned": False,
                "muted": False,
                "bot": False,
                "commands": [],
                "unread": 0,
                "last": None,
            }
        ]
        assert line.opened[-1][0] == tmp_path / "a"
    assert len(line.messenger.called("block")) == 5


def test_passphrase_is_changed_with_the_old_one_even_where_an_engine_runs(line: Line, tmp_path: Path) -> None:
    (tmp_path / "new").touch(0o600)
    (tmp_path / "new").write_text("next one\n")
    outcome = line.run("passphrase", "--new-passphrase-file", str(tmp_path / "new"), "--json")
    assert (outcome.status, outcome.objects) == (0, [{"changed": True}])
    assert line.messenger.called("change_passphrase") == [(PASSPHRASE, "next one", UnlockCost.KEPT, False)]
    assert "--new-key" in outcome.err
    assert called(line, "unlock") == [(PASSPHRASE,)]
    put(line, DoorState.RUNNING)
    same = ("--passphrase-file", str(tmp_path / "new"), "--new-passphrase-file", str(tmp_path / "new"))
    line.messenger.passphrase = "next one"
    assert line.run("passphrase", "--cost", "sensitive", *same, passphrase=False).status == 0
    assert line.messenger.called("change_passphrase")[-1] == (
        *("next one", "next one", UnlockCost.SENSITIVE, False),
    )
    put(line, DoorState.RUNNING)
    line.messenger.passphrase = "next one"
    outcome = line.run("passphrase", "--new-key", *same, passphrase=False)
    assert (outcome.status, "--new-key" in outcome.err) == (0, False)
    assert line.messenger.called("change_passphrase")[-1][3] is True
    put(line, DoorState.RUNNING)
    arguments = ["passphrase", "--passphrase-file", "-", "--new-passphrase-file", "-"]
    assert line.run(*arguments, typed="wrong\nnext one\n", passphrase=False).status == 77
    put(line, DoorState.RUNNING)
    assert line.run(*arguments, typed=f"{PASSPHRASE}\nnext one\n", passphrase=False).status == 0


def test_a_passphrase_is_never_an_argument(line: Line) -> None:
    for arguments in (["--passphrase", "secret", "contacts"], ["passphrase", "secret"]):
        assert line.run(*arguments).status == 64


def test_lock_says_where_a_process_that_does_not_answer_keeps_the_profile_open(line: Line) -> None:
    line.door.held = True
    line.patch.setattr(people, "ENDS_WITHIN", 0.0)
    assert line.run("lock", passphrase=False).failed(69) == people.NOT_LOCKED


def test_lock_stops_the_running_engine_or_finds_none(line: Line) -> None:
    outcome = line.run("lock", passphrase=False)
    assert (outcome.status, outcome.failure) == (0, "No engine was running with this profile.")
    put(line, DoorState.RUNNING)
    outcome = line.run("lock", "--json", passphrase=False)
    assert (outcome.status, outcome.objects) == (0, [{"locked": True}])
    assert line.messenger.called("lock") == [()]


def test_wipe_asks_ends_the_engine_and_destroys(line: Line) -> None:
    put(line, DoorState.RUNNING)
    assert line.run("wipe", typed="n\n", passphrase=False).failed(1)
    assert not called(line, "wipe")
    outcome = line.run("wipe", "--json", typed="y\n", passphrase=False)
    assert (outcome.status, outcome.objects) == (0, [{"wiped": True}])
    assert line.messenger.called("lock") == [()]
    assert called(line, "wipe") == [()]
    assert line.run("wipe", "--yes", passphrase=False).status == 65


def test_wipe_destroys_what_is_damaged_and_refuses_while_a_process_does_not_answer(line: Line) -> None:
    line.door.damage()
    line.door.held = True
    line.patch.setattr(people, "ENDS_WITHIN", 0.0)
    assert line.run("wipe", "--yes", passphrase=False).status == 73
    line.door.held = False
    assert line.run("wipe", "--yes", passphrase=False).status == 0


@pytest.mark.parametrize("arguments", [["contacts"], ["verify", "nobody"], ["history", "--search", "x"]])
def test_whatever_was_opened_is_closed(line: Line, arguments: list[str]) -> None:
    line.run(*arguments)
    assert line.messenger.called("close") == [()]


def test_a_name_that_contacts_see_is_changed(line: Line) -> None:
    (changed,) = line.run("rename", "Adele", "--json").objects
    assert changed == {"name": "Adele"}
    assert line.messenger.called("rename_self") == [("Adele",)]


def test_the_devices_of_the_identity_are_listed(line: Line) -> None:
    for arguments in (["terminal"], ["terminal", "list"]):
        (one,) = line.run(*arguments, "--json").objects
        assert one == {
            "terminal": line.messenger._me.terminal,
            "name": "",
            "this": True,
            "state": "live",
            "added_by": "",
            "removed_by": "",
            "present": False,
            "seen": None,
            "left": False,
        }
    assert line.run("terminal", "list").out == f"{line.messenger._me.terminal[:16]}  live, this device\n"
