"""send --file, save, files, and what listen and history say of files."""

from __future__ import annotations

import asyncio
import json
import stat
from functools import partial
from pathlib import Path

import pytest

from chat.cli.giving import ToSend, give
from chat.cli.terminal import Lines
from chat.errors import phrase
from chat.interface import EntryView, FileState, FileView, UsageError
from chat.views import size_text
from tests.architecture.imports import ROOT
from tests.support.cli.line import Line
from tests.support.fakes.messenger import FakeMessenger
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


async def test_a_file_whose_sending_is_interrupted_is_not_sent(tmp_path: Path) -> None:
    """The engine is another process, which would go on."""
    messenger, begun = FakeMessenger(), asyncio.Event()
    friend = messenger.add_contact("Ben", present=True)

    async def sealing(
        contact: str,
        path: str,
        named: str = "",
        send_id: str = "",
        original: bool = False,
        voice: int = 0,
        client: str = "",
    ) -> EntryView:
        messenger.sealed.add((contact, send_id, client))
        begun.set()
        return await asyncio.Future()

    messenger.send_file = sealing  # type: ignore[method-assign]
    file = ToSend(file_at(tmp_path), "", "1")
    giving = asyncio.ensure_future(give(messenger, Lines(), friend, file, "an id"))
    await begun.wait()
    giving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving
    assert messenger.sealed == set()


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


@pytest.mark.parametrize("given", [["--file", "/nowhere"], ["--file", "/dev/null"], []])
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


@pytest.mark.parametrize(("typed", "sent"), [("y\n", 2), ("n\n", 0), ("", 0), (None, 2)])
def test_hidden_files_are_named_and_asked_about(
    line: Line, tmp_path: Path, typed: str | None, sent: int
) -> None:
    line.messenger.add_contact("Ben", present=True)
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("a.txt", ".env"):
        (folder / name).write_text(name)
    line.patch.setattr("chat.cli.giving.is_interactive", lambda: typed is not None)
    outcome = line.run("send", "Ben", "look", "--file", str(folder), typed=typed or "")
    assert "Hidden, and sent too: project/.env" in outcome.err
    assert len(line.messenger.called("send_file")) == sent
    assert len(line.messenger.called("send")) == bool(sent)
    assert outcome.status == (0 if sent else 1)


def test_a_text_has_no_file_to_save(line: Line) -> None:
    friend = line.messenger.add_contact("Ben", present=True)
    entry = line.messenger.receive(friend.person, "hello")
    assert entry is not None
    assert line.run("save", "Ben", entry.id).status == 64


def several(line: Line, *states: FileState) -> list[str]:
    friend = line.messenger.add_contact("Ben", present=True)
    line.messenger.receive(friend.person, "between")
    files = [
        FileView(f"{number}.txt", "", 12, state, 12 if state is FileState.WHOLE else 0)
        for number, state in enumerate(states)
    ]
    return [line.messenger.receive_file(friend.person, file, b"twelve bytes").id for file in files]


def test_several_files_are_saved_at_once(line: Line, tmp_path: Path) -> None:
    entries, folder = several(line, *[FileState.WHOLE] * 2, FileState.ASKS), tmp_path / "to"
    folder.mkdir()
    outcome = line.run("save", "Ben", *entries, entries[0], "--to", str(folder), "--json")
    assert (outcome.status, [one["id"] for one in outcome.objects]) == (0, entries)
    assert sorted(path.name for path in folder.iterdir()) == ["0.txt", "1.txt", "2.txt"]


def test_nothing_is_saved_where_one_of_several_has_no_file(line: Line, tmp_path: Path) -> None:
    (entry,) = several(line, FileState.WHOLE)
    assert line.run("save", "Ben", entry, "no such", "--to", str(tmp_path)).status == 64
    assert line.messenger.called("save_file") == []


def test_all_files_that_are_here_are_saved_and_no_other_is_taken(line: Line, tmp_path: Path) -> None:
    entries = several(line, *[FileState.WHOLE] * 150, FileState.ASKS)
    outcome = line.run("save", "Ben", "--all", "--to", str(tmp_path), "--json")
    assert outcome.status == 75
    assert [one["id"] for one in outcome.objects] == entries
    assert len(list(tmp_path.glob("*.txt"))) == 150
    assert line.messenger.called("take_file") == []
    assert "name their IDs" in outcome.err


def test_all_of_none_is_said(line: Line) -> None:
    line.messenger.add_contact("Ben", present=True)
    outcome = line.run("save", "Ben", "--all")
    assert (outcome.status, outcome.out) == (0, "")
    assert "names a file" in outcome.err


@pytest.mark.parametrize("given", [[], ["an id", "--all"]])
def test_save_takes_ids_or_all(line: Line, given: list[str]) -> None:
    line.messenger.add_contact("Ben", present=True)
    assert line.run("save", "Ben", *given).status == 64


