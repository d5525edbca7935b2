"""What of a text is compared with the passphrase, how often, and what happens where it cannot be."""

from __future__ import annotations

import asyncio

import pytest

from chat.guarding import AHEAD_MAX, FORMS_MAX, IN_DOUBT, IS_PASSPHRASE, Guard
from chat.interface import BadData

PASSPHRASE = "correct horse battery"


class Unlock:
    """Says whether a text is the passphrase, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.busy = 0

    async def __call__(self, text: str) -> bool:
        self.asked.append(text)
        self.busy += 1
        assert self.busy == 1, "two unlocks at a time take twice the memory"
        await asyncio.sleep(0)
        self.busy -= 1
        return text == PASSPHRASE


@pytest.mark.parametrize(
    "text",
    [
        PASSPHRASE,
        f"{PASSPHRASE}   ",
        f"\t{PASSPHRASE}",
        f"{PASSPHRASE}\n",
        f"hello\n{PASSPHRASE}\nuntil later",
        f"hello\n  {PASSPHRASE} \r\nuntil later",
    ],
)
async def test_the_passphrase_is_found_wherever_it_stands_in_a_text(text: str) -> None:
    assert await Guard(Unlock()).doubt(text) == IS_PASSPHRASE


async def test_it_is_found_behind_a_draft_and_where_other_places_took_its_first_letters() -> None:
    assert await Guard(Unlock()).doubt(f"I come at three{PASSPHRASE}", "I come at three") == IS_PASSPHRASE
    assert await Guard(Unlock()).doubt("ct horse battery", typed=PASSPHRASE) == IS_PASSPHRASE


async def test_other_texts_leave_and_are_compared_once() -> None:
    unlock = Unlock()
    guard = Guard(unlock)
    await guard.look_ahead("hello")
    assert await guard.doubt("hello") is None
    assert unlock.asked == ["hello"]


async def test_after_the_first_text_nothing_is_compared_and_where_it_was_asked_for_never() -> None:
    unlock = Unlock()
    guard = Guard(unlock)
    assert guard.watches
    guard.let_out()
    assert not guard.watches
    assert await guard.doubt(PASSPHRASE) is None
    assert await Guard().doubt(PASSPHRASE) is None
    assert unlock.asked == []


async def test_neither_a_long_text_nor_much_writing_costs_more_than_a_bound() -> None:
    unlock = Unlock()
    assert await Guard(unlock).doubt("\n".join(map(str, range(1000)))) is None
    assert len(unlock.asked) == FORMS_MAX
    ahead = Unlock()
    guard = Guard(ahead)
    for number in range(2 * AHEAD_MAX):
        await guard.look_ahead(f"text {number}")
    assert len(ahead.asked) == AHEAD_MAX


async def test_two_comparisons_follow_each_other_and_the_later_one_waits_for_one_only() -> None:
    unlock = Unlock()
    guard = Guard(unlock)
    await asyncio.gather(*(guard.look_ahead(text) for text in ("a", "ab")), guard.doubt("abc"))
    assert sorted(unlock.asked) == ["a", "abc"]


async def test_what_cannot_be_compared_is_asked_about_and_not_sent() -> None:
    async def fails(_text: str) -> bool:
        raise BadData("the header is damaged")

    assert await Guard(fails).doubt("hello") == IN_DOUBT


async def test_no_guard_holds_what_was_typed() -> None:
    guard = Guard(Unlock())
    await guard.doubt(PASSPHRASE)
    assert guard._known
    assert not any(PASSPHRASE.encode() in name for name in guard._known)
