"""Limits for peers that are not authenticated yet, and the backoff."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from unittest import mock

import pytest

from chat.config import Config
from chat.network import limits as bounds
from chat.network.backoff import Backoff
from chat.network.limits import GONE_MAX, UNPROVEN, Admission, Entered, FairShares, Gate, RateLimiter, Turns
from protocol.limits import HANDSHAKE_SECONDS
from tests.support.engines.engines import in_virtual_time

AT_ONCE = int(bounds.ANNOUNCEMENTS_AT_ONCE)


def admitted(entered: Iterable[Entered | None]) -> int:
    return sum(one is not None for one in entered)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_when_it_is_full_the_oldest_that_has_proved_nothing_gives_way_or_the_newcomer_waits() -> None:
    clock = Clock()
    gate = Gate(total=3, an_address=9, now=clock)
    settled, first, second, new = (mock.Mock() for _ in range(4))
    gate.enter(settled, "10.0.0.1")
    clock.now += UNPROVEN
    gate.enter(first, "10.0.0.2")
    clock.now += 1
    gate.enter(second, "10.0.0.3")
    assert gate.enter(new, "10.0.0.4")
    clock.now += UNPROVEN
    assert not gate.enter(mock.Mock(), "10.0.0.5"), "all have lived long"
    assert [guest.abort.called for guest in (settled, first, second, new)] == [False, True, False, False]
    assert len(gate) == 3
    assert UNPROVEN > HANDSHAKE_SECONDS, "a connection with a link is older than what gives way"


def test_one_that_is_kept_makes_no_room_however_many_come() -> None:
    clock = Clock()
    gate = Gate(total=3, an_address=9, now=clock)
    kept, stranger = mock.Mock(), mock.Mock()
    gate.keep(stranger)
    assert len(gate) == 0
    gate.enter(kept, "10.0.0.1")
    gate.keep(kept)
    for number in range(100):
        clock.now += 0.01
        assert gate.enter(mock.Mock(), f"10.0.1.{number}")
    assert not kept.abort.called
    gate.left(kept)
    gate.keep(kept)
    assert len(gate) == 2


def test_leaving_twice_or_never_having_entered_does_no_harm_and_a_scope_is_no_other_address() -> None:
    gate = Gate(total=9, an_address=1, now=Clock())
    guest = mock.Mock()
    gate.enter(guest, "10.0.0.1")
    gate.left(guest)
    gate.left(guest)
    gate.left(mock.Mock())
    assert len(gate) == 0
    assert gate.enter(mock.Mock(), "fe80::1%eth0")
    assert not gate.enter(mock.Mock(), "fe80::1%eth1")


def test_a_flood_from_everywhere_takes_no_more_than_the_total() -> None:
    clock = Clock()
    gate = Gate(total=8, an_address=2, now=clock)
    guests = [mock.Mock() for _ in range(1000)]
    for number, guest in enumerate(guests):
        clock.now += 0.001
        assert gate.enter(guest, f"10.0.{number // 250}.{number % 250}")
        assert len(gate) <= 8
    assert sum(not guest.abort.called for guest in guests) == 8


def test_a_flood_of_strangers_leaves_contacts_their_share_and_one_address_gets_few_places() -> None:
    admission = Admission(total=8, per_address=4, rate=10.0)
    entered = [admission.enter(f"10.0.0.{n % 50}", known=False, now=0.0) for n in range(1_000)]
    assert admitted(entered) == 6
    assert admission.enter("10.0.1.1", known=True, now=0.0)
    admission = Admission(total=64, per_address=4, rate=100.0)
    entered = [admission.enter("10.0.0.1", known=False, now=0.0) for _ in range(20)]
    assert admitted(entered) == 4
    assert entered[0] is not None
    admission.leave(entered[0])
    assert admission.enter("10.0.0.1", known=False, now=0.0)


def test_work_is_limited_a_second_and_not_by_a_clock_that_jumps_back() -> None:
    admission = Admission(total=10_000, per_address=10_000, rate=10.0)
    assert admitted(admission.enter(f"10.0.{n}.1", known=False, now=5.0) for n in range(100)) == 20
    assert not admission.enter("10.1.0.1", known=False, now=1.0)
    assert admitted(admission.enter(f"10.2.{n}.1", known=False, now=6.0) for n in range(100)) == 10


def test_a_contact_that_fills_the_share_of_contacts_keeps_no_other_one_out() -> None:
    """By many addresses at once, and by many handshakes a second; what is left for others is theirs alone."""
    admission = Admission(total=8, per_address=4, rate=10.0)
    flood = [admission.enter(f"10.0.0.{n}", known=True, now=0.0, terminals=["thief"]) for n in range(100)]
    assert admitted(flood) == 1 + 8
    other = admission.enter("10.0.1.1", known=True, now=0.0, terminals=["thief", "owner"])
    assert other is not None
    assert admission.enter("10.0.1.1", known=True, now=0.0, terminals=["owner"]) is None, "one at a time"
    admission.leave(other)
    busy = Admission(total=100, per_address=100, rate=10.0)
    for _ in range(100):
        entered = busy.enter("10.0.0.1", known=True, now=0.0, terminals=["thief"])
        if entered is not None:
            busy.leave(entered)
    assert busy.enter("10.0.0.1", known=True, now=0.0, terminals=["thief"]) is None
    assert busy.enter("10.0.1.1", known=True, now=0.0) is None, "the shared rate is used up"
    for _ in range(4):
        entered = busy.enter("10.0.1.1", known=True, now=0.0, terminals=["owner"])
        assert entered is not None
        busy.leave(entered)
    assert busy.enter("10.0.1.1", known=True, now=0.0, terminals=["owner"]) is None, "four at once"
    assert busy.enter("10.0.1.1", known=True, now=2.0, terminals=["owner"]) is not None


def test_a_place_is_given_back_and_nothing_is_kept_of_an_address() -> None:
    admission = Admission(total=4, per_address=4, rate=1e9)
    for n in range(10_000):
        entered = admission.enter(f"address {n}", known=False, now=float(n))
        assert entered is not None
        admission.leave(entered)
    assert not admission._open


def test_a_contact_that_was_there_is_probed_often_and_one_that_is_long_gone_or_refuses_rarely() -> None:
    config = Config()
    pace, refused = Backoff(config), Backoff(config)
    pace.heard(100.0)
    for _ in range(20):
        pace.failed(refused=False)
    assert pace.delay(110.0) == config.probe_every
    assert pace.delay(100.0 + config.probe_for + 1) == config.retry_most
    refused.heard(0.0)
    refused.failed(refused=True)
    assert refused.delay(1.0) == config.retry_most
    refused.encouraged(2.0)
    assert refused.delay(2.0) == config.probe_every


def full(bound: int = 8) -> FairShares:
    shares = FairShares(bound)
    shares.add("honest", "neighbour")
    for number in range(bound - 1):
        shares.add(f"n{number}", "flooder")
    return shares


def test_attack_16_the_source_with_the_most_keys_loses_its_oldest() -> None:
    shares = full()
    for number in range(7, 100):
        assert shares.add(f"n{number}", "flooder") == f"n{number - 7}"
    assert shares.add("late", "latecomer") == "n93"
    assert ("honest" in shares, "late" in shares) == (True, True)
    assert len(shares) == 8


def test_a_source_that_has_as_many_as_any_other_evicts_its_own() -> None:
    shares = FairShares(4)
    for key in ("a1", "a2", "b1", "b2"):
        shares.add(key, key[0])
    assert shares.add("b3", "b") == "b1"
    assert shares.add("c1", "c") == "a1"


def test_a_key_that_is_there_keeps_its_source_and_place_and_one_removed_makes_room() -> None:
    shares = full()
    assert shares.add("honest", "flooder") is None
    assert shares.add("n7", "flooder") == "n0"
    assert "honest" in shares
    shares.remove("n1")
    shares.remove("never there")
    assert shares.add("n8", "flooder") is None
    shares.clear()
    assert len(shares) == 0
    assert shares.add("honest", "neighbour") is None


@pytest.mark.parametrize(("newest", "order"), [(True, "210"), (False, "012")])
def test_sources_take_turns(newest: bool, order: str) -> None:
    shares = full(4)
    assert [shares.take(newest=newest) for _ in range(4)] == ["honest", *(f"n{number}" for number in order)]
    with pytest.raises(KeyError):
        shares.take(newest=newest)


async def looked_at(names: list[str], seconds: float, forget: str = "") -> list[str]:
    """What was looked at when all these names are heard at once and the seconds have passed."""
    looked: list[str] = []
    limiter = RateLimiter(looked.append)
    for name in names:
        limiter.hear(name)
    limiter.forget(forget)
    await asyncio.sleep(seconds)
    limiter.forget_all()
    await asyncio.sleep(100)
    return looked


@in_virtual_time
async def test_a_few_are_looked_at_at_once_and_who_speaks_twice_once_and_who_has_gone_never() -> None:
    names = [f"n{number}" for number in range(AT_ONCE)]
    assert await looked_at(names, 0) == names
    assert await looked_at([*names, *["again"] * 10], 100) == [*names, "again"]
    assert "gone" not in await looked_at([*names, "gone"], 100, forget="gone")


@in_virtual_time
async def test_those_that_waited_when_all_were_forgotten_are_looked_at_no_more() -> None:
    looked: list[str] = []
    limiter = RateLimiter(looked.append)
    for number in range(AT_ONCE + 2):
        limiter.hear(f"n{number}")
    limiter.forget_all()
    limiter.hear("new")
    await asyncio.sleep(100)  # of virtual time, in which nothing else may be looked at
    assert looked == [*(f"n{number}" for number in range(AT_ONCE)), "new"]


@in_virtual_time
async def test_attack_16_a_flood_is_looked_at_at_a_bounded_rate() -> None:
    """Each look costs a comparison with every contact."""
    names = [f"n{number}" for number in range(10_000)]
    for seconds in (0.0, 1.0, 3.0):
        bound = bounds.ANNOUNCEMENTS_AT_ONCE + bounds.ANNOUNCEMENTS_PER_SECOND * seconds
        assert len(await looked_at(names, seconds)) <= bound
    assert len(await looked_at(names, 1000.0)) <= bounds.ANNOUNCEMENTS_AT_ONCE + bounds.WAITING_MAX


@in_virtual_time
async def test_of_those_who_wait_the_newest_is_first() -> None:
    names = [f"n{number}" for number in range(AT_ONCE + 500)]
    looked = await looked_at(names, 100)
    assert looked[AT_ONCE] == names[-1]
    assert names[-2] in looked


@in_virtual_time
async def test_senders_of_announcements_take_turns() -> None:
    looked: list[str] = []
    limiter = RateLimiter(looked.append)
    for number in range(AT_ONCE):
        limiter.hear(f"n{number}", "flooder")
    limiter.hear("honest", "neighbour")
    for number in range(bounds.WAITING_MAX * 2):
        limiter.hear(f"m{number}", "flooder")
    await asyncio.sleep(1)
    limiter.forget_all()
    assert "honest" in looked[AT_ONCE:][:2]


def test_a_bucket_fills_at_its_rate_up_to_its_size() -> None:
    bucket = bounds.Bucket(rate=2.0, size=4.0, level=1.0, updated=10.0)
    assert [bucket.take(10.0), bucket.take(10.0)] == [True, False]
    assert [bucket.take(10.25), bucket.take(10.5)] == [False, True]
    assert not bucket.take(5.0)
    assert not bucket.take(10.75), "going back gave nothing, and no time counts twice"
    assert [bucket.take(100.0) for _ in range(5)] == [True] * 4 + [False]
    assert [bucket.reserve(100.0) for _ in range(3)] == [0.5, 1.0, 1.5]
    assert bucket.reserve(103.0) == 0.0
    assert bucket.level == 2.0


def test_an_address_keeps_its_places_until_it_leaves_and_the_known_have_their_own_rate() -> None:
    admission = Admission(total=8, per_address=2, rate=1.0)
    first, second, third = (admission.enter("a", known=False, now=0.0) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is None
    assert not admission.enter("b", known=False, now=0.0), "two at once"
    assert [bool(admission.enter("c", known=True, now=0.0)) for _ in range(3)] == [True, True, False]
    assert not admission.enter("d", known=True, now=0.0)
    admission.leave(first)
    assert admission.enter("a", known=False, now=1.0)
    assert not admission.enter("a", known=False, now=5.0)


@pytest.mark.parametrize(("known", "count"), [(True, 8), (False, 6)])
def test_three_quarters_of_the_places_are_for_strangers(known: bool, count: int) -> None:
    admission = Admission(total=8, per_address=1, rate=100.0)
    assert sum(bool(admission.enter(str(number), known, 0.0)) for number in range(20)) == count


def test_a_gate_counts_per_address_and_forgets_who_left() -> None:
    gate = Gate(total=9, an_address=2, now=Clock())
    guests = [mock.Mock() for _ in range(4)]
    assert [gate.enter(guest, "10.0.0.1") for guest in guests[:3]] == [True, True, False]
    gate.left(guests[0])
    assert gate.enter(guests[3], "10.0.0.1")
    for guest in guests:
        gate.left(guest)
    assert (len(gate), gate._from) == (0, {})


@in_virtual_time
async def test_names_that_wait_are_looked_at_ten_times_a_second_at_the_rate() -> None:
    looked: list[tuple[float, str]] = []
    loop = asyncio.get_running_loop()
    limiter = RateLimiter(lambda name: looked.append((round(loop.time(), 6), name)))
    for number in range(AT_ONCE + 12):
        limiter.hear(f"n{number}", str(number))
    limiter.hear(f"n{AT_ONCE}", "again")
    await asyncio.sleep(0.35)
    late = looked[AT_ONCE:]
    assert [time for time, _ in late] == pytest.approx([0.1] * 5 + [0.2] * 5 + [0.3] * 2)
    assert sorted(name for _, name in late) == sorted(f"n{AT_ONCE + number}" for number in range(12))
    await asyncio.sleep(10)
    assert limiter._timer is None


class Work:
    """Pieces of work that wait while `first` is under way. `done`: those that had a turn, in order."""

    def __init__(self, drawn: int = 0) -> None:
        self.turns = Turns(lambda number: drawn.to_bytes(number, "little"))
        self.first, self.done, self.dropped = asyncio.Event(), list[str](), list[str]()

    async def piece(self, name: str, goes_on: bool = True, *, outlives: bool = True) -> None:
        """Named by its person, a letter, its source, a digit, and its number."""
        async with self.turns.turn(name[0], name[1], lambda: goes_on, outlives=outlives) as granted:
            (self.done if granted else self.dropped).append(name)
            await self.first.wait()

    async def begin(
        self, *names: str, goes_on: bool = True, outlives: bool = True
    ) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self.piece(name, goes_on, outlives=outlives)) for name in names]
        await asyncio.sleep(0)
        return tasks


async def test_costly_work_is_done_in_turn_by_person_and_then_by_source() -> None:
    work = Work()
    tasks = await work.begin("a1.", "a1x", "a1y", "a1z", "a2x", "b1x", "c1x", "a3x")
    work.first.set()
    await asyncio.gather(*tasks)
    assert work.done == ["a1.", "a1x", "b1x", "c1x", "a2x", "a3x", "a1y", "a1z"]
    assert not work.turns._waiting
    await work.piece("d1x")  # nobody holds a turn


async def test_work_whose_link_has_ended_waits_up_to_a_bound_and_what_is_drawn_gives_up() -> None:
    work = Work(drawn=3)
    gone = [f"a{n % 8}.{n}" for n in range(GONE_MAX + 1)]
    tasks = await work.begin("a0.")
    tasks += await work.begin("a0.kept", "b0.kept")
    tasks += await work.begin(*gone[:-1], goes_on=False)
    assert work.dropped == []
    tasks += await work.begin(gone[-1], goes_on=False)
    tasks += await work.begin("b0.gone", goes_on=False)  # counts apart
    await asyncio.sleep(0)
    assert len(work.dropped) == 1
    assert work.dropped[0] in gone
    work.first.set()
    await asyncio.gather(*tasks)
    everything = {"a0.", "a0.kept", "b0.kept", "b0.gone", *gone}
    assert set(work.done) == everything - set(work.dropped)
    assert len(work.done) == len(everything) - 1


async def test_the_source_with_the_most_work_of_ended_links_loses_some_of_it() -> None:
    work = Work()
    tasks = await work.begin("a0.")
    tasks += await work.begin("a1.only", *(f"a2.{n}" for n in range(2 * GONE_MAX)), goes_on=False)
    await asyncio.sleep(0)
    assert len(work.dropped) == GONE_MAX + 1
    assert "a1.only" not in work.dropped
    work.first.set()
    await asyncio.gather(*tasks)
    assert work.done[:2] == ["a0.", "a1.only"]


async def test_work_that_does_not_outlive_its_link_has_no_turn_and_takes_no_place() -> None:
    work, going = Work(), [True]
    tasks = await work.begin("a0.")
    async with asyncio.TaskGroup() as group:
        for name in ("a1.", "a2."):

            async def piece(name: str = name) -> None:
                async with work.turns.turn(
                    name[0], name[1], lambda: going[name == "a2."], outlives=False
                ) as granted:
                    (work.done if granted else work.dropped).append(name)

            going.append(True)
            group.create_task(piece())
        await asyncio.sleep(0)
        going[0] = False  # before others come
        tasks += await work.begin("a3.", goes_on=False)
        await asyncio.sleep(0)
        assert work.dropped == ["a1."]
        going[1] = False  # after them
        work.first.set()
    await asyncio.gather(*tasks)
    assert (work.done, work.dropped) == (["a0.", "a3."], ["a1.", "a2."])


async def test_a_turn_of_cancelled_work_goes_to_the_next() -> None:
    work = Work()
    first, waits, other, last = await work.begin("a1.", "a1x", "b1x", "c1x")
    waits.cancel()
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    other.cancel()  # its turn has come
    await asyncio.gather(first, waits, other, return_exceptions=True)
    work.first.set()
    await last
    assert work.done == ["a1.", "c1x"]
    assert not work.turns._waiting
    await work.piece("d1x")


async def test_cancelled_work_whose_link_has_ended_takes_no_turn_before_its_task_runs() -> None:
    """Of those that could give up it is none any more, and a turn goes past it."""
    work = Work()
    tasks = await work.begin("a1.")
    tasks += await work.begin("a1.0", *(f"a2.{n}" for n in range(1, GONE_MAX)), goes_on=False)
    newcomer = asyncio.create_task(work.piece("a3.new", goes_on=False))
    work.first.set()
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, newcomer, return_exceptions=True)
    assert [type(one) for one in results if one is not None] == [asyncio.CancelledError]
    assert len(work.done) == GONE_MAX + 1
    assert not work.dropped
    await work.piece("d1x")
