"""From views to words on the screen. All text of another person passes `tui.text.safe`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, tzinfo
from typing import Final

from msgspec.structs import replace

from chat.interface import (
    TIMER_UNITS,
    BotCommand,
    ContactView,
    DeletedBy,
    DeletionScope,
    EntryKind,
    EntryState,
    EntryView,
    FileState,
    FileView,
    Given,
    HistoryMoving,
    IdentityChangeView,
    OwnChange,
    QuestionView,
    RelayStanding,
    RelayView,
    SelfView,
    TerminalState,
    TerminalView,
    VerificationView,
    first_device,
    hidden_names,
    is_short,
    label_parts,
    length_text,
    next_first,
    notes_view,
    size_text,
)
from tui.text.safe import NAME_CELLS, exact, safe_line, safe_name, shorten
from tui.text.translation import N_, _, _n, sentences, told

DEFAULT_PORT = 4747
TEXT_LIMIT = 16_384
COUNTER_FROM = 15_000


WEEKDAYS = (
    *(N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday")),
    *(N_("Saturday"), N_("Sunday")),
)
MONTHS = (
    *(N_("January"), N_("February"), N_("March"), N_("April"), N_("May"), N_("June")),
    *(N_("July"), N_("August"), N_("September"), N_("October"), N_("November"), N_("December")),
)
WAITS: Final = (EntryState.QUEUED, EntryState.WITHDRAWN)
"""The states of an own entry of which no terminal of the contact is known to have got anything."""

STATE_MARKS = {
    EntryState.QUEUED: N_("… queued"),
    EntryState.SENT: N_("✓ sent"),
    EntryState.DELIVERED: N_("✓✓ delivered"),
    EntryState.READ: N_("✓✓ read"),
    EntryState.RECEIVED: "",
    EntryState.WITHDRAWN: N_("✗ withdrawn"),
    EntryState.KEPT: N_("✓ kept"),
}


def same_key_line(name: str) -> str:
    """The line of a contact's details on another contact (a safe name) who has proven the same key."""
    return _("{name} has the same device key: one of the two may have stolen it. Ask both.").format(name=name)


DEVICE_DIGITS: Final = 8
"""Digits of a device's id that tell devices of one person apart on the screen."""


def comparison_lines(found: VerificationView, name: str, zone: tzinfo | None) -> list[str]:
    """When and how a contact (a safe name) was last compared, and each change since."""
    if found.compared is None:
        return []
    by_words = _("Last confirmed by pairing words: {time}.")
    by_number = _("Last confirmed by the safety number: {time}.")
    moment = f"{found.compared.astimezone(zone):%Y-%m-%d %H:%M}"
    lines = [(by_words if found.by_words else by_number).format(time=moment)]
    if not found.changes:
        return [*lines, _("Nothing has changed since then.")]
    return [*lines, *(_("Since then: {change}").format(change=_change(one, name)) for one in found.changes)]


def _change(change: IdentityChangeView, name: str) -> str:
    line = _("{name} {cause}").format(name=name, cause=safe_line(told(change.cause)))
    if change.terminal:
        line = sentences(line, _("(device {start}…)").format(start=change.terminal[:DEVICE_DIGITS]))
    if change.author:
        line = sentences(line, _("(signed by device {start}…)").format(start=change.author[:DEVICE_DIGITS]))
    return line


def question_lines(question: QuestionView, devices: Iterable[TerminalView] = ()) -> list[str]:
    """What has happened to the own identity, and what to do. `devices`: those whose names are known."""
    names = {view.terminal: view.name for view in devices}
    device, author = (quoted_device(one, names.get(one, "")) for one in (question.terminal, question.author))
    if question.change is OwnChange.ADDED:
        said = _("Device {author} added device {device} to your identity.")
    elif question.terminal:
        said = _("Your recovery words were used, and brought device {device} into your identity.")
    else:
        said = _("Your recovery words were used.")
    waits = _("Until you answer, this device shows no safety number and does not pair.")
    return [said.format(author=author, device=device), _("This device did not do that. Was it you?"), waits]


