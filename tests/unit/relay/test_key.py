"""The relay's key file: made once, read by its owner's relay alone, and never taken for what it is not."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from chat.interface import BadData, CannotCreate
from chat.relay.run import PREFIX, new_key, read_key


def test_a_key_is_read_as_it_was_made_and_only_its_owner_can(tmp_path: Path) -> None:
    path = tmp_path / "relay.key"
    made = new_key(path)
    assert read_key(path).public == made.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="ascii").startswith(PREFIX)


def test_two_keys_differ(tmp_path: Path) -> None:
    assert new_key(tmp_path / "one").public != new_key(tmp_path / "two").public


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "relay.key"
    made = new_key(path)
    with pytest.raises(CannotCreate, match="already"):
        new_key(path)
    assert read_key(path).public == made.public


def test_a_key_cannot_be_made_where_there_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CannotCreate, match="choose another place"):
        new_key(tmp_path / "none" / "relay.key")


@pytest.mark.parametrize("synced", [stat.S_ISREG, stat.S_ISDIR])
def test_a_key_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: Callable[[int], bool]
) -> None:
    """A name in the folder needs its fsync too: people name the relay by this key."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if synced(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    path = tmp_path / "relay.key"
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fsync)
        with pytest.raises(CannotCreate, match="choose another place"):
            new_key(path)
    assert not path.exists()
    assert new_key(path).public == read_key(path).public


def test_where_there_is_none_one_can_be_made(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="--new-key"):
        read_key(tmp_path / "relay.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_or_change_is_none(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "relay.key"
    new_key(path)
    path.chmod(mode)
    with pytest.raises(BadData, match="chmod 600"):
        read_key(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: text + "a",
        lambda text: text.upper(),
        lambda text: text.removeprefix(PREFIX),
        lambda text: text + text,
        lambda text: "é" + text,
        lambda text: text[:-1] + "1",
    ],
)
def test_what_is_no_key_is_said_to_be_none(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "relay.key"
    new_key(path)
    text = path.read_text(encoding="ascii").strip()
    path.write_text(change(text), encoding="utf-8")
    with pytest.raises(BadData, match="no relay key"):
        read_key(path)


def test_no_message_holds_the_key(tmp_path: Path) -> None:
    path = tmp_path / "relay.key"
    new_key(path)
    secret = path.read_text(encoding="ascii").strip().removeprefix(PREFIX)
    path.chmod(0o644)
    with pytest.raises(BadData) as told:
        read_key(path)
    assert secret not in str(told.value)
    assert secret not in repr(read_key.__doc__)
