"""Light Markdown: what becomes a style, what stays as it was written, and that nothing gets lost."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tui.hostile import ATTACKS
from tui.text.markdown import Line, blocks, inline, lines, links
from tui.text.safe import safe

MARKS = "*_`~"


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("plain", [("text", "plain")]),
        ("a **bold** word", [("text", "a "), ("bold", "bold"), ("text", " word")]),
        ("*so* and _so_", [("italic", "so"), ("text", " and "), ("italic", "so")]),
        ("~~not~~ `x = **y**`", [("struck", "not"), ("text", " "), ("code", "x = **y**")]),
        ("2*3*4 snake_case_name __init__", [("text", "2*3*4 snake_case_name __init__")]),
        ("*.py and *.md, ** alone", [("text", "*.py and *.md, ** alone")]),
        ("[bold red]no[/] [x](y)", [("text", "[bold red]no[/] [x](y)")]),
        (
            "see https://a.example/x_y_z?q=(1)).",
            [("text", "see "), ("link", "https://a.example/x_y_z?q=(1)"), ("text", ").")],
        ),
        ("nohttps://a.example", [("text", "nohttps://a.example")]),
        ("", [("text", "")]),
    ],
)
def test_marks_of_pairs_become_styles(text: str, spans: list[tuple[str, str]]) -> None:
    assert list(inline(text)) == spans


def test_quotations_and_lists_keep_their_beginning_apart() -> None:
    quotation, item, numbered, plain = lines("> said *so*\n- thing\n  12. next\n-not one")
    assert (quotation.first, quotation.rest, quotation.text) == ("│ ", "│ ", "said so")
    assert (item.first, item.rest, item.text) == ("- ", "  ", "thing")
    assert (numbered.first, numbered.rest) == ("  12. ", "      ")
    assert plain == Line((("text", "-not one"),))


def test_a_block_of_code_is_left_as_it_is() -> None:
    shown = lines("before\n```python\n  **x** = `1`\n\n```\nafter")
    assert [line.text for line in shown] == ["before", "  **x** = `1`", "", "after"]
    assert [line.code for line in shown] == [False, True, True, False]
    assert blocks("```\na\nb\n```\nand\n~~~\nc\n~~~") == ["a\nb", "c"]
    assert blocks("the `one` or `two`") == ["one", "two"]
    assert lines("```\n```") == [Line((("text", "```\n```"),))]


def test_an_open_block_goes_to_the_end() -> None:
    assert [line.code for line in lines("```\na\n> b")] == [True, True]


def test_links_are_found_once_in_order() -> None:
    text = "https://b.example, (https://a.example/1) https://b.example `https://c.example`"
    assert links(text) == ["https://b.example", "https://a.example/1"]


@given(st.text(alphabet="ab *_`~>-1.)([]:/\nhtps\u0301", max_size=80))
def test_only_marks_are_left_out_and_none_loses_its_base(text: str) -> None:
    text = safe(text)
    shown = lines(text)
    kept = "".join(line.first + line.text for line in shown)
    letters = re.compile(f"[^{re.escape(MARKS)}>│ \n]")
    assert "".join(letters.findall(kept)) == "".join(letters.findall(text))
    for line in shown:
        for _style, part in line.spans:
            assert not part or unicodedata.category(part[0])[0] != "M" or len(line.spans) == 1


@pytest.mark.parametrize("text", ["*", "`", "**a", "~~", "_a", "> ", "- ", "https://(", "[](", "*a ", "a_b_"])
def test_attack_79_a_long_run_of_marks_is_shown_whole(text: str) -> None:
    many = text * (16_384 // len(text))
    kept = "".join(line.first + line.text for line in lines(many))
    assert kept.count("a") == many.count("a")
    assert kept


@pytest.mark.parametrize("text", ATTACKS.values(), ids=ATTACKS)
def test_attack_79_no_span_holds_what_safe_takes_out(text: str) -> None:
    for line in lines(safe(text)):
        for _style, part in line.spans:
            assert safe(part) == part or unicodedata.category(part[0])[0] == "M"
