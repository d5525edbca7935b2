"""What own terminals pass on together: the entries go to the disk at once, and then the marks."""

from __future__ import annotations

from chat.service.marks import entries_first
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
    over = Digests([], 0)
    came: list[Message] = [mark(1), over, mark(2), entry(2), over, entry(3), mark(3)]
    assert list(entries_first(came)) == [mark(1), over, entry(2), mark(2), over, entry(3), mark(3)]
