"""Files for the person, which have their name when they are whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from chat.storage.errors import StorageFull
from chat.storage.new_file import FolderUnwritable, NewFile, NoFolder


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
