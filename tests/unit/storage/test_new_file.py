"""Files for the person, which have their name when they are whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from chat.errors import ParlourError
from chat.platforms import files
from chat.storage.errors import StorageFull
from chat.storage.new_file import FileExists, FolderUnwritable, NewFile, NoFolder


def test_case_76_a_full_disk_leaves_nothing_of_an_unfinished_file(tmp_path: Path) -> None:
    file = NewFile(tmp_path / "history.md")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._file.fileno())
    os.close(full)
    file.write(b"a message that nobody else may read")
    with pytest.raises(StorageFull):
        file.end()
    file.abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [FileExists, NoFolder, FolderUnwritable])
def test_what_refuses_a_name_is_true_without_a_command_line(
    error: type[ParlourError], tmp_path: Path
) -> None:
    assert "(on the command line: --to)." in str(error(tmp_path)), "the interfaces have no --to"


@pytest.mark.parametrize("name", ["none/history.md", "a file/history.md"])
def test_without_its_folder_a_file_is_not_begun(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").touch()
    with pytest.raises(NoFolder):
        NewFile(tmp_path / name)


def test_the_unfinished_file_of_another_program_stays(tmp_path: Path) -> None:
    other = tmp_path / "history.md.part"
    other.write_bytes(b"a download")
    (tmp_path / "history.md.parlour-part").write_bytes(b"left by an export that was killed")
    file = NewFile(tmp_path / "history.md")
    file.write(b"whole")
    file.end()
    file.finish()
    assert other.read_bytes() == b"a download"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["history.md", "history.md.part"]


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES])
def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """It may be on another disk than the profile."""

    def refuse(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FolderUnwritable, match="test_a_place"):
        NewFile(tmp_path / "history.md")


@pytest.mark.parametrize("known", [True, False], ids=["in one call", "without the call"])
def test_a_file_that_another_program_makes_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Between the look for a free name and the rename."""
    if not known:

        def unknown(*_: Path) -> None:
            raise OSError(errno.EINVAL, "not on this file system")

        monkeypatch.setattr(files, "_rename_exclusively", unknown)
    file = NewFile(tmp_path / "photo.jpg")
    file.write(b"received")
    file.end()
    (tmp_path / "photo.jpg").write_bytes(b"of another program")
    (tmp_path / "photo (2).jpg").symlink_to("elsewhere")
    file.finish(["photo (2).jpg", "photo (3).jpg"])
    assert (file.path.name, file.path.read_bytes()) == ("photo (3).jpg", b"received")
    assert (tmp_path / "photo.jpg").read_bytes() == b"of another program"
    assert not (tmp_path / "elsewhere").exists()
    alone = NewFile(tmp_path / "alone")
    (tmp_path / "alone").mkdir()
    with pytest.raises(FileExists):
        alone.finish()
    alone.abandon()
    assert (tmp_path / "alone").is_dir()
