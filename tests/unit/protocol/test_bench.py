"""The benchmark does the work it names and reports it in the agreed shape; how fast it is is no test."""

from __future__ import annotations

import io
import json
import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from chat.tools.bench import crypto, measure, peers, report
from chat.tools.bench.measure import GOALS, Sample, Subject, interleave
from chat.tools.bench.peers import Bare
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


@pytest.mark.parametrize("name", crypto.ROWS)
def test_rows_have_the_agreed_shape(name: str) -> None:
    rows = crypto.ROWS[name].measure(peers=True, **QUICK)
    assert [(row["size"], row["subject"]) for row in rows] == [
        (size, subject) for size in SIZES.get(name, [64]) for subject in subjects(name, peers_too=True)
    ]
    for row in rows:
        assert list(row) == ["name", "size", "subject", "per_second", "unit", "note"]
        assert row["name"] == name
        assert row["unit"].endswith("/s")
        assert row["per_second"] > 0
        assert json.loads(json.dumps(row)) == row


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peers.load("a_peer_of_another_world") is None
    monkeypatch.setattr(peers, "load", lambda name: None)
    rows = crypto.ROWS["session.oneway"].measure(peers=True, **QUICK)
    assert {row["subject"] for row in rows} == set(SESSION)


AEADS = pytest.mark.parametrize("aead", [AEGIS256, CHACHA20POLY1305], ids=lambda aead: str(aead.name))


@AEADS
@pytest.mark.parametrize("size", [64, 65_536])
def test_what_is_measured_is_a_message_that_arrives(aead: Aead, size: int) -> None:
    message = crypto.entry(size)
    assert len(message.body) == size
    assert crypto.one_way(aead, message)() == message


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


def subject_of(name: str, log: list[str]) -> Subject:
    return Subject(name, lambda: log.append(name), "note")


def test_the_first_round_does_not_count_and_units_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rates from a clock that we set: round 0 takes 9 s, the others 2 s."""
    times = iter([9.0, 2.0, 2.0])
    monkeypatch.setattr(measure, "_fitting_count", lambda subject, seconds: 10)
    monkeypatch.setattr(measure, "_timed", lambda subject, count: next(times))
    (sample,) = interleave([subject_of("a", [])], units=2, rounds=2)
    assert sample.rates == (10.0, 10.0)
    assert math.isclose(sample.per_second, 10.0)


def test_ratios_are_taken_within_a_round() -> None:
    """A machine that slows down for both changes no ratio."""
    ours = Sample(subject_of("ours", []), (30.0, 3.0, 300.0))
    theirs = Sample(subject_of("theirs", []), (10.0, 1.0, 100.0))
    assert ours.ratio_to(theirs) == "3.00 x theirs [3.00-3.00]"


PAGE = f"# Title\n\nbefore\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nafter\n"


def block(name: str, size: int | None, against: dict[str, float]) -> list[dict[str, Any]]:
    """Ours and the others', with ratios as measure.py writes them."""
    told = ", ".join(
        f"{ratio:.2f} x {subject} [{ratio:.2f}-{ratio:.2f}]" for subject, ratio in against.items()
    )
    row = {"name": name, "size": size, "subject": "parlour", "per_second": 1200.0, "unit": "things/s"}
    others = [
        {**row, "subject": subject, "per_second": 1200.0 / ratio, "note": f"as {subject}"}
        for subject, ratio in against.items()
    ]
    return [{**row, "note": f"{told}; as we do"}, *others]


def whole_run(factor: float = 1.0) -> list[dict[str, Any]]:
    """Every row that has a least, at `factor` times its least."""
    return [
        row
        for (name, size), against in GOALS.items()
        for row in block(name, size, {who: goal.least * factor for who, goal in against.items()})
    ]


def test_a_ratio_is_read_as_it_was_written_and_judged_by_its_goal() -> None:
    rows = block("session.pingpong", 64, {"vodozemac": 1.19, "libsodium": 0.75, "stranger": 0.01})
    told = report.ratios(rows)
    assert {who: ratio.reached for who, ratio in told.items()} == {
        "vodozemac": False,
        "libsodium": True,
        "stranger": True,
    }
    assert str(told["vodozemac"]) == "1.19 x [1.19-1.19], least 1.2: MISSED"
    assert str(told["stranger"]) == "0.01 x [0.01-0.01]"


def test_the_page_gets_the_table_between_its_marks_alone() -> None:
    written = report.with_summary(PAGE, whole_run())
    assert written.startswith("# Title\n\nbefore\n\n")
    assert written.endswith(f"{report.END}\n\nafter\n")
    assert "old" not in written
    assert (
        "| session.oneway, 64 B | 1,200 things/s |  | vodozemac | 300 | 4.00 × (4.00–4.00) | 4 × |" in written
    )
    assert report.with_summary(written, whole_run()) == written
    assert ", missed" in report.with_summary(PAGE, whole_run(0.9))
    with pytest.raises(ValueError, match="marks"):
        report.with_summary("# Title\n", whole_run())


def test_a_run_that_broke_off_is_refused() -> None:
    lines = [json.dumps(row) for row in whole_run()]
    assert report.read(lines) == whole_run()
    with pytest.raises(ValueError, match="commit"):
        report.read(line for line in lines if '"commit"' not in line)


@pytest.mark.parametrize(("factor", "status"), [(1.0, 0), (0.9, 1)])
def test_one_command_writes_all_three(
    factor: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "performance.md").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(report, "_DOCS", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(json.dumps(row) for row in whole_run(factor))))
    monkeypatch.setattr(report, "profile", lambda: (1.75, {"a part": 1.25, "the rest": 0.5}))
    assert report.main() == status
    results = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert report.processor() in results
    assert "| a part | 1.25 |\n| the rest | 0.50 |\n| the whole row | 1.75 |" in results
    assert "| session.seal, 64 B | libsodium | 3,158 things/s | 0.38 x" in results or status
    assert ElementTree.parse(tmp_path / "benchmarks.svg").getroot().tag.endswith("svg")
    assert "old" not in (tmp_path / "performance.md").read_text(encoding="utf-8")
