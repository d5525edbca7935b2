"""What own terminals pass on together: the entries go to the disk at once, and then the marks."""

from __future__ import annotations

import pytest

from chat.service import marks
from chat.service.marks import Early, entries_first
from chat.storage.siblings import PassedMark
from protocol.messages import Digests, Entry, Message, PassedReceipt

TALK, TERMINAL = bytes(32), bytes(range(32))


def entry(number: int) -> Entry:
    return Entry(bytes([number]), b"", b"")


def mark(number: int) -> PassedReceipt:
    return PassedReceipt(TALK, TERMINAL, 1, [bytes([number]) * 32])


def test_entries_come_before_the_marks_among_them() -> None:
    came: list[Message] = [entry(1), mark(1), entry(2), mark(2), entry(3)]
    assert list(entries_first(came)) == [entry(1), entry(2), entry(3), mark(1), mark(2)]


def test_nothing_passes_what_is_neither() -> None:
    over = Digests([])
    came: list[Message] = [mark(1), over, mark(2), entry(2), over, entry(3), mark(3)]
    assert list(entries_first(came)) == [mark(1), over, entry(2), mark(2), over, entry(3), mark(3)]


def said(terminal: int) -> PassedMark:
    return PassedMark(bytes(32), bytes([terminal]) * 32, 1, is_receipt=True)


def test_marks_of_what_is_not_held_make_way_by_their_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "EARLY_MARKS_MAX", 4)
    early = Early()
    for entry in (b"1", b"2", b"3"):
        early.add(entry, said(1))
    early.add(b"1", said(1))
    early.add(b"1", said(2))
    assert early.of(b"1") == {said(1), said(2)}
    early.add(b"4", said(1))
    assert [early.of(entry) for entry in (b"1", b"2", b"3", b"4")] == [(), {said(1)}, {said(1)}, {said(1)}]
    early.forget([b"2", b"9"])
    early.add(b"5", said(1))
    early.add(b"5", said(2))
    assert (early.of(b"3"), early.of(b"5")) == ({said(1)}, {said(1), said(2)})
    early.add(b"6", said(1))
    assert (early.of(b"3"), early.of(b"4")) == ((), {said(1)})