LEFT: Final = N_("Devices that it added are in use: remove it again, with them.")


def not_me(key: str) -> str:
    """What to do about a change of the own identity that is somebody else's. `key`: what recovers it."""
    said = _("Then somebody has your keys. Recover your identity now with your recovery words ({key}).")
    return said.format(key=key)


def quoted_device(terminal: str, name: str) -> str:
    """A device within a sentence, with its name where it has one."""
    device = _("{device}…").format(device=terminal[:DEVICE_DIGITS])
    return _("“{name}” ({device})").format(name=safe_name(name), device=device) if name else device


def seen_line(view: TerminalView, zone: tzinfo | None = None) -> str:
    """When another device of this person was last there, empty for this one and for one that was removed."""
    if view.this or view.state is TerminalState.REMOVED:
        return ""
    if view.present:
        return _("online")
    if view.seen is None:
        return _("not seen from here yet")
    return _("last seen {time}").format(time=f"{view.seen.astimezone(zone):%Y-%m-%d %H:%M}")


def moving_line(event: HistoryMoving) -> str:
    """How far a move of history is, in one safe line."""
    numbers = {"held": f"{event.held:,}", "total": f"{event.total:,}"}
    return _("History from {device}: {held} of {total}").format(device=safe_name(event.source), **numbers)


def notes_of(me: SelfView) -> ContactView:
    """This person's notes, by the name that the interface has for them."""
    return replace(notes_view(me), name=_("Notes"), label=_("Notes"))


def contact_label(view: ContactView) -> str:
    """What a contact is called, or was, in an archive; not made safe."""
    return _("was {name}").format(name=view.label) if view.past else view.label


def safe_label(label: str, cells: int = NAME_CELLS) -> str:
    """What somebody is called, in `cells` columns: its digits stay where the name before them is cut."""
    name, digits = label_parts(label)
    return safe_name(name, max(1, cells - len(digits))) + digits


def clock_time(moment: datetime, zone: tzinfo | None = None) -> str:
    return f"{moment.astimezone(zone):%H:%M}"


def day_of(moment: datetime, zone: tzinfo | None = None) -> date:
    return moment.astimezone(zone).date()


def day_title(day: date, today: date) -> str:
    days = (today - day).days
    if days in (0, 1):
        return _("Today") if days == 0 else _("Yesterday")
    return _("{weekday}, {day} {month} {year}").format(
        weekday=_(WEEKDAYS[day.weekday()]), day=day.day, month=_(MONTHS[day.month - 1]), year=day.year
    )


def state_mark(state: EntryState) -> str:
    return _(STATE_MARKS[state]) if STATE_MARKS[state] else ""


def gone_line(kind: EntryKind) -> str:
    """Why nothing can be done with an entry of which the content is gone."""
    if kind is EntryKind.EXPIRED:
        return _("This message has disappeared.")
    return _("This message was deleted.")


def duration(seconds: int) -> str:
    """A timer in words, in the largest unit that fits exactly."""
    unit = next(name for name, size in TIMER_UNITS.items() if seconds % size == 0)
    number = seconds // TIMER_UNITS[unit]
    words = {
        "w": _n("{number} week", "{number} weeks", number),
        "d": _n("{number} day", "{number} days", number),
        "h": _n("{number} hour", "{number} hours", number),
        "m": _n("{number} minute", "{number} minutes", number),
        "s": _n("{number} second", "{number} seconds", number),
    }
    return words[unit].format(number=number)


def ends_mark(entry: EntryView, zone: tzinfo | None = None) -> str:
    """When an entry with a timer ends, on its day or on another; empty without a timer."""
    if entry.expires is None:
        return ""
    same = day_of(entry.expires, zone) == day_of(entry.time, zone)
    when = clock_time(entry.expires, zone) if same else day_of(entry.expires, zone).isoformat()
    return _("until {time}").format(time=when)


