"""What terminals paste where files are dropped, and what a person types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tui.text.paths import PASTED_MAX, PATHS_MAX, Completion, pasted_paths, typed_paths

THERE = {"/data/ann/a b.txt", "/data/ann/it's.txt", "/data/ann/c.txt", "/data/ann/é(1).txt", "/data/ann"}


def there(*more: str) -> Callable[[str], bool]:
    return (THERE | set(more)).__contains__


@pytest.mark.parametrize(
    ("pasted", "paths"),
    [
        ("'/data/ann/a b.txt' ", ["/data/ann/a b.txt"]),  # VTE, Konsole, foot
        ("'/data/ann/a b.txt' '/data/ann/c.txt' ", ["/data/ann/a b.txt", "/data/ann/c.txt"]),
        (r"'/data/ann/it'\''s.txt'", ["/data/ann/it's.txt"]),
        ("""'/data/ann/it'"'"'s.txt'""", ["/data/ann/it's.txt"]),  # kitty
        ("/data/ann/a b.txt\n/data/ann/c.txt\n", ["/data/ann/a b.txt", "/data/ann/c.txt"]),  # kitty
        (r"/data/ann/a\ b.txt /data/ann/é\(1\).txt ", ["/data/ann/a b.txt", "/data/ann/é(1).txt"]),  # iTerm
        (r"/data/ann/it\'s.txt", ["/data/ann/it's.txt"]),
        ('"/data/ann/a b.txt" /data/ann/c.txt', ["/data/ann/a b.txt", "/data/ann/c.txt"]),
        ("/data/ann/a b.txt ", ["/data/ann/a b.txt"]),  # Alacritty
        (
            "file:///data/ann/a%20b.txt\r\nfile:///data/ann/c.txt\r\n",
            ["/data/ann/a b.txt", "/data/ann/c.txt"],
        ),
        ("file://localhost/data/ann/%C3%A9(1).txt", ["/data/ann/é(1).txt"]),
        ("'/data/ann/c.txt' '/data/ann/c.txt'", ["/data/ann/c.txt"]),
        ("/data/ann", ["/data/ann"]),
    ],
)
def test_dropped_files_are_known(pasted: str, paths: list[str]) -> None:
    assert pasted_paths(pasted, there()) == tuple(paths)


@pytest.mark.parametrize(
    "pasted",
    [
        "",
        "hello",
        "/data/ann/missing.txt",
        "/data/ann/c.txt and more",
        "look at /data/ann/c.txt",
        "c.txt",
        "~/c.txt",
        "'/data/ann/c.txt",
        "/",
        "file://elsewhere/data/ann/c.txt",
        "file:///data/ann/c.txt?x=1",
        "file:///data/ann/%ff",
        "https://example.org/data/ann/c.txt",
        "/data/ann/$(reboot)",
        " \n ",
    ],
)
def test_any_other_text_is_text(pasted: str) -> None:
    assert pasted_paths(pasted, there("/", "c.txt", "~/c.txt")) == ()


def test_a_paste_without_end_is_text() -> None:
    assert pasted_paths("/data/ann/c.txt\n" + " " * PASTED_MAX, there()) == ()
    assert pasted_paths("/a\n" * (PATHS_MAX + 1), lambda _path: True) == ()


def test_windows_paths_are_known_where_they_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.text.paths._is_whole", lambda _path: True)
    there = {r"C:\My Files\a.txt", r"C:\b.txt"}
    assert set(pasted_paths(r'"C:\My Files\a.txt" C:\b.txt', there.__contains__)) == there


def test_what_is_typed_may_have_spaces_and_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a b", "c"):
        (tmp_path / name).touch()
    home = str(tmp_path)
    assert typed_paths("~/a b") == (f"{home}/a b",)
    assert typed_paths("'~/a b' ~/c") == (f"{home}/a b", f"{home}/c")
    assert typed_paths("~/nothing") == (f"{home}/nothing",)
    monkeypatch.chdir(tmp_path)
    assert typed_paths("c") == (f"{home}/c",)


def test_a_folder_completes_what_begins_so_and_hides_what_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "Docs").mkdir()
    for name in ("dogs.txt", ".hidden", "other"):
        (tmp_path / name).touch()

    def names(typed: str) -> list[str]:
        return [one.name for one in Completion(f"{tmp_path}/{typed}").entries]

    assert names("") == ["Docs", "dogs.txt", "other"]
    assert names("DO") == ["Docs", "dogs.txt"]
    assert names(".") == [".hidden"]
    assert Completion(f"{tmp_path}/Doc").common() == f"{tmp_path}/Docs/"
    assert Completion(f"{tmp_path}/o").common() == f"{tmp_path}/other"
    assert names(f"/{tmp_path}/o") == ["other"]
    assert Completion("/usr/~/").folder == Path.home()
    assert Completion(f"{tmp_path}/nothing/").problem
    assert Completion("/\0/").problem
