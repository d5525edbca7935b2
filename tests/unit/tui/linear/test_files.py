"""Files line by line: what is announced, `/save` and `/send`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import FileState, FileView, OnlyAsOriginal, PictureView
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.linear.played import STEPS, locked_door, play
from tui.linear.output import Output

FILE = FileView("report.pdf", "", 1 << 20, FileState.ASKS)


async def test_a_file_is_announced_taken_and_saved(tmp_path: Path) -> None:
    door = locked_door()
    assert door.messenger is not None
    ben = next(iter(door.messenger._contacts))
    entry = door.messenger.receive_file(ben, FILE, b"the report")
    steps = [">> correct horse", "> /open Ben", "> /last 1", "> /save 1", f"> /save 1 {tmp_path}", "> /quit"]
    said, _status = await play(iter(steps), door)
    assert any("File report.pdf, 1.0 MiB: not fetched yet" in line for line in said)
    assert any(line.endswith("File report.pdf, 1.0 MiB") for line in said)
    assert f"Saved as {tmp_path / 'report.pdf'}" in said
    assert (tmp_path / "report.pdf").read_bytes() == b"the report"
    assert door.messenger.called("take_file") == [(ben, entry.id)]


async def test_a_file_that_is_taken_is_paused_and_a_text_has_none() -> None:
    door = locked_door()
    messenger: FakeMessenger | None = door.messenger
    assert messenger is not None
    messenger.prompt = False
    ben = next(iter(messenger._contacts))
    messenger.receive(ben, "hello")
    messenger.receive_file(ben, FILE)
    steps = [
        *(">> correct horse", "> /open Ben", "> /last 1", "> /save 1", "> /save 1"),
        *("> /last 2", "> /save 2", "> /quit"),
    ]
    said, _status = await play(iter(steps), door)
    assert any("comes when a device that has it is online" in line for line in said)
    assert any("paused at 0 %" in line for line in said)
    assert "This message has no file." in said


async def test_a_file_is_sent_at_once_and_a_folder_after_a_question(tmp_path: Path) -> None:
    door = locked_door()
    messenger: FakeMessenger | None = door.messenger
    assert messenger is not None
    folder = tmp_path / "my photos"
    folder.mkdir()
    for name in ("a b.txt", ".hidden"):
        (folder / name).write_bytes(b"12345")
    (folder / "link").symlink_to(tmp_path)
    steps = [
        *(">> correct horse", "> /open Ben", "> /send", f"> /send {folder}/a b.txt"),
        *(f"> /send '{folder}'", "> /no", f"> /send {folder}", "> /yes"),
        *(f"> /send {tmp_path}/nothing", "> /quit"),
    ]
    said, _status = await play(iter(steps), door)
    assert "Type /send and the path of a file or folder." in said
    assert "Sent: a b.txt, 5 B" in said
    assert "Send 2 files (10 B) to Ben?" in said
    assert said.count("Hidden, and sent too: my photos/.hidden") == 2
    assert f"1 is left out ({folder}/link: a symbolic link)" in said
    named = [call[2] for call in messenger.called("send_file")]
    assert named == ["a b.txt", "my photos/.hidden", "my photos/a b.txt"]
    assert any("is not there: check its name." in line for line in said)


async def test_a_file_that_is_prepared_is_cancelled_and_other_lines_wait(tmp_path: Path) -> None:
    door = locked_door()
    messenger: FakeMessenger | None = door.messenger
    assert messenger is not None
    messenger.sealing = asyncio.Event()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"12345")
    steps = [
        *(">> correct horse", "> /open Ben", "> /cancel", f"> /send {tmp_path}/a", "> /cancel"),
        *(f"> /send {tmp_path}", "> /yes", "> /can", f"> /send {tmp_path}/a", "> hello", "> /quit"),
    ]
    # The last file is never cancelled: what is typed after it waits until the session ends.
    playing = asyncio.ensure_future(play(iter(steps), door))
    for _file in range(3):
        await messenger.sealing.wait()
        messenger.sealing.clear()
    for _step in range(STEPS):
        await asyncio.sleep(0)
    assert messenger.called("send") == []
    await messenger.cancel_file(*next(iter(messenger.sealed)))
    said, _status = await playing
    assert [line for line in said if line.startswith("Cancelled")] == [
        "Cancelled: 1 file was not sent.",
        "Cancelled: 2 files were not sent.",
    ]
    assert said.count("No file is being prepared.") == 1
    assert said.count("The file was not sent: that was cancelled.") == 1
    assert len(messenger.called("send")) == 1


async def test_a_picture_is_sent_as_the_original_at_once_or_after_a_question(tmp_path: Path) -> None:
    door = locked_door()
    messenger: FakeMessenger | None = door.messenger
    assert messenger is not None
    path = tmp_path / "sunset.png"
    path.write_bytes(b"12345")
    messenger.failures["send_file"] = OnlyAsOriginal("Its metadata cannot be removed.")
    steps = [
        *(">> correct horse", "> /open Ben", f"> /send {path}", "> /yes", f"> /original {path}"),
        "> /quit",
    ]
    said, _status = await play(iter(steps), door)
    assert "sunset.png was not sent: its metadata cannot be removed." in said
    assert "Send as the original, with its place, time and camera?" in said
    assert said.count("Sent: sunset.png, 5 B") == 2
    assert [call[-1] for call in messenger.called("send_file")] == [False, True, True]


async def test_a_file_is_let_go_of_and_the_size_of_a_contact_is_set() -> None:
    door = locked_door()
    assert door.messenger is not None
    ben = next(iter(door.messenger._contacts))
    entry = door.messenger.receive_file(ben, replace(FILE, state=FileState.WHOLE), b"the report")
    steps = [
        *(">> correct horse", "> /open Ben", "> /last 1", "> /letgo 1", "> /files", "> /files 3"),
        *("> /files many", "> /files usual", "> /quit"),
    ]
    said, _status = await play(iter(steps), door)
    assert any("not on this device" in line for line in said)
    assert door.messenger.called("let_go_of_file") == [(ben, entry.id)]
    sizes = [line.split()[5] for line in said if line.endswith("come without a question.")]
    assert sizes == ["25", "3", "25"]
    assert any(line.startswith("Type a number of MiB, or usual") for line in said)


async def test_sizes_through_a_relay_and_those_of_all_are_set() -> None:
    door = locked_door()
    steps = [
        *(">> correct horse", "> /open Ben", "> /files relay 99", "> /files relay usual", "> /files relay"),
        *("> /settings relayed 4", "> /files", "> /settings rate 500", "> /settings most none", "> /quit"),
    ]
    said, _status = await play(iter(steps), door)
    relayed = [line.split()[6] for line in said if line.startswith("Files of this")]
    assert relayed == ["99", "10", "4"]
    assert sum(line.startswith("Type a number of MiB, or usual") for line in said) == 1
    assert "relayed is 4. MiB of the largest file that goes through a relay." in said
    assert "rate is 500. KiB of files that this device sends a second, 0 for as many as go." in said
    assert "Type a number." in said


async def test_pictures_of_a_conversation_are_drawn_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Output, "colours", 256)
    for allowed in ("on", "off"):
        door = locked_door()
        messenger: FakeMessenger | None = door.messenger
        assert messenger is not None
        ben = next(iter(messenger._contacts))
        entry = messenger.receive_file(ben, replace(FILE, name="sunset.png"))
        messenger.pictures[entry.id] = PictureView(width=2, height=2, pixels=bytes(12))
        steps = [
            ">> correct horse",
            "> /open Ben",
            f"> /pictures {allowed}",
            "> /last 1",
            "> /save 1",
            "> /quit",
        ]
        said, _status = await play(iter(steps), door)
        assert any("▀▀\x1b[0m" in line for line in said) is (allowed == "on")
        when = "as they come" if allowed == "on" else "when you ask for one"
        assert f"Pictures of Ben are shown {when}." in said


async def test_a_picture_is_drawn_in_blocks_where_there_are_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for colours, drawn in ((256, True), (1 << 24, True), (0, False)):
        monkeypatch.setattr(Output, "colours", colours)
        door = locked_door()
        messenger: FakeMessenger | None = door.messenger
        assert messenger is not None
        ben = next(iter(messenger._contacts))
        entry = messenger.receive_file(ben, replace(FILE, name="sunset.png", state=FileState.WHOLE))
        messenger.pictures[entry.id] = PictureView(width=2, height=2, pixels=bytes(12))
        steps = [">> correct horse", "> /open Ben", "> /last 1", "> /show 1", "> /quit"]
        said, _status = await play(iter(steps), door)
        assert any("▀▀\x1b[0m" in line for line in said) is drawn
        assert ("This terminal draws no colours, which a picture needs: /save saves it." in said) is not drawn


def test_the_environment_says_how_many_colours_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output()
    output.at_terminal = True
    for environment, colours in (
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, 1 << 24),
        ({"TERM": "xterm"}, 256),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, 0),
        ({}, 0),
        ({"TERM": "xterm", "NO_COLOR": "1"}, 0),
    ):
        for name in ("TERM", "COLORTERM", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        assert output.colours == colours
    output.at_terminal = False
    monkeypatch.setenv("TERM", "xterm")
    assert output.colours == 0


async def test_a_search_finds_a_file_by_its_name() -> None:
    door = locked_door()
    assert door.messenger is not None
    ben = next(iter(door.messenger._contacts))
    door.messenger.receive_file(ben, FILE, b"the report")
    steps = [">> correct horse", "> /open Ben", "> /search repor", "> /everywhere pdf", "> /quit"]
    said, _status = await play(iter(steps), door)
    assert any("File «repor»t.pdf" in line for line in said)
    assert any("File report.«pdf»" in line for line in said)


async def test_where_pictures_cannot_be_confined_they_wait_for_the_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Output, "colours", 256)
    door = locked_door()
    messenger: FakeMessenger | None = door.messenger
    assert messenger is not None
    messenger.confines = False
    ben = next(iter(messenger._contacts))
    entry = messenger.receive_file(ben, replace(FILE, name="sunset.png", state=FileState.WHOLE))
    messenger.pictures[entry.id] = PictureView(width=2, height=2, pixels=bytes(12))
    steps = [
        ">> correct horse",
        "> /open Ben",
        "> /last 1",
        "> /show 1",
        "> /pictures unconfined",
        "> /show 1",
    ]
    said, _status = await play(iter([*steps, "> /quit"]), door)
    assert sum("Type /pictures unconfined" in one for one in said) == 1
    assert sum("▀▀\x1b[0m" in one for one in said) == 1
