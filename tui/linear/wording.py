"""From views to lines that are heard or felt: names, entries, contacts, details. Pure functions.

Rules: whoever speaks comes first, and up to the first colon nothing is theirs to choose but a name that
holds no colon; a text of many lines says its author on each; peer text passes through tui.text.formatting.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from chat.interface import (
    ContactView,
    DetailsView,
    DiagnosisView,
    EntryState,
    EntryView,
    InvitationView,
    SelfView,
)
from tui.conversation import DELETED
from tui.text.formatting import clock_time, day_of, day_title, safe, safe_line, safe_name, shorten, unshown
from tui.text.translation import N_, _, _n, told

LINES_MAX: Final = 30
"""Lines of one entry that are told unasked."""

PARLOUR: Final = "parlour"
_QUOTE_CELLS: Final = 40
_WORDS: Final = 2
"""Words of a name that cannot be a sentence of ours."""

_DIGITS: Final = (4, 8, 16, 64)
# What is or looks like a colon, and the mark of our own suffix.
_PARTING: Final = dict.fromkeys(map(ord, ":：∶꞉︓﹕ː˸։׃፡᛬⁚~～“”「」"), " ")
_IN_WORDS: Final = frozenset(" -'’·")

DELIVERY: Final[Mapping[EntryState, str]] = {
    EntryState.DELIVERED: N_("Delivered."),
    EntryState.READ: N_("Read."),
}
"""What is told of one's own last entry. SENT is on its way to one of these, and /details says it."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What goes with an entry: its number (0: none), the time (empty: now), what it answers, how much."""

    number: int = 0
    time: str = ""
    answers: str | None = None
    whole: bool = False


def plain_name(name: str) -> str:
    """A name of anybody as a line may begin with it: without a colon, quoted where it is more than words."""
    looks = safe_name(" ".join(safe_line(name).translate(_PARTING).split()))
    simple = len(looks.split()) <= _WORDS and all(map(_is_word, looks))
    return looks if simple else in_quotes(looks)


def listed(items: Iterable[str]) -> str:
    """Several things in one sentence."""
    return _(", ").join(items)


def in_quotes(text: str) -> str:
    """Words of somebody within a sentence of ours; they hold no quotation mark themselves."""
    return _("“{text}”").format(text=text)


def names_of(contacts: Iterable[ContactView]) -> dict[str, str]:
    """The name of each contact, by person id; those that sound the same are told apart by their ids."""
    plain = {view.person: plain_name(view.name) for view in contacts}
    seen = Counter(name.casefold() for name in plain.values())
    taken = {_("You").casefold(), PARLOUR} | {name for name, times in seen.items() if times > 1}
    digits = next(n for n in _DIGITS if n == _DIGITS[-1] or len({one[:n] for one in plain}) == len(plain))
    return {
        person: f"{name}~{person[:digits]}" if name.casefold() in taken else name
        for person, name in plain.items()
    }


def _is_word(character: str) -> bool:
    return character in _IN_WORDS or unicodedata.category(character)[0] in "LMN"


def entry_lines(entry: EntryView, name: str, telling: Telling) -> tuple[str, ...]:
    """An entry, one line for each of its own; the first also has what goes with it."""
    texts = _texts(entry)
    told = texts if telling.whole else texts[:LINES_MAX]
    lines = [_numbered(_spoken(_head(name, telling), told[0]), telling.number)]
    for at, text in enumerate(told[1:], 2):
        lines.append(_("{name}, line {number}: {text}").format(name=name, number=at, text=text))
    if len(told) < len(texts):
        more = _n("{number} line more", "{number} lines more", len(texts) - len(told))
        more = more.format(number=len(texts) - len(told))
        how = f"/whole {telling.number}" if telling.number else "/whole"
        lines.append(_("{name}: ({more}, {command} tells all)").format(name=name, more=more, command=how))
    return tuple(lines)


def _texts(entry: EntryView) -> list[str]:
    if entry.kind != "text":
        return [unshown(entry.kind)]
    lines = [line.rstrip() for line in safe(entry.text).split("\n") if line.strip()]
    return lines or [_("(nothing that can be shown)")]


def _head(name: str, telling: Telling) -> str:
    head = name
    if telling.time:
        head = _("{name}, {time}").format(name=head, time=telling.time)
    if telling.answers is not None:
        head = _("{name}, answering {what}").format(name=head, what=telling.answers)
    return head


def _spoken(name: str, text: str) -> str:
    return _("{name}: {text}").format(name=name, text=text)


def _numbered(line: str, number: int) -> str:
    return _("{number}. {line}").format(number=number, line=line) if number else line


def quoted(entry: EntryView | None) -> str:
    """What an entry answers, in a few words that hold no colon and no quotation mark."""
    if entry is None:
        return _("a message that is not on this device")
    if entry.kind == DELETED:
        return _("a deleted entry")
    text = shorten(safe_line(" ".join(_texts(entry)[:2]).translate(_PARTING)), _QUOTE_CELLS)
    return in_quotes(text)


