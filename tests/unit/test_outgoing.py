"""What is sent where a path is named: one file, or the files of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chat import outgoing as module
from chat.interface import UsageError, hidden_names, outgoing


def made(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def test_a_file_is_sent_by_its_name(tmp_path: Path) -> None:
    made(tmp_path, "a.txt")
    (tmp_path / "link").symlink_to(tmp_path / "a.txt")
    for name in ("a.txt", "link"):
        (one,) = outgoing(tmp_path / name).files
        assert (one.path, one.named, one.size) == (str(tmp_path / name), name, 5)


def test_a_folder_is_sent_as_its_regular_files_hidden_ones_too(tmp_path: Path) -> None:
    folder = made(tmp_path / "f", "b", ".a", "sub/c", "sub/.d/e")
    (folder / "up").symlink_to(tmp_path)
    (folder / "sub" / "to").symlink_to(folder / "b")
    os.mkfifo(folder / "pipe")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).touch()
    found = outgoing(folder)
    assert [one.named for one in found.files] == ["f/.a", "f/b", "f/sub/c", "f/sub/.d/e"]
    assert hidden_names(one.named for one in found.files) == ["f/.a", "f/sub/.d"]
    assert hidden_names(one.named for one in outgoing(folder / ".a").files) == []  # its person named it
    assert {Path(one.path).name for one in found.left_out} == {"up", "to", "pipe", "?"}
    why = {Path(one.path).name: one.why for one in found.left_out}
    assert (why["up"], why["pipe"]) == (module.IS_LINK, module.IS_SPECIAL)
    assert found.size == sum(len(name) for name in ("b", ".a", "sub/c", "sub/.d/e"))
    assert outgoing(folder / "sub" / "..").files[0].named.startswith(f"{tmp_path.name}/") is False


def test_what_cannot_be_sent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "full", "a", "b", "c")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, said in (("nothing", "not there"), ("empty", "no file"), ("pipe", "a device")):
        with pytest.raises(UsageError, match=said):
            outgoing(tmp_path / name)
    monkeypatch.setattr(module, "FILES_MAX", 2)
    with pytest.raises(UsageError, match="more than 2 files"):
        outgoing(tmp_path / "full")
    monkeypatch.setattr(module, "FOLDERS_MAX", 0)
    with pytest.raises(UsageError, match="more than"):
        outgoing(tmp_path / "full")


def test_a_file_too_deep_is_left_out(tmp_path: Path) -> None:
    deep = "/".join(["d"] * module.DEPTH_MAX)
    found = outgoing(made(tmp_path / "d", f"{deep}/x", "y").resolve())
    assert [one.named for one in found.files] == ["d/y"]
    assert [one.why for one in found.left_out] == [module.IS_DEEP]