def test_history_names_files(line: Line) -> None:
    received(line)
    (shown,) = line.run("history", "Ben", "--json").objects
    assert shown["kind"] == "file"
    assert shown["file"] == {
        "name": "report.txt",
        "folder": "",
        "media": "text/plain",
        "size": 12,
        "state": "whole",
        "held": 12,
    }
    assert line.run("history", "Ben").out.endswith("Ben: [file] report.txt (12 B, here)\n")


def test_a_search_finds_a_file_by_its_name(line: Line) -> None:
    entry = received(line)
    (shown,) = line.run("history", "--search", "report", "--json").objects
    assert shown["id"] == entry
    assert "[file] report.txt" in line.run("history", "Ben", "--search", "rep*").out
    assert line.run("history", "Ben", "--search", "summer").out == ""


def test_what_files_may_use_is_shown_and_set(line: Line) -> None:
    assert line.run("files").out.splitlines() == [
        "Files up to 25 MiB are taken without asking.",
        "Files up to 10 MiB go through relays.",
        "Above 10240 MiB on this device each file is asked for.",
        "Files are sent as fast as they go.",
    ]
    received(line)
    given = ["--without-asking", "3", "--relayed", "4", "--keep-most", "5", "--limit", "6"]
    (shown,) = line.run("files", *given, "--json").objects
    talk = {"name": "Ben", "files": 1, "held": 12, "lacking": 0}
    sizes = {"without_asking": 3, "relayed": 4, "keep_most": 5, "limit": 6}
    assert shown == {**sizes, "conversations": [talk]}
    assert line.run("files").out.splitlines()[3:] == [
        "Files are sent at 6 KiB a second.",
        "Ben: 1 files, 12 B here, 0 B not here",
    ]


def test_a_contact_has_sizes_of_its_own_until_it_has_the_usual_ones(line: Line) -> None:
    line.messenger.add_contact("Ben", present=True)
    own = {"name": "Ben", "without_asking": 0, "relayed": 900, "pictures": False}
    assert line.run("files", "Ben", "--without-asking", "0", "--relayed", "900", "--json").objects == [own]
    assert line.run("files", "Ben", "--json").objects == [own]
    assert line.run("files").out.startswith("Files up to 25 MiB")
    usual = {"name": "Ben", "without_asking": 25, "relayed": 10, "pictures": False}
    assert line.run("files", "Ben", "--as-usual", "--json").objects == [usual]


def test_pictures_of_a_contact_are_shown_as_they_come_where_that_is_chosen(line: Line) -> None:
    line.messenger.add_contact("Ben", present=True)
    for given, shown, said in (
        ("--pictures", True, "Pictures of Ben are shown as they come."),
        ("--no-pictures", False, "Pictures of Ben are shown when you ask for one."),
    ):
        (fields,) = line.run("files", "Ben", given, "--json").objects
        assert fields["pictures"] is shown
        assert line.run("files", "Ben").out.splitlines()[-1] == said


@pytest.mark.parametrize(
    "given",
    [
        ["--pictures"],
        ["--as-usual"],
        ["Ben", "--limit", "1"],
        ["Ben", "--keep-most", "1"],
        ["--limit", "-1"],
        ["Nobody"],
    ],
)
def test_what_is_not_of_one_contact_is_a_usage_error(line: Line, given: list[str]) -> None:
    line.messenger.add_contact("Ben", present=True)
    assert line.run("files", *given).status == 64


def test_a_file_is_let_go_of_here(line: Line) -> None:
    entry = received(line)
    (shown,) = line.run("files", "--let-go", "Ben", entry, "--json").objects
    assert (shown["id"], shown["state"], shown["held"]) == (entry, "let go", 0)
    assert "not on this device" in line.run("history", "Ben").out
    assert line.run("files", "--let-go", "Ben", "77" * 32).status == 64


def test_a_limit_holds_for_one_command(line: Line, tmp_path: Path) -> None:
    line.messenger.add_contact("Ben", present=True)
    line.run("send", "Ben", "--file", file_at(tmp_path), "--limit", "3")
    assert line.messenger.limits == [3_072, 0]
    line.run("send", "Ben", "words", "--file", file_at(tmp_path))
    assert line.messenger.limits == [3_072, 0]


def test_sizes_are_short() -> None:
    sizes = (0, 1_023, 1_024, 1_536, 10_240, 1_048_575, 26_214_400, 2**40)
    shown = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 KiB", "1.0 MiB", "25 MiB", "1.0 TiB"]
    assert [size_text(size) for size in sizes] == shown


def test_a_folder_is_sent_as_its_files(line: Line, tmp_path: Path) -> None:
    line.messenger.add_contact("Ben", present=True)
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    file_at(folder, "cat.txt")
    file_at(folder / "below", ".dog.txt")
    (folder / "link").symlink_to(tmp_path)
    outcome = line.run("send", "Ben", "--file", str(folder), "--id", "mine")
    assert outcome.status == 0
    assert outcome.out.splitlines() == [
        "To Ben: photos/cat.txt, 12 B: taken",
        "To Ben: photos/below/.dog.txt, 12 B: taken",
    ]
    assert "2 files, 24 B" in outcome.err
    assert f"Left out: {folder / 'link'} (a symbolic link)" in outcome.err
    ids = line.messenger.send_ids[-2:]
    assert len(set(ids)) == 2
    file_at(folder, "an earlier one.txt")
    line.run("send", "Ben", "--file", str(folder), "--id", "mine", "--wait", "0")
    assert [one for one in line.messenger.send_ids[-3:] if one in ids] == ids
    assert all(len(one) <= 64 for one in line.messenger.send_ids)


