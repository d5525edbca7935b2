"""The README of the vectors describes what their files have, each step and each field, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest

from protocol.vectors import own
from protocol.vectors.frame import Json
from tests.architecture import spec_document
from tests.vectors.generate import FOLDER

_ITALIC: Final = re.compile(r"(?<!\*)\*(\w+)\*(?!\*)")
_CODE: Final = re.compile(r"`(\w+)`")
_ENDS: Final = re.compile("^(initiator|responder)_")
"""Fields of either endpoint, which the README calls X_name."""

_OF_OTHERS: Final = {
    "X",
    "do",
    "gives",
    "actor",
    "null",
    "one",
    "personal",
    "kem_key",
    "ratchet_key",
    "one_time",
    "S",
}
"""What the README puts between backticks that is no field or value of one file: names of the SPEC, too."""

_LONG: Final = 8
"""Spaces in a sentence that cannot stand twice by chance."""


@cache
def _paragraphs() -> dict[str, str]:
    """What the README says of each area, by its name, and "" of all."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8").partition("## Published vectors")[0]
    first, *parts = re.split(r"^\*\*(\w+)\*\* \(§", text, flags=re.MULTILINE)
    return {"": first} | dict(zip(parts[::2], parts[1::2], strict=True))


def _tests(area: str) -> Iterator[tuple[Json, list[Json]]]:
    """The inputs and the steps of each test."""
    for group in own.load(area)["groups"]:
        for test in group["tests"]:
            inputs = group["inputs"] | test.get("inputs", {})
            before = inputs.get("before", [])
            yield inputs, [*(before if isinstance(before, list) else []), *test["steps"]]


def _fields(area: str) -> set[str]:
    """The names of all inputs, and of what steps are given and give."""
    found = set[str]()
    for inputs, steps in _tests(area):
        found.update(inputs)
        for step in steps:
            gives = step.get("gives")
            found.update(step, gives if isinstance(gives, dict) else ())
    return found


def _said(value: Any) -> Iterator[str]:
    """Every key and every text in a value of a file."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield key
            yield from _said(one)
    elif isinstance(value, list):
        for one in value:
            yield from _said(one)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("area", own.AREAS)
def test_each_step_of_an_area_is_described_and_no_other(area: str) -> None:
    described = set(_ITALIC.findall(_paragraphs()[area]))
    steps = {step["do"] for _, steps in _tests(area) for step in steps}
    assert steps <= described
    assert described - steps <= set(own.AREAS)


@pytest.mark.parametrize("area", own.AREAS)
def test_each_field_is_described_or_has_a_name_of_the_specification(area: str) -> None:
    described = {name for text in ("", area) for name in _CODE.findall(_paragraphs()[text])}
    named = described | set(re.findall(r"\w+", spec_document.read()))
    assert {
        one for one in _fields(area) if one not in named and _ENDS.sub("X_", one) not in described
    } == set()


@pytest.mark.parametrize("area", own.AREAS)
def test_nothing_is_described_that_the_file_does_not_have(area: str) -> None:
    described = set(_CODE.findall(_paragraphs()[area])) - _OF_OTHERS
    said = set(_said(own.load(area)["groups"]))
    said |= {_ENDS.sub("X_", one) for one in said}
    assert described - said == set()


def test_the_specification_lists_the_sections_of_each_area() -> None:
    table = re.findall(r"^\| (\w+) \| `(\w+)\.json` \| ([\d., ]+) \|$", spec_document.read(), re.MULTILINE)
    sections = {area: {group["section"] for group in own.load(area)["groups"]} for area in own.AREAS}
    assert {area: set(listed.split(", ")) for area, _, listed in table} == sections
    assert all(area == file for area, file, _ in table)


def test_no_sentence_stands_twice() -> None:
    for area, text in _paragraphs().items():
        sentences = [one for one in re.split(r"(?<=[.;])\s+", text) if one.count(" ") >= _LONG]
        assert len(set(sentences)) == len(sentences), area