def bot_line(bot: bool, commands: Sequence[BotCommand]) -> str:
    """What an entry says that declares its author to be a bot, or none."""
    if not bot:
        return _("(is no bot)")
    if not commands:
        return _("(is a bot)")
    return _("(is a bot with the commands {commands})").format(
        commands=" ".join(f"/{one.name}" for one in commands)
    )


def unshown(entry: EntryView) -> str:
    """The text that is shown for an entry without text."""
    match entry.kind:
        case EntryKind.EXPIRED:
            return _("(disappeared)")
        case EntryKind.TIMER if entry.seconds:
            said = _("(timer: new messages disappear {time} after they were read)")
            return said.format(time=duration(entry.seconds))
        case EntryKind.TIMER:
            return _("(timer off: new messages stay)")
        case EntryKind.DELETED:
            return _(_DELETED[entry.deleted_by])
        case EntryKind.MISSING:
            return _("(not here yet)")
        case EntryKind.ELSEWHERE if entry.kept_on:
            return _('(not on this device: on "{device}")').format(device=safe_line(entry.kept_on))
        case EntryKind.ELSEWHERE:
            return _("(on no device of yours)")
        case EntryKind.CUT:
            return _("(removed a device)")
        case EntryKind.BOT:
            return bot_line(entry.bot, entry.commands)
        case _:
            return _("(written by a newer Parlour)")


_DELETED: Final = {
    DeletedBy.AUTHOR: N_("(deleted by its author)"),
    DeletedBy.MINE: N_("(deleted on all your devices)"),
    DeletedBy.HERE: N_("(deleted here)"),
    DeletedBy.NOBODY: N_("(deleted here)"),
}


STAYS: Final = N_("Nothing leaves this device: you chose no keeper.")
FILE_CELLS: Final = 60
"""Columns of the name of a file in its line."""


def file_line(file: FileView) -> str:
    """The line of a message that names a file: how large it is, and how much of it is here.

    A voice message is named as the file that it is, too: its author may call anything one.
    """
    line = _file_line(file)
    if not file.seconds:
        return line
    return _("Voice message, {length}. {file}").format(length=length_text(file.seconds), file=line)


def _file_line(file: FileView) -> str:
    named = {
        "name": shorten(safe_line(file.path), FILE_CELLS),
        "size": size_text(file.size),
        "percent": 100 * file.held // max(file.size, 1),
    }
    match file.state:
        case FileState.ASKS:
            return _("File {name}, {size}: not fetched yet").format(**named)
        case FileState.PAUSED:
            return _("File {name}, {size}: paused at {percent} %").format(**named)
        case FileState.TAKING if file.rate > 0:
            left = max(0, file.size - file.held) // file.rate
            moving = {"rate": size_text(file.rate), "time": f"{left // 60}:{left % 60:02}"}
            said = _("File {name}, {percent} % of {size}, {rate} a second, {time} left")
            return said.format(**named, **moving)
        case FileState.TAKING if file.held:
            return _("File {name}, {percent} % of {size}").format(**named)
        case FileState.TAKING:
            return _("File {name}, {size}: comes when a device that has it is online").format(**named)
        case FileState.DIRECT:
            return _("File {name}, {size}: waits for a direct connection").format(**named)
        case FileState.LET_GO if file.kept_on:
            named["where"] = safe_label(file.kept_on)
            return _("File {name}, {size}: not on this device, last known on {where}").format(**named)
        case FileState.LET_GO:
            return _("File {name}, {size}: not on this device").format(**named)
        case FileState.WHOLE:
            return _("File {name}, {size}").format(**named)
        case FileState.WITHHELD:
            return _("File {name}, {size}: not given to others for now").format(**named)


_HIDDEN_NAMED: Final = 5


