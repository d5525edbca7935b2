"""The report of the interface, and what it is measured on. How fast it is is no test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from chat.storage import contacts, entries, migrations, profile, receipts
from chat.storage.database import Database
from chat.tools.bench import interface
from chat.tools.bench.flows import PASSPHRASE
from chat.tools.bench.interface import AIMS, IDLE, MEMORY, PAGE_UP, REST, START, Round, measure
from chat.tools.bench.long_history import create, saying
from chat.tools.bench.measure import Aim, Figure, FlowSample, NotTaken
from chat.tools.bench.terminals import Frame, Frames
from protocol.entries import read_text
from tests.support import machine as needs
from tests.support.cli.line import Line

BOUNDS = {
    "interface.start": 0.6,
    "interface.typing": 0.016,
    "interface.cursor": 0.016,
    "interface.pageup": 0.03,
    "interface.memory": 150.0,
    "interface.idle": 0.01,
}
DERIVED = ("edges", "missing", "tips", "heads", "unread")


def test_every_figure_has_its_bound_a_million_entries_and_three_runs() -> None:
    assert {aim.name: aim.bound for aim in AIMS} == BOUNDS
    assert interface.ENTRIES == 1_000_000
    assert interface.RUNS == 3
    assert IDLE == 30


@pytest.fixture
def line(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(tmp_path, capfd, monkeypatch)


def rounds_of(monkeypatch: pytest.MonkeyPatch, part: Callable[[Aim, int], float]) -> None:

    def played(_folder: Path, _say: object, runs: int, _entries: int) -> list[Round]:
        return [
            {aim: FlowSample(aim.bound * part(aim, run), aside="aside") for aim in AIMS}
            for run in range(runs)
        ]

    monkeypatch.setattr(interface, "_rounds", played)


@pytest.mark.parametrize("slow", [None, *AIMS], ids=lambda aim: aim.name if aim else "none")
def test_a_missed_bound_is_status_1(slow: Aim | None, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds_of(monkeypatch, lambda aim, run: 1.01 if aim is slow and run else 0.5)  # two of three: the median
    outcome = line.run("bench", "--interface", "--json", passphrase=False)
    assert outcome.status == (0 if slow is None else 1)
    assert [row["name"] for row in outcome.objects] == list(BOUNDS)
    missed = [row["name"] for row in outcome.objects if "MISSED" in str(row["note"])]
    assert missed == ([slow.name] if slow else [])
    for row in outcome.objects:
        assert list(row) == ["name", "size", "subject", "per_second", "unit", "note"]
        assert json.loads(json.dumps(row)) == row


def test_the_best_run_does_not_count(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds_of(monkeypatch, lambda _aim, run: (2.0, 0.1, 0.9)[run])
    assert line.run("bench", "--interface", passphrase=False).status == 0
    rounds_of(monkeypatch, lambda _aim, run: (2.0, 0.1, 1.0)[run])
    assert line.run("bench", "--interface", passphrase=False).status == 1


def test_amounts_are_said_in_their_units(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds_of(monkeypatch, lambda _aim, _run: 0.5)
    text = line.run("bench", "--interface", passphrase=False).out
    assert "interface.start  0.30 s of at most 0.60 s, kept (median of 3" in text
    assert "interface.pageup 15.0 ms of at most 30.0 ms" in text
    assert "interface.memory 75.0 MiB of at most 150.0 MiB" in text
    assert "interface.idle   0.50% of a core of at most 1.00% of a core" in text
    assert Figure(MEMORY, (FlowSample(75.0),)).row()["size"] == 75 * 2**20
    assert Figure(PAGE_UP, (FlowSample(0.02),)).row()["per_second"] == 50
    assert Figure(REST, (FlowSample(0.004),)).row()["per_second"] == 0.004
    assert Figure(START, ()).row()["per_second"] is None


def test_it_is_one_measurement_by_itself(line: Line) -> None:
    for more in ("--flows", "--peers", "codec"):
        assert line.run("bench", "--interface", more, passphrase=False).status == 64


def test_what_cannot_be_measured_is_not_passed(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(*_: object) -> list[Round]:
        raise NotTaken("no network namespace can be had")

    monkeypatch.setattr(interface, "_rounds", lacks)
    outcome = line.run("bench", "--interface", passphrase=False)
    assert outcome.status == 1
    assert outcome.out.count("not taken, at most") == len(AIMS)


def test_frames_are_what_stands_between_their_marks_however_it_is_cut() -> None:
    sent = b"before\x1b[?2026h\x1b[1;1Hone\x1b[0m\x1b[?2026lbetween\x1b[?2026htwo\xe5\xae\xbd\x1b[?2026lafter"
    for size in (1, 2, 3, 7, len(sent)):
        frames = Frames()
        for now in range(0, len(sent), size):
            frames.hear(sent[now : now + size], float(now))
        assert [frame.text for frame in frames.whole] == ["one", "two宽"]
        assert [frame.bytes for frame in frames.whole] == [len(b"\x1b[1;1Hone\x1b[0m"), len("two宽".encode())]
        first, second = frames.whole
        assert first.began <= first.ended <= second.began <= second.ended


def test_the_frame_of_a_key_counts_to_its_last_byte() -> None:
    frames = Frames()
    frames.hear(b"\x1b[?20", 1.0)
    frames.hear(b"26hab", 2.0)
    frames.hear(b"c\x1b[?2026", 3.0)
    assert not frames.whole
    frames.hear(b"l", 4.0)
    assert frames.whole == [Frame(2.0, 4.0, 3, "abc")]


def test_a_long_history_is_as_the_engine_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat.tools.bench.long_history.BATCH", 150)
    told: list[int] = []
    create(tmp_path / "Ada", PASSPHRASE, 400, told.append)
    assert told[-1] == 400
    with profile.unlock(tmp_path / "Ada", PASSPHRASE) as opened:
        database = opened.database()
        try:
            _check(database)
        finally:
            database.close()


def _check(database: Database) -> None:
    (conversation,) = contacts.conversations(database)
    held = entries.page(database, conversation.id, 1000)
    texts = [read_text(row.body).text for row in held]
    assert [text.split()[0] for text in texts] == [f"#{number}" for number in range(1, 401)]
    assert len({row.author for row in held}) == 2
    assert any(read_text(row.body).reply for row in held)
    assert all(len(rows) == 2 for rows in receipts.of(database, [row.id for row in held]).values())
    assert receipts.unread(database, conversation.id) == 0
    before = _derived(database)
    with database.transaction():
        migrations.rebuild(database)
    assert _derived(database) == before
    assert database.integrity() == ()
    assert len(database.rows("PRAGMA index_list(entries)")) == 3


def _derived(database: Database) -> list[object]:
    """All that is computed from the entries, ranks and the index of words included."""
    tables = [database.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in DERIVED]
    ranks = database.rows("SELECT number, rank FROM entries ORDER BY number")
    return [tables, ranks, database.rows("SELECT rowid, text FROM search ORDER BY rowid")]


def test_texts_are_of_many_kinds_and_the_same_each_time() -> None:
    random, again = Random(1), Random(1)
    texts = [saying(number, random) for number in range(2000)]
    assert texts == [saying(number, again) for number in range(2000)]
    for part in ("```", "**", "https://", "\n> ", "\n- ", "。", "🎉"):
        assert any(part in text for text in texts)
    assert max(map(len, texts)) > 500 > 20 > min(map(len, texts))


@pytest.mark.network
@pytest.mark.slow
def test_the_interface_comes_through_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    needs.needs_root_network()
    for name, value in (("CURSOR_KEYS", 30), ("PAGES", 20), ("STARTS", 1), ("IDLE", 0.2), ("REPEAT", 0.0)):
        monkeypatch.setattr(interface, name, value)
    said: list[str] = []
    figures = list(measure(said.append, runs=1, entries=1000))
    assert all(
        figure.amount is not None and figure.amount > 0 for figure in figures if figure.aim is not REST
    )
    assert "Run 1 of 1." in said
