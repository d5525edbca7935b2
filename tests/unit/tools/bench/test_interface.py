"""What the interface is measured on: frames, a long history, and the real thing on a small one."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from chat.storage import contacts, entries, migrations, profile, receipts
from chat.storage.database import Database
from chat.tools.bench import interface
from chat.tools.bench.flows import PASSPHRASE
from chat.tools.bench.interface import REST, measure
from chat.tools.bench.long_history import create, saying
from chat.tools.bench.terminals import Frame, Frames
from protocol.entries_and_receipts import read_text
from tests.support import machine as needs

DERIVED = ("edges", "missing", "tips", "heads", "unread")


def test_frames_are_what_stands_between_their_marks_however_it_is_cut() -> None:
    sent = b"before\x1b[?2026h\x1b[1;1Hone\x1b[0m\x1b[?2026lbetween\x1b[?2026htwo\xe5\xae\xbd\x1b[?2026lafter"
    for size in (1, 2, 3, 7, len(sent)):
        frames = Frames()
        for now in range(0, len(sent), size):
            frames.hear(sent[now : now + size], float(now))
        assert [frame.text for frame in frames.whole] == ["one", "two宽"]
        first, second = frames.whole
        assert first.began <= first.ended <= second.began <= second.ended


def test_the_frame_of_a_key_counts_to_its_last_byte() -> None:
    frames = Frames()
    frames.hear(b"\x1b[?20", 1.0)
    frames.hear(b"26hab", 2.0)
    frames.hear(b"c\x1b[?2026", 3.0)
    assert not frames.whole
    frames.hear(b"l", 4.0)
    assert frames.whole == [Frame(2.0, 4.0, "abc")]


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
    assert len(database.rows("PRAGMA index_list(entries)")) == 7


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
    assert all(figure.amount for figure in figures if figure.aim is not REST)
    assert "Run 1 of 1." in said
