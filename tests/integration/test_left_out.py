"""A history moves to a device that keeps days: what it does not keep stays with the device that keeps all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chat.interface import DeletionScope
from chat.network.links import LiveLink
from chat.service.moving import Answers
from chat.storage import receipts, reliance
from chat.storage.siblings import NEWEST
from protocol.entries_and_receipts import STORED, conversation_of_two, parse_entry, receipt_for
from protocol.messages import Entry, Message, PassedReceipt
from tests.integration.steps import current, late
from tests.integration.test_amendments import shown
from tests.integration.test_history_moves import (
    LONG,
    MINUTE,
    Wire,
    long_history,
    meets,
    moves,
    whole,
    write_many,
)
from tests.integration.test_own_terminals import terminal_of
from tests.integration.test_retention import DAY, checked, kinds, pass_time, with_an_old_history
from tests.integration.test_shared_contacts import SETTLED
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time
from tests.support.fakes.network import Network

FETCHED = 60.0


class Received:
    """What comes to a person's engine from its other devices: with their bodies, and headers alone."""

    def __init__(self, person: Person) -> None:
        self.bodies, self.alone = list[bytes](), list[bytes]()
        use_cases: Any = person.engine._use_cases
        take, links = use_cases.sync.received, use_cases.forwarding.links

        async def received(link: LiveLink, messages: list[Message]) -> None:
            for message in messages:
                if isinstance(message, Entry) and link in links:
                    some = self.bodies if message.salt else self.alone
                    some.append(parse_entry(message).id)
            await take(link, messages)

        use_cases.sync.received = received

    def of(self, *entries: str) -> tuple[int, int]:
        """How many of some entries came with their bodies, and how many without."""
        some = [bytes.fromhex(one) for one in entries]
        return sum(self.bodies.count(one) for one in some), sum(self.alone.count(one) for one in some)


@asynccontextmanager
async def a_phone_that_keeps_a_day(
    network: Network, desk: Person, folder: Path, *others: Person
) -> AsyncIterator[tuple[Person, Received]]:
    """Another device of Ada, which keeps a day before anything comes to it."""
    phone = devices.device(desk, folder / "phone", "10.0.0.10", 78)
    pass_time(2 * DAY, phone)
    for other in (desk, *others):
        network.part(phone.host, other.host)
    network.join(phone.host, desk.host)
    adopted = Person._run

    async def without_links(self: Person, opened: Any) -> None:
        for other in (desk, *others):
            network.part(phone.host, other.host)
        await adopted(self, opened)

    Person._run = without_links  # type: ignore[method-assign]
    try:
        await devices.link(desk, phone, "phone")
    finally:
        Person._run = adopted  # type: ignore[method-assign]
    await phone.engine.keep(1)
    received = Received(phone)
    for other in (desk, *others):
        network.join(phone.host, other.host)
    try:
        yield phone, received
    finally:
        await phone.engine.close()


@in_virtual_time(limit=8 * 3_600)
async def test_a_device_that_keeps_days_gets_no_older_bodies_and_fetches_them_once_it_keeps_all(
    tmp_path: Path,
) -> None:
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, mine)):
        before = [await shown(one, other) for one, other in ((desk, ben), (ben, desk))]
        async with a_phone_that_keeps_a_day(network, desk, tmp_path, laptop, ben) as (phone, received):
            network.part(phone.host, ben.host)
            network.part(phone.host, laptop.host)
            phone.engine._use_cases.retention._ask = lambda *_: None  # type: ignore[method-assign]
            await asyncio.sleep(FETCHED)
            assert await kinds(phone, ben) == ["elsewhere", "elsewhere", "text"], "it was said unasked"
            assert received.of(theirs, mine) == (0, 2)
            keeper = (await desk.engine.me()).terminal[:8]
            assert [view.kept_on for view in await phone.history(ben)] == [f"{keeper}…", f"{keeper}…", ""]
            roots = [await one.engine.history_root() for one in (desk, phone)]
            assert (roots[0].root, roots[0].entries) == (roots[1].root, roots[1].entries)
            assert roots[1].elsewhere == 2
            await checked(phone)
            await phone.stop()
            await phone.start()
            received = Received(phone)
            await asyncio.sleep(2 * 3_600)
            assert received.of(theirs, mine) == (0, 0), "nobody is asked for it"
            await phone.engine.keep(0)
            await asyncio.sleep(FETCHED)
            assert received.of(theirs, mine) == (2, 0)
            assert await shown(phone, ben) == await shown(desk, ben)
            await checked(phone)
        assert [await shown(one, other) for one, other in ((desk, ben), (ben, desk))] == before


