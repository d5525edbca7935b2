"""One text takes the straight way from `send` to its receipt; see straight_way.py, which counts it."""

from __future__ import annotations

from tests.architecture.straight_way import count_one_text

CALLS = 300
FILES = 18


def test_one_text_takes_few_calls_through_few_files() -> None:
    way = count_one_text()
    assert way.calls <= CALLS
    assert way.files <= FILES
    assert way.functions <= way.calls