def hidden_line(files: Iterable[Given]) -> str:
    """The hidden files and folders among what is to be sent, in one safe line; empty where there are none."""
    names = hidden_names(one.named for one in files)
    shown = ", ".join(shorten(safe_line(name), FILE_CELLS) for name in names[:_HIDDEN_NAMED])
    said = _n("Hidden, and sent too: {names}", "{number} hidden, and sent too: {names}", len(names))
    more = "…" if len(names) > _HIDDEN_NAMED else ""
    return said.format(number=len(names), names=shown + more) if names else ""


def instead_of_text(entry: EntryView, *, erasing: bool = False) -> str:
    """The line of an entry that has no text. `erasing`: the profile's file is not clean of it yet."""
    if erasing and entry.kind is EntryKind.DELETED:
        return _("(deleting…)")
    return unshown(entry) if entry.file is None else file_line(entry.file)


def whole_text(entry: EntryView) -> str:
    """An entry as it was written, for other programs; of one without a text, what is shown for it."""
    return exact(entry.text).strip("\n") if entry.kind is EntryKind.TEXT else instead_of_text(entry)


def unsearched(number: int) -> str:
    """What a search does not cover: so many messages that only other devices keep."""
    return _n(
        "{number} message is not on this device, and is not searched.",
        "{number} messages are not on this device, and are not searched.",
        number,
    ).format(number=number)


def warnings(entry: EntryView) -> list[str]:
    """What a reader has to know of an entry before its text."""
    marks = [_("conflicts with another message")] if entry.conflicting else []
    marks += [_("from a removed device")] if entry.quarantined else []
    return marks + ([claim(entry)] if entry.claimed else [])


def claim(entry: EntryView) -> str:
    """What is said of an entry that nothing shows to be this person's own."""
    if entry.claimed == "earlier":
        name = safe_label(entry.author)
        if entry.before is None:
            return _("yours, as {name} has it, from before a removal or recovery").format(name=name)
        said = _("yours, as {name} has it, from before {date}")
        return said.format(name=name, date=day_of(entry.before).isoformat())
    if entry.claimed == "device":
        return _("another device of yours says that you wrote this")
    return _("says that you wrote this")


def conflict_cause() -> str:
    """Why two entries of one terminal may claim one place."""
    return _(
        "Another message claims the same place: a copy of the device's profile was used at the same time, "
        "or a device of this person is not honest."
    )


def quarantine_cause() -> str:
    """Why an entry is quarantined."""
    return _(
        "Its device was removed, and nothing shows that this message was written before. Somebody else may "
        "have written it with that device."
    )


def uncovered_cause() -> str:
    """Why an entry of a contact is uncovered."""
    return _(
        "Another device of yours passed this message on, and the contact has not confirmed it yet. That "
        "device may have invented it."
    )


def claim_cause(claimed: str, take: str) -> str:
    """Why an entry does not count as one's own. `take`: what takes earlier ones, as one does it here."""
    if claimed == "earlier":
        return _(
            "It is from before a removal or recovery of yours. You probably wrote it, but somebody who had a "
            "device of yours then can have invented it with the contact's help. {take} takes such messages "
            "of this contact as yours."
        ).format(take=take)
    if claimed == "device":
        return _(
            "Another device of yours passed this on as a message that you wrote, and no signature shows it. "
            "It counts as yours once the contact or its author passes it."
        )
    return _(
        "The contact says that you wrote this, and nothing on this device shows it. You may have written it "
        "on a device that is lost, or the contact may have invented it."
    )


NONE_TO_TAKE: Final = N_("Nothing to take here. What another device of yours wrote is taken on that device.")


