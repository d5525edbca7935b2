"""The reports of the flows and of the interface: bounds, and what a figure is worth."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.tools.bench import flows, interface, rest
from chat.tools.bench.flows import measure, own_network
from chat.tools.bench.interface import AIMS, MEMORY, PAGE_UP, REST
from chat.tools.bench.measure import FLOWS, PAIRING, START, TALK, Aim, Figure, FlowSample, NotTaken
from tests.support import machine as needs
from tests.support.cli.line import Line

REPORTS = {"--flows": FLOWS, "--interface": AIMS, "--rest": rest.AIMS}
BOUNDS = {
    "flow.pairing": 3.0,
    "flow.start": 0.35,
    "flow.launch": 2.0,
    "flow.send": 2.5,
    "flow.talk": 0.04,
    "interface.start": 0.35,
    "interface.typing": 0.016,
    "interface.cursor": 0.016,
    "interface.pageup": 0.03,
    "interface.memory": 150.0,
    "interface.idle": 0.01,
    "rest.one": 3_000.0,
    "rest.two_terminals": 3_000.0,
    "rest.two_contacts": 6_000.0,
    "rest.terminals_cost": 1.1,
    "rest.eight_mutual": 6_000.0,
    "rest.thirty": 6_000.0,
    "rest.healing": 6_000.0,
    "rest.memory": 50.0,
    "rest.interface": 80.0,
}
Parts = dict[Aim, Iterator[float]]


@pytest.fixture
def line(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(tmp_path, capfd, monkeypatch)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    """What the runs take, by figure, as parts of its bound: half of it, unless a test says otherwise."""
    parts: Parts = {}

    def sample(aim: Aim) -> FlowSample:
        part = next(parts[aim], 0.5) if aim in parts else 0.5
        return FlowSample(aim.bound * part, (3, 1) if aim.inputs_most else ())

    def rounds(_say: object, runs: int, _entries: int) -> list[flows.Round]:
        return [{aim: sample(aim) for aim in AIMS} for _ in range(runs)]

    monkeypatch.setattr(flows, "_round", lambda: {flow: sample(flow) for flow in FLOWS})
    monkeypatch.setattr(interface, "_rounds", rounds)
    monkeypatch.setattr(rest, "_rounds", lambda: [{aim: sample(aim) for aim in rest.AIMS} for _ in range(3)])
    return parts


def test_every_figure_has_its_bound_a_million_entries_and_three_runs() -> None:
    assert {aim.name: aim.bound for aim in (*FLOWS, *AIMS, *rest.AIMS)} == BOUNDS
    assert [(flow, flow.inputs_most) for flow in FLOWS if flow.inputs_most] == [(PAIRING, 3)]
    assert (interface.ENTRIES, interface.RUNS, interface.IDLE) == (1_000_000, 3, 30)


@pytest.mark.usefixtures("parts")
def test_the_report_has_every_flow_five_times(line: Line) -> None:
    figures = list(measure())
    assert [figure.aim for figure in figures] == list(FLOWS)
    assert {len(figure.samples) for figure in figures} == {5}
    assert all(figure.good for figure in figures)
    text = line.run("bench", "--flows", passphrase=False).out
    assert [one.split()[0] for one in text.splitlines()] == [flow.name for flow in FLOWS]


def test_the_median_counts(parts: Parts, line: Line) -> None:
    parts[START] = iter([9.0, 0.1, 0.2, 0.3, 9.0])
    parts[TALK] = iter([1.1, 1.1, 0.2, 0.3, 1.1])
    figures = {figure.aim: figure for figure in measure()}
    assert figures[START].amount == pytest.approx(0.3 * START.bound)
    assert figures[START].good
    assert not figures[TALK].good
    assert not Figure(START, (FlowSample(0.35),)).good, "at its bound is not under it"
    assert figures[TALK].verdict() == "44.0 ms of at most 40.0 ms, MISSED (median of 5, 8.0 ms to 44.0 ms)"
    for last, status in ((0.9, 0), (1.0, 1)):
        parts.update({aim: iter((2.0, 0.1, last)) for aim in AIMS})
        assert line.run("bench", "--interface", passphrase=False).status == status


@pytest.mark.parametrize(
    ("inputs", "good"), [((3, 1), True), ((3, 3), True), ((4, 1), False), ((1, 4), False)]
)
def test_one_input_too_many_of_either_person_misses(inputs: tuple[int, int], good: bool) -> None:
    figure = Figure(PAIRING, (FlowSample(1.5, (3, 1)), FlowSample(1.5, inputs)))
    assert figure.good is good
    assert f"{max(3, inputs[0])} and {inputs[1]} inputs of at most 3" in figure.verdict()


@pytest.mark.usefixtures("parts")
def test_amounts_are_said_in_their_units(line: Line) -> None:
    text = line.run("bench", "--interface", passphrase=False).out
    assert "interface.start  0.17 s of at most 0.35 s, kept (median of 3" in text
    assert "interface.pageup 15.0 ms of at most 30.0 ms" in text
    assert "interface.memory 75.0 MiB of at most 150.0 MiB" in text
    assert "interface.idle   0.50% of a core of at most 1.00% of a core" in text
    assert Figure(MEMORY, (FlowSample(75.0),)).row()["size"] == 75 * 2**20
    assert Figure(PAGE_UP, (FlowSample(0.02),)).row()["per_second"] == 50
    assert Figure(REST, (FlowSample(0.004),)).row()["per_second"] == 0.004
    assert Figure(interface.START, ()).row()["per_second"] is None
    text = line.run("bench", "--rest", passphrase=False).out
    assert "rest.thirty         3,000 wake-ups an hour of at most 6,000 wake-ups an hour, kept" in text
    assert Figure(rest.ONE, (FlowSample(1_800.0),)).row()["per_second"] == 0.5
    assert Figure(rest.ONE, ()).row()["per_second"] is None
    assert "rest.terminals_cost 0.55 times of at most 1.10 times, kept" in text
    assert Figure(rest.RATIO, (FlowSample(0.987_6),)).row()["per_second"] == 0.988
    assert Figure(rest.RATIO, ()).row()["per_second"] is None


def test_the_interface_is_one_measurement_by_itself(line: Line) -> None:
    for more in ("--flows", "--rest", "--peers", "codec"):
        assert line.run("bench", "--interface", more, passphrase=False).status == 64


SLOW = [(option, slow) for option, aims in REPORTS.items() for slow in (None, *aims)]


@pytest.mark.parametrize(("option", "slow"), SLOW)
def test_a_missed_bound_is_status_1(option: str, slow: Aim | None, line: Line, parts: Parts) -> None:
    if slow is not None:
        parts[slow] = iter([0.5, *[1.01] * 4])
    outcome = line.run("bench", option, "--json", passphrase=False)
    assert outcome.status == (0 if slow is None else 1)
    assert [row["name"] for row in outcome.objects] == [aim.name for aim in REPORTS[option]]
    missed = [row["name"] for row in outcome.objects if "MISSED" in str(row["note"])]
    assert missed == ([slow.name] if slow else [])
    for row in outcome.objects:
        assert list(row) == ["name", "size", "subject", "per_second", "unit", "note"]
        assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize("option", REPORTS)
def test_what_cannot_be_measured_is_said_and_is_not_passed(
    option: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(*_: object) -> flows.Round:
        raise NotTaken("no pseudo-terminal can be had (out of them)")

    monkeypatch.setattr(flows, "_round", lacks)
    monkeypatch.setattr(interface, "_rounds", lacks)
    monkeypatch.setattr(rest, "_rounds", lacks)
    outcome = line.run("bench", option, "--json", passphrase=False)
    assert outcome.status == 1
    assert [row["per_second"] for row in outcome.objects] == [None] * len(REPORTS[option])
    for row, aim in zip(outcome.objects, REPORTS[option], strict=True):
        said = f"not taken, at most {aim.unit.said(aim.bound)}: no pseudo-terminal can be had (out of"
        assert str(row["note"]).startswith(said)


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
    with pytest.raises(NotTaken, match="without a-tool-of-another-world"), own_network():
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
