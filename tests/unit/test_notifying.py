"""Being notified outside of the window: by a program, a terminal or the desktop."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chat.interface import (
    AGAIN,
    BURST,
    Bursts,
    Level,
    Notified,
    Osc,
    Outside,
    UsageError,
    Words,
    closing,
    mentions,
    notified,
    program_in,
    sequence,
    way_outside,
)
from chat.notifying import CHARACTERS_MAX, WAITING_MAX, Program, clean
from chat.session_bus import BusFailure, Notifications, Reader, socket_of
from tests.support import machine as needs
from tests.support.desktop import desktop

HOSTILE = (
    "$(touch RAN)`touch RAN`; touch RAN\n'\" \x1b]52;c;x\x07\x9b2J\u202e\u2066<a href=x>&amp;\0"
    + "long " * 500
)


def one(level: Level = Level.TEXT, tag: str = "ben", entry: str = "1", text: str = HOSTILE) -> Notified:
    return notified(level, Words(), tag, entry, "Ben\x1b[2J\n" + "n" * 500, text, mention=False)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("mention", [True, False])
def test_a_notification_says_what_its_level_says_and_no_more(level: Level, mention: bool) -> None:
    said = notified(level, Words(), "ben", "1", "Ben", "needle", mention=mention)
    whole = json.dumps([said.name, said.text, said.line])
    assert ("Ben" in whole) is (level is not Level.NOTHING)
    assert ("needle" in whole) is (level is Level.TEXT)
    assert ("mentions" in whole) is said.mention is (mention and level is not Level.NOTHING)
    assert "needle" not in repr(said)


def test_peer_text_is_cleaned_and_bounded() -> None:
    said = one()
    for text in (said.name, said.text, said.line):
        assert text.isprintable()
        assert len(text) <= CHARACTERS_MAX
    assert clean("a\u200bb\u2028c\x85d") == "ab c d"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        *(("@Ada look", True), ("look, @ADA!", True), ("(@ada lovelace)", True)),
        *(("Ada look", False), ("me@ada.example", False), ("@adam", False), ("", False)),
    ],
)
def test_a_mention_is_an_at_sign_and_the_name(text: str, named: bool) -> None:
    assert mentions(text, "Ada Lovelace") is named
    assert not mentions("@ @", "")
    assert mentions("@a.b", "a.b")
    assert not mentions("@axb", "a.b")


def test_a_burst_is_notified_of_once_and_a_mention_in_it_once_more() -> None:
    now = [0.0]
    bursts = Bursts(lambda: now[0])
    assert [bursts.due() for _ in range(100)] == [True, *[False] * 99]
    assert [bursts.due(mention=True) for _ in range(100)] == [True, *[False] * 99]
    now[0] += BURST
    assert bursts.due()
    told = 0
    for _ in range(int(2 * AGAIN)):
        now[0] += 1
        told += bursts.due()
    assert told == 2


@pytest.mark.parametrize("how", Osc)
def test_a_terminals_sequence_ends_where_it_should(how: Osc) -> None:
    written = sequence(how, one().line, {})
    calm = sequence(how, "x", {})
    for control in ("\x1b", "\x07", "\x9b"):
        assert written.count(control) == calm.count(control)
    assert bool(closing(how, {})) is (how is Osc.KITTY)


_PROGRAM = """
import sys
with open({path!r}, "a") as file:
    file.write(sys.stdin.read())
    print("noise", file=sys.stderr)
