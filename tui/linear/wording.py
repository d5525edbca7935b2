"""From views to lines: names, entries, contacts, details. Pure functions.

The speaker comes first: up to the first colon of a line a peer chooses only a name, which holds no colon.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final

from chat.interface import (
    SAYS_SOMETHING,
    AwaitedView,
    ContactView,
    DetailsView,
    DiagnosisView,
    EntryKind,
    EntryState,
    EntryView,
    InvitationView,
    ParlourError,
    ReceiptView,
    SelfView,
    hits,
    label_parts,
)
from tui.linear.output import CELLS_MAX
from tui.text.formatting import (
    DEVICE_DIGITS,
    claim_cause,
    clock_time,
    conflict_cause,
    contact_label,
    day_of,
    day_title,
    duration,
    instead_of_text,
    quarantine_cause,
    uncovered_cause,
    warnings,
)
from tui.text.matching import excerpt
from tui.text.safe import safe, safe_line, safe_name, shorten, widest
from tui.text.translation import N_, _, _n, told
from tui.text.wrapping import wrap

LINES_MAX: Final = 30
"""Lines of one entry that are shown unless the whole entry was asked for."""

_QUOTE_CELLS: Final = 40
_HIT_CELLS: Final = 120
_NAME_WORDS: Final = 2
"""A name of more words could be a sentence of ours, and is quoted."""

# What is or looks like a colon, quotation marks, and the mark of our own suffix.
_SEPARATORS: Final = dict.fromkeys(map(ord, ":：∶꞉︓﹕ː˸։׃፡᛬⁚~～“”「」"), " ")
_IN_WORDS: Final = frozenset(" -'’·")

DELIVERY: Final[Mapping[EntryState, str]] = {
    EntryState.DELIVERED: N_("Delivered."),
    EntryState.READ: N_("Read."),
}
"""The states of the last own entry that are announced: those that a receipt proves."""


def plain_name(name: str) -> str:
    """A peer's name as a line may begin with it: without a colon, quoted unless it is one or two words."""
    looks = safe_name(" ".join(safe_line(name).translate(_SEPARATORS).split()))
    words = all(one in _IN_WORDS or unicodedata.category(one)[0] in "LMN" for one in looks)
    return looks if words and len(looks.split()) <= _NAME_WORDS else _in_quotes(looks)


def listed(items: Iterable[str]) -> str:
    return _(", ").join(items)


def in_digits(digits: Sequence[str]) -> str:
    """The words to compare in digits, for a screen that shows them in another language."""
    return _("The same in digits: {digits}.").format(digits=" ".join(digits))


def _in_quotes(text: str) -> str:
    return _("“{text}”").format(text=text)


def names_of(contacts: Iterable[ContactView]) -> dict[str, str]:
    """The name of each contact, by person id, with the digits of its label."""
    views = list(contacts)
    split = ((view.person, *label_parts(contact_label(view))) for view in views)
    return {person: f"{plain_name(name)}{digits}" for person, name, digits in split}


def entry_lines(
    entry: EntryView,
    name: str,
    *,
    number: int = 0,
    time: str = "",
    ends: str = "",
    answers: str | None = None,
    whole: bool = False,
    erasing: bool = False,
    wanted: re.Pattern[str] | None = None,
    refer: Callable[[], int] = lambda: 0,
) -> tuple[str, ...]:
    """The lines of an entry, each with its author; the first also has number, time and what it answers.

    With `wanted` lines around the first hit, each cut around its own, with the hits in quotation marks.
    `erasing` as in `instead_of_text`. `refer`: the number by which the whole entry is asked for, where not
    all of it is shown. Without `whole` a line of the text that is too long for one goes on in others.
    """
    texts = shown = _texts(entry, erasing=erasing)
    begins = 0
    if wanted is not None and entry.kind in SAYS_SOMETHING:
        at = next((number for number, text in enumerate(texts) if hits(text, wanted)), 0)
        begins = max(0, at - 1)
        shown = [_excerpt(text, wanted) for text in texts[begins : at + 2]]
    head = _("{name}, {time}").format(name=name, time=time) if time else name
    marks = [*warnings(entry), *([_("edited")] if entry.edited else []), *([ends] if ends else [])]
    for mark in marks:
        head = _("{name}, {mark}").format(name=head, mark=mark)
    if answers is not None:
        head = _("{name}, replying to {what}").format(name=head, what=answers)
    lines: list[str] = []
    left = len(texts) - len(shown)
    for at, text in enumerate(shown, begins + 1):
        speaker = head if not lines else name
        start = _("{name}: {text}") if at == 1 else _("{name}, line {number}: {text}")
        line = start.format(name=speaker, number=at, text=text)
        if number and not lines:
            line = _("{number}. {line}").format(number=number, line=line)
        if whole or widest(line) <= CELLS_MAX:
            lines.append(line)
        else:
            lines += _divided(line, text, name)
    if not whole and len(lines) > LINES_MAX:
        left += len(lines) - LINES_MAX
        del lines[LINES_MAX:]
    if left:
        more = _n("{number} line more", "{number} lines more", left).format(number=left)
        how = f"/whole {number or refer()}"
        lines.append(_("{name}: ({more}, {command} shows all)").format(name=name, more=more, command=how))
    return tuple(lines)


