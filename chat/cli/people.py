"""How contacts are named on the line and shown: by labels that the program shows and accepts.

Rules: two contacts are never taken for one, however alike their names look; no contact is chosen where
a name fits two.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from chat.cli.output import one_line
from chat.interface import ContactView, Messenger, UsageError

_SUFFIX_DIGITS: Final = (4, 8, 16, 64)
"""Digits of the person id that may follow a name; the fewest that tell all contacts apart are taken."""


def labels(contacts: Iterable[ContactView]) -> dict[str, ContactView]:
    """Each contact by the label to show and to type; no two of them look the same."""
    views = list(contacts)
    drawn = Counter(_drawn(view.label) for view in views)
    digits = next(
        n for n in _SUFFIX_DIGITS if n == 64 or len({view.person[:n] for view in views}) == len(views)
    )
    named: dict[str, ContactView] = {}
    for view in views:
        label = _drawn_label(view)
        if not label or drawn[_drawn(view.label)] > 1:
            label = f"{label}~{view.person[:digits]}"
        named[f"{label}~{view.person}" if label in named else label] = view
    return named


async def label_of(messenger: Messenger, person: str) -> str:
    """The label of a contact, or of one that is gone the first digits of its id."""
    return label_among(await messenger.contacts(), person)


def label_among(contacts: Iterable[ContactView], person: str) -> str:
    """The same among contacts at hand."""
    for label, view in labels(contacts).items():
        if view.person == person:
            return label
    return f"~{person[:8]}"


def find(contacts: Iterable[ContactView], name: str) -> tuple[str, ContactView]:
    """Label and view of the contact that a name means. Raises UsageError, with what to choose from."""
    held = labels(contacts)
    for fits in (_exactly(name), _as_drawn(name), _whatever_case(name)):
        fitting = {label: view for label, view in held.items() if fits(label, view)}
        if len(fitting) == 1:
            return fitting.popitem()
        if fitting:
            raise UsageError(f"{name} fits more than one contact: name one of {_list(fitting)}.")
    known = (
        f"your contacts are {_list(held)}" if held else "you have no contacts yet, see 'parlour pair --help'"
    )
    raise UsageError(f"No contact is called {name}: {known}.")


Fits = Callable[[str, ContactView], bool]


def _exactly(name: str) -> Fits:
    return lambda label, view: name in (label, view.person)


def _as_drawn(name: str) -> Fits:
    return lambda label, view: _drawn(name) in (_drawn(label), _drawn(view.name))


def _whatever_case(name: str) -> Fits:
    wanted = _drawn(name).casefold()
    return lambda label, view: wanted in (_drawn(label).casefold(), _drawn(view.name).casefold())


def _list(held: Mapping[str, ContactView]) -> str:
    return ", ".join(held)


def _drawn_label(view: ContactView) -> str:
    return one_line(view.label).strip()


def _drawn(name: str) -> str:
    """What two names share that look the same for want of invisible characters or other forms of letters."""
    return unicodedata.normalize("NFKC", one_line(name)).strip()
