"""One's own text as it is drawn: places stay places, and nothing in it could leave its cells."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from tests.support.tui.hostile import ATTACKS
from tui.text.safe import attaches, safe, without_controls
from tui.text.wrapping import NOTHING, Shape, places, settled

OWN = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cc", "Cs"]),
        st.sampled_from("\t\u200d\u200b\u202e\ufe0f\u0301\u0903\u094d👩🏽🇩🇪宽W ✌☝ᄒ\u1161क\u093f"),
    ),
    max_size=40,
).map(lambda text: without_controls(text).replace("\n", " "))


def drawn(text: str) -> str:
    """What of a line goes to the screen."""
    return "".join(segment.text for segment in settled([Segment(Shape(text, 0).drawn)]))


def characters(text: str) -> list[str]:
    """The line in what a person sees as single characters."""
    return [text[begin:end] for begin, end in pairwise(places(text))]


@given(OWN, st.integers(8, 30))
@example("0000000¼00000\U000e01f0", 8)
def test_drawn_text_has_the_places_of_the_text_and_nothing_dangerous(text: str, width: int) -> None:
    shape = Shape(text, width)
    assert len(shape.shown) == len(shape.drawn) == len(shape.heads) == len(text)
    assert shape.places == sorted(set(shape.places))
    assert {0, len(text)} <= set(shape.places)
    assert set(shape.rows) <= set(shape.places)
    assert cell_len(drawn(text)) == cell_len(shape.drawn)
    assert safe(drawn(text)) == drawn(text)


@given(OWN, st.data())
def test_a_row_is_as_wide_whatever_parts_it_is_drawn_in(text: str, data: st.DataObject) -> None:
    shape = Shape(text, 0)
    cut = data.draw(st.integers(0, len(text)))
    parts = settled([Segment(shape.drawn[:cut]), Segment(shape.drawn[cut:])])
    assert sum(cell_len(part.text) for part in parts) == cell_len(shape.drawn)
    assert not any(attaches(part.text[0]) for part in parts[1:])


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("ab", ["a", "b"]),
        ("e\u0301x", ["e\u0301", "x"]),
        ("👨\u200d👩\u200d👧!", ["👨\u200d👩\u200d👧", "!"]),
        ("👩🏽\u200d🚀👍🏿", ["👩🏽\u200d🚀", "👍🏿"]),
        ("🏳\ufe0f\u200d🌈", ["🏳\ufe0f\u200d🌈"]),
        ("🇩🇪🇫🇷🇨", ["🇩🇪", "🇫🇷", "🇨"]),
        ("1\ufe0f\u20e3", ["1\ufe0f\u20e3"]),
        ("नमस्ते", ["न", "म", "स्", "ते"]),
        ("\u1112\u1161\u11ab\u1100", ["\u1112\u1161\u11ab", "\u1100"]),
        ("宽\u200b宽", ["宽\u200b", "宽"]),
        ("\u200d👩", ["\u200d👩"]),
        ("a\t\u0301b", ["a", "\t\u0301", "b"]),
        ("", []),
    ],
)
def test_what_is_seen_as_one_character_is_one(text: str, seen: list[str]) -> None:
    assert characters(text) == seen


def test_what_is_drawn_of_a_character_is_what_others_see_of_it() -> None:
    assert drawn("a\u202eb \ufeffc\t宽") == "ab c  宽"
    assert drawn("👨\u200d👩\u200d👧 e\u0301") == "👨 e\u0301"
    assert drawn("✌\ufe0fx") == "✌ x"
    assert drawn("को x") == "को x "
    assert Shape("x\u200by", 0).shown == f"x{NOTHING}y"


def test_a_symbol_of_doubtful_width_is_drawn_apart_from_what_follows() -> None:
    shape = Shape("✌\ufe0fx", 0).drawn
    assert [part.text for part in settled([Segment(shape)])] == ["✌ ", "x"]
    assert [part.text for part in settled([Segment(shape[:1]), Segment(shape[1:])])] == ["✌ ", "x"]


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_attack_79_own_text_is_drawn_as_harmless_as_a_peers(text: str) -> None:
    for line in without_controls(text).split("\n"):
        assert not any(unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Cn") for one in drawn(line))
        assert all(cell_len(part) for part in characters(drawn(line)))
