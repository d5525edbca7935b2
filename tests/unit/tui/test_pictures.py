"""The pictures: what is drawn is in its column and asks nobody for anything, and a difference is reported."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tests.architecture.imports import ROOT
from tests.support.screens.pictures import (
    FRAME,
    WIDTH,
    Look,
    Run,
    difference,
    draw,
    dump,
    names_of,
    of_escapes,
)
from tui.themes import COLOURS, DARK

SVG = "{http://www.w3.org/2000/svg}"
ESCAPES = "\x1b[1;38;2;130;170;255mF1\x1b[0;38;2;152;162;180m Help 小雨\x1b[0m \x1b[7mx\x1b[0m"


def columns(svg: str) -> dict[str, float]:
    """The column in which each text of a drawing begins."""
    texts = ElementTree.fromstring(svg).iter(f"{SVG}text")
    return {text.text or "": round((float(text.get("x", "0")) - FRAME) / WIDTH, 2) for text in texts}


def test_a_terminals_screen_becomes_runs_of_one_look() -> None:
    (row,) = of_escapes(ESCAPES, 14, 1).rows
    assert [(run.text, run.look.ink, run.look.marks) for run in row[:2]] == [
        ("F1", "#82aaff", ("bold",)),
        (" Help 小雨", "#98a2b4", ()),
    ]
    assert row[-1] == Run("x", Look("ground", "ink"))
    assert sum(run.cells for run in row) == 14


def test_every_sign_stands_in_its_column() -> None:
    svg = draw(of_escapes(ESCAPES, 14, 1), "#d8dee9", "#10141b")
    assert columns(svg) == {"F1": 0, "Help": 3, "小": 8, "雨": 10, "x": 13}


def test_a_picture_asks_nobody_for_anything() -> None:
    shown = draw(of_escapes("<b>&amp; https://example.org", 30, 1), "#000000", "#ffffff")
    assert re.findall(r"https?://[^\s\"<]+", shown.replace("https://example.org", "")) == [SVG[1:-1]]
    assert "<b>" not in shown
    for word in ("@import", "font-face", "href", "<image", "<style", "url("):
        assert word not in shown


def test_the_readme_shows_three_of_the_real_program() -> None:
    shown = re.findall(r'src="(docs/screens/[^"]+\.svg)"', (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(set(shown)) == 3
    for path in shown:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert set(re.findall(r"<(\w+)", text)) == {"svg", "rect", "path", "text"}, path
        assert "url(" not in text
        assert len(text) < 80_000


def test_what_differs_is_told_by_its_row_and_the_names_of_its_looks() -> None:
    names = names_of(DARK)
    stored = dump(of_escapes(ESCAPES, 14, 1), names)
    assert stored == [
        "│F1 Help 小雨 x",
        "",
        "0: primary/default+bold×2 quiet/default×10 default/default×1 ground/ink×1",
    ]
    told = difference(stored, dump(of_escapes(ESCAPES.replace("1;", ""), 14, 1), names))
    assert "-0: primary/default+bold×2" in told
    assert "+0: primary/default×2" in told
    assert difference(stored, stored) == ""


def test_every_colour_of_every_theme_has_one_name() -> None:
    for theme in COLOURS.values():
        names = names_of(theme)
        assert names[theme.primary] == "primary"
        assert names[str(theme.foreground)] == "foreground"
