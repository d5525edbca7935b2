"""The benchmark does the work it names and reports it in the agreed shape; how fast it is is no test."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from chat.tools.bench import crypto, measure, peers
from chat.tools.bench.measure import GOALS, Sample, Subject, interleave
from chat.tools.bench.peers import Bare
from protocol.codec import encode
from protocol.limits import CONTENT_MAX, PADDED_MAX
from protocol.messages import MESSAGE
from protocol.primitives import AEGIS256, CHACHA20POLY1305, SODIUM, Aead, Sodium
from protocol.ratchet import RatchetSession

pytestmark = pytest.mark.slow

QUICK: dict[str, Any] = {"rounds": 2, "seconds": 0.0005}
SESSION = ["parlour", "parlour-chacha", "libsodium"]
PEERS = {
    "session.oneway": ["vodozemac", "doubleratchet", "python-olm"],
    "session.seal": ["vodozemac"],
    "session.open": ["vodozemac"],
    "session.pingpong": ["vodozemac"],
    "session.setup": ["vodozemac"],
    "noise.handshake": ["noiseprotocol"],
    "link.transport": ["noiseprotocol"],
    "codec": [],
}
OWN = {
    "session.setup": ["parlour", "libsodium"],
    "noise.handshake": ["parlour", "libsodium"],
    "codec": ["parlour"],
}
MODULES = {"python-olm": "olm", "noiseprotocol": "noise.connection"}
SIZES: dict[str, list[int | None]] = {
    "session.oneway": [64, 65_536],
    "session.setup": [None],
    "noise.handshake": [None],
    "link.transport": [64, 1_024, 61_440],
    "codec": [300],
}


def subjects(name: str, *, peers_too: bool) -> list[str]:
    """Who is measured here, in order."""
    installed = [peer for peer in PEERS[name] if peers.load(MODULES.get(peer, peer)) is not None]
    return OWN.get(name, SESSION) + (installed if peers_too else [])


@pytest.mark.parametrize("name", crypto.NAMES)
def test_rows_have_the_agreed_shape(name: str) -> None:
    rows = crypto.run([name], peers=True, **QUICK)
    assert [(row["size"], row["subject"]) for row in rows] == [
        (size, subject) for size in SIZES.get(name, [64]) for subject in subjects(name, peers_too=True)
    ]
    for row in rows:
        assert list(row) == ["name", "size", "subject", "per_second", "unit", "note"]
        assert row["name"] == name
        assert row["unit"].endswith("/s")
        assert row["per_second"] > 0
        assert json.loads(json.dumps(row)) == row


def test_every_row_by_default_and_no_peer_unasked() -> None:
    rows = crypto.run(**QUICK)
    assert list(dict.fromkeys(row["name"] for row in rows)) == list(PEERS)
    assert {row["subject"] for row in rows} == {"parlour", "parlour-chacha", "libsodium"}


def test_every_goal_has_its_row() -> None:
    """But for the one that the engine measures: a subject and a size of the rows that there are."""
    for (name, size), against in GOALS.items():
        if name in crypto.NAMES:
            assert size in SIZES.get(name, [64])
            assert set(against) <= {"libsodium", *PEERS[name]}
            assert all(0 < goal.least < goal.goal for goal in against.values())


def test_a_name_that_is_none() -> None:
    with pytest.raises(KeyError):
        crypto.run(["session.sideways"], **QUICK)


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peers.load("a_peer_of_another_world") is None
    monkeypatch.setattr(peers, "load", lambda name: None)
    rows = crypto.run(["session.oneway"], peers=True, **QUICK)
    assert {row["subject"] for row in rows} == set(SESSION)


AEADS = pytest.mark.parametrize("aead", [AEGIS256, CHACHA20POLY1305], ids=lambda aead: str(aead.name))


@AEADS
@pytest.mark.parametrize("size", [64, 65_536])
def test_what_is_measured_is_a_message_that_arrives(aead: Aead, size: int) -> None:
    message = crypto.entry(size)
    assert len(message.body) == size
    assert crypto.one_way(aead, message)() == message


def test_large_content_travels_as_two_pieces() -> None:
    large, small = crypto.contents(crypto.entry(65_536)), crypto.contents(crypto.entry(64))
    assert (len(large), len(small)) == (2, 1)
    assert crypto.padded_sizes(large)[0] == PADDED_MAX
    assert MESSAGE.decode(small[0][1:]) is not None


@AEADS
def test_what_is_opened_was_sealed_for_it(aead: Aead) -> None:
    work, prepare = crypto.opening(aead, b"content")
    for _ in range(2):
        prepare(3)
        assert [work() for _ in range(3)] == [b"content"] * 3
        with pytest.raises(IndexError):
            work()


def test_ping_pong_makes_a_dh_step_at_every_message(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[bytes] = []
    real = RatchetSession.decrypt

    def watched(session: RatchetSession, envelope: bytes) -> bytes:
        keys.append(envelope[:32])
        return real(session, envelope)

    monkeypatch.setattr(RatchetSession, "decrypt", watched)
    work = crypto.ping_pong(AEGIS256, b"content")
    keys.clear()
    work()
    work()
    assert len(set(keys)) == 4


def test_a_setup_ends_in_two_sessions_that_understand_each_other() -> None:
    (last, ours), theirs = crypto.setup()()
    assert last == b""
    assert theirs.session.decrypt(ours.session.encrypt(b"content")) == b"content"


def test_a_handshake_ends_at_both_ends_with_the_same_hash() -> None:
    ours, theirs = crypto.shake("Noise_XX_25519_ChaChaPoly_BLAKE2b")()
    assert ours.handshake_hash == theirs.handshake_hash


@pytest.mark.parametrize("size", crypto.SIZES)
def test_a_transport_delivers_its_content(size: int) -> None:
    content = crypto.content_of(size)
    assert len(content) == min(size, CONTENT_MAX)
    assert crypto.transport(AEGIS256, content)() == content


def test_the_codec_row_has_its_size() -> None:
    assert len(encode(crypto.codec(300)())) == 300


def test_every_peer_that_is_installed_delivers_its_content() -> None:
    made = {
        "vodozemac": peers.vodozemac_one_way,
        "doubleratchet": peers.double_ratchet_one_way,
        "olm": peers.olm_one_way,
    }
    for name, make in made.items():
        module = peers.load(name)
        work = make(module, b"content") if module is not None else lambda: b"content"
        assert [work() for _ in range(3)] in ([b"content"] * 3, ["content"] * 3)


def test_the_bare_calls_check_their_tag() -> None:
    """The floor does not skip authentication."""
    assert SODIUM is not None
    bare = Bare(SODIUM, AEGIS256, [256])
    bare.one_way()()
    bare.ping_pong()()
    bare.opening()()
    nothing_opens = Bare(Sodium(SODIUM.ffi, _NothingOpens()), AEGIS256, [256])
    with pytest.raises(RuntimeError):
        nothing_opens.one_way()()
    with pytest.raises(RuntimeError):
        nothing_opens.opening()()


class _NothingOpens:
    """libsodium, but for every check of a tag."""

    def __getattr__(self, name: str) -> Any:
        assert SODIUM is not None
        return (lambda *_: -1) if name.endswith("_decrypt") else getattr(SODIUM.lib, name)


# --- Measuring ---


def subject_of(name: str, log: list[str]) -> Subject:
    return Subject(name, lambda: log.append(name), "note")


def test_subjects_run_in_turn_inside_every_round() -> None:
    log: list[str] = []
    samples = interleave([subject_of("a", log), subject_of("b", log)], rounds=3, seconds=0.0001)
    turns = [name for name, before in zip(log, ["", *log], strict=False) if name != before]
    assert turns[-8:] == ["a", "b"] * 4
    assert [len(sample.rates) for sample in samples] == [3, 3]


def test_the_first_round_does_not_count_and_units_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates from a clock that we set: round 0 takes 9 s, the others 2 s."""
    times = iter([9.0, 2.0, 2.0])
    monkeypatch.setattr(measure, "_fitting_count", lambda subject, seconds: 10)
    monkeypatch.setattr(measure, "_timed", lambda subject, count: next(times))
    (sample,) = interleave([subject_of("a", [])], units=2, rounds=2)
    assert sample.rates == (10.0, 10.0)
    assert math.isclose(sample.per_second, 10.0)


def test_what_work_uses_up_is_prepared_while_no_clock_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches: a long list of sealed messages would be slower to open than a short one."""
    log: list[str] = []
    waiting: list[int] = []

    def prepare(count: int) -> None:
        log.append(f"prepare {count}")
        waiting.extend(range(count))

    clock = iter(range(100))

    def perf_counter() -> float:
        log.append("clock")
        return next(clock)

    monkeypatch.setattr(measure, "BATCH", 2)
    monkeypatch.setattr("time.perf_counter", perf_counter)
    taken = measure._timed(Subject("a", lambda: log.append(f"work {waiting.pop()}"), "", prepare), 3)
    assert log == ["prepare 2", "clock", "work 1", "work 0", "clock", "prepare 1", "clock", "work 0", "clock"]
    assert taken == 2
    assert waiting == []


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down for both changes no ratio."""
    ours = Sample(subject_of("ours", []), (30.0, 3.0, 300.0))
    theirs = Sample(subject_of("theirs", []), (10.0, 1.0, 100.0))
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