@in_virtual_time(limit=8 * 3_600)
async def test_a_device_that_is_linked_to_keep_days_is_sent_no_older_body(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, mine)):
        phone = devices.device(desk, tmp_path / "phone", "10.0.0.10", 78)
        pass_time(2 * DAY, phone)
        network.part(phone.host, ben.host)
        wires = [Wire(one) for one in (desk, laptop)]
        await devices.link(desk, phone, "phone", keep=1)
        try:
            await asyncio.sleep(FETCHED)
            sent = [one for wire in wires for some in wire.links for one in some]
            old = {bytes.fromhex(one) for one in (theirs, mine)}
            assert {one.id for one in sent} >= old
            assert not [one for one in sent if one.id in old and one.salt]
            assert await kinds(phone, ben) == ["elsewhere", "elsewhere", "text"]
            assert (await phone.engine.retention()).days == 1
        finally:
            await phone.engine.close()


@in_virtual_time(limit=8 * 3_600)
async def test_two_devices_that_keep_all_send_the_rest_at_once_and_no_older_bodies(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, mine)):
        async with a_phone_that_keeps_a_day(network, desk, tmp_path, laptop, ben) as (phone, received):
            network.part(phone.host, ben.host)
            await asyncio.sleep(FETCHED)
            assert await kinds(phone, ben) == ["elsewhere", "elsewhere", "text"]
            assert received.of(theirs, mine)[0] == 0
            roots = {(await one.engine.history_root()).root for one in (desk, laptop, phone)}
            assert len(roots) == 1
            await checked(phone)
        await desk.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert (await kinds(desk, ben))[:2] == ["elsewhere"] * 2, "the laptop keeps all"


@in_virtual_time(limit=8 * 3_600)
async def test_a_device_that_keeps_days_itself_sends_all_that_it_holds(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, mine)):
        await laptop.stop()
        network.part(desk.host, laptop.host)
        await desk.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(desk, ben) == ["text"] * 3, "no device keeps all"
        async with a_phone_that_keeps_a_day(network, desk, tmp_path, laptop, ben) as (phone, received):
            network.part(phone.host, ben.host)
            await asyncio.sleep(FETCHED)
            assert received.of(theirs, mine) == (2, 0)
            assert await kinds(phone, ben) == ["text"] * 3


@in_virtual_time(limit=8 * 3_600)
async def test_the_word_that_another_keeps_it_is_asked_for_again_if_it_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, mine)):
        rely = reliance.rely
        monkeypatch.setattr(reliance, "rely", lambda *_: [])
        async with a_phone_that_keeps_a_day(network, desk, tmp_path, laptop, ben) as (phone, received):
            network.part(phone.host, ben.host)
            network.part(phone.host, laptop.host)
            await asyncio.sleep(FETCHED)
            assert received.of(theirs, mine) == (0, 2)
            assert await kinds(phone, ben) == ["missing", "missing", "text"]
            monkeypatch.setattr(reliance, "rely", rely)
            await asyncio.sleep(3_700)
            assert await kinds(phone, ben) == ["elsewhere", "elsewhere", "text"]
            await checked(phone)


@in_virtual_time(limit=8 * 3_600)
async def test_a_choice_to_keep_all_while_bodies_are_left_out_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, mine)):
        rely = reliance.rely
        monkeypatch.setattr(reliance, "rely", lambda *_: [])
        async with a_phone_that_keeps_a_day(network, desk, tmp_path, laptop, ben) as (phone, received):
            network.part(phone.host, ben.host)
            network.part(phone.host, laptop.host)
            await asyncio.sleep(FETCHED)
            assert await kinds(phone, ben) == ["missing", "missing", "text"]
            monkeypatch.setattr(reliance, "rely", rely)
            await phone.engine.keep(0)
            await asyncio.sleep(FETCHED)
            assert received.of(theirs, mine)[0] == 2
            assert await shown(phone, ben) == await shown(desk, ben)
            assert [view.unread for view in await phone.engine.contacts()] == [1], "the young one"


