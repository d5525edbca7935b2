"""The row commit stores what it says it stores, beside the same rows written without a question."""

from __future__ import annotations

from chat.storage import entries, receipts
from chat.tools.bench import commit, rows
from chat.tools.bench.measure import GOALS
from protocol.link.framing import Assembler
from protocol.messages import MESSAGE, Receipt
from protocol.primitives import AEGIS256

TABLES = ("entries", "bodies", "edges", "unread", "receipts", "tips", "heads", "search")


def test_both_sides_leave_the_same_rows() -> None:
    with commit.sides(AEGIS256) as (receiver, bare):
        for side in (receiver, bare):
            side.prepare(2)
        for _ in range(2):
            receiver.take()
            bare.write()
        counts = [
            [side.database.value(f"SELECT count(*) FROM {table}") for table in TABLES]
            for side in (receiver, bare)
        ]
        assert counts[0] == counts[1] == [512, 512, 511, 512, 512, 1, 1, 512]
        for side in (receiver, bare):
            newest = entries.page(side.database, receiver.conversation, 1)[0]
            assert newest.sequence == 512
            assert side.database.integrity() == ()


def test_a_burst_ends_in_one_receipt_for_what_is_stored() -> None:
    with commit.sides(AEGIS256) as (receiver, _):
        receiver.prepare(1)
        sealed = receiver.take()
        told = MESSAGE.decode(Assembler().add(receiver.contact.decrypt(sealed)) or b"")
        assert isinstance(told, Receipt)
        assert told.kind == receipts.STORED
        assert len(told.ids) == commit.BURST
        assert all(entries.get(receiver.database, entry) is not None for entry in told.ids)


def test_the_row_has_the_agreed_shape_and_its_goal() -> None:
    ours, bare = rows.run("commit", peers=False, rounds=2)
    assert (ours["name"], ours["size"], ours["subject"]) == ("commit", 256, "parlour")
    assert bare["subject"] == "sqlcipher"
    assert min(ours["per_second"], bare["per_second"]) > 0
    assert "x sqlcipher [" in ours["note"]
    assert list(GOALS["commit", 256]) == ["sqlcipher"]


def test_every_name_selects_something() -> None:
    assert rows.select([]) == rows.NAMES
    for name in rows.NAMES:
        assert rows.select([name]) == (name,)
