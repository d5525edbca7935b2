"""The rows of a relay and of commits: what they measure really happens, and a missing peer is named."""

from __future__ import annotations

import gc
import resource
import shutil
import tracemalloc
from typing import Any

import pytest

from chat.storage import entries, receipts
from chat.tools.bench import commit, peers, relay
from chat.tools.bench import report as report_module
from chat.tools.bench.measure import GOALS
from protocol.link.framing import Assembler
from protocol.messages import MESSAGE, Receipt
from protocol.primitives import AEGIS256
from protocol.relay.rendezvous import parse_relay
from tests.support.machine import needs_nats, needs_process_memory
from tests.support.relay.in_process import house, token
from tests.unit.relay.test_limits import limits

RELAY = tracemalloc.Filter(True, "*/chat/relay/server.py", all_frames=True)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "SIZES", {256: 64, 61_440: 4})
    monkeypatch.setattr(relay, "_PINGS", 5)


def subjects(report: list[dict[str, Any]]) -> list[str]:
    return [row["subject"] for row in report]


def test_frames_pass_through_each_of_them_and_the_row_has_its_shape(small: None) -> None:
    needs_nats()
    report = report_module.run("relay.forward", peers=True, rounds=3, seconds=0.001)
    assert subjects(report) == ["parlour", "tcp", "nats"] * 2
    assert [row["size"] for row in report] == [256] * 3 + [61_440] * 3
    assert all(row["per_second"] > 0 and row["unit"] == "frames/s" for row in report)
    assert set(report_module.ratios(report[:3])) == set(GOALS["relay.forward", 256])
    assert set(report_module.ratios(report[3:])) == set(GOALS["relay.forward", 61_440])


def test_what_a_relay_adds_is_told_at_the_median_and_late(small: None) -> None:
    needs_nats()
    report = report_module.run("relay.latency", peers=True, rounds=3)
    assert subjects(report) == ["parlour", "tcp", "nats"]
    assert all("adds p50" in row["note"] and "p99" in row["note"] for row in report)
    assert set(GOALS["relay.latency", 256]) <= set(report_module.ratios(report))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("relay.latency", "nats-server is not installed"), ("relay.forward", "nats-py is not installed")],
)
def test_who_lacks_is_left_out(small: None, monkeypatch: pytest.MonkeyPatch, name: str, reason: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(peers, "load", lambda _: object() if "server" in reason else None)
    report = report_module.run(name, peers=True, rounds=3, seconds=0.001)
    assert subjects(report)[:3] == ["parlour", "tcp", "nats"]
    for block in report_module.blocks(report):
        assert block[2]["note"] == f"left out: {reason}"
        assert report_module.lines(block)[2].split(maxsplit=1) == ["nats", f"left out: {reason}"]


def test_without_peers_nobody_else_is_started(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: pytest.fail("nats-server was looked for"))
    assert subjects(report_module.run("relay.forward", rounds=3, seconds=0.001)) == ["parlour", "tcp"] * 2


def test_what_stands_between_hands_on_what_it_was_given() -> None:
    for opened in (relay.parlour, relay.splice, relay.direct):
        with opened() as (one, other):
            one.sendall(b"there")
            other.sendall(b"and back")
            assert other.recv(100) == b"there"
            assert one.recv(100) == b"and back"


def test_a_small_crowd_is_measured_beside_the_same_at_nats() -> None:
    needs_process_memory()
    needs_nats()
    report = report_module.run("relay.idle", peers=True, crowd=150)
    assert subjects(report) == ["parlour", "nats"]
    assert all(row["unit"] == "connections/MiB" and row["per_second"] > 0 for row in report)
    assert "KiB each of 150" in report[0]["note"]


def test_without_a_nats_server_the_crowd_has_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_process_memory()
    monkeypatch.setattr(shutil, "which", lambda _: None)
    report = report_module.run("relay.idle", peers=True, crowd=5)
    assert [row["note"] for row in report[1:]] == ["left out: nats-server is not installed"]


def test_a_crowd_without_room_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_process_memory()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    report = report_module.run("relay.idle", peers=True, crowd=10)
    assert [row["subject"] for row in report] == ["parlour"]
    assert report[0]["note"].startswith("left out: a process may open ")
    (block,) = report_module.blocks(report)
    assert "left out: a process may open" in report_module.lines(block)[0]


def test_a_crowd_that_is_sent_away_is_no_figure() -> None:
    with relay.running("-m", "chat.tools.bench.relay", "relay") as program:
        guest = relay.Guest(parse_relay(program.said.readline().strip()))
    with guest.socket, pytest.raises(ConnectionError, match="1 of 1 were sent away"):
        relay.check([guest.socket])


@pytest.mark.parametrize(("tokens", "most"), [(16, 8_192), (128, 20_480)])
async def test_a_terminal_that_waits_costs_the_relay_little(tokens: int, most: int) -> None:
    """What the relay's own code keeps, counted: no page, no allocator, no other process in it."""
    crowd = 12
    async with house(limits(connections_address=1_000)) as made:
        await made.waiter(token())
        tracemalloc.start(12)
        try:
            for _ in range(crowd):
                await made.waiter(*(token() for _ in range(tokens)))
            gc.collect()
            kept = tracemalloc.take_snapshot().filter_traces([RELAY])
        finally:
            tracemalloc.stop()
        each = sum(trace.size for trace in kept.traces) / crowd
    assert 500 + tokens * 16 < each < most


TABLES = ("entries", "bodies", "edges", "unread", "receipts", "tips", "heads", "search")


def test_both_sides_leave_the_same_rows() -> None:
    with commit.sides(AEGIS256) as (receiver, bare):
        for side in (receiver, bare):
            side.prepare(2)
        for _ in range(2):
            receiver.take()
            bare.write()
        counts = [
            [side.database.value(f"SELECT count(*) FROM {table}") for table in TABLES]
            for side in (receiver, bare)
        ]
        assert counts[0] == counts[1] == [512, 512, 511, 512, 512, 1, 1, 512]
        for side in (receiver, bare):
            newest = entries.page(side.database, receiver.conversation, 1)[0]
            assert newest.sequence == 512
            assert side.database.integrity() == ()


def test_a_burst_ends_in_one_receipt_for_what_is_stored() -> None:
    with commit.sides(AEGIS256) as (receiver, _):
        receiver.prepare(1)
        sealed = receiver.take()
        told = MESSAGE.decode(Assembler().add(receiver.contact.decrypt(sealed)) or b"")
        assert isinstance(told, Receipt)
        assert told.kind == receipts.STORED
        assert len(told.ids) == commit.BURST
        assert all(entries.get(receiver.database, entry) is not None for entry in told.ids)


def test_the_row_has_the_agreed_shape_and_its_goal() -> None:
    ours, bare = report_module.run("commit", peers=False, rounds=2)
    assert (ours["name"], ours["size"], ours["subject"]) == ("commit", 256, "parlour")
    assert bare["subject"] == "sqlcipher"
    assert min(ours["per_second"], bare["per_second"]) > 0
    assert "x sqlcipher [" in ours["note"]
    assert list(GOALS["commit", 256]) == ["sqlcipher"]


def test_every_name_selects_something() -> None:
    assert report_module.select([]) == report_module.NAMES
    for name in report_module.NAMES:
        assert report_module.select([name]) == (name,)