def standing(view: ContactView, *, muted: bool = False) -> str:
    """How it stands with a contact: a list of words."""
    if view.blocked:
        marks = [_("blocked")]
    else:
        marks = [_("here") if view.present else _("away")]
        marks += [_("through a relay")] if view.relayed and view.present else []
    marks.append(_("verified") if view.verified else _("not verified"))
    if view.held:
        marks.append(_("identity changed"))
    if view.unread:
        marks.append(_n("{number} unread", "{number} unread", view.unread).format(number=view.unread))
    if muted:
        marks.append(_("muted"))
    return listed(marks)


def moved(before: ContactView, view: ContactView) -> str:
    """What is told of a contact that came, went or is reached another way; empty: nothing."""
    if view.blocked:
        return ""
    if not view.present:
        return _("{name} is away.") if before.present else ""
    if not before.present:
        return _("{name} is here, through a relay.") if view.relayed else _("{name} is here.")
    if view.relayed == before.relayed:
        return ""
    return (
        _("{name} is reached through a relay now.") if view.relayed else _("{name} is reached directly now.")
    )


def day_line(moment: datetime, now: datetime, zone: tzinfo | None) -> str:
    """The line that parts two days."""
    return _("{day}.").format(day=day_title(day_of(moment, zone), day_of(now, zone)))


def moment_words(moment: datetime, now: datetime, zone: tzinfo | None) -> str:
    """A moment to the second."""
    day = day_title(day_of(moment, zone), day_of(now, zone))
    return _("{day}, {time}").format(day=day, time=f"{moment.astimezone(zone):%H:%M:%S}")


def number_lines(number: str) -> tuple[str, ...]:
    """A safety number in three lines of four groups; digits stand apart, so that each is read out."""
    groups = [" ".join(group) for group in safe_line(number).split()]
    rows = [", ".join(groups[at : at + 4]) for at in range(0, len(groups), 4)]
    return tuple(
        _("Part {number} is {digits}.").format(number=at, digits=row) for at, row in enumerate(rows, 1)
    )


def closed_line(reason: str) -> str:
    """What the engine said at its end, which can be one word, as a sentence."""
    return (
        reason
        if reason.endswith((".", "。"))
        else _("The engine has ended ({reason}).").format(reason=reason)
    )


def diagnosis_line(line: DiagnosisView) -> str:
    """One check of the doctor."""
    check, found = safe_line(told(line.check)), safe_line(told(line.found))
    if line.good:
        return _("Good: {check}, {found}.").format(check=check, found=found)
    if not line.fix:
        return _("Not good: {check}, {found}.").format(check=check, found=found)
    return _("Not good: {check}, {found}. What mends it: {fix}").format(
        check=check, found=found, fix=safe_line(told(line.fix))
    )


def invitation_lines(invitation: InvitationView, zone: tzinfo | None) -> tuple[str, ...]:
    """How to hand on an invitation, and its text on a line of its own."""
    how = _("Give the next line to one person, by a way you trust. It works once, until {time}.")
    decide = _("Somebody who uses it is told to you here, and you decide.")
    return (
        how.format(time=clock_time(invitation.expires, zone)),
        safe_line(invitation.text),
        decide,
    )


def self_lines(me: SelfView) -> tuple[str, ...]:
    """Who this person is, whether strangers see it, and where this terminal is."""
    name = plain_name(me.name)
    seen = (
        _("You are {name}, visible to people nearby.")
        if me.visible
        else _("You are {name}, not visible to people nearby.")
    )
    if not me.addresses:
        return seen.format(name=name), _("This machine is on no network.")
    where = _("Your addresses are {addresses}.").format(addresses=listed(me.addresses))
    return seen.format(name=name), where


def details_lines(
    told: DetailsView, names: Mapping[str, str], now: datetime, zone: tzinfo | None
) -> tuple[str, ...]:
    """Who wrote an entry where and when, and which terminals have it. `names`: by person id."""

    def named(person: str) -> str:
        return names.get(person) or _("someone who is not a contact")

    def moment(time: datetime) -> str:
        return moment_words(time, now, zone)

    size = _n("{number} byte with header", "{number} bytes with header", told.bytes)
    lines = [
        _("Written by {name}, {time}.").format(name=named(told.person), time=moment(told.time)),
        _("Stored here, {time}.").format(time=moment(told.stored) if told.stored else _("not recorded")),
        _("It has {size}.").format(size=size.format(number=f"{told.bytes:,}")),
    ]
    for receipt in told.receipts:
        read = receipt.kind is EntryState.READ
        said = _("Read by {name}, {time}.") if read else _("Delivered to {name}, {time}.")
        lines.append(said.format(name=named(receipt.person), time=moment(receipt.time)))
    if not told.receipts:
        lines.append(_("Not confirmed by any device yet."))
    lines += [
        _("The person is {id}.").format(id=_grouped(told.person)),
        _("The terminal is {id}.").format(id=_grouped(told.terminal)),
        _("The entry is {id}.").format(id=_grouped(told.id)),
    ]
    return tuple(lines)


def _grouped(identity: str) -> str:
    return " ".join(identity[at : at + 8] for at in range(0, len(identity), 8))