def test_after_a_file_that_nobody_takes_no_other_waits(line: Line, tmp_path: Path) -> None:
    line.messenger.add_contact("Ben", present=False)
    paths = [file_at(tmp_path, name) for name in "abc"]
    given = [word for path in paths for word in ("--file", path)]
    outcome = line.run("send", "Ben", *given, "--wait", "0.01")
    assert outcome.status == 75
    assert outcome.err.count("leave it open") == 1
    assert len(outcome.out.splitlines()) == 3


def test_a_file_comes_from_a_pipe(line: Line) -> None:
    friend = line.messenger.add_contact("Ben", present=True)
    outcome = line.run("send", "--file", "-", "--name", "notes.tar", "Ben", typed="some\ntar\n")
    assert (outcome.status, outcome.out) == (0, "To Ben: notes.tar, 9 B: taken\n")
    (entry,) = line.messenger._conversation(friend.person).entries
    assert line.messenger.contents[entry.id] == b"some\ntar\n"


def test_a_pipe_that_brings_nothing_sends_nothing(line: Line) -> None:
    friend = line.messenger.add_contact("Ben", present=True)
    outcome = line.run("send", "--file", "-", "--name", "notes.tar", "Ben", typed="")
    assert outcome.failed(64)
    assert "before the pipe failed" in outcome.err
    assert line.messenger._conversation(friend.person).entries == []


def test_a_pipe_that_was_sent_before_is_not_sent_again(line: Line) -> None:
    friend = line.messenger.add_contact("Ben", present=True)
    for _again in range(2):
        given = ("--file", "-", "--name", "notes.tar", "--id", "mine", "--wait", "0")
        line.run("send", "Ben", *given, typed="some")
    assert len(line.messenger._conversation(friend.person).entries) == 1


def test_what_the_engine_says_of_a_pipe_is_said(line: Line) -> None:
    line.messenger.add_contact("Ben", present=True)
    line.messenger.failures["send_file"] = UsageError(phrase("The disk has too little room."))
    outcome = line.run("send", "Ben", "--file", "-", "--name", "notes.tar", typed="some")
    assert outcome.failed(64)
    assert "too little room" in outcome.err


@pytest.mark.parametrize(
    "given",
    [
        ["--file", "-"],
        ["--file", "-", "--file", "-", "--name", "a"],
        ["-", "--file", "-", "--name", "a"],
        ["--file", "/", "--name", "a"],
    ],
)
def test_a_pipe_needs_a_name_and_is_read_once(line: Line, given: list[str]) -> None:
    line.messenger.add_contact("Ben", present=True)
    assert line.run("send", "Ben", *given, typed="data").status == 64
    assert line.messenger.called("send_file") == []


def test_a_file_is_sent_under_another_name(line: Line, tmp_path: Path) -> None:
    line.messenger.add_contact("Ben", present=True)
    outcome = line.run("send", "Ben", "--file", file_at(tmp_path), "--name", "other.txt")
    assert outcome.out == "To Ben: other.txt, 12 B: taken\n"


def test_listen_says_each_fact_of_a_file_once_and_makes_the_folder(line: Line, tmp_path: Path) -> None:
    friend = line.messenger.add_contact("Ben", present=False)

    def comes() -> None:
        taking = FileView("report.txt", "text/plain", 12, FileState.TAKING, folder="papers")
        entry = line.messenger.receive_file(friend.person, taking, b"twelve bytes").id
        for state, held in ((FileState.TAKING, 0), (FileState.TAKING, 6), (FileState.WHOLE, 12)):
            line.messenger.move_file(friend.person, entry, state, held)
        line.messenger.receive(friend.person, "that was all")
        line.messenger.after["save_file"] = partial(line.messenger._end, "stopped", locked=True)

    line.messenger.after["contacts"] = comes
    folder = tmp_path / "new" / "folder"
    outcome = line.run("listen", "--save", str(folder))
    said = [row for row in outcome.out.splitlines() if "papers/report.txt" in row]
    assert len(said) == 2
    assert said[0].endswith("Ben: [file] papers/report.txt (12 B, is taken when it can be)")
    assert said[1].endswith(" [file] papers/report.txt (12 B, here)")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.read_bytes() for path in folder.rglob("*.txt")] == [b"twelve bytes"]


def test_a_folder_that_cannot_be_made_is_said(line: Line, tmp_path: Path) -> None:
    file_at(tmp_path)
    assert line.run("listen", "--save", str(tmp_path / "report.txt" / "x")).failed(73)


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
