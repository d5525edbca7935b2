"""Heads of a conversation in which one author's chain forks without end (SPEC §11.4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from chat.interface import EntryAdded
from protocol.entries_and_receipts import parse_entry
from protocol.limits import HEADS_MAX, HEADS_PER_AUTHOR_MAX
from protocol.messages import Entry, Heads
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
