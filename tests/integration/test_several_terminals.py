"""A contact with several live terminals: links, sending and presence per terminal (SPEC §6.5, §11.4)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.interface import ContactChanged, EntryAdded, EntryChanged, EntryState
from chat.network.links import LiveLink
from chat.service.person_logs import log_intake
from protocol.entries_and_receipts import (
    KIND_TEXT,
    STORED,
    EntryPlace,
    conversation_of_two,
    receipt_for,
    text_body,
    write_entry,
)
from protocol.identity.author import add_operation, rename_operation
from protocol.identity.log import sign_operation
from protocol.keys import X25519Pair
from protocol.link.states import State
from protocol.messages import Heads, HeadsHash
from protocol.primitives import ed25519_from_seed
from tests.integration.steps import current, dial, in_touch, late, meet, presence, say
from tests.support.engines.engines import (
    DEFAULTS,
    Person,
    contact,
    in_virtual_time,
    links,
    own_log,
    people,
    recover,
    take_in,
    talk,
)
from tests.support.engines.terminals import add_terminal
from tests.support.fakes.network import Network
from tests.support.protocol.pairings import removal
from tests.support.protocol.samples import seeded

SECOND = "10.0.0.9"


@asynccontextmanager
async def with_two_terminals(
    folder: Path, seed: int = 1
) -> AsyncIterator[tuple[Network, Person, Person, Person]]:
    """Ada, and Ben at two terminals, each of which has a link with her."""
    async with in_touch(folder) as (network, ada, ben):
        second = await add_terminal(ben, SECOND)
        try:
            await asyncio.sleep(10)
            assert links(ada) == 2
            yield network, ada, ben, second
        finally:
            await second.engine.close()


def sending(ada: Person, *terminals: Person) -> list[LiveLink]:
    return [current(ada, one) for one in terminals]


def arrives(person: Person, text: str) -> asyncio.Future[EntryAdded]:
    return person.wait(EntryAdded, lambda event: event.entry.text == text)


@pytest.mark.parametrize("number", [0, 1])
@in_virtual_time(limit=600)
async def test_case_96_a_link_with_one_terminal_neither_replaces_nor_closes_the_others(
    tmp_path: Path, number: int
) -> None:
    async with with_two_terminals(tmp_path) as (_, ada, ben, second):
        dialled, other = (ben, second) if number == 0 else (second, ben)
        before, kept = current(ada, dialled), current(ada, other)
        await dial(ada, dialled)
        assert current(ada, dialled).replaces == before.session
        await asyncio.sleep(30)
        assert current(ada, dialled) is not before
        assert current(ada, other) is kept
        assert kept.driver.link.state is State.OPEN
        assert (links(ada), links(ben), links(second)) == (2, 2, 2)


@in_virtual_time(limit=600)
async def test_case_96_the_first_link_with_a_second_terminal_names_no_session(tmp_path: Path) -> None:
    """The step of the proof: Ada has a link with the first terminal when she dials the second one."""
    async with with_two_terminals(tmp_path) as (_, ada, ben, second):
        await second.stop()
        await asyncio.sleep(1)
        await second.start()
        second.engine._use_cases.dialer.follow([])
        await dial(ada, second)
        assert (current(ada, second).began, current(ada, second).replaces) == (True, b"")
        await asyncio.sleep(30)
        assert (links(ada), links(ben), links(second)) == (2, 2, 2)


@in_virtual_time(limit=600)
async def test_what_is_said_to_a_contact_goes_to_each_terminal_that_has_a_link(tmp_path: Path) -> None:
    async with with_two_terminals(tmp_path) as (_, ada, ben, second):
        there = arrives(ben, "to both"), arrives(second, "to both")
        typing = [one.wait(ContactChanged, lambda event: event.contact.typing) for one in (ben, second)]
        await ada.engine.typing(await ada.contact(ben), True)
        await asyncio.gather(*typing)
        await talk(ada, ben, "to both")
        await asyncio.gather(*there)


@in_virtual_time(limit=600)
async def test_typing_ends_with_the_last_link_of_the_terminal_that_sent_it(tmp_path: Path) -> None:
    async with with_two_terminals(tmp_path) as (_, ada, _, second):
        typing = ada.wait(ContactChanged, lambda event: event.contact.typing)
        await second.engine.typing(await second.contact(ada), True)
        await typing
        left = current(ada, second)
        stopped = ada.wait(ContactChanged, lambda event: not event.contact.typing)
        begun = asyncio.get_running_loop().time()
        await second.stop()
        assert (await stopped).contact.present
        assert ada.engine._use_cases.links.current(left.peer) is None
        assert asyncio.get_running_loop().time() - begun < DEFAULTS.typing_lasts / 2


@pytest.mark.parametrize("answers", ["first", "second"])
@in_virtual_time(limit=600)
async def test_an_entry_is_delivered_by_the_first_terminal_that_stores_it_and_never_sent_again(
    tmp_path: Path, answers: str
) -> None:
    """The other terminal cannot be heard meanwhile; what its link does afterwards does not undo the state."""
    async with with_two_terminals(tmp_path) as (network, ada, ben, second):
        silent = second if answers == "first" else ben
        network.cut(silent.host)
        entry = await talk(ada, ben, "once")
        since = len(ada.seen)
        await asyncio.sleep(60)
        there = arrives(silent, "once")
        network.heal(silent.host)
        await there
        await asyncio.sleep(5)
        later = [event for event in ada.seen[since:] if isinstance(event, EntryChanged) and event.id == entry]
        assert later == []
        assert (await ada.history(ben))[-1].state is EntryState.DELIVERED


@pytest.mark.parametrize("busy", [False, True])
@in_virtual_time(limit=600)
async def test_a_slow_link_does_not_say_sent_after_another_terminal_has_stored(
    tmp_path: Path, busy: bool
) -> None:
    """It writes the entry late, or first something else."""
    async with with_two_terminals(tmp_path) as (_, ada, ben, second):
        late(current(ada, second).driver, "send", 1.0)
        if busy:
            await ada.engine.typing(await ada.contact(ben), True)
            await asyncio.sleep(0.1)
        there = arrives(second, "once")
        entry = await talk(ada, ben, "once")
        since = len(ada.seen)
        await there
        await asyncio.sleep(5)
        later = [event for event in ada.seen[since:] if isinstance(event, EntryChanged) and event.id == entry]
        assert later == []


@in_virtual_time(limit=600)
async def test_a_contact_is_present_while_any_of_its_terminals_has_a_link(tmp_path: Path) -> None:
    async with with_two_terminals(tmp_path) as (_, ada, ben, second):
        gone = presence(ada, present=False)
        await ben.stop()
        await asyncio.sleep(30)
        assert links(ada) == 1
        assert not gone.done()
        assert (await contact(ada)).present
        there = arrives(second, "to the one that is there")
        await say(ada, ben, "to the one that is there")
        await there
        await second.stop()
        await gone


@in_virtual_time(limit=600)
async def test_each_terminal_of_a_contact_is_dialled(tmp_path: Path) -> None:
    """Neither of Ben's terminals dials here, so that both links come from Ada."""
    async with with_two_terminals(tmp_path) as (network, ada, ben, second):
        for one in (ben, second):
            one.engine._use_cases.dialer.follow([])
        for pipe in list(network.pipes):
            pipe.break_now()
        await asyncio.sleep(10)
        assert [link.began for link in sending(ada, ben, second)] == [True, True]


