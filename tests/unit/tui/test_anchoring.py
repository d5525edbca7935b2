"""Text of uncertain width moves nothing that stands after it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.textual_fixes import anchored


@pytest.mark.parametrize(
    "text", ["plain", "\x1b[1;31mGrüße ✓ ─ │ ●\x1b[0m", "你好\x1b[0m", "\x1b[2;5Hかな 한글"]
)
def test_certain_text_is_left_as_it_is(text: str) -> None:
    assert anchored(text) == text


def test_an_uncertain_run_stands_between_saved_and_restored_cursor() -> None:
    done = anchored("\x1b[31mको    \x1b[0mafter")
    width = cell_len("को    ")
    # The vowel sign may take a column of its own, so the padding is a column shorter.
    assert done == f"\x1b[31m\x1b7{' ' * width}\x1b8को   \x1b8\x1b[{width}C\x1b[0mafter"


def test_lines_are_anchored_one_by_one() -> None:
    done = anchored("🇩🇪\nplain\n🇫🇷")
    assert done.count("\x1b7") == 2
    assert done.split("\n")[1] == "plain"


@given(
    st.lists(st.sampled_from(["\x1b[31m", "\x1b[0m", "\x1b[3;4H", "\n", "abc", "नमः ", "🎉", "宽", "\x1b7"]))
)
def test_nothing_but_anchors_is_added(parts: list[str]) -> None:
    output = "".join(parts)
    done = anchored(output)
    for part in ("\x1b[31m", "\x1b[0m", "\x1b[3;4H", "\n", "abc", "宽", "🎉"):
        assert done.count(part) == output.count(part)
