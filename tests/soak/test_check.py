"""The checker of a soak sees each violation that is planted in a good outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.soak.check import Outcome, memory_growth, problems

SECONDS = 1_200.0


@pytest.fixture
def good() -> Outcome:
    said = [(name, f"entry {number} of {name}") for number in range(50) for name in ("Ada", "Ben")]
    texts = {name: [text for author, text in said if author == name] for name in ("Ada", "Ben")}
    flat = [(float(second), 60_000 + second % 7) for second in range(int(SECONDS))]
    memory = {"Ada": flat, "Ben": flat}
    held = {"Ada": said, "Ben": said}
    shown = {"Ada": [one for one in said if one[0] == "Ben"], "Ben": [one for one in said if one[0] == "Ada"]}
    return Outcome(SECONDS, texts, texts, held, shown, memory)


def test_a_good_outcome_has_no_problems(good: Outcome) -> None:
    assert problems(good) == []
    late = {**good.tried, "Ada": [*good.tried["Ada"], "given to an engine that died"]}
    assert problems(replace(good, tried=late)) == []


def test_a_lost_entry_is_seen_on_either_side_and_on_both(good: Outcome) -> None:
    lost = ("Ben", "entry 7 of Ben")
    short = [one for one in good.held["Ada"] if one != lost]
    (loss, order) = problems(replace(good, held={**good.held, "Ada": short}))
    assert loss == "Ada lost: Ben, entry 7 of Ben"
    assert "orders" in order
    assert len(problems(replace(good, held={"Ada": short, "Ben": short}))) == 2


def test_an_entry_that_is_there_or_shown_twice_is_seen(good: Outcome) -> None:
    twice = [*good.held["Ben"], good.held["Ben"][3]]
    assert "Ben holds twice: Ben, entry 1 of Ben" in problems(replace(good, held={**good.held, "Ben": twice}))
    again = [*good.shown["Ada"], good.shown["Ada"][0]]
    assert problems(replace(good, shown={**good.shown, "Ada": again})) == [
        "Ada was shown twice: Ben, entry 0 of Ben"
    ]


def test_another_order_and_an_invention_are_seen(good: Outcome) -> None:
    turned = [*good.held["Ada"][1::-1], *good.held["Ada"][2:]]
    assert problems(replace(good, held={**good.held, "Ada": turned})) == [
        "both hold the entries in different orders, or not the same ones"
    ]
    invented = [*good.held["Ada"], ("Ada", "never said")]
    found = problems(replace(good, held={"Ada": invented, "Ben": invented}))
    assert [line.partition(":")[0] for line in found] == [
        f"{name} holds what nobody sent" for name in ("Ada", "Ben")
    ]


def test_growing_memory_is_seen_and_memory_that_was_not_measured(good: Outcome) -> None:
    grown = [(at, size + int(at * 10)) for at, size in good.memory["Ben"]]
    (growth,) = problems(replace(good, memory={**good.memory, "Ben": grown}))
    assert growth.startswith("Ben: the memory of the last span is 1.1")
    (unmeasured,) = problems(replace(good, memory={**good.memory, "Ben": []}))
    assert "not measured" in unmeasured


@pytest.mark.parametrize(("seconds", "growth"), [(1_200.0, 1.5), (180.0, 2.0)])
def test_a_short_soak_has_shorter_spans(seconds: float, growth: float) -> None:
    width = min(120.0, seconds / 4)
    samples = [(width * 1.5, 100), (seconds - width / 2, int(100 * growth)), (width / 2, 1)]
    assert memory_growth(samples, seconds) == growth
