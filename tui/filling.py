"""A sentence of a catalogue with styled values in it.

Rules: the order of the values is that of the sentence in the language in use; a value is shown as it stands
and never read as markup; each value that a sentence names is given.
"""

from __future__ import annotations

from string import Formatter

from textual.content import Content


def filled(sentence: str, style: str = "", /, **values: tuple[str, str]) -> Content:
    """The sentence in `style`, each `{name}` in it replaced by a text in a style of its own."""
    parts: list[tuple[str, str]] = []
    for text, name, _format, _conversion in Formatter().parse(sentence):
        parts.append((text, style))
        if name is not None:
            parts.append(values[name])
    return Content.assemble(*parts)
