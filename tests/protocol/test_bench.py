"""The benchmark does the work it names and reports it in the agreed shape; how fast it is is no test."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from protocol import bench
from protocol.bench import measure, peers, sessions
from protocol.bench.baseline import Bare
from protocol.bench.measure import Sample, Subject, interleave
from protocol.frames import Assembler
from protocol.limits import PADDED_MAX
from protocol.messages import MESSAGE
from protocol.primitives import AEGIS256, CHACHA20POLY1305, SODIUM, Aead, Sodium

QUICK: dict[str, Any] = {"rounds": 2, "seconds": 0.0005}
SUBJECTS = ("parlour", "libsodium", "vodozemac")


@pytest.mark.parametrize("name", bench.NAMES)
def test_rows_have_the_agreed_shape(name: str) -> None:
    rows = bench.run([name], peers=True, **QUICK)
    installed = SUBJECTS if peers.load("vodozemac") else SUBJECTS[:2]
    assert [(row["size"], row["subject"]) for row in rows] == [
        (size, subject) for size in (64, 65_536) for subject in installed
    ]
    for row in rows:
        assert list(row) == ["name", "size", "subject", "per_second", "unit", "note"]
        assert row["name"] == name
        assert row["unit"] == "messages/s"
        assert row["per_second"] > 0
        assert json.loads(json.dumps(row)) == row
    assert "x libsodium [" in rows[0]["note"]


def test_both_rows_by_default_and_no_peer_unasked() -> None:
    rows = bench.run(**QUICK)
    assert {row["name"] for row in rows} == {"session.oneway", "session.pingpong"}
    assert {row["subject"] for row in rows} == {"parlour", "libsodium"}


def test_a_name_that_is_none() -> None:
    with pytest.raises(KeyError):
        bench.run(["session.sideways"], **QUICK)


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peers.load("a_peer_of_another_world") is None
    monkeypatch.setattr(peers, "load", lambda name: None)
    rows = bench.run(["session.oneway"], peers=True, **QUICK)
    assert {row["subject"] for row in rows} == {"parlour", "libsodium"}


@pytest.mark.parametrize("aead", [AEGIS256, CHACHA20POLY1305], ids=lambda aead: str(aead.name))
@pytest.mark.parametrize("size", sessions.SIZES)
def test_what_is_measured_is_a_message_that_arrives(aead: Aead, size: int) -> None:
    message = sessions.entry(size)
    alice, bob = sessions.session_pair(aead)
    assert len(message.body) == size
    assert sessions._pass(alice, bob, Assembler(), message) == message
    assert sessions.parlour_one_way(aead, message)() == message


def test_large_content_travels_as_two_pieces() -> None:
    large, small = sessions.contents(sessions.entry(65_536)), sessions.contents(sessions.entry(64))
    assert (len(large), len(small)) == (2, 1)
    assert sessions._padded_sizes(sessions.entry(65_536))[0] == PADDED_MAX
    assert MESSAGE.decode(small[0][1:]) is not None


def test_ping_pong_makes_a_dh_step_at_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    real = sessions._pass

    def watched(sender: Any, receiver: Any, *rest: Any) -> object:
        before = receiver._root.theirs
        result = real(sender, receiver, *rest)
        made.append(receiver._root.theirs != before)
        return result

    monkeypatch.setattr(sessions, "_pass", watched)
    work = sessions.parlour_ping_pong(AEGIS256, sessions.entry(64))
    work()
    made.clear()
    work()
    work()
    assert made == [True] * 4


def test_the_bare_calls_check_their_tag() -> None:
    """The floor does not skip authentication."""
    assert SODIUM is not None
    bare = Bare(SODIUM, AEGIS256, [256])
    bare.one_way()()
    bare.ping_pong()()
    nothing_opens = Bare(Sodium(SODIUM.ffi, _NothingOpens()), AEGIS256, [256])
    with pytest.raises(RuntimeError):
        nothing_opens.one_way()()


class _NothingOpens:
    """libsodium, but for every check of a tag."""

    def __getattr__(self, name: str) -> Any:
        assert SODIUM is not None
        return (lambda *_: -1) if name.endswith("_decrypt") else getattr(SODIUM.lib, name)


# --- Measuring ---


def subject(name: str, log: list[str]) -> Subject:
    return Subject(name, lambda: log.append(name), "note")


def test_subjects_run_in_turn_inside_every_round() -> None:
    log: list[str] = []
    samples = interleave([subject("a", log), subject("b", log)], rounds=3, seconds=0.0001)
    turns = [name for name, before in zip(log, ["", *log], strict=False) if name != before]
    assert turns[-8:] == ["a", "b"] * 4
    assert [len(sample.rates) for sample in samples] == [3, 3]


def test_the_first_round_does_not_count_and_units_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates from a clock that we set: round 0 takes 9 s, the others 2 s."""
    times = iter([9.0, 2.0, 2.0])
    monkeypatch.setattr(measure, "_fitting_count", lambda work, seconds: 10)
    monkeypatch.setattr(measure, "_timed", lambda work, count: next(times))
    (sample,) = interleave([subject("a", [])], units=2, rounds=2)
    assert sample.rates == (10.0, 10.0)
    assert math.isclose(sample.per_second, 10.0)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down for both changes no ratio."""
    ours = Sample(subject("ours", []), (30.0, 3.0, 300.0))
    theirs = Sample(subject("theirs", []), (10.0, 1.0, 100.0))
    assert ours.ratio_to(theirs) == "3.00 x theirs [3.00-3.00]"


@pytest.fixture
def _collecting() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_collecting")
def test_the_collector_is_off_while_a_clock_runs_and_on_again_afterwards() -> None:
    seen: list[bool] = []
    interleave([Subject("a", lambda: seen.append(gc.isenabled()), "")], rounds=2, seconds=0.0001)
    assert seen[-1] is False
    assert gc.isenabled()

    def fails() -> None:
        if not gc.isenabled():
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        interleave([Subject("a", fails, "")], rounds=2, seconds=0.0001)
    assert gc.isenabled()