def _divided(line: str, text: str, name: str) -> Iterable[str]:
    """A line that ends with a text, in lines of at most CELLS_MAX cells; each says who goes on."""
    start = line.removesuffix(text)
    goes_on = _("{name} goes on: {text}")
    room = CELLS_MAX - max(widest(start), widest(goes_on.format(name=name, text="")))
    first, *others = wrap(text, max(room, CELLS_MAX // 4))
    yield f"{start}{first}"
    yield from (goes_on.format(name=name, text=row) for row in others)


def _excerpt(text: str, wanted: re.Pattern[str]) -> str:
    spans = excerpt(text, wanted, _HIT_CELLS, plain=True)
    return "".join(_("«{text}»").format(text=part) if style == "hit" else part for style, part in spans)


def _texts(entry: EntryView, *, erasing: bool = False) -> list[str]:
    if entry.kind is not EntryKind.TEXT:
        return [instead_of_text(entry, erasing=erasing)]
    lines = [line.rstrip() for line in safe(entry.text).split("\n") if line.strip()]
    return lines or [_("(nothing that can be shown)")]


def quoted(entry: EntryView | None) -> str:
    """The entry that another one answers, in a few words without a colon or a quotation mark."""
    if entry is None:
        return _("a message that is not on this device")
    if entry.kind is EntryKind.DELETED:
        return _("a deleted message")
    if entry.kind is EntryKind.EXPIRED:
        return _("a message that has disappeared")
    if entry.kind is EntryKind.MISSING:
        return _("a message that is not here yet")
    if entry.kind is EntryKind.ELSEWHERE:
        return _("a message that is not on this device")
    text = safe_line(" ".join(_texts(entry)[:2]).translate(_SEPARATORS))
    return _in_quotes(shorten(text, _QUOTE_CELLS))


def standing(view: ContactView) -> str:
    """How a conversation stands, the most important first."""
    if view.notes:
        return listed([_("on your devices only"), *([_("pinned")] if view.pinned else [])])
    if view.past:
        return _("from a backup: pair again")
    if view.blocked:
        marks = [_("blocked")]
    else:
        marks = [_("online") if view.present else _("offline")]
        marks += [_("through a relay")] if view.relayed and view.present else []
    if view.bot:
        marks.insert(0, _("bot"))
    marks.append(_("verified") if view.verified else _("not verified"))
    if view.held:
        marks.append(_("paired by a removed device") if view.unvouched else _("identity changed"))
    if view.same_key:
        marks.append(_("same device key as another contact"))
    if view.unread:
        marks.append(_n("{number} unread", "{number} unread", view.unread).format(number=view.unread))
    if view.pinned:
        marks.append(_("pinned"))
    if view.muted:
        marks.append(_("muted"))
    return listed(marks)


def timer_line(name: str, seconds: int) -> str:
    """Which timer the conversation with a contact has."""
    if not seconds:
        return _("New messages with {name} stay.").format(name=name)
    said = _("New messages with {name} disappear {time} after they were read.")
    return said.format(name=name, time=duration(seconds))


def presence_line(before: ContactView, view: ContactView) -> str:
    """The announcement that a contact came, went or is reached another way; empty for no change."""
    if view.blocked:
        return ""
    if not view.present:
        return _("{name} is offline.") if before.present else ""
    if not before.present:
        return _("{name} is online, through a relay.") if view.relayed else _("{name} is online.")
    if view.relayed == before.relayed:
        return ""
    through, direct = _("{name} is now reached through a relay."), _("{name} is now reached directly.")
    return through if view.relayed else direct


def day_line(moment: datetime, now: datetime, zone: tzinfo | None) -> str:
    return _("{day}.").format(day=day_title(day_of(moment, zone), day_of(now, zone)))


def number_lines(number: str) -> tuple[str, ...]:
    """A safety number in three lines of four groups, with spaced digits, so that each is read out."""
    groups = [" ".join(group) for group in safe_line(number).split()]
    rows = [", ".join(groups[at : at + 4]) for at in range(0, len(groups), 4)]
    said = _("Part {number} is {digits}.")
    return tuple(said.format(number=at, digits=row) for at, row in enumerate(rows, 1))


def error_line(error: ParlourError) -> str:
    return safe_line(told(error.phrase)) or _("Parlour could not do that.")


def diagnosis_line(line: DiagnosisView) -> str:
    check, found = safe_line(told(line.check)), safe_line(told(line.found))
    if line.good:
        return _("Good: {check}, {found}.").format(check=check, found=found)
    if not line.fix:
        return _("Not good: {check}, {found}.").format(check=check, found=found)
    said = _("Not good: {check}, {found}. Fix: {fix}")
    return said.format(check=check, found=found, fix=safe_line(told(line.fix)))


def invitation_lines(invitation: InvitationView, zone: tzinfo | None) -> tuple[str, ...]:
    """How to hand on an invitation, and its text on a line of its own."""
    how = _("Give the next line to one person, over a channel you trust. It works once, until {time}.")
    decide = _("When someone uses it, you are asked here to confirm.")
    return how.format(time=clock_time(invitation.expires, zone)), safe_line(invitation.text), decide


def self_lines(me: SelfView) -> tuple[str, str]:
    """This person's name and visibility, and the addresses of this terminal."""
    visible = _("You are {name}, visible to people nearby.")
    seen = visible if me.visible else _("You are {name}, not visible to people nearby.")
    where = _("Your addresses are {addresses}.").format(addresses=listed(me.addresses))
    return (
        seen.format(name=plain_name(me.name)),
        where if me.addresses else _("This machine is on no network."),
    )


def details_lines(
    details: DetailsView, names: Mapping[str, str], now: datetime, zone: tzinfo | None
) -> tuple[str, ...]:
    """Who wrote an entry where and when, and which terminals have it. `names`: by person id."""

    def named(person: str) -> str:
        return names.get(person) or _("someone who is not a contact")

    def moment(time: datetime) -> str:
        day = day_title(day_of(time, zone), day_of(now, zone))
        return _("{day}, {time}").format(day=day, time=f"{time.astimezone(zone):%H:%M:%S}")

    def device(one: ReceiptView | AwaitedView) -> str:
        start = _("{device}…").format(device=one.terminal[:DEVICE_DIGITS])
        return f"{_in_quotes(safe_name(one.device))} ({start})" if one.device else start

    def grouped(identity: str) -> str:
        return " ".join(identity[at : at + 8] for at in range(0, len(identity), 8))

    stored = moment(details.stored) if details.stored else _("not recorded")
    written = _("Claimed by {name}, {time}.") if details.claimed else _("Written by {name}, {time}.")
    size = _n("{number} byte with header", "{number} bytes with header", details.bytes)
    lines = [
        written.format(name=named(details.person), time=moment(details.time)),
        _("Stored here, {time}.").format(time=stored),
        _("It has {size}.").format(size=size.format(number=f"{details.bytes:,}")),
    ]
    for receipt in details.receipts:
        read = receipt.kind is EntryState.READ
        said = (
            _("Read by {name} on {device}, {time}.")
            if read
            else _("Delivered to {name} on {device}, {time}.")
        )
        at = {"time": moment(receipt.time), "device": device(receipt)}
        lines.append(said.format(name=named(receipt.person), **at))
    if not details.receipts and not details.claimed:
        lines.append(_("Not confirmed by any device yet."))
    for one in details.awaited:
        said = _("Not confirmed by {name} on {device}.")
        lines.append(said.format(name=named(one.person), device=device(one)))
    for version in details.versions:
        said = _("From {time} on it said: {text}")
        lines.append(said.format(time=moment(version.time), text=_in_quotes(safe_line(version.text))))
    if details.quarantined:
        lines.append(quarantine_cause())
    if details.uncovered:
        lines.append(uncovered_cause())
    if details.claimed:
        lines.append(claim_cause(details.claimed, "/take"))
    if details.conflicts:
        lines.append(conflict_cause())
        lines += [
            _("It conflicts with the message {id}.").format(id=grouped(one)) for one in details.conflicts
        ]
    return (
        *lines,
        _("The person is {id}.").format(id=grouped(details.person)),
        _("The device is {id}.").format(id=grouped(details.terminal)),
        _("The message is {id}.").format(id=grouped(details.id)),
    )