@in_virtual_time(limit=8 * 3_600)
async def test_an_answer_that_was_begun_under_another_choice_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, mine)):
        step = Answers.step

        async def slow(self: Answers) -> bool:
            await asyncio.sleep(20)
            return await step(self)

        monkeypatch.setattr(Answers, "step", slow)
        async with a_phone_that_keeps_a_day(network, desk, tmp_path, laptop, ben) as (phone, received):
            network.part(phone.host, laptop.host)
            network.part(phone.host, ben.host)
            await asyncio.sleep(3)
            current(desk, phone)  # it has told its choice on this link, and nothing has come
            await phone.engine.keep(0)
            await asyncio.sleep(600)
            assert await kinds(phone, ben) == ["text"] * 3
            assert received.of(theirs, mine)[1] == 0


@in_virtual_time(limit=8 * 3_600)
async def test_what_was_left_out_is_deleted_by_a_delete_and_comes_from_contacts_if_its_keeper_is_removed(
    tmp_path: Path,
) -> None:
    async with (
        with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, mine)),
        a_phone_that_keeps_a_day(network, desk, tmp_path, laptop, ben) as (phone, received),
    ):
        network.part(phone.host, desk.host)
        await asyncio.sleep(FETCHED)
        assert received.of(theirs, mine) == (0, 2)
        await ben.engine.delete(await ben.contact(desk), theirs, DeletionScope.EVERYONE)
        await asyncio.sleep(SETTLED)
        assert (await shown(phone, ben))[0] == ("deleted", "", "author")
        network.join(phone.host, desk.host)
        keeper = (await laptop.engine.me()).terminal
        await desk.engine.remove_terminal(keeper)
        await asyncio.sleep(FETCHED)
        views = [(view.kind, view.kept_on[:8]) for view in await phone.history(ben)]
        assert keeper[:8] not in {kept_on for _, kept_on in views}
        assert [kind for kind, _ in views] == ["deleted", "text", "text"]
        await asyncio.sleep(3_700)
        assert await kinds(phone, ben) == ["deleted", "elsewhere", "text"], "on the desk"
        await checked(phone)


@in_virtual_time(limit=8 * 3_600)
async def test_a_choice_of_days_says_that_nothing_leaves_if_no_other_device_keeps_all(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        assert not (await laptop.engine.keep(1)).stays
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        assert (await desk.engine.keep(1)).stays, "it has heard what the laptop keeps"
        assert not (await desk.engine.keep(1, alone=True)).stays
        assert not (await desk.engine.keep(0)).stays
        await asyncio.sleep(SETTLED)
        await desk.stop()
        await desk.start()
        assert (await desk.engine.keep(30)).stays, "it remembers"
        await asyncio.sleep(SETTLED)
        await laptop.engine.keep(0)
        await asyncio.sleep(FETCHED)
        assert not (await desk.engine.retention()).stays


@pytest.mark.parametrize("away", [False, True])
@in_virtual_time(limit=8 * 3_600)
async def test_what_its_keeper_deletes_there_comes_from_contacts_or_is_on_no_device(
    tmp_path: Path, *, away: bool
) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, (theirs, mine)):
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        if away:
            await laptop.stop()
        friend = await desk.contact(ben)
        await desk.engine.delete(friend, theirs, DeletionScope.HERE)
        await asyncio.sleep(SETTLED)
        if away:
            await laptop.start()
        await asyncio.sleep(FETCHED)
        views = [(view.kind, bool(view.kept_on)) for view in await laptop.history(ben)]
        assert views == [("text", False), ("elsewhere", True), ("text", False)], "Ben had it"
        await asyncio.sleep(2 * 3_600)
        assert (await kinds(laptop, ben))[0] == "text", "no other device keeps it"
        await ben.engine.delete(await ben.contact(desk), mine, DeletionScope.HERE)
        await laptop.engine.keep(1, alone=True)
        await desk.engine.delete(friend, mine, DeletionScope.HERE)
        await asyncio.sleep(2 * 3_600)
        views = [(view.kind, bool(view.kept_on)) for view in await laptop.history(ben)]
        assert views == [("elsewhere", False), ("elsewhere", False), ("text", False)], "its person insists"
        await checked(laptop)


