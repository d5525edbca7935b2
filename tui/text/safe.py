"""Text of other people, made safe for the cells of a terminal and measured in them."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len

from tui.text.translation import _

NAME_CELLS = 24
MARKS_IN_A_ROW = 4
MARKS_IN_A_STACK = 7
ZWJ = "\u200d"
_BREAKS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_DROPPED = frozenset(("Cc", "Cf", "Cs", "Me"))
_HIDDEN = frozenset(("Cc", "Cs"))
_UNSEEN = frozenset(("Cc", "Cf", "Cs"))
_EXACT = frozenset(("\n", "\t", "\u200c", ZWJ))
_REPLACED = frozenset(("Cn", "Co"))
_MARKS = frozenset(("Mn", "Mc"))
_BLANKS = frozenset(("Zs", "Cc"))
_SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF), (0x180B, 0x180F))
_SKIN_TONES = (0x1F3FB, 0x1F3FF)
_STACKING = ("\u0f00", "\u109f")  # Tibetan and Burmese, whose syllables need more marks than others
_ARROW = "\u2194"  # a mathematical sign that pictures are joined with: a shaken head
_MARK_WITH_A_CELL = "\U0001171e"  # was a spacing mark once, and is one for terminals
# Fillers are letters by their category and blank on the screen: a name made of them would be invisible.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U00016fe4\U0001d159")
# Latin, kana, ideographs, Hangul, full-width forms: nothing in them needs a second look.
_PLAIN = re.compile(
    "[\n -~\u00a1-\u00ac\u00ae-\u02ff\u3001-\u3029\u3041-\u3096\u30a0-\u30ff"
    "\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff60]*"
)


def safe(text: str) -> str:
    """Peer text of many lines, with only characters that stay in their cells (SECURITY cases 14, 79).

    Removes controls, ESC, bidi and zero-width characters, variation selectors, skin tones and what a
    ZWJ glues on; limits combining chains; unassigned and private characters become U+FFFD.
    """
    text = _BREAKS.sub("\n", text).replace("\t", "    ")
    if is_plain(text):
        return text
    return _without_chains(_without_joins(text))


def exact(text: str) -> str:
    """Peer text for the clipboard: as `safe`, with all that other programs need of it.

    Tabs stay, of which code is made, and what joins and parts letters or belongs to an emoji. No control
    is left, and nothing that is unseen or turns the order of what follows.
    """
    text = _BREAKS.sub("\n", text)
    return "".join(one for one in text if one in _EXACT or unicodedata.category(one) not in _UNSEEN)


def safe_line(text: str) -> str:
    """Peer text on one line: every run of blanks and breaks is one space."""
    return " ".join(safe(text).split())


def safe_name(name: str, cells: int = NAME_CELLS) -> str:
    """A name of at most `cells` columns; what shows nothing at all is said to be nameless."""
    shown = shorten(safe_line(name), cells)
    return shown if widest(shown) else _("(no name)")


def shorten(text: str, cells: int) -> str:
    """Safe text cut to `cells` columns, with an ellipsis where something is missing."""
    if widest(text) <= cells:
        return text
    kept, used = "", 0
    for character in text:
        used += widest(character)
        if used > cells - 1:
            break
        kept += character
    return kept.rstrip() + "…" if cells > 0 else ""


def widest(text: str) -> int:
    """The most columns that any terminal gives to safe text.

    Terminals disagree on spacing marks (0 or 1) and on a few symbols (1 or 2); the table that Textual
    draws by takes the smaller figure.
    """
    if text.isascii():
        return len(text)
    return cell_len(text) + sum(map(_doubtful, text))


def with_room(text: str) -> str:
    """Safe text with as many blanks behind it as leave it whole in a terminal that makes it longer."""
    return text if text.isascii() else text + " " * (widest(text) - cell_len(text))


def _doubtful(character: str) -> int:
    category = unicodedata.category(character)
    if category == "Mc":
        return 1 + (unicodedata.east_asian_width(character) == "W")
    if category == "Lo":
        return not cell_len(character)
    return character == _MARK_WITH_A_CELL or (category in ("So", "No") and cell_len(character) == 1)


def attaches(character: str) -> bool:
    """Whether a safe character is drawn on the one before it: a mark, or a later part of Hangul."""
    return character != "\n" and (unicodedata.category(character) in _MARKS or not cell_len(character))


def is_hidden(character: str) -> bool:
    return not _shown(character)


def _without_joins(text: str) -> str:
    kept: list[str] = []
    joined = False
    for character in text:
        if character == ZWJ:
            joined = True
            continue
        if not (joined and is_pictograph(character)):
            kept.append(character)
        joined = joined and is_selector(character)
    return "".join(kept)


def is_pictograph(character: str) -> bool:
    if character == _ARROW or _is_skin_tone(character):
        return True
    return unicodedata.category(character) in ("So", "Cn")


def _without_chains(text: str) -> str:
    kept: list[str] = []
    chain, most = 0, 0
    for character in text:
        shown = _shown(character)
        if not shown:
            continue
        if attaches(shown):
            chain += 1
            if chain > most:
                continue
        else:
            chain, most = 0, _marks_on(character)
        kept.append(shown)
    return "".join(kept)


def _marks_on(base: str) -> int:
    if unicodedata.category(base) in _BLANKS:
        return 0
    return MARKS_IN_A_STACK if _STACKING[0] <= base <= _STACKING[1] else MARKS_IN_A_ROW


def _shown(character: str) -> str:
    if character == "\n":
        return character
    category = unicodedata.category(character)
    if category in _DROPPED or character in _FILLERS or is_selector(character) or _is_skin_tone(character):
        return ""
    if category == "Zs":
        return " "
    return "\ufffd" if category in _REPLACED else character


def is_plain(text: str) -> bool:
    """Whether every character of a text is drawn as it is, in cells of its own."""
    return _PLAIN.fullmatch(text) is not None


def is_selector(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _SELECTORS)


def _is_skin_tone(character: str) -> bool:
    return _SKIN_TONES[0] <= ord(character) <= _SKIN_TONES[1]


def without_controls(text: str) -> str:
    """A paste for one's own field: line ends are as the program has them, no control is left but those."""
    text = _BREAKS.sub("\n", text)
    return "".join(
        one for one in text if one == "\n" or one == "\t" or unicodedata.category(one) not in _HIDDEN
    )
