"""A file for the person: what is left of one that could not be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chat.storage.errors import StorageFull
from chat.storage.new_file import NewFile


def test_nothing_is_left_on_a_disk_that_stays_full(tmp_path: Path) -> None:
    file = NewFile(tmp_path / "backup")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, file._file.fileno())
    os.close(full)
    file.write(b"some")
    with pytest.raises(StorageFull):
        file.end()
    file.abandon()  # what is still to be written fails again
    assert list(tmp_path.iterdir()) == []
