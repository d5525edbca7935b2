"""The folder of a demo: private, gone at the end, and those that were left behind go with the next one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chat.interface import CannotCreate
from chat.storage.folder import ProfileLock
from chat.tools.demo.door import PREFIX, throw_away


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_it_is_private_and_gone_even_after_a_failure(place: Path) -> None:
    with pytest.raises(KeyboardInterrupt), throw_away(pytest.fail) as folder:
        assert folder.parent == place
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "1").mkdir()
        (folder / "1" / "history.db").write_bytes(b"x")
        raise KeyboardInterrupt
    assert list(place.iterdir()) == []


def test_what_was_left_behind_goes_and_what_runs_or_is_no_folder_of_a_demo_stays(place: Path) -> None:
    left, runs, elsewhere = (place / f"{PREFIX}{name}" for name in ("left", "runs", "elsewhere"))
    for folder in (left, runs, place / "other"):
        folder.mkdir()
        (folder / "history.db").write_bytes(b"x")
    elsewhere.symlink_to(place / "other")
    lock = ProfileLock(runs)
    with throw_away(pytest.fail) as folder:
        assert sorted(place.iterdir()) == sorted([folder, runs, elsewhere, place / "other"])
        assert (place / "other" / "history.db").exists()
    lock.release()
    with throw_away(pytest.fail) as one, throw_away(pytest.fail) as other:
        assert not runs.exists()
        assert one != other
        assert one.is_dir()


def test_what_cannot_be_removed_is_said(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = place / f"{PREFIX}left"
    left.mkdir()
    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with throw_away(said.append):
            pass
    assert [str(left) in line for line in said] == [True]


def test_without_a_folder_it_is_said_what_to_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    monkeypatch.setattr("tempfile.tempdir", str(place / "nowhere"))
    with pytest.raises(CannotCreate, match="TMPDIR"), throw_away(pytest.fail):
        pass