@in_virtual_time(limit=900)
async def test_an_entry_that_a_terminal_missed_comes_though_a_later_one_came_first(tmp_path: Path) -> None:
    """On the first link the hash of the heads was beyond the rate, and passed over. No head hides the gap."""
    async with with_two_terminals(tmp_path) as (network, ada, ben, second):
        network.part(ben.host, second.host)  # or it would come from there
        network.cut(second.host)
        await talk(ada, ben, "missed")
        await asyncio.sleep(60)
        both = [one.engine._use_cases.sync._comparison for one in (second, ada)]
        compare = [comparison.heads_if_other for comparison in both]

        async def passed_over(link: LiveLink, message: HeadsHash) -> list[Heads]:
            return []

        for comparison in both:
            comparison.heads_if_other = passed_over  # type: ignore[method-assign]
        opened = asyncio.get_running_loop().create_future()
        adopted = ada.engine._use_cases.sync.opened

        async def noted(link: LiveLink) -> None:
            await adopted(link)
            if link.peer == second.peer and not opened.done():
                opened.set_result(None)

        ada.engine._use_cases.sync.opened = noted  # type: ignore[method-assign]
        network.heal(second.host)
        await opened
        there = arrives(second, "later")
        await say(ada, ben, "later")
        await there
        network.cut(second.host)
        await asyncio.sleep(60)
        for comparison, before in zip(both, compare, strict=True):
            comparison.heads_if_other = before  # type: ignore[method-assign]
        assert await second.texts(ada) == ["before", "later"]
        there = arrives(second, "missed")
        network.heal(second.host)
        await there
        assert await second.texts(ada) == ["before", "missed", "later"]