def taking_lines(name: str, number: int) -> tuple[str, str]:
    """The question before so many earlier messages are taken as one's own, and what that means."""
    question = _n(
        "Take {number} earlier message, as {name} has it, as yours?",
        "Take {number} earlier messages, as {name} has them, as yours?",
        number,
    )
    consequence = _(
        "They are from before a removal or recovery of yours. Read them first: somebody who had a device of "
        "yours then can have invented some with {name}'s help. This cannot be undone."
    )
    return question.format(name=name, number=f"{number:,}"), consequence.format(name=name)


def taken_line(number: int) -> str:
    """How many messages were taken as one's own."""
    if not number:
        return _(NONE_TO_TAKE)
    said = _n("{number} message counts as yours now.", "{number} messages count as yours now.", number)
    return said.format(number=number)


def scope_name(scope: DeletionScope) -> str:
    """What a scope is called in the question before."""
    names = {
        DeletionScope.HERE: _("On this device only"),
        DeletionScope.MINE: _("On all your devices"),
        DeletionScope.EVERYONE: _("For everyone"),
    }
    return names[scope]


def deletion(entry: EntryView, name: str, scope: DeletionScope) -> str:
    """What it does to delete an entry of the conversation with a contact, in the question before."""
    if entry.noted:
        return deletion_of_note(scope)
    match scope:
        case DeletionScope.HERE:
            return deletion_here(entry, name)
        case DeletionScope.MINE:
            return deletion_on_all(entry, name)
        case DeletionScope.EVERYONE:
            return deletion_for_all(entry, name)


def deletion_of_note(scope: DeletionScope) -> str:
    """What it does to delete an entry of the notes."""
    if scope is DeletionScope.HERE:
        return _("Deletes it permanently on this device. Your other devices keep it.")
    return _("Deletes it permanently on all your devices, on each as soon as it is online.")


def deletion_for_all(entry: EntryView, name: str) -> str:
    """What it does to delete an own entry for everyone."""
    if entry.state in (*WAITS, EntryState.SENT):
        return _("Deletes it permanently for everyone. {name} learns that there was a message.").format(
            name=name
        )
    return _(
        "Deletes it permanently for everyone, for {name} as soon as they are online. {name} sees that there "
        "was a message, and may have read or copied it."
    ).format(name=name)


def deletion_on_all(entry: EntryView, name: str) -> str:
    """What it does to delete an entry on all devices of this person."""
    if entry.own and entry.state in WAITS:
        return _(
            "Deletes it permanently on all your devices, on each as soon as it is online. {name} has not "
            "received it. If it still waits, {name} only learns that there was a message."
        ).format(name=name)
    return _(
        "Deletes it permanently on all your devices, on each as soon as it is online. {name} keeps theirs "
        "and is not notified."
    ).format(name=name)


def deletion_here(entry: EntryView, name: str) -> str:
    """What it does to delete an entry on this device."""
    if entry.own and entry.state in WAITS:
        return _(
            "Deletes your copy permanently. {name} has not received it. If it still waits, {name} only "
            "learns that there was a message."
        ).format(name=name)
    return _("Deletes your copy permanently. {name} keeps theirs and is not notified.").format(name=name)


def counter(length: int) -> str:
    """What the composer says of its length; empty while the limit is far."""
    if length < COUNTER_FROM:
        return ""
    if length > TEXT_LIMIT:
        over = length - TEXT_LIMIT
        return _n("{number} character too many", "{number} characters too many", over).format(
            number=f"{over:,}"
        )
    return _("{number} of {all} characters").format(number=f"{length:,}", all=f"{TEXT_LIMIT:,}")


def strength(passphrase: str) -> str:
    """A hint on a new passphrase; counts, because no dictionary is at hand."""
    if not passphrase:
        return ""
    words, distinct = len(passphrase.split()), len(set(passphrase))
    if is_short(passphrase):
        return _("Weak: easy to guess.")
    if words >= 5 or (len(passphrase) >= 20 and distinct >= 10):
        return _("Strong.")
    if words >= 4 or (len(passphrase) >= 12 and distinct >= 8):
        return _("Good. Five unrelated words are even better.")
    return _("Fair. Four or five unrelated words are better.")


