"""What fits what somebody types, and which part of an entry shows a hit."""

from __future__ import annotations

import pytest

from chat.interface import Term, pattern
from tests.support.tui.hostile import BODIES
from tui.text.matching import best, excerpt, match
from tui.text.safe import widest


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


def text_of(spans: tuple[tuple[str, str], ...], style: str = "") -> str:
    """The text of all pieces, or of those of a style with a bar between them."""
    return "|".join(text for one, text in spans if one == style) if style else "".join(t for _, t in spans)


def test_an_excerpt_stands_around_the_first_hit() -> None:
    spans = excerpt("word " * 60 + "needle in it " + "more " * 60, pattern([Term("needle")]), 40)
    line = text_of(spans)
    assert line.startswith("…")
    assert line.endswith("…")
    assert text_of(spans, "hit") == "needle"
    assert line.index("needle") < 20


def test_an_excerpt_of_a_short_entry_is_all_of_it_on_one_line() -> None:
    spans = excerpt("one\ntwo\tthree\n", pattern([Term("two")]), 40)
    assert spans == (("text", "one "), ("hit", "two"), ("text", " three"))
    assert text_of(excerpt("nothing here", None, 40)) == "nothing here"
    assert excerpt("\n \t\n", None, 40) == ()


def test_an_excerpt_shows_markdown_as_the_conversation_does() -> None:
    text = "> **no**\n- see `the code` of *it*\n```\n  x = 1\n```\nhttps://a.example/b"
    spans = excerpt(text, pattern([Term("co", True), Term("it")]), 80)
    assert text_of(spans) == "no see the code of it x = 1 https://a.example/b"
    assert [text_of(spans, style) for style in ("bold", "hit", "code", "link")] == [
        "no",
        "co|it",
        "the |de",
        "https://a.example/b",
    ]
    assert text_of(excerpt(text, None, 80, plain=True)) == " ".join(text.split())


@pytest.mark.parametrize("cells", [1, 2, 10, 33])
def test_no_excerpt_is_wider_than_it_may_be(cells: int) -> None:
    for body in (*BODIES, "见面再谈吧 " * 40, "x" * 500, "**见面** `再谈吧` " * 40):
        for word in ("surrogates", "吧", "x"):
            spans = excerpt(body, pattern([Term(word)]), cells)
            assert widest(text_of(spans)) <= cells
            assert all(text for _style, text in spans)
