"""The commands `export` and `import`."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from chat.cli import backup
from chat.errors import ARCHIVED
from protocol.identity.author import recovery_words
from tests.support.cli.line import Line
from tests.support.fakes.messenger import NEW_WORDS, RECOVERY_ASKED

TYPED_BACK = "".join(f"{NEW_WORDS[place]}\n" for place in RECOVERY_ASKED)

WORDS = recovery_words(bytes(range(32)))


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A file with the passphrase of a backup."""
    path = tmp_path / "own"
    path.touch(0o600)
    path.write_text("of the backup\n", encoding="utf-8")
    return str(path)


def test_a_backup_is_written_to_the_file_that_is_named(line: Line, tmp_path: Path, own: str) -> None:
    path = tmp_path / "a.backup"
    outcome = line.run(
        "export", "--to", str(path), "--backup-passphrase-file", own, "--json", "--with-recovery"
    )
    assert outcome.status == 0
    assert outcome.objects == [
        {"file": str(path), "entries": 1, "conversations": 1, "root": "00" * 32, "recovery": True}
    ]
    assert backup.WITH_SEED in outcome.err
    assert backup.WORDS_NOWHERE not in outcome.err
    assert line.run("export", "--to", str(path), "--backup-passphrase-file", own).failed(73)


@pytest.mark.parametrize("kept", [True, False])
def test_a_backup_without_words_says_what_it_takes_to_restore_it(
    line: Line, tmp_path: Path, own: str, kept: bool
) -> None:
    if kept:
        line.messenger.keep_seed()
    path = str(tmp_path / "a.backup")
    outcome = line.run("export", "--to", path, "--backup-passphrase-file", own)
    assert outcome.status == 0
    assert (backup.WORDS_NOWHERE in outcome.err) is kept
    assert (backup.WORDS_ON_PAPER in outcome.err) is not kept


def test_a_passphrase_that_was_typed_differently_the_second_time_writes_nothing(line: Line) -> None:
    typed = iter(["one", "two"])
    line.patch.setattr("chat.cli.backup.ask_secret", lambda *_: next(typed))
    assert line.run("export").status == 64
    assert line.messenger.backups == []


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("export",), "--backup-passphrase-file"),
        (("export", "--verify", "a.backup"), "--backup-passphrase-file"),
        (("export", "--salvage"), "--backup-passphrase-file"),
        (("import", "a.backup"), "--backup-passphrase-file"),
        (("passphrase",), "--new-passphrase-file"),
    ],
)
def test_where_nobody_can_be_asked_the_option_that_is_missing_is_named(
    line: Line, arguments: tuple[str, ...], option: str
) -> None:
    def nobody(prompt: str, *_: object, **__: object) -> str:
        raise getpass.GetPassWarning

    line.patch.setattr(getpass, "getpass", nobody)
    outcome = line.run(*arguments)
    assert (outcome.status, outcome.err.splitlines()[-1]) == (
        77,
        f"There is no terminal to ask for the passphrase: give {option} FILE.",
    )


def test_a_file_that_is_not_there_is_neither_restored_nor_verified(line: Line, own: str) -> None:
    for command in (("import", "none"), ("export", "--verify", "none")):
        assert line.run(*command, "--backup-passphrase-file", own).failed(64)


def test_a_backup_is_restored_as_a_new_device(line: Line, tmp_path: Path, own: str) -> None:
    path = tmp_path / "a.backup"
    path.write_bytes(b"a backup")
    options = "--remove-old", "--backup-passphrase-file", own
    outcome = line.run("import", str(path), *options, typed=TYPED_BACK)
    assert outcome.status == 0
    assert outcome.out.startswith(" ".join(NEW_WORDS))
    assert backup.PAIR_AGAIN in outcome.out
    assert line.door.written_down
    words, fields = line.run("import", str(path), "--json", *options, typed=TYPED_BACK).objects
    assert words == {"words": list(NEW_WORDS), "asked": [place + 1 for place in RECOVERY_ASKED]}
    assert fields["new"] is True
    assert fields["root"] == fields["backup"]["root"]


