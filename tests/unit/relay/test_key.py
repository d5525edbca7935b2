"""The relay's key file: made once, read by its owner's relay alone, and never taken for what it is not."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from chat.interface import BadData, CannotCreate
from chat.relay.run import PREFIX, new_key, read_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.key"


def test_a_key_is_read_as_it_was_made_by_its_owner_alone_and_never_replaced(path: Path) -> None:
    made = new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="ascii").startswith(PREFIX)
    with pytest.raises(CannotCreate, match="already"):
        new_key(path)
    assert read_key(path).public == made.public
    assert new_key(path.with_name("another")).public != made.public


def test_a_key_cannot_be_made_where_there_is_no_folder(path: Path) -> None:
    with pytest.raises(CannotCreate, match="choose another place"):
        new_key(path.parent / "none" / "relay.key")


@pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFDIR])
def test_a_key_that_may_not_last_is_not_made(path: Path, monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    """A name in the folder needs its fsync too: people name the relay by this key."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_IFMT(os.fstat(descriptor).st_mode) == kind:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fsync)
        with pytest.raises(CannotCreate, match="choose another place"):
            new_key(path)
    assert not path.exists()
    assert new_key(path).public == read_key(path).public


def rewritten(change: Callable[[str], str]) -> Callable[[Path], object]:
    return lambda path: path.write_text(change(path.read_text("ascii").strip()), "utf-8")


CHANGES: list[Callable[[str], str]] = [
    lambda text: "",
    lambda text: text[:-1],
    lambda text: text + "a",
    lambda text: text.upper(),
    lambda text: text.removeprefix(PREFIX),
    lambda text: text + text,
    lambda text: "é" + text,
    lambda text: text[:-1] + "1",
]
SPOILT: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "--new-key"),
    *((partial(Path.chmod, mode=mode), "chmod 600") for mode in (0o640, 0o604, 0o644, 0o666)),
    *((rewritten(change), "no relay key") for change in CHANGES),
]


@pytest.mark.parametrize(("spoil", "said"), SPOILT)
def test_what_is_no_key_or_not_its_owners_alone_is_refused_and_not_shown(
    path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    new_key(path)
    secret = path.read_text(encoding="ascii").strip().removeprefix(PREFIX)
    spoil(path)
    with pytest.raises(BadData, match=said) as told:
        read_key(path)
    assert secret not in str(told.value)
