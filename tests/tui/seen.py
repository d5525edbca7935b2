"""What a person has before them and the engine was asked: what is compared before and after each key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Static, TextArea

from tui.app import ParlourApp
from tui.screens.chat.chat import ChatScreen
from tui.screens.dialog import Dialog
from tui.widgets.controls import Choice, Hints
from tui.widgets.history import History
from tui.widgets.lines import KeyLine, ReplyLine, Status
from tui.widgets.people import People

CELLS: Final = 56
"""Characters of a text that the table has."""

_COUNTED: Final = ("history entries",)
"""What is compared of two ways to press the same keys, and which the table has in other words."""


@dataclass(frozen=True)
class Seen:
    """`values` are the same in every language, `words` are texts of the program; both by their place."""

    stack: tuple[str, ...]
    focus: str
    values: dict[str, str]
    words: dict[str, str]
    title: str


def look(app: ParlourApp, names: dict[str, str]) -> Seen:
    """`names`: of persons and entries, by their ids."""
    values, words = _of_app(app), dict[str, str]()
    for screen in app.screen_stack[1:]:
        if isinstance(screen, ChatScreen):
            values |= _of_chat(screen, names)
        on_top = screen is app.screen
        if on_top or isinstance(screen, ChatScreen):
            for widget in _shown(screen):
                label = _label(widget)
                if (value := _value(widget, names)) is not None:
                    values[f"{type(screen).__name__} {label}"] = value
                elif (on_top or label == "said") and (text := _text(widget)):
                    words[label] = text
    focused = app.screen.focused
    box = next(iter(app.screen.query("#box").results()), None) if isinstance(app.screen, Dialog) else None
    title = str(box.border_title or "") if box is not None else ""
    if box is not None and box.border_subtitle:
        words["count"] = str(box.border_subtitle)
    return Seen(
        tuple(type(screen).__name__ for screen in app.screen_stack[1:]),
        "nothing" if focused is None else _label(focused),
        values,
        words,
        title,
    )


def same_in_every_language(seen: Seen) -> object:
    """What two ways of pressing the same keys, and two languages, have in common."""
    values = {place: text for place, text in seen.values.items() if text[:1] != "@" and place != "language"}
    return seen.stack, seen.focus, values, sorted(seen.words), bool(seen.title)


def changes(before: Seen, after: Seen) -> tuple[list[str], list[str]]:
    """What has changed in the same words in every language, and what the program says now."""
    did, said = list[str](), list[str]()
    common = 0
    for ours, theirs in zip(before.stack, after.stack, strict=False):
        if ours != theirs:
            break
        common += 1
    did += [f"{name} closes" for name in reversed(before.stack[common:])]
    did += [f"{name} opens" for name in after.stack[common:]]
    if before.focus != after.focus:
        did.append(f"focus: {after.focus}")
    for place, now in sorted(after.values.items()):
        was = before.values.get(place)
        screen, _, label = place.rpartition(" ")
        begins = was is None and screen not in ("", "ChatScreen")
        if now == was or label in _COUNTED or (begins and (now in ("", "|") or now.startswith("@"))):
            continue  # how a dialog is at first
        if label == "body" and after.focus not in (label, "nothing"):
            continue  # what has the focus scrolls into view a frame later, with the next key perhaps
        did.append(_moved(label, was or "", now))
    if after.title != before.title and after.title:
        said.append(shorten(after.title))
    moved = before.stack != after.stack
    for label in sorted(before.words.keys() | after.words.keys()):
        ours, theirs = before.words.get(label, ""), after.words.get(label, "")
        if ours != theirs and not (moved and label in ("status", "header", "keys")):
            if not moved:
                did.append(f"{label} {'changes' if theirs else 'goes'}")
            if theirs and (not moved or label in ("said", "problem", "message")):
                said.append(shorten(theirs))
    return did, said


def _moved(label: str, ours: str, theirs: str) -> str:
    """A change of a value; of places in rows only which way, since rows are others in each language."""
    if theirs.startswith("@"):
        before, after = int(ours[1:] or 0), int(theirs[1:])
        return f"{label} scrolls {'down' if after > before else 'up'}"
    return f"{label}: {shorten(theirs)}" if theirs else f"{label}: empty"


def _of_app(app: ParlourApp) -> dict[str, str]:
    return {
        "theme": app.theme.removeprefix("parlour-"),
        "mouse": "on" if app.preferences.mouse else "off",
        "clipboard": app.clipboard if "\n" not in app.clipboard else _lines(len(app.clipboard.splitlines())),
        "language": app.preferences.language,
        "alt": "held" if app._with_alt else "",
    }


def _lines(number: int) -> str:
    return "1 line" if number == 1 else f"{number} lines"


def _of_chat(screen: ChatScreen, names: dict[str, str]) -> dict[str, str]:
    current = screen.state.current
    return {
        "conversation": "" if current is None else names.get(current, "?"),
        "list": "shown" if screen.people.view.display else "hidden",
        "history rows": f"@{screen.history.view.scroll_offset.y}",
        "history entries": str(len(screen.history.view.window.entries)),
    }


def _shown(screen: Screen[Any]) -> Iterator[Widget]:
    """The widgets that are displayed."""
    waiting: list[Widget] = list(screen.children)
    for widget in waiting:
        if widget.display:
            yield widget
            waiting += widget.children


def _label(widget: Widget) -> str:
    return (widget.id or type(widget).__name__).removeprefix("choose-")


def _value(widget: Widget, names: dict[str, str]) -> str | None:
    match widget:
        case Input():
            start, end = sorted(widget.selection)
            mark = f"[{widget.value[start:end]}]" if start != end else "|"
            hidden = " (masked)" if widget.password else ""
            text = f"{widget.value[:start]}{mark}{widget.value[end:]}{hidden}"
            return text.replace("\n", "⏎")
        case TextArea():
            lines = widget.document.lines
            (top, left), (bottom, right) = sorted(widget.selection)
            first = sum(len(line) + 1 for line in lines[:top]) + left
            last = sum(len(line) + 1 for line in lines[:bottom]) + right
            mark = f"[{widget.text[first:last]}]" if first != last else "|"
            return f"{widget.text[:first]}{mark}{widget.text[last:]}".replace("\n", "⏎")
        case OptionList():
            return "no line" if widget.highlighted is None else f"line {widget.highlighted + 1}"
        case Choice():
            return widget.chosen or "usual"
        case History():
            chosen = "" if widget.chosen is None else widget.chosen.text or widget.chosen.kind
            selected = len(widget.selected_text.splitlines())
            several = f" (selected: {_lines(selected)})" if selected else ""
            return f"{chosen or 'nothing'}{several}"
        case People():
            return names.get(widget.cursor or "", "nobody")
        case Button() | Static():
            return None
    return f"@{widget.scroll_offset.y}" if widget.id == "body" else None


def _text(widget: Widget) -> str:
    if isinstance(widget, (KeyLine, Status)) or (widget.id is None and not isinstance(widget, Hints)):
        return ""
    if isinstance(widget, Button):
        return str(widget.label)
    if not isinstance(widget, Static):
        return ""
    text = widget.render() if isinstance(widget, ReplyLine) else widget.content
    return " / ".join(" ".join(part.split()) for part in str(text).splitlines() if part.strip())


def home() -> str:
    """What the table has a tilde for."""
    return str(Path.home())


def shorten(text: str) -> str:
    """One line that the table has room for."""
    line = text.replace("\n", "⏎").replace(home(), "~")
    return line if len(line) <= CELLS else f"{line[: CELLS // 2]}…{line[-CELLS // 2 + 1 :]}"
