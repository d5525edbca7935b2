"""Links between two engines that come, break, are replaced and go, and what is said meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from chat.config import Config
from chat.interface import ContactChanged, EntryAdded, EntryChanged, EntryState, UsageError
from chat.network.driver import Driver
from chat.network.links import Links, LiveLink
from chat.service import messages, sync
from chat.service.sync import Inbound
from chat.tasks import Beat
from protocol.limits import PING_AFTER_SECONDS
from protocol.link.handshake import Initiator, Responder
from protocol.link.link import Link
from protocol.link.states import Event, LinkClosed, LinkOpen, MessageReceived
from protocol.messages import (
    Entry,
    HeadsHash,
    LogHeads,
    LogOperations,
    Message,
    Reachable,
    Receipt,
)
from tests.integration.steps import current, dial, in_touch, meet, now, presence, say
from tests.support.engines.engines import delivered, in_virtual_time, links, pair, people, same, talk
from tests.support.lab.virtual import VirtualClock
from tests.support.protocol.links import contacts

EAGER = Config(second_dial_delay=0.0)


@pytest.mark.parametrize("seed", range(6))
@in_virtual_time
async def test_attack_18_links_begun_from_both_ends_at_once_become_one(tmp_path: Path, seed: int) -> None:
    async with in_touch(tmp_path, EAGER, seed) as (_, ada, ben):
        await asyncio.gather(ada.stop(), ben.stop())
        await ada.start()
        waiting = await say(ada, ben, "while away")
        done = delivered(ada, 1)
        await ben.start()
        assert (await done).id == waiting.id
        await asyncio.sleep(15)
        assert links(ada) == links(ben) == 1
        await talk(ben, ada, "one link")
        await same(ada, ben, "before", "while away", "one link")


@pytest.mark.parametrize("answering", [False, True])
@pytest.mark.parametrize("frames", range(14))
@in_virtual_time
async def test_a_link_broken_at_any_frame_loses_and_doubles_nothing(
    tmp_path: Path, frames: int, answering: bool
) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        await ben.stop()
        await say(ada, ben, "one")
        await say(ada, ben, "two")
        network.break_next_after = (None, frames) if answering else (frames, None)
        done = delivered(ada, 2)
        await ben.start()
        await say(ben, ada, "three")
        await done
        await talk(ben, ada, "four")
        await same(ada, ben, "before", "one", "two", "three", "four")


@pytest.mark.parametrize("seconds", [3, 5, 9, 20, 21, 22, 23, 24, 90, 400])
@in_virtual_time
async def test_after_a_cut_the_first_waiting_entry_arrives_within_two_seconds(
    tmp_path: Path, seconds: int
) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        network.cut(ben.host)
        for number in range(5):
            await say(ada, ben, f"ada {number}")
            await say(ben, ada, f"ben {number}")
            await asyncio.sleep(seconds / 5)
        first = ben.wait(EntryAdded, lambda event: not event.entry.own)
        mine, theirs = delivered(ada, 5), delivered(ben, 5)
        healed = now()
        network.heal(ben.host)
        await first
        assert now() - healed < 2.0
        await asyncio.gather(mine, theirs)
        await same(
            ada, ben, "before", *(f"{name} {number}" for name in ("ada", "ben") for number in range(5))
        )
        await asyncio.sleep(60)
        assert links(ada) == links(ben) == 1


@in_virtual_time
async def test_presence_comes_from_the_keepalive_and_not_from_a_link_that_ends(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        gone = presence(ada, present=False)
        network.cut(ben.host)
        await asyncio.wait_for(gone, PING_AFTER_SECONDS + ada.config.absent_after + 1)
        since = len(ada.seen)
        await asyncio.sleep(60)
        later = [event.contact for event in ada.seen[since:] if isinstance(event, ContactChanged)]
        assert not any(contact.present for contact in later)
        assert links(ada) == 0
        back = presence(ada, present=True)
        network.heal(ben.host)
        await asyncio.wait_for(back, 2)


@in_virtual_time
async def test_sent_is_said_only_while_the_link_that_carried_the_entry_lives(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        network.cut(ben.host)
        sent = ada.wait(EntryChanged, lambda event: event.state is EntryState.SENT)
        queued = ada.wait(EntryChanged, lambda event: event.state is EntryState.QUEUED)
        view = await say(ada, ben, "into the cut")
        assert (await sent).id == (await queued).id == view.id


@in_virtual_time
async def test_a_link_remembers_nothing_of_a_text_that_was_acknowledged(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        for number in range(3):
            await talk(ada, ben, str(number))
        link = current(ada, ben)
        assert (link.sent, link.queued) == (set(), {})


@in_virtual_time
async def test_attack_27_one_way_traffic_still_turns_the_ratchet(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        network.seen.clear()
        for number in range(100):
            await talk(ada, ben, str(number))
        frames = [data for here, _, data in network.seen if here == ada.host]
        keys = {frame[2:34] for frame in frames}
        assert len(keys) >= 50


@in_virtual_time
async def test_attack_31_a_resent_entry_keeps_its_id_under_a_new_envelope(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        network.cut(ben.host)
        view = await say(ada, ben, "again and again")
        done = delivered(ada, 1)
        await asyncio.sleep(20)
        network.heal(ben.host)
        assert (await done).id == view.id
        await asyncio.sleep(60)  # what TCP still brings of the old streams
        bodies = [data for here, _, data in network.seen if here == ada.host and len(data) > 100]
        assert len(bodies) == len(set(bodies))
        assert ben.shown_once(2)


@pytest.mark.parametrize("seed", range(4))
@in_virtual_time
async def test_nothing_said_on_a_link_that_is_being_replaced_is_lost(tmp_path: Path, seed: int) -> None:
    async with in_touch(tmp_path, seed=seed) as (_, ada, ben):
        for number in range(1, 60):
            dialled = asyncio.ensure_future(dial(*((ben, ada) if number % 2 else (ada, ben))))
            arrives = ben.wait(EntryAdded)
            for wait in range(number % 7):
                await asyncio.sleep(0.001 * wait)
            await say(ada, ben, str(number))
            event = await arrives
            await ben.engine.mark_read(await ben.contact(ada), (event.entry.id,))
            await dialled
        await asyncio.sleep(9)  # within the life of the last link
        states = [view.state for view in await ada.history(ben)]
        assert states == [EntryState.DELIVERED] + [EntryState.READ] * 59
        assert await ben.texts(ada) == ["before", *(str(number) for number in range(1, 60))]


@in_virtual_time
async def test_what_waited_for_a_link_that_ended_goes_on_the_one_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        monkeypatch.setattr(Links, "_answered", both_stay)
        await dial(ada, ben)
        await asyncio.sleep(0.1)
        assert links(ada) == links(ben) == 2
        monkeypatch.setattr(current(ben, ada).driver, "send", _stuck)
        arrives = ben.wait(EntryAdded)
        view = await say(ada, ben, "unanswered")
        await ben.engine.mark_read(await ben.contact(ada), ((await arrives).entry.id,))
        read = ada.wait(EntryChanged, lambda event: event.id == view.id and event.state is EntryState.READ)
        network.pipes[-1].break_now()
        await asyncio.wait_for(read, 5)
        assert links(ada) == links(ben) == 1


async def _stuck(message: Message) -> None:
    """A connection that takes nothing more."""
    await asyncio.Event().wait()


@in_virtual_time
async def test_an_entry_that_has_arrived_by_one_link_is_not_called_sent_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        monkeypatch.setattr(Links, "_answered", both_stay)
        slow_on_second_link(monkeypatch, current(ada, ben).driver)
        view = await say(ada, ben, "by both")
        await dial(ada, ben)
        await asyncio.sleep(5)
        states = [
            event.state for event in ada.seen if isinstance(event, EntryChanged) and event.id == view.id
        ]
        assert states == [EntryState.SENT, EntryState.DELIVERED]


def slow_on_second_link(monkeypatch: pytest.MonkeyPatch, first: Driver) -> None:
    """Receipts wait half a second, and entries a whole one on all links but the first."""
    send = Driver.send

    async def slowly(self: Driver, message: Message) -> None:
        if isinstance(message, Receipt):
            await asyncio.sleep(0.5)
        if isinstance(message, Entry) and self is not first:
            await asyncio.sleep(1)
        await send(self, message)

    monkeypatch.setattr(Driver, "send", slowly)


async def both_stay(links: Links, link: object, number: int) -> None:
    """No link is closed, as while the keepalive that decides is under way."""


HELD = 200_000


class Narrow:
    """One end of a stream of which each direction holds so many bytes; `write` waits beyond that.

    It waits until little is left, as asyncio's transports do.
    """

    peer = "10.0.0.9"

    def __init__(self) -> None:
        self.other: Narrow
        self.unread = bytearray()
        self.closed = False
        self.reads = True
        self.changed = asyncio.Event()

    def widen(self) -> None:
        """Nothing limits what arrives here."""

    def hold(self, on: bool) -> None:
        """Nothing wakes a process here."""

    async def read(self) -> bytes:
        while not (self.unread and self.reads) and not self._over():
            await self._change()
        data = bytes(self.unread[:65_536])
        del self.unread[:65_536]
        self.other.changed.set()
        return b"" if self.closed else data

    async def write(self, data: bytes) -> None:
        if self._over():
            raise ConnectionResetError("closed")
        self.other.unread += data
        self.other.changed.set()
        full = len(self.other.unread) > HELD
        while full and len(self.other.unread) > HELD // 4:
            await self._change()
            if self._over():
                raise ConnectionResetError("closed")

    def _over(self) -> bool:
        return self.closed or self.other.closed

    async def _change(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    def close(self) -> None:
        self.closed = True
        self.changed.set()
        self.other.changed.set()


LARGE = LogOperations([bytes(1_000)] * 50)


class End:
    """One end of a link, which keeps what happens."""

    def __init__(self, start: Initiator | Responder, stream: Narrow, clock: VirtualClock) -> None:
        self.stream = stream
        self.opened, self.closed = asyncio.Event(), asyncio.Event()
        self.messages: list[Message] = []
        self.driver = Driver(stream, Link(start, clock.monotonic()), clock, Beat(), self)
        self.running = asyncio.ensure_future(self.driver.run())

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, LinkOpen):
                self.opened.set()
            elif isinstance(event, MessageReceived):
                self.messages.append(event.message)
            elif isinstance(event, LinkClosed):
                self.closed.set()

    async def talk(self, messages: int = 1_000_000) -> None:
        while messages and self.driver.link.is_open:
            await self.driver.send(LARGE)
            messages -= 1


async def linked() -> tuple[End, End]:
    """Both ends of an open link."""
    (ada, ben), clock = contacts(), VirtualClock(asyncio.get_running_loop())
    mine, theirs = Narrow(), Narrow()
    mine.other, theirs.other = theirs, mine
    ends = End(ada.calls(ben), mine, clock), End(ben.answers(), theirs, clock)
    await asyncio.gather(*(end.opened.wait() for end in ends))
    return ends


@in_virtual_time(limit=60)
async def test_two_sides_that_have_much_to_say_do_not_wait_for_each_other() -> None:
    one, other = await linked()
    await asyncio.wait_for(asyncio.gather(one.talk(100), other.talk(100)), 30)
    await asyncio.sleep(1)
    assert len(one.messages) == len(other.messages) == 100


@in_virtual_time(limit=60)
async def test_a_link_whose_peer_stops_reading_is_given_up_in_time() -> None:
    one, other = await linked()
    other.stream.reads = False
    other.driver._disarm()
    other.driver._arm = lambda: None  # type: ignore[method-assign]  # its link never gives up by itself
    talking = asyncio.ensure_future(one.talk())
    await asyncio.wait_for(one.closed.wait(), 30)
    talking.cancel()


@in_virtual_time(limit=60)
async def test_closing_does_not_wait_for_a_peer_that_stopped_reading() -> None:
    one, other = await linked()
    other.stream.reads = False
    talking = asyncio.ensure_future(one.talk())
    await asyncio.sleep(0.5)
    await asyncio.wait_for(one.driver.close(2), 3)
    await asyncio.wait_for(one.closed.wait(), 3)
    talking.cancel()


@in_virtual_time(limit=600)
async def test_a_peer_that_asks_and_never_reads_costs_bounded_memory() -> None:
    one, other = await linked()
    other.stream.reads = False
    talking = asyncio.ensure_future(one.talk())
    most = 0
    for _ in range(300):
        if not other.driver.link.is_open:
            break
        for _ in range(100):
            other.driver.link.ping(now())
        with suppress(ConnectionError):
            await other.stream.write(other.driver.link.data_to_send())
        most = max(most, one.driver.link.unsent)
    talking.cancel()
    assert most < 2_000_000


@in_virtual_time
async def test_a_new_link_does_not_wait_for_the_old_one_that_is_stuck(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        old = current(ada, ben)
        await old.driver._writing.acquire()  # a write that waits for a full connection
        network.cut(ben.host)
        await say(ada, ben, "into the cut")
        done = delivered(ada, 1)
        await asyncio.sleep(5)
        first = ben.wait(EntryAdded)
        network.heal(ben.host)
        await asyncio.wait_for(first, 2)
        await asyncio.wait_for(done, 2)
        old.driver._writing.release()


@in_virtual_time
async def test_locking_does_not_wait_for_a_contact_that_does_not_read(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await current(ada, ben).driver._writing.acquire()  # a write that waits for a full connection
        await asyncio.wait_for(ada.engine.lock(), 5)


@in_virtual_time
async def test_typing_goes_on_a_link_that_is_about_to_be_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link sends from the moment at which it opens; what this side does first on the disk takes time."""
    proved = Inbound.proved
    async with in_touch(tmp_path) as (_, ada, ben):
        contact, said = await ada.contact(ben), asyncio.Event()

        async def proved_late(receiving: Inbound, link: LiveLink) -> None:
            if receiving is ada.engine._use_cases.inbound and not said.is_set():
                await ada.engine.typing(contact, True)
                said.set()
            await proved(receiving, link)

        await ben.stop()
        monkeypatch.setattr(Inbound, "proved", proved_late)
        seen = ben.wait(ContactChanged, lambda event: event.contact.typing)
        await ben.start()
        await said.wait()
        assert (await seen).contact.name == "Ada"


