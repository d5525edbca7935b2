"""Heads of a conversation in which one author's chain forks without end (SPEC §11.4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chat.interface import EntryAdded
from chat.service.comparison import HEADS_AT_ONCE, PAGES_WAITING, Comparison
from chat.storage import entries, repair
from protocol.entries_and_receipts import conversation_of_two, parse_entry
from protocol.errors import ProtocolError
from protocol.limits import HEADS_MAX, HEADS_PER_AUTHOR_MAX
from protocol.messages import Entry, Head, Heads
from tests.integration.steps import current, entry_of, in_touch
from tests.integration.test_attacks_on_engines import heard
from tests.support.engines.engines import Person, in_virtual_time, links, talk

FORKS = HEADS_MAX + 20


def terminal(person: Person) -> bytes:
    return person.engine._use_cases.keyring.own.terminal


@in_virtual_time(limit=600)
async def test_case_95_forks_of_one_author_push_no_other_author_out_of_the_heads(tmp_path: Path) -> None:
    """The one whose terminal id is the lower forks, so that the other one's heads would come behind."""
    async with in_touch(tmp_path) as (network, ada, ben):
        forking, honest = sorted((ada, ben), key=terminal)
        await talk(honest, forking, "an honest entry")
        last = honest.wait(EntryAdded, lambda event: event.entry.text == f"fork {FORKS - 1}")
        for number in range(FORKS):
            await current(forking, honest).driver.send(entry_of(forking, honest, text=f"fork {number}"))
        await last
        told, repeated = heard(forking), heard(honest)
        for pipe in list(network.pipes):
            pipe.break_now()
        await asyncio.sleep(20)
        named = Counter(head.author for page in told if isinstance(page, Heads) for head in page.heads)
        assert named == {terminal(forking): HEADS_PER_AUTHOR_MAX, terminal(honest): 1}
        authors = [parse_entry(message).header.author for message in repeated if isinstance(message, Entry)]
        assert terminal(honest) not in authors
        told.clear()
        for pipe in list(network.pipes):
            pipe.break_now()
        await asyncio.sleep(20)
        assert links(ada) == links(ben) == 1
        assert not [message for message in told if isinstance(message, Heads)]


# --- Pages of heads ---

Find = Callable[[], Awaitable[list[bytes]]]


class Answering:
    """What answers a page that Ben sends to Ada. `carried` finds the entries of each answer."""

    def __init__(self, ada: Person, ben: Person) -> None:
        self.ada, self.link, self.carried = ada, current(ada, ben), asyncio.Queue[Find]()
        self.comparison: Comparison = ada.engine._use_cases.sync._comparison
        persons = (one.peer.person for one in (ada, ben))
        self.conversation = conversation_of_two(*persons)

    def page(self, *heads: Head, after: bytes = b"") -> Heads:
        return Heads(self.conversation, after, list(heads), more=False)

    async def get(self, page: Heads) -> None:
        await self.comparison.answer(self.link, page, self.carried.put_nowait)


@in_virtual_time(limit=600)
async def test_case_94_so_many_pages_of_a_link_wait_and_no_more(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        answering = Answering(ada, ben)
        for _ in range(PAGES_WAITING + 4):
            await answering.get(answering.page())
        assert answering.comparison._waiting[answering.link] == PAGES_WAITING
        assert answering.carried.qsize() <= HEADS_AT_ONCE
        await asyncio.sleep(200)
        assert answering.carried.qsize() == PAGES_WAITING


@in_virtual_time(limit=1_000)
async def test_a_page_that_is_answered_waits_no_more(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        answering = Answering(ada, ben)
        for _ in range(PAGES_WAITING + 4):
            await answering.get(answering.page())
            find = await answering.carried.get()
            await find()
        assert answering.comparison._waiting[answering.link] == 0


@in_virtual_time
async def test_nothing_is_found_for_a_link_that_has_ended(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        answering = Answering(ada, ben)
        for _ in range(int(HEADS_AT_ONCE) + 1):
            await answering.get(answering.page())
        answering.comparison.ended(answering.link)
        before = answering.carried.qsize()
        await asyncio.sleep(60)
        assert answering.carried.qsize() == before


@in_virtual_time
async def test_a_wrong_page_is_an_error_of_the_peer_and_takes_no_place(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        answering = Answering(ada, ben)
        elsewhere = Heads(bytes(32), b"", [], more=False)
        for page in (elsewhere, answering.page(after=bytes(31))):
            with pytest.raises(ProtocolError):
                await answering.get(page)
        assert answering.comparison._waiting[answering.link] == 0
        assert answering.carried.empty()


@in_virtual_time
async def test_an_answer_of_many_pieces_stands_in_the_order_of_the_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        monkeypatch.setattr(repair, "PIECE", 1)
        for number in range(4):
            await talk(ada, ben, f"from Ada {number}")
            await talk(ben, ada, f"from Ben {number}")
        answering = Answering(ada, ben)
        await answering.get(answering.page())
        store = ada.engine._use_cases.store
        rows = await store.read(entries.page, answering.conversation, 100)
        assert await answering.carried.get_nowait()() == [row.id for row in rows]
