"""Files for the person, which have their name when they are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chat.storage.errors import StorageFull
from chat.storage.new_file import NewFile, NoFolder


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