@in_virtual_time(limit=8 * 3_600)
async def test_nothing_goes_by_a_word_that_was_taken_back_before_it_was_followed(tmp_path: Path) -> None:
    """The keeper deletes a text right after it has said that it keeps it, and the other disk is slow."""
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, (theirs, _)):
        network.part(laptop.host, ben.host)
        reliance, friend = desk.engine._use_cases.reliance, await desk.contact(ben)
        answer, done = reliance.answer, list[bytes]()

        async def answers(link: LiveLink, message: PassedReceipt) -> None:
            await answer(link, message)
            if not done and bytes.fromhex(theirs) in message.ids:
                done.append(bytes.fromhex(theirs))
                await desk.engine.delete(friend, theirs, DeletionScope.HERE)

        reliance.answer = answers  # type: ignore[method-assign]
        late(laptop.engine._use_cases.reliance, "rely", 1.0)
        await laptop.engine.keep(1)
        await asyncio.sleep(60)
        assert done
        shown = [(view.kind, view.kept_on != "") for view in await laptop.history(ben)]
        assert shown[0] == ("missing", False), "it is known to be on no other device"


@in_virtual_time(limit=8 * 3_600)
async def test_what_one_keeper_loses_stays_with_the_next_and_goes_on_no_link(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, (theirs, mine)):
        phone = devices.device(desk, tmp_path / "phone", "10.0.0.10", 78)
        pass_time(2 * DAY, phone)
        await devices.link(desk, phone, "phone")
        await asyncio.sleep(FETCHED)
        try:
            await laptop.engine.keep(1)
            await asyncio.sleep(SETTLED)
            (keeper,) = {view.kept_on for view in await laptop.history(ben) if view.kept_on}
            first, second = desk, phone
            if not (await desk.engine.me()).terminal.startswith(keeper[:8]):
                first, second = phone, desk
            received = Received(laptop)
            await first.engine.delete(await first.contact(ben), theirs, DeletionScope.HERE)
            await asyncio.sleep(FETCHED)
            view = (await laptop.history(ben))[0]
            name = (await second.engine.me()).terminal[:8]
            assert view.kind == "elsewhere"
            assert view.kept_on in (f"{name}…", "phone" if second is phone else "")
            assert received.of(theirs, mine) == (0, 0)
        finally:
            await phone.engine.close()


@in_virtual_time(limit=8 * 3_600)
async def test_what_a_keeper_lets_go_alone_is_on_no_device_that_relied_on_it(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, _):
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        network.part(laptop.host, ben.host)
        await desk.engine.keep(1, alone=True)
        await asyncio.sleep(SETTLED)
        assert (await kinds(desk, ben))[:2] == ["elsewhere"] * 2
        await asyncio.sleep(FETCHED)
        assert await kinds(laptop, ben) == ["missing", "missing", "text"]
        network.join(laptop.host, ben.host)
        await asyncio.sleep(600)
        assert await kinds(laptop, ben) == ["text"] * 3


@in_virtual_time
async def test_a_move_of_the_last_days_that_is_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    async with long_history(tmp_path) as (network, desk, laptop, ben, old):
        young = await write_many(desk, ben, NEWEST, since=9_900 * MINUTE)
        store, talk_id = desk.engine._use_cases.store, conversation_of_two(desk.peer.person, ben.peer.person)
        by, to = (bytes.fromhex(terminal_of(one)) for one in (desk, ben))
        arrived = receipt_for(STORED, [*old, *young])
        await store.write(receipts.acknowledge, talk_id, by, to, arrived, desk.clock.wall())
        await laptop.engine.keep(6)
        wire = Wire(desk)

        def cut(link: LiveLink, sent: int) -> None:
            if sent == NEWEST + 300 and len(wire.links) == 1:
                link.driver.abort()

        wire.then = cut
        await meets(network, desk, laptop)
        await asyncio.sleep(300)
        assert (await whole(laptop)).root == (await whole(desk)).root
        assert len(wire.links) > 1
        assert {one.id for sent in wire.links for one in sent if one.salt} == set(young)
        assert [one.id for one in wire.links[0][:NEWEST]] == young, "the newest first"
        await asyncio.sleep(FETCHED)
        views = await laptop.engine.history(await laptop.contact(ben), 1_000)
        assert Counter(view.kind for view in views) == {"elsewhere": LONG, "text": NEWEST}
        assert (await whole(laptop)).elsewhere == LONG
        assert [event.moves for event in moves(laptop)][-1] is False
        await laptop.engine.keep(0)
        await asyncio.sleep(FETCHED)
        assert await laptop.texts(ben) == await desk.texts(ben)
        assert (await whole(laptop)) == await whole(desk)