assert len(sys.argv) == 2 and sys.argv[1] == "$HOME it's"
"""


async def test_a_program_gets_json_on_its_input_and_nothing_on_its_line(tmp_path: Path) -> None:
    said, script, config = tmp_path / "said", tmp_path / "notify.py", tmp_path / "config.toml"
    script.write_text(_PROGRAM.format(path=str(said)))
    config.write_text(f"notify = {json.dumps([sys.executable, str(script), '$HOME it' + chr(39) + 's'])}\n")
    outside = way_outside({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"}, program_in(config))
    assert outside is not None
    outside.show(one())
    outside.show(one(Level.WHO, "cleo", "2"))
    outside.close("ben", "other")
    outside.close("ben", "1")
    outside.close("ben", "1")
    outside.close_all()
    await outside._waiting.join()
    await outside.end()
    lines = [json.loads(line) for line in said.read_text().splitlines()]
    assert [(line["event"], line["tag"]) for line in lines] == [
        *(("notify", "ben"), ("notify", "cleo"), ("close", "ben"), ("close", "cleo")),
    ]
    assert lines[0]["text"].startswith("$(touch RAN)`touch RAN`; touch RAN '\"")
    assert lines[1]["text"] == ""
    assert "\\u00" not in said.read_text()
    assert not (tmp_path / "RAN").exists()


async def test_at_the_level_that_says_nothing_a_program_learns_no_id(tmp_path: Path) -> None:
    said, script = tmp_path / "said", tmp_path / "notify.py"
    script.write_text(_PROGRAM.format(path=str(said)))
    program = Program((sys.executable, str(script), "$HOME it's"))
    for shown in (one(Level.NOTHING), one(Level.NOTHING, entry="2"), one(Level.NOTHING, "cleo")):
        await program.show(shown)
    for tag in ("ben", "cleo", "dan"):
        await program.close(tag)
    lines = [json.loads(line) for line in said.read_text().splitlines()]
    tags = [line["tag"] for line in lines]
    assert tags[0] == tags[1] == tags[3]
    assert tags[2] == tags[4] != tags[0]
    assert tags[5] == "dan", "of which nothing was shown"
    assert {"ben", "cleo"}.isdisjoint(tags)
    assert [line["id"] for line in lines[:3]] == [""] * 3


async def test_a_program_that_is_missing_or_never_ends_stops_nothing() -> None:
    await Program(("/no/such/program",)).show(one())
    await Program((sys.executable, "-c", "import signal; signal.pause()"), within=0.0).show(one())
    await Program((sys.executable, "-c", "")).show(one())


async def test_a_slow_way_has_a_bounded_queue_and_the_rest_is_left_out() -> None:
    open_, shown = asyncio.Event(), list[str]()

    class Slow:
        async def show(self, one: Notified) -> None:
            await open_.wait()
            shown.append(one.tag)

        async def close(self, tag: str) -> None:
            shown.append(f"no {tag}")

        async def end(self) -> None:
            pass

    outside = Outside(Slow())
    for number in range(10 * WAITING_MAX):
        outside.show(one(tag=str(number)))
    open_.set()
    await outside._waiting.join()
    assert len(shown) == WAITING_MAX
    await outside.end()


@pytest.mark.parametrize(
    "written",
    ["notify = 'sh -c x'", "notify = [1]", "notify = ['']", "notify = [", 'notify = ["a\\u0000b"]', "\udcff"],
)
def test_a_configuration_that_is_wrong_is_said(tmp_path: Path, written: str) -> None:
    path = tmp_path / "config.toml"
    assert program_in(path) == ()
    path.write_bytes(written.encode(errors="surrogateescape"))
    with pytest.raises(UsageError):
        program_in(path)
    path.write_text("other = 1")
    assert program_in(path) == ()


@pytest.mark.parametrize("markup", [True, False])
async def test_the_desktop_shows_replaces_and_closes_by_a_real_bus(tmp_path: Path, markup: bool) -> None:
    needs.needs_dbus()
    async with desktop(tmp_path, markup=markup) as (address, screen):
        outside = way_outside({"DBUS_SESSION_BUS_ADDRESS": f"tcp:host=x;{address},guid=1"})
        assert outside is not None
        outside.show(one())
        await screen.until(1)
        ((title, line, urgent),) = screen.shown.values()
        assert (title, urgent) == ("Parlour", False)
        assert line.isprintable()
        assert one().line.startswith("Ben[2J nnn")
        outside.show(one(text="<b>&"))
        outside.show(notified(Level.WHO, Words(), "cleo", "2", "<i>", "", mention=True))
        await screen.until(2)
        assert screen.shown[2] == (
            "Parlour",
            "&lt;i&gt; mentions you" if markup else "<i> mentions you",
            True,
        )
        outside.close("ben", "1")
        await screen.until(1, 1)
        outside.show(one(tag="dan"))
        outside.close_all()
        await screen.until(0, 3)
        await outside.end()


@pytest.mark.parametrize("address", ["", "tcp:host=1.2.3.4,port=1", "unix:tmpdir=/tmp", "nonsense"])
def test_only_a_local_socket_is_a_bus(address: str) -> None:
    with pytest.raises(UsageError):
        socket_of(address)
    assert way_outside({"DBUS_SESSION_BUS_ADDRESS": address}) is None
    assert socket_of("unix:abstract=/tmp/dbus-%41,guid=1") == "\0/tmp/dbus-A"


def _wrong(written: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(written)
        writer.close()

    return serve


@pytest.mark.parametrize(
    "written",
    [
        *(b"", b"REJECTED\r\n", b"OK\r\n", b"x" * 300_000),
        b"OK 1\r\nl\x02\0\x01" + b"\xff" * 12,
        b"OK 1\r\nl\x02\0\x01\x04\0\0\0\x01\0\0\0\x08\0\0\0" + b"\x05\x01x\0" + bytes(8),
    ],
)
async def test_a_bus_that_says_nonsense_shows_nothing(tmp_path: Path, written: bytes) -> None:
    server = await asyncio.start_unix_server(_wrong(written), tmp_path / "bus")
    bus = Notifications(f"unix:path={tmp_path / 'bus'}")
    assert await bus.show("Parlour", "x") == 0
    await bus.close(1)
    await bus.end()
    server.close()
    assert await Notifications(f"unix:path={tmp_path / 'none'}").show("Parlour", "x") == 0
    with pytest.raises(BusFailure):
        Reader(b"\xff\0\0\0").text()