@pytest.mark.parametrize("typed", ["", "acorn\n" * 4, f"{NEW_WORDS[2]}\n"])
def test_nothing_is_restored_where_the_new_words_are_not_typed_back(
    line: Line, tmp_path: Path, own: str, typed: str
) -> None:
    path = tmp_path / "a.backup"
    path.write_bytes(b"a backup")
    outcome = line.run("import", str(path), "--backup-passphrase-file", own, typed=typed)
    assert outcome.status != 0
    assert outcome.out == " ".join(NEW_WORDS) + "\n"
    assert not line.door.written_down


def test_the_same_words_are_kept_by_a_restored_device(line: Line, tmp_path: Path, own: str) -> None:
    path = tmp_path / "a.backup"
    path.write_bytes(b"a backup")
    (fields,) = line.run(
        "import", str(path), "--same-words", "--json", "--backup-passphrase-file", own
    ).objects
    assert fields["new"] is True
    assert not line.door.written_down


def test_a_readable_export_of_one_conversation_needs_its_format(line: Line, tmp_path: Path) -> None:
    path = str(tmp_path / "a.html")
    outcome = line.run("export", "--format", "html", "--to", path)
    assert outcome.status == 0
    assert backup.NOT_ENCRYPTED in outcome.err
    assert line.run("export", "Ben", "--to", path).failed(64)
    assert line.run("export", "--format", "html", "--with-recovery").failed(64)
    assert line.run("export", "--format", "pdf").status == 64


@pytest.mark.parametrize(("ending", "said"), [("html", "PROVEN"), ("jsonl", "PROVEN"), ("md", "UNPROVEN")])
def test_what_the_hashes_of_a_readable_export_cover_is_said(
    line: Line, tmp_path: Path, ending: str, said: str
) -> None:
    """It has no passphrase, and nobody is asked for one."""
    path = tmp_path / f"a.{ending}"
    path.write_text("an export")
    outcome = line.run("export", "--verify", str(path))
    assert outcome.status == 0
    assert outcome.out.rstrip().endswith(getattr(backup, said))
    assert ("Root hash" in outcome.out) is (said == "PROVEN")
    (fields,) = line.run("export", "--verify", str(path), "--json").objects
    assert fields["checksum"] == "cd" * 32


def test_a_backup_has_no_checksum(line: Line, tmp_path: Path, own: str) -> None:
    path = tmp_path / "a.backup"
    path.write_bytes(b"a backup")
    outcome = line.run("export", "--verify", str(path), "--backup-passphrase-file", own)
    assert "Checksum " not in outcome.out


@pytest.mark.parametrize("asked", [False, True])
def test_the_recovery_words_are_saved_of_a_damaged_profile_only_if_asked_for(
    line: Line, tmp_path: Path, own: str, asked: bool
) -> None:
    path, option = str(tmp_path / "saved"), ["--with-recovery"] if asked else []
    outcome = line.run(
        "export", "--salvage", "--to", path, "--backup-passphrase-file", own, "--json", *option
    )
    assert outcome.status == 0
    assert outcome.objects[0]["recovery"] is asked
    assert (backup.WITH_SEED in outcome.err) is asked


def test_a_backup_without_words_becomes_an_archive_and_says_how_it_is_opened(
    line: Line, tmp_path: Path, own: str
) -> None:
    path = tmp_path / "a.backup"
    path.write_bytes(b"a backup")
    line.door.lacks_words = True
    outcome = line.run("import", str(path), "--backup-passphrase-file", own)
    assert outcome.status == 0
    assert "parlour --profile /profile/archives/2026-12-01-00000000" in outcome.out
    assert backup.NEW_PEOPLE in outcome.out
    (fields,) = line.run("import", str(path), "--json", "--backup-passphrase-file", own).objects
    assert fields["archive"] == "/profile/archives/2026-12-01-00000000"
    assert fields["new"] is False


def test_an_archive_is_read_and_a_command_that_talks_is_refused(line: Line) -> None:
    line.messenger.become_archive()
    contacts = line.run("contacts")
    assert contacts.status == 0
    assert all(one.startswith("was ") for one in contacts.out.splitlines())
    for command in (["listen"], ["send", "notes", "a text"], ["invite"]):
        outcome = line.run(*command)
        assert outcome.status == 77
        assert str(ARCHIVED) in outcome.err


def test_wipe_says_that_archives_go_too(line: Line) -> None:
    line.door.archived = ("/profile/archives/one",)
    outcome = line.run("wipe", typed="n\n")
    assert "its archives (1), too" in outcome.err