@in_virtual_time(limit=900)
async def test_case_99_what_another_own_terminal_wrote_is_never_shown_as_the_contacts_words(
    tmp_path: Path,
) -> None:
    """Ben's terminal passes it on to Ada's first one. A thief of Ada's key may have added its author."""
    async with in_touch(tmp_path) as (_, ada, ben):
        sibling = await add_terminal(ada, SECOND)
        await talk(ben, ada, "hello")
        unread = (await ada.engine.contacts())[0].unread
        passed_on = arrives(ada, "I owe you 1000")
        await talk(sibling, ben, "I owe you 1000")
        await dial(ada, ben)
        event, entry = (await passed_on).entry, (await ada.history(ben))[-1]
        for view in (event, entry):
            assert (view.author, view.own) == ("Ada", True)
        assert (event.state, entry.state) == (EntryState.SENT, EntryState.DELIVERED), "Ben has it"
        assert (await ada.engine.contacts())[0].unread == unread
        assert (await ben.history(ada))[-1].author == "Ada"
        own = ada.engine._use_cases.keyring.own
        removed = sibling.engine._use_cases.keyring.own.terminal
        signed = removal(await own_log(ada), own.terminal, own.signing_seed, removed)
        await sibling.engine.close()
        await take_in(ada, signed, confirmed=True)
        for _ in range(2):
            assert ((await ada.history(ben))[-1].author, (await ada.history(ben))[-1].own) == ("Ada", True)
            details = await ada.engine.details(await ada.contact(ben), entry.id)
            assert details.person == ada.peer.person.hex()
            await ada.stop()
            await ada.start()


@in_virtual_time(limit=900)
async def test_case_99_a_contact_in_the_own_log_wrote_what_it_wrote(tmp_path: Path) -> None:
    """Ben has a copy of Ada's signing key, and adds his own terminal to her log. Carol returns the Add."""
    async with people(tmp_path, "Ada", "Ben", "Carol") as (_, (ada, ben, carol)):
        await meet(ada, ben)
        await meet(ada, carol)
        await talk(ben, ada, "I owe you 1000")
        parts, bens = ada.engine._use_cases, ben.engine._use_cases.keyring
        own, static = parts.keyring.own, bens.identity.static.public
        claim = add_operation(
            parts.keyring.own_log, own.terminal, ed25519_from_seed(bens.own.signing_seed), static, "laptop"
        )
        added = sign_operation(claim, own.signing_seed, bens.own.signing_seed)
        await parts.own_log.received([added])
        assert bens.own.terminal in parts.keyring.own_log.live
        for _ in range(2):
            (view,) = [view for view in await ada.history(ben) if view.kind == "text"]
            assert (view.author, view.own) == ("Ben", False)
            assert (await ada.engine.details(await ada.contact(ben), view.id)).person == ben.peer.person.hex()
            await ada.stop()
            await ada.start()


@in_virtual_time(limit=900)
async def test_case_99_what_a_former_own_terminal_in_a_contacts_log_writes_is_a_claim(tmp_path: Path) -> None:
    """Its thief has its keys, and not the self key, once Ada has recovered with new ones."""
    async with in_touch(tmp_path) as (_, ada, ben):
        words = (await ada.engine.recovery_words()).words
        parts, bens, link = ada.engine._use_cases, ben.engine._use_cases, current(ada, ben)
        former, log = parts.keyring.own, parts.keyring.own_log
        renames = [rename_operation(log, former.terminal, name) for name in ("A", "B")]
        await take_in(ada, *(sign_operation(rename, former.signing_seed) for rename in renames))
        await recover(ada, words, ())
        assert parts.keyring.own.terminal != former.terminal
        signing, static = ed25519_from_seed(former.signing_seed), X25519Pair(former.static_secret).public
        claim = add_operation(bens.keyring.own_log, bens.keyring.own.terminal, signing, static, "laptop")
        added = sign_operation(claim, bens.keyring.own.signing_seed, former.signing_seed)
        await parts.sync._logs.received(ben.peer, [added], log_intake(0.0))
        state = parts.keyring.log(ben.peer.person)
        assert former.terminal in state.live
        conversation = conversation_of_two(ada.peer.person, ben.peer.person)
        place = EntryPlace(conversation, former.terminal, b"planted.", None, [], state.heads)
        body = text_body("I owe Ben 1000")
        planted = write_entry(place, ada.clock.wall(), KIND_TEXT, body, b"s" * 32, seeded("salt"))
        receipt = receipt_for(STORED, [planted.id])
        assert await parts.inbound.entries(link, [planted.message()]) == (receipt, [])
        shown = [(view.text, view.claimed) for view in await ada.history(ben) if view.kind == "text"]
        assert shown == [("before", ""), ("I owe Ben 1000", "contact")]
        assert not (await ada.history(ben))[-1].own
