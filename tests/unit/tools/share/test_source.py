"""What is shared, what the page says, and the words that both screens show."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from chat.tools.bundle import installed, make
from chat.tools.share import checksum, source
from tests.unit.tools.bundle.test_bundle import a_wheel, small


def test_words_are_those_of_the_whole_beginning() -> None:
    digest = "0123456789abcdef" * 4
    assert checksum.words(digest) == "badefigo kulameni porusate vizobuka badefigo kulameni"
    assert checksum.groups(digest) == "0123 4567 89ab cdef 0123 4567"
    for place in range(checksum.DIGITS):
        other = digest[:place] + ("0" if digest[place] != "0" else "1") + digest[place + 1 :]
        assert checksum.words(other) != checksum.words(digest)


def test_the_syllables_differ() -> None:
    syllables = {checksum.SYLLABLES[at : at + 2] for at in range(0, 32, 2)}
    assert len(syllables) == 16


def test_a_bundle_is_read_and_another_file_is_refused(tmp_path: Path) -> None:
    bundle = source.read(small(tmp_path / "bundle", m="1"))
    assert (bundle.version, bundle.size) == ("9.8.7", bundle.path.stat().st_size)
    assert bundle.pythons == (f"3.{sys.version_info.minor}",)
    (tmp_path / "secret").write_text("my diary")
    for name in ("secret", "absent"):
        with pytest.raises(source.NoBundle, match=r"choose a parlour\.pyz"):
            source.read(tmp_path / name)


def test_a_damaged_bundle_is_not_given(tmp_path: Path) -> None:
    """Not even for a system that this machine is not: the words would be the same on both screens."""
    path = tmp_path / "bundle"
    make.write(path, "9.8.7", {"a.whl": a_wheel(m="harmless = True")}, {"win-amd64 cpython-3.11": ("a.whl",)})
    path.write_bytes(path.read_bytes().replace(b"harmless", b"harmful!"))
    with pytest.raises(source.NoBundle, match="is damaged"):
        source.read(path)


@pytest.mark.parametrize("field", ["version", "system", "python"])
def test_what_a_bundle_says_of_itself_reaches_no_terminal_raw(tmp_path: Path, field: str) -> None:
    said = {"version": "9.8.7", "system": "win-amd64", "python": "3.11"}
    said[field] += "\x1b]0;title\x07"
    path, fits = tmp_path / "bundle", f"{said['system']} cpython-{said['python']}"
    make.write(path, said["version"], {"a.whl": a_wheel(m="1")}, {fits: ("a.whl",)})
    with pytest.raises(source.NoBundle, match=r"choose a parlour\.pyz") as refused:
        source.read(path)
    assert str(refused.value).isprintable()


def test_the_line_runs_nothing_of_the_folder_where_it_is_typed(tmp_path: Path) -> None:
    folder, given = tmp_path / "downloads", tmp_path / "given"
    folder.mkdir()
    (folder / "hashlib.py").write_text("print('words of somebody else')")
    given.write_bytes(b"a bundle")
    line = checksum.line(tmp_path.as_uri(), given.name).replace("python3", shlex.quote(sys.executable), 1)
    typed = subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S602
    assert typed.stdout.strip() == checksum.words(checksum.checksum(given))


def test_the_running_bundle_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = small(tmp_path / "bundle", m="1")
    monkeypatch.setattr(sys, "argv", [str(bundle), "share"])
    assert source.running() == bundle
    monkeypatch.setattr(sys, "argv", [sys.executable, "share"])
    assert source.running() is None


def test_the_page_explains_the_comparison_and_does_not_show_the_checksum(tmp_path: Path) -> None:
    bundle = source.read(small(tmp_path / "bundle", m="1"))
    page = source.page(bundle, "abc")
    assert '<a href="/abc/parlour.pyz" download>' in page
    assert "sha256sum parlour.pyz" in page
    assert bundle.digest[:4] not in page
    assert not set(checksum.words(bundle.digest).split()) & set(page.split())


def test_what_is_not_installed_cannot_be_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> dict[str, bytes]:
        raise make.Unfit("a.whl")

    monkeypatch.setattr(installed, "wheels", none)
    with pytest.raises(source.NoBundle, match=r"name the parlour\.pyz"):
        source.make_one(tmp_path)