def parse_address(text: str) -> tuple[str, int] | None:
    """HOST:PORT, [IPV6]:PORT or a bare host, which means port 4747; None when it is none of these."""
    text = text.strip()
    if text.count(":") > 1 and not text.startswith("["):
        host, port = text, str(DEFAULT_PORT)
    elif text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":") or str(DEFAULT_PORT)
    else:
        host, _, port = text.partition(":")
        port = port or str(DEFAULT_PORT)
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return None
    return host, int(port)


SEES: Final = N_(
    "A relay connects devices whose networks cannot reach each other. It sees their addresses, which of them "
    "connect, when, and how much data they send. It does not see who they are or what they write."
)
GONE: Final = N_(
    "Contacts can no longer reach you through it. Invitations that you gave may still include it. If you "
    "reach a contact only there, you need another relay that both of you use."
)
_WORDS: Final[Mapping[RelayStanding, str]] = {
    RelayStanding.UNKNOWN: N_("not tried yet"),
    RelayStanding.CONNECTING: N_("connecting…"),
    RelayStanding.WAITING: N_("ready"),
    RelayStanding.UNREACHABLE: N_("unreachable"),
    RelayStanding.OTHER_KEY: N_("key does not match"),
    RelayStanding.OTHER_VERSION: N_("incompatible version"),
    RelayStanding.NO_RELAY: N_("not a relay"),
    RelayStanding.OTHER_DATE: N_("clock differs"),
    RelayStanding.REFUSED: N_("busy"),
}
_UNDECIDED: Final = frozenset((RelayStanding.UNKNOWN, RelayStanding.CONNECTING))


def place(view: RelayView) -> str:
    host = f"[{view.host}]" if ":" in view.host else view.host
    return f"{host}:{view.port}"


def words(view: RelayView) -> str:
    return _(_WORDS[view.standing])


def sign(view: RelayView) -> tuple[str, str]:
    """The same as a sign with the style that belongs to it."""
    if view.standing is RelayStanding.WAITING:
        return "●", "$success"
    return ("○", "$quiet") if not is_decided(view) else ("✗", "$error")


def is_decided(view: RelayView) -> bool:
    return view.standing not in _UNDECIDED


OWN_NAME: Final = N_("The name that your contacts see.")

WITHOUT_WORDS: Final = N_(
    "Your first device is {name}, and no other one can remove it. If it is stolen, only your recovery words "
    "end that, and they are not known to be written down. Write them down on the device that made your "
    "identity: 'parlour recovery'."
)
NEXT_FIRST: Final = N_(
    "This is your first device, which no other one can remove. {name} becomes the first one."
)
OTHER_FIRST: Final = N_(
    "To make another one first, use your recovery words there, and choose that device itself, too: it gets "
    "new keys."
)
WORDS_GO: Final = N_("Your recovery words are on this device alone: write them down first ({key}).")


def without_words(me: SelfView, devices: Sequence[TerminalView]) -> str:
    """What it means to have neither the first device nor recovery words, empty where that is not so."""
    first = first_device(devices)
    if first is None or not me.without_words:
        return ""
    return _(WITHOUT_WORDS).format(name=device_name(first))


def removal_of_first(
    me: SelfView, devices: Sequence[TerminalView], removed: TerminalView, key: str
) -> list[str]:
    """What a removal of the first device changes, none for another one. `key`: what shows the words."""
    following = next_first(devices, removed.terminal)
    if following is None:
        return []
    said = _(NEXT_FIRST).format(name=device_name(following))
    words = [_(WORDS_GO).format(key=key)] if me.keeps_seed else []
    return [said, _(OTHER_FIRST), *words]


def device_name(view: TerminalView) -> str:
    """Its name, or how its id begins."""
    return safe_name(view.name) if view.name else _("{device}…").format(device=view.terminal[:DEVICE_DIGITS])
