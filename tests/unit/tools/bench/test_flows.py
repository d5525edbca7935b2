"""The report of the flows: every flow, its bound, what a figure is worth. How fast they are is no test."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chat.tools.bench import flows, interface
from chat.tools.bench.flows import OwnNetwork, measure
from chat.tools.bench.measure import FLOWS, PAIRING, START, TALK, Aim, Figure, FlowSample, NotTaken
from tests.support import machine as needs
from tests.support.cli.line import Line

FIELDS = ["name", "size", "subject", "per_second", "unit", "note"]
BOUNDS = {
    "flow.pairing": 3.0,
    "flow.start": 0.6,
    "flow.launch": 2.0,
    "flow.send": 2.5,
    "flow.talk": 0.04,
}


@pytest.fixture
def line(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(tmp_path, capfd, monkeypatch)


def sample(flow: Aim, of_bound: float) -> FlowSample:
    return FlowSample(flow.bound * of_bound, (3, 1) if flow.inputs_most else ())


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> dict[Aim, Iterator[float]]:
    """What the rounds take, by flow, as parts of the bound: half of it, unless a test says otherwise."""
    parts: dict[Aim, Iterator[float]] = {}

    def played() -> flows.Round:
        return {flow: sample(flow, next(parts[flow], 0.5) if flow in parts else 0.5) for flow in FLOWS}

    monkeypatch.setattr(flows, "_round", played)
    return parts


def test_every_flow_has_its_bound() -> None:
    assert {flow.name: flow.bound for flow in FLOWS} == BOUNDS
    assert [flow for flow in FLOWS if flow.inputs_most] == [PAIRING]
    assert PAIRING.inputs_most == 3


@pytest.mark.usefixtures("rounds")
def test_the_report_has_every_flow_five_times() -> None:
    figures = list(measure())
    assert [figure.aim for figure in figures] == list(FLOWS)
    assert {len(figure.samples) for figure in figures} == {5}
    assert all(figure.good for figure in figures)


def test_the_median_counts(rounds: dict[Aim, Iterator[float]]) -> None:
    rounds[START] = iter([9.0, 0.1, 0.2, 0.3, 9.0])
    rounds[TALK] = iter([1.1, 1.1, 0.2, 0.3, 1.1])
    figures = {figure.aim: figure for figure in measure()}
    assert figures[START].amount == pytest.approx(0.3 * START.bound)
    assert figures[START].good
    assert not figures[TALK].good
    assert figures[TALK].verdict() == "44.0 ms of at most 40.0 ms, MISSED (median of 5, 8.0 ms to 44.0 ms)"


@pytest.mark.parametrize(
    ("inputs", "good"), [((3, 1), True), ((3, 3), True), ((4, 1), False), ((1, 4), False)]
)
def test_one_input_too_many_of_either_person_misses(inputs: tuple[int, int], good: bool) -> None:
    figure = Figure(PAIRING, (FlowSample(1.5, (3, 1)), FlowSample(1.5, inputs)))
    assert figure.good is good
    assert f"{max(3, inputs[0])} and {inputs[1]} inputs of at most 3" in figure.verdict()


def test_a_figure_at_its_bound_is_not_under_it() -> None:
    assert not Figure(START, (FlowSample(0.6),)).good


def run(line: Line) -> tuple[int, Sequence[dict[str, object]]]:
    outcome = line.run("bench", "--flows", "--json", passphrase=False)
    return outcome.status, outcome.objects


@pytest.mark.parametrize("slow", [None, *FLOWS], ids=lambda flow: flow.name if flow else "none")
def test_a_slow_figure_is_status_1(slow: Aim | None, line: Line, rounds: dict[Aim, Iterator[float]]) -> None:
    if slow is not None:
        rounds[slow] = iter([1.01] * 5)
    status, rows = run(line)
    assert status == (0 if slow is None else 1)
    assert [row["name"] for row in rows] == list(BOUNDS)
    assert [row["name"] for row in rows if "MISSED" in str(row["note"])] == ([slow.name] if slow else [])
    for row in rows:
        assert list(row) == FIELDS
        assert json.loads(json.dumps(row)) == row
    text = line.run("bench", "--flows", passphrase=False).out
    assert [one.split()[0] for one in text.splitlines()] == list(BOUNDS)


def test_what_cannot_be_measured_is_not_passed(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks() -> flows.Round:
        raise NotTaken("no pseudo-terminal can be had (out of them)")

    monkeypatch.setattr(flows, "_round", lacks)
    status, rows = run(line)
    assert status == 1
    assert [row["per_second"] for row in rows] == [None] * 5
    assert str(rows[1]["note"]).startswith("not taken, at most 0.60 s: no pseudo-terminal can be had (out of")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: signal.Signals, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(flows, "_round", lambda: signal.raise_signal(number))
    outcome = line.run("bench", "--flows", passphrase=False)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.splitlines()[-1] == "Interrupted: run the command again."
    assert signal.getsignal(signal.SIGTERM) is before


def test_without_its_tools_there_is_no_network_figure_or_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows, "_TOOLS", ("sh", "a-tool-of-another-world"))
    monkeypatch.setattr(interface, "create", None)
    with pytest.raises(NotTaken, match="without a-tool-of-another-world"), OwnNetwork():
        pass
    assert {figure.problem for figure in (*measure(), *interface.measure(print))} == {
        "no network namespace can be had without a-tool-of-another-world"
    }


@pytest.mark.network
@pytest.mark.slow
def test_two_persons_come_through_all_flows() -> None:
    needs.needs_root_network()
    (pairing, *others) = measure(runs=1)
    assert pairing.samples[0].inputs == (3, 1)
    assert all(figure.amount for figure in others)
