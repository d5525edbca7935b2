"""What fits what somebody types, and which part of an entry shows a hit."""

from __future__ import annotations

import pytest

from tests.support.tui.hostile import BODIES
from tui.text.formatting import widest
from tui.text.matching import best, excerpt, match, pattern


def order(typed: str, *texts: str) -> list[str]:
    return [text for text, _ in best(texts, lambda text: match(typed, text), 10)]


def test_a_start_goes_before_a_word_before_an_inside_before_scattered_letters() -> None:
    assert order("an", "Aaron", "Joanna", "Mo Anders", "Andrea") == ["Andrea", "Mo Anders", "Joanna", "Aaron"]


def test_equals_keep_their_order_and_nothing_typed_keeps_all() -> None:
    assert order("b", "Bob", "Ben", "Bea") == ["Bob", "Ben", "Bea"]
    assert order("", "Zoe", "Ann") == ["Zoe", "Ann"]
    assert [text for text, _ in best("abc", lambda text: match("", text), 2)] == ["a", "b"]


@pytest.mark.parametrize(
    ("typed", "text", "marked"),
    [
        ("ELO", "Éloïse", ["Élo"]),
        ("小", "李小龙", ["小"]),
        ("two one", "one two", ["one", "two"]),
        ("gtd", "Go to a date", ["G", "t", "d"]),
    ],
)
def test_the_letters_that_fit_are_marked(typed: str, text: str, marked: list[str]) -> None:
    found = match(typed, text)
    assert found is not None
    assert [text[start:end] for start, end in found.spans] == marked


def test_every_word_has_to_be_found() -> None:
    assert match("bob x", "Bob") is None
    assert match("on", "Jn o") is None


def test_scattered_letters_count_in_the_title_only() -> None:
    text = "Lock  Drop the key"
    assert match("dky", text) is not None
    assert match("dky", text, len("Lock")) is None
    further, title = match("drop", text, len("Lock")), match("lo", text, len("Lock"))
    assert further is not None
    assert title is not None
    assert further.rank > title.rank


def test_an_excerpt_stands_around_the_first_hit() -> None:
    text = "word " * 60 + "needle in it " + "more " * 60
    line, spans = excerpt(text, pattern(["needle"]), 40)
    assert line.startswith("…")
    assert line.endswith("…")
    assert [line[start:end] for start, end in spans] == ["needle"]
    assert line.index("needle") < 20


def test_an_excerpt_of_a_short_entry_is_all_of_it_on_one_line() -> None:
    assert excerpt("one\ntwo\tthree", pattern(["two"]), 40) == ("one two three", ((4, 7),))
    assert excerpt("nothing here", None, 40) == ("nothing here", ())


@pytest.mark.parametrize("cells", [1, 2, 10, 33])
def test_no_excerpt_is_wider_than_it_may_be(cells: int) -> None:
    for body in (*BODIES, "见面再谈吧 " * 40, "x" * 500):
        for word in ("surrogates", "吧", "x"):
            line, spans = excerpt(body, pattern([word]), cells)
            assert widest(line) <= cells
            assert all(0 <= start < end <= len(line) for start, end in spans)