@in_virtual_time
async def test_a_spare_link_that_ends_takes_no_mark_of_typing_away(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        marked = ada.wait(ContactChanged, lambda event: event.contact.typing)
        await ben.engine.typing(await ben.contact(ada), True)
        person = bytes.fromhex((await marked).contact.person)
        parts = ada.engine._use_cases
        spare = LiveLink(current(ada, ben).driver, b"s", person, b"t", True, b"", "", 0.0, parts.sync)
        await parts.sync.ended(spare)
        assert [view.typing for view in await ada.engine.contacts()] == [True]
        gone = presence(ada, present=False)
        await ben.stop()
        assert not (await gone).contact.typing


@pytest.mark.parametrize("stretch", [1, 2, 3])
@in_virtual_time
async def test_a_long_outbox_goes_in_order_stretch_by_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    monkeypatch.setattr(sync, "STRETCH", stretch)
    async with in_touch(tmp_path) as (_, ada, ben):
        texts = ["before"] + [f"waiting {number}" for number in range(7)]
        await ben.stop()
        for text in texts[1:]:
            await say(ada, ben, text)
        done = delivered(ada, 7)
        await ben.start()
        await done
        assert await ben.texts(ada) == texts


@in_virtual_time
async def test_an_answer_to_what_is_not_held_keeps_the_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer may name any entry: one that nobody has, or one of a conversation with somebody else."""
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await meet(ada, cleo)
        other = await talk(ada, cleo, "for Cleo alone")
        with pytest.raises(UsageError):
            await ada.engine.send(await ada.contact(ben), "no", other)
        monkeypatch.setattr(messages, "held_in", lambda *_: None)
        for named in (other, "ab" * 32):
            answer = await ben.engine.send(await ben.contact(ada), "answer", named)
            await delivered(ben, 1)
            shown = await ada.engine.entry(await ada.contact(ben), answer.id)
            assert shown is not None
            assert shown.reply == named
            assert await ada.engine.entry(await ada.contact(ben), named) is None


@in_virtual_time
async def test_what_is_said_first_on_a_link_has_the_order_of_the_specification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPEC §11.4: heads of the log, hash of the heads, port, read receipts, and then what waits."""
    async with in_touch(tmp_path) as (_, ada, ben):
        read = await talk(ben, ada, "to be read")
        await ada.engine.mark_read(await ada.contact(ben), (read,))
        await ben.stop()
        for text in ("one", "two"):
            await say(ada, ben, text)
        sent: dict[Driver, list[type[Message]]] = {}
        send = Driver.send

        async def recorded(driver: Driver, message: Message) -> None:
            if driver.link.is_open and driver.connection.peer == ben.host:
                sent.setdefault(driver, []).append(type(message))
            await send(driver, message)

        monkeypatch.setattr(Driver, "send", recorded)
        done = delivered(ada, 2)
        await ben.start()
        await done
        (first,) = (kinds for kinds in sent.values() if LogHeads in kinds)
        assert first[:7] == [LogHeads, LogHeads, HeadsHash, Reachable, Receipt, Entry, Entry]
