"""send --file, save, files, and what listen and history say of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chat.interface import FileState, FileView
from chat.views import size_text
from tests.architecture.imports import ROOT
from tests.support.cli.line import Line
from tui.text.formatting import file_line


def file_at(folder: Path, name: str = "report.txt", data: bytes = b"twelve bytes") -> str:
    path = folder / name
    path.write_bytes(data)
    return str(path)


def test_a_file_is_sent_and_taken(line: Line, tmp_path: Path) -> None:
    friend = line.messenger.add_contact("Ben", present=True)
    path = file_at(tmp_path)
    outcome = line.run("send", "Ben", "--file", path, "--json", "--id", "mine")
    (sent,) = outcome.objects
    assert (outcome.status, outcome.err) == (0, "")
    assert (sent["state"], sent["taken"]) == ("delivered", True)
    assert line.messenger.called("send_file") == [(friend.person, path, "", False)]
    assert line.messenger.send_ids[-1] == "mine/1"
    said = line.run("send", "Ben", "hello", "there", "--file", path, "--file", path).out.splitlines()
    assert said == ["To Ben: delivered", *["To Ben: report.txt, 12 B: taken"] * 2]


def test_an_original_is_sent_as_it_is(line: Line, tmp_path: Path) -> None:
    friend = line.messenger.add_contact("Ben", present=True)
    path = file_at(tmp_path)
    line.run("send", "Ben", "--file", path, "--original")
    assert line.messenger.called("send_file") == [(friend.person, path, "", True)]


def test_a_file_that_nobody_takes_waits(line: Line, tmp_path: Path) -> None:
    line.messenger.add_contact("Ben", present=False)
    outcome = line.run("send", "Ben", "--file", file_at(tmp_path), "--wait", "0")
    assert outcome.status == 75
    assert "leave it open" in outcome.err
    assert outcome.out == "To Ben: report.txt, 12 B: queued\n"


@pytest.mark.parametrize("given", [["--file", "/nowhere"], ["--file", "/"], []])
def test_what_cannot_be_sent_is_a_usage_error(line: Line, given: list[str]) -> None:
    line.messenger.add_contact("Ben", present=True)
    assert line.run("send", "Ben", *given).status == 64


def received(line: Line, state: FileState = FileState.WHOLE, name: str = "report.txt") -> str:
    friend = line.messenger.add_contact("Ben", present=True)
    file = FileView(name, "text/plain", 12, state, 12 if state is FileState.WHOLE else 0)
    return line.messenger.receive_file(friend.person, file, b"twelve bytes").id


@pytest.mark.parametrize("state", FileState)
def test_a_file_is_taken_and_saved(line: Line, tmp_path: Path, state: FileState) -> None:
    entry = received(line, state)
    outcome = line.run("save", "Ben", entry, "--to", str(tmp_path), "--json")
    (saved,) = outcome.objects
    assert (outcome.status, saved["id"]) == (0, entry)
    assert Path(saved["path"]).read_bytes() == b"twelve bytes"


def test_a_file_that_does_not_come_is_not_saved(line: Line, tmp_path: Path) -> None:
    line.messenger.prompt = False
    entry = received(line, FileState.ASKS)
    folder = tmp_path / "empty"
    folder.mkdir()
    outcome = line.run("save", "Ben", entry, "--to", str(folder), "--wait", "0.01")
    assert outcome.status == 75
    assert list(folder.iterdir()) == []


def test_a_text_has_no_file_to_save(line: Line) -> None:
    friend = line.messenger.add_contact("Ben", present=True)
    entry = line.messenger.receive(friend.person, "hello")
    assert entry is not None
    assert line.run("save", "Ben", entry.id).status == 64


def test_history_names_files(line: Line) -> None:
    received(line)
    (shown,) = line.run("history", "Ben", "--json").objects
    assert shown["kind"] == "file"
    assert shown["file"] == {
        "name": "report.txt",
        "media": "text/plain",
        "size": 12,
        "state": "whole",
        "held": 12,
    }
    assert line.run("history", "Ben").out.endswith("Ben: [file] report.txt (12 B, here)\n")


def test_the_size_without_asking_is_shown_and_set(line: Line) -> None:
    assert line.run("files").out == "Files up to 25 MiB are taken without asking.\n"
    assert line.run("files", "--without-asking", "3", "--json").objects == [{"without_asking": 3}]
    assert line.run("files").out == "Files up to 3 MiB are taken without asking.\n"


def test_sizes_are_short() -> None:
    sizes = (0, 1_023, 1_024, 1_536, 10_240, 1_048_575, 26_214_400, 2**40)
    shown = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 KiB", "1.0 MiB", "25 MiB", "1.0 TiB"]
    assert [size_text(size) for size in sizes] == shown


def test_case_80_hostile_names_disturb_neither_a_line_nor_json(line: Line) -> None:
    names = list(json.loads((ROOT / "seeds/hostile/names.json").read_text()).values())
    ben = line.messenger.add_contact("Ben")
    for name in names:
        line.messenger.receive_file(ben.person, FileView(name, "image/png", 3, FileState.WHOLE, 3), b"abc")
    read = line.run("history", "Ben", "--json")
    assert [one["file"]["name"] for one in read.objects] == names
    assert len(read.out.splitlines()) == len(names)
    assert read.out.replace("\n", "").isascii() or not set(read.out) & set("\0\x1b\r\x9b")
    lines = line.run("history", "Ben").out.splitlines()
    assert len(lines) == len(names)
    assert all(one.isprintable() for one in lines)


@pytest.mark.parametrize("name", json.loads((ROOT / "seeds/hostile/names.json").read_text()).values())
def test_case_80_hostile_names_do_not_disturb_a_screen(name: str) -> None:
    assert file_line(FileView(name, "image/png", 3, FileState.WHOLE, 3)).isprintable()
