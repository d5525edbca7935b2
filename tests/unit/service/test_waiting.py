"""Files that wait: those of each contact in their order, and none for one that may not come."""

from __future__ import annotations

from chat.service.waiting import Waiting
from tests.support.storage.samples import blob

ADA, EVE, NOBODY = blob("Ada"), blob("Eve"), frozenset[bytes | None]()


def entry(number: int) -> bytes:
    return blob(f"entry {number}")


def test_the_first_that_may_come_is_the_one_that_has_waited_longest() -> None:
    waiting = Waiting()
    for number, contact in enumerate([EVE, ADA, None, EVE]):
        waiting.add(entry(number), contact)
    assert waiting.first({ADA, EVE, None}.__contains__) == entry(0)
    assert waiting.first({ADA, None}.__contains__) == entry(1)
    assert waiting.first({None}.__contains__) == entry(2)
    assert waiting.first(NOBODY.__contains__) is None
    assert (waiting.of({EVE}.__contains__), waiting.of(NOBODY.__contains__), len(waiting)) == (2, 0, 4)


def test_what_waits_no_longer_is_gone_and_what_waits_again_is_the_last() -> None:
    waiting = Waiting()
    for number in range(3):
        waiting.add(entry(number), ADA)
    waiting.remove(entry(1))
    waiting.remove(entry(9))
    waiting.add(entry(0), ADA)
    assert (entry(0) in waiting, entry(1) in waiting) == (True, False)
    order = list[bytes]()
    while (first := waiting.first({ADA}.__contains__)) is not None:
        order.append(first)
        waiting.remove(first)
    assert order == [entry(2), entry(0)]
    assert (len(waiting), waiting._turns) == (0, {})
