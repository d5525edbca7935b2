"""What own terminals pass on together: the entries go to the disk at once, and then the marks."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Sequence

import pytest

from chat.service import marks
from chat.service.marks import Early, entries_first
from chat.storage.siblings import PassedMark
from protocol.limits import EARLY_MARKS_MAX
from protocol.messages import Digests, Entry, Message, PassedReceipt

TALK, TERMINAL = bytes(32), bytes(range(32))


def entry(number: int) -> Entry:
    return Entry(bytes([number]), b"", b"")


def mark(number: int) -> PassedReceipt:
    return PassedReceipt(TALK, TERMINAL, 1, [bytes([number]) * 32])


def test_entries_come_before_the_marks_among_them() -> None:
    came: list[Message] = [entry(1), mark(1), entry(2), mark(2), entry(3)]
    assert list(entries_first(came, lambda _: None)) == [entry(1), entry(2), entry(3), mark(1), mark(2)]


def test_nothing_passes_what_is_neither() -> None:
    over = Digests([])
    came: list[Message] = [mark(1), over, mark(2), entry(2), over, entry(3), mark(3)]
    heard = list[Sequence[Message]]()
    ordered = entries_first(came, heard.append)
    assert [next(ordered), next(ordered)] == [mark(1), over]
    assert heard == [[mark(1)]], "what follows is not heard before"
    assert list(ordered) == [entry(2), mark(2), over, entry(3), mark(3)]
    assert heard == [[mark(1)], [mark(2), entry(2)], [entry(3), mark(3)]]


def said(terminal: int) -> PassedMark:
    return PassedMark(bytes(32), bytes([terminal]) * 32, 1, is_receipt=True)


def test_marks_of_what_is_not_held_make_way_by_their_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "EARLY_MARKS_MAX", 4)
    early = Early()
    for entry in (b"1", b"2", b"3"):
        early.add(entry, said(1))
    early.add(b"1", said(1))
    early.add(b"1", said(2))
    assert early.of(b"1") == (said(1), said(2))
    early.add(b"4", said(1))
    assert [early.of(entry) for entry in (b"1", b"2", b"3", b"4")] == [(), (said(1),), (said(1),), (said(1),)]
    early.forget(b"2", {said(1)})
    early.forget(b"9", {said(1)})
    early.add(b"5", said(1))
    early.add(b"5", said(2))
    assert (early.of(b"3"), early.of(b"5")) == ((said(1),), (said(1), said(2)))
    early.add(b"6", said(1))
    assert (early.of(b"3"), early.of(b"4")) == ((), (said(1),))


@pytest.mark.parametrize("each", [1, 1_024], ids=["a mark for each entry", "a mark for many entries"])
def test_a_link_full_of_marks_of_what_is_not_held_takes_little_memory(each: int) -> None:
    tracemalloc.start()
    try:
        early, before = Early(), tracemalloc.get_traced_memory()[0]
        for _ in range(0, 2 * EARLY_MARKS_MAX, each):
            mark = PassedMark(TALK, os.urandom(32), 1, is_receipt=True)
            for _ in range(each):
                early.add(os.urandom(32), mark)
        assert tracemalloc.get_traced_memory()[0] - before < 1.5 * 2**20
    finally:
        tracemalloc.stop()


def test_a_mark_that_came_while_others_were_stored_stays() -> None:
    early = Early()
    early.add(b"1", said(1))
    early.add(b"1", said(2))
    early.forget(b"1", [said(1), said(3)])
    assert (early.of(b"1"), early.stored) == ((said(2),), {b"1": {said(1)}})
