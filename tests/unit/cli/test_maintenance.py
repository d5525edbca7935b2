"""doctor, vectors and bench."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from chat.errors import Phrase
from chat.interface import AlertKind, DiagnosisView
from chat.tools.bench.measure import SEND, START, Figure, FlowSample
from tests.support import machine as needs
from tests.support.cli.line import Line
from tests.support.fakes.others import alert


def test_doctor_has_a_line_a_check_and_1_when_one_is_bad_and_asks_for_no_passphrase(line: Line) -> None:
    outcome = line.run("doctor", "--json", passphrase=False)
    assert outcome.status == 1
    assert [list(found) for found in outcome.objects] == [["check", "good", "found", "fix"]] * 2
    text = line.run("doctor", passphrase=False).out
    assert "good  network: eth0: 192.168.1.20" in text
    assert "BAD   firewall" in text
    assert "iptables -I INPUT" in text
    line.messenger.diagnosis = (DiagnosisView(Phrase("clock"), True, Phrase("right")),)
    outcome = line.run("doctor", passphrase=False)
    assert (outcome.status, outcome.out) == (0, "good  clock: right\n")
    assert "unlock" not in [call.method for call in line.door.calls]


def test_an_older_copy_is_noted_by_every_command_until_it_was_seen(line: Line) -> None:
    line.messenger.alarm(alert(AlertKind.OLD_COPY))
    for _ in range(2):
        outcome = line.run("contacts")
        assert outcome.status == 0
        assert "This is an older copy of your profile" in outcome.err
        assert "parlour doctor --seen" in outcome.err
    assert line.run("doctor", "--seen").status == 0
    assert "older copy" not in line.run("contacts").err


def test_the_deep_check_shows_its_progress_and_what_it_found(line: Line) -> None:
    outcome = line.run("doctor", "--deep", "--json")
    assert outcome.status == 0
    assert outcome.objects == [
        {"check": "profile files", "good": True, "found": "30 pages are intact", "fix": ""},
        {"check": "second library", "good": True, "found": "it reads the same", "fix": ""},
    ]
    assert "50 % checked" in outcome.err
    line.messenger.alarm(alert(AlertKind.DAMAGED))
    outcome = line.run("doctor", "--deep")
    assert outcome.status == 1
    assert "BAD   profile files: A part of the profile file was damaged" in outcome.out
    assert "good  profile files: 30 pages are intact" in outcome.out


def test_vectors_ends_with_the_sum(line: Line) -> None:
    line.patch.delenv("PARLOUR_PUBLIC_VECTORS", raising=False)
    outcome = line.run("vectors", passphrase=False)
    *areas, last = outcome.out.splitlines()
    assert outcome.status == 0
    counted = sum(int(area.split(": ")[1].split()[0]) for area in areas)
    assert last == f"{counted} passed, 0 failed"
    assert counted > 0
    assert line.opened == []


def test_vectors_runs_the_published_ones_too(line: Line) -> None:
    folder = needs.needs_public_vectors()
    own = line.run("vectors", "--json", passphrase=False).objects
    outcome = line.run("vectors", "--public", str(folder), "--json", passphrase=False)
    assert outcome.status == 0
    assert outcome.objects[-1]["passed"] >= own[-1]["passed"]
    assert any(area.get("area") == "wycheproof/x25519_test" for area in outcome.objects)


def test_vectors_from_a_folder_without_them_is_65(line: Line, tmp_path: Path) -> None:
    outcome = line.run("vectors", "--public", str(tmp_path), passphrase=False)
    assert (outcome.status, "x25519" in outcome.failure) == (65, True)
    assert line.run("vectors", "--public", str(tmp_path / "none"), passphrase=False).status == 64


def test_a_vector_that_fails_is_named_and_ends_with_1(line: Line, tmp_path: Path) -> None:
    """The published format with one wrong shared secret."""
    keys = {"private": "01" * 32, "public": "09" + "00" * 31, "shared": "11" * 32}
    (tmp_path / "wycheproof").mkdir()
    file = {"testGroups": [{"tests": [{"tcId": 7, **keys, "result": "valid"}]}]}
    (tmp_path / "wycheproof" / "x25519_test.json").write_text(json.dumps(file))
    outcome = line.run("vectors", "--public", str(tmp_path), "--json", passphrase=False)
    *areas, total = outcome.objects
    assert areas[-1]["failed"] == ["x25519_test-7"]
    assert total["failed"] == 1
    assert outcome.status != 0


SESSION = ("oneway", "seal", "open", "pingpong", "setup")
ROW = ["name", "size", "subject", "per_second", "unit", "note"]


def _measured(asked: list[tuple[object, ...]]) -> Callable[..., list[dict[str, object]]]:
    def run(name: str, *, peers: bool, entries: int | None) -> list[dict[str, object]]:
        asked.append((name, peers) if entries is None else (name, peers, entries))
        row = {"name": name, "size": 64, "subject": "parlour", "per_second": 1000.0, "unit": "messages/s"}
        note = "0.50 x libsodium [0.49-0.51], 3.90 x vodozemac [3.80-4.00]; as a link"
        other = {**row, "per_second": 250.0, "note": ""}
        return [{**row, "note": note}, *({**other, "subject": name} for name in ("libsodium", "vodozemac"))]

    return run


def test_bench_prints_a_bar_a_subject_beside_its_ratio(line: Line) -> None:
    asked: list[tuple[object, ...]] = []
    line.patch.setattr("chat.tools.bench.report.run", _measured(asked))
    outcome = line.run("bench", "session.oneway", "--peers", "--json", passphrase=False)
    assert outcome.status == 0
    assert [list(found) for found in outcome.objects] == [ROW] * 3
    assert asked == [("session.oneway", True)]
    title, ours, bare, peer = line.run("bench", "session.oneway", passphrase=False).out.splitlines()
    assert title == "session.oneway, 64 B, messages/s"
    assert ours.split() == ["parlour", "1,000", "█" * 28]
    assert bare.split() == ["libsodium", "250", "█" * 7, "0.50", "x", "[0.49-0.51]"]
    assert peer.endswith("3.90 x [3.80-4.00], least 4: MISSED")


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["noise"], ["noise.handshake"]),
        (["codec", "link"], ["link.transport", "codec"]),
        (["session.setup", "session"], [f"session.{name}" for name in SESSION]),
        (["commit"], ["commit"]),
    ],
)
def test_bench_takes_a_row_or_the_part_before_its_point(
    line: Line, names: list[str], rows: list[str]
) -> None:
    asked: list[tuple[object, ...]] = []
    line.patch.setattr("chat.tools.bench.report.run", _measured(asked))
    assert line.run("bench", *names, "--json", passphrase=False).status == 0
    assert asked == [(row, False) for row in rows]


def test_bench_makes_a_history_of_the_asked_size(line: Line) -> None:
    asked: list[tuple[object, ...]] = []
    line.patch.setattr("chat.tools.bench.report.run", _measured(asked))
    options = ("--entries", "2000", "--json")
    assert line.run("bench", "storage.page", *options, passphrase=False).status == 0
    assert asked == [("storage.page", False, 2000)]


@pytest.mark.parametrize("name", ["session.sideways", "sess", "session.", "oneway", ""])
def test_bench_of_something_unknown_is_64_with_what_there_is(line: Line, name: str) -> None:
    assert "session.oneway" in line.run("bench", "codec", name, passphrase=False).failed(64)


@pytest.mark.parametrize(("seconds", "status"), [(1.25, 0), (2.75, 1)])
def test_flows_stand_beside_their_bounds_and_a_missed_one_is_1(
    line: Line, seconds: float, status: int
) -> None:
    figures = [Figure(SEND, (FlowSample(seconds),)), Figure(START, (FlowSample(0.1),))]
    line.patch.setattr("chat.tools.bench.flows.measure", lambda: figures)
    outcome = line.run("bench", "--flows", "--json", passphrase=False)
    assert outcome.status == status
    assert [list(row) for row in outcome.objects] == [ROW] * 2
    assert f"{seconds:.2f} s of at most 2.50 s" in line.run("bench", "--flows", passphrase=False).out
    assert line.run("bench", "--flows", "flow.send", passphrase=False).status == 64
