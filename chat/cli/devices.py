"""The commands about the devices of one's own: terminal list, add, link, compare, remove, rename."""

from __future__ import annotations

import platform
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Final

import click
from msgspec.structs import replace

from chat.cli.completing import DEVICE
from chat.cli.output import Stopped, label_among, note, one_line, question, talks, timestamp
from chat.cli.pairing import IN_DIGITS, NOBODY_ANSWERED, Dialogue, Typed, host_and_port
from chat.cli.session import TEXT, Call, Feed, coroutine, group, messenger
from chat.cli.terminal import YES, Lines, confirmed, read_new_passphrase
from chat.interface import (
    KEPT_DAYS_MAX,
    AddedView,
    CannotCreate,
    ContactView,
    ConversationRoot,
    DoorState,
    HistoryRoot,
    LinkingChanged,
    LinkingStage,
    LinkingView,
    Messenger,
    ParlourError,
    Ready,
    RemovalView,
    RetentionView,
    TerminalState,
    TerminalView,
    Unreachable,
    UsageError,
    first_device,
    next_first,
)

SHORTEST_ID: Final = 8
"""Digits of a terminal's id that are enough to name it."""

SHORT: Final = 16
"""Digits of an id that a line shows."""

NOBODY_REACHED: Final = (
    "No contact was reached yet. They learn of it while Parlour, or 'parlour listen', is open here and there."
)

ADDED_TOO: Final = "Devices that came in through what you remove:"
HOW_GONE: Final = "Was it stolen (s), or lost, sold or broken (l)? [s/l]"
NOT_TOLD: Final = "Nothing was removed: say whether it was stolen, with --stolen or --lost."

LINK_AGAIN: Final = "If one that is removed is yours, link it again as a new device."

RENEWED: Final = "Your contacts shut it out, and the keys that it knew are renewed."
RENEWED_ELSEWHERE: Final = "Open Parlour on another device of yours, which renews the keys."
HELD: Final = (
    "Only what you remove has paired with {names}: Parlour sends nothing there until you compare the safety"
    " number."
)
UNVERIFIED: Final = "Only what you remove has compared with {names}: compare again to have them verified."

LEFT: Final = (
    "Devices that it added are in use, and you did not confirm them here: remove it again, and they go, too."
)

_NAMED: Final = "device."
"""Beginning of the preferences that name devices, before the terminal's id."""


@group("terminal")
@coroutine
async def terminal(call: Call) -> None:
    """List the devices of your identity, or add, link, compare, remove or rename one."""
    await _list_terminals(call)


@terminal.command("list")
@coroutine
async def list_terminals(call: Call) -> None:
    """List the devices of your identity, the most senior first."""
    await _list_terminals(call)


async def _list_terminals(call: Call) -> None:
    async with messenger(call, offline=True) as opened:
        kept, devices = await opened.retention(), await named_devices(opened)
        first = first_device(devices)
        if first is not None and (await opened.me()).without_words:
            note(WITHOUT_WORDS.format(first=_called(first)))
        for view in devices:
            fields: dict[str, object] = {
                "terminal": view.terminal,
                "name": view.name,
                "this": view.this,
                "state": view.state.value,
                "added_by": view.added_by,
                "removed_by": view.removed_by,
                "present": view.present,
                "seen": timestamp(view.seen) if view.seen is not None else None,
                "left": view.left,
            }
            line = terminal_line(view)
            if view.this and kept.days:
                fields["keeps"], line = kept_fields(kept), f"{line}. {kept_line(kept, devices)}"
            call.result(fields, line)


WITHOUT_WORDS: Final = (
    "Your first device is {first}, and no other one can remove it. If it is stolen, only your recovery words"
    " end that, and they are not known to be written down. Write them down on the device that made your"
    " identity: 'parlour recovery'."
)
OTHER_FIRST: Final = (
    "To make another one first, run 'parlour recovery use' there, and let it remove that device itself, too:"
    " it gets new keys."
)
WORDS_GO: Final = (
    "Your recovery words are on this device alone: write them down first, with 'parlour recovery'."
)


def _called(view: TerminalView) -> str:
    return one_line(view.name) or view.terminal[:SHORT]


async def named_devices(opened: Messenger) -> list[TerminalView]:
    """The devices, with the names that this person gave them here."""
    kept: Mapping[str, str] = await opened.preferences()
    return [_renamed(view, kept.get(_NAMED + view.terminal, "")) for view in await opened.terminals()]


def terminal_line(view: TerminalView) -> str:
    """The short id of a device, its name, how it stands, and which one added it."""
    state = "live, may have been copied" if view.state is TerminalState.COPIED else view.state.value
    name = f"  {one_line(view.name)}" if view.name else ""
    added = f", added by {view.added_by[:SHORT]}" if view.added_by else ""
    seen = f", last seen {timestamp(view.seen)}" if view.seen is not None else ""
    seen = ", online" if view.present else seen
    left = f". {LEFT}" if view.left else ""
    this = ", this device" if view.this else ""
    return f"{view.terminal[:SHORT]}{name}  {state}{this}{added}{seen}{left}"


def foreseen_text(
    view: RemovalView, devices: Iterable[TerminalView], contacts: Collection[ContactView]
) -> list[str]:
    """What a removal or a recovery does to others than what it removes, and to the name."""
    names = {one.terminal: one_line(one.name) for one in devices if one.name}

    def called(terminal: str) -> str:
        return f"{terminal[:SHORT]}{f'  {names[terminal]}' if terminal in names else ''}"

    def line(one: AddedView) -> str:
        by = f"  added by {one.added_by[:SHORT]}" if one.added_by else "  brought in by a recovery"
        since = f", known here since {timestamp(one.since)}" if one.since is not None else ""
        yes = "confirmed" if one.confirmed else "not confirmed"
        return f"  {'stays' if one.stays else 'is removed'}  {called(one.terminal)}{by}{since}, {yes}"

    lines = [ADDED_TOO, *map(line, view.added)] if view.added else []
    lines += [LINK_AGAIN] if not all(one.stays for one in view.added) else []
    for persons, said in ((view.held, HELD), (view.unverified, UNVERIFIED)):
        known = sorted(label_among(contacts, person) for person in persons)
        lines += [said.format(names=", ".join(known))] if known else []
    if view.name:
        lines.append(f"Your name stays {one_line(view.name)}: this device signs it again.")
    return lines


def foreseen_fields(view: RemovalView) -> dict[str, object]:
    """The same for programs."""
    added = [
        {
            "terminal": one.terminal,
            "name": one.name,
            "added_by": one.added_by,
            "since": timestamp(one.since) if one.since is not None else None,
            "confirmed": one.confirmed,
            "stays": one.stays,
        }
        for one in view.added
    ]
    return {
        "added": added,
        "name_signed_again": view.name,
        "held": list(view.held),
        "unverified": list(view.unverified),
    }


def other_devices(devices: Iterable[TerminalView]) -> str:
    """The other live devices of this person, by their names or ids; empty where there is none."""
    others = (one for one in devices if not one.this and one.is_live)
    return ", ".join(one_line(one.name) or one.terminal[:SHORT] for one in others)


def where_removed(devices: Iterable[TerminalView]) -> str:
    """Where a contact is removed."""
    others = other_devices(devices)
    return f"on all your devices (this one, {others})" if others else "on this device"


def device_of(devices: Sequence[TerminalView], name: str) -> TerminalView:
    """The device of a name, of an id or of its beginning. Raises UsageError."""
    fitting = [view for view in devices if name and view.name == name]
    if not fitting and len(name) >= SHORTEST_ID:
        fitting = [view for view in devices if view.terminal.startswith(name.lower())]
    if len(fitting) != 1:
        raise UsageError(f"No single device is called {name}: 'parlour terminal list' shows them.")
    return fitting[0]


ALL: Final = "all"
BAD_TIME: Final = f"Say how long as 30d, at most {KEPT_DAYS_MAX}d, or all."
_DAYS: Final = re.compile("([1-9][0-9]{0,5})d")


class Days(click.ParamType[int]):
    """A number of days, as in `30d`; 0 for `all`."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        typed = str(value).strip().lower()
        found = _DAYS.fullmatch(typed)
        days = int(found[1]) if found is not None else 0
        if days > KEPT_DAYS_MAX or (found is None and typed != ALL):
            self.fail(BAD_TIME, param, ctx)
        return days


ADD_FIRST: Final = (
    "Run 'parlour terminal link' on the new device within two minutes. If it finds nobody, give it one of"
    " these addresses: {addresses}"
)
CUT: Final = (
    "The engine stopped while a device was being added: 'parlour terminal list' shows whether it was. If it"
    " does not open, remove it there."
)
SAME_WORDS: Final = "Does the other device show the same five words? [y/n]"
WAITING: Final = "Waiting for the other device."


@terminal.command("add")
@coroutine
async def add(call: Call) -> None:
    """Add a new device of yours, on which 'parlour terminal link' runs, by comparing five words."""
    async with messenger(call) as opened, aclosing(Feed(opened)) as events:
        dialogue = Dialogue(opened, events, call.lines)
        addresses = "  ".join((await opened.me()).addresses)
        begun = await opened.add_terminal()
        note(ADD_FIRST.format(addresses=addresses))
        try:
            view = await _added(opened, dialogue, begun)
        finally:
            dialogue.stop()
            with suppress(ParlourError):  # the engine has ended, and with it this
                await opened.stop_adding()
        fields = {"terminal": view.terminal, "name": view.name}
        call.result(fields, f'The device "{one_line(view.name)}" was added.')


async def _added(opened: Messenger, dialogue: Dialogue, view: LinkingView) -> LinkingView:
    """Lead the adding to its end. Raises ParlourError."""
    asking = False
    while view.stage is not LinkingStage.DONE:
        if view.stage is LinkingStage.FAILED:
            raise ParlourError(view.problem)
        came = await dialogue.next(asking=asking)
        if isinstance(came, Ready):  # an engine that was killed: another knows nothing of this
            raise Unreachable(CUT)
        if isinstance(came, LinkingChanged) and came.linking.id == view.id:
            view = came.linking
            asking = view.stage is LinkingStage.WORDS
            if asking:
                _show_words(view)
                dialogue.ask(SAME_WORDS)
            elif view.stage is LinkingStage.WAITING:
                note(WAITING)
        elif isinstance(came, Typed):
            if came.line is None:
                note(NOBODY_ANSWERED)
            asking = False
            with suppress(UsageError):  # it has ended meanwhile, and its event says so
                await opened.answer_linking(view.id, _is_yes(came.line))
    return view


def _show_words(view: LinkingView) -> None:
    note(f"Linking with {one_line(view.name)}. Both screens must show these words:")
    note(f"    {'  '.join(view.words)}")
    note(IN_DIGITS.format(digits=" ".join(view.digits)))


def _is_yes(line: str | None) -> bool:
    return (line or "").strip().casefold() in YES


@terminal.command("link")
@click.option("--name", type=TEXT, help="What this device is called; by default as this machine.")
@click.option("--address", metavar="HOST:PORT", help="The address of the other device, if it is not found.")
@click.option("--keep", type=Days(), default=ALL, help="Keep messages here for so long: 30d, or all.")
@coroutine
async def link(call: Call, name: str | None, address: str | None, keep: int) -> None:
    """Make this one of your devices: run 'parlour terminal add' on one that you have."""
    place = host_and_port(address) if address is not None else None
    door = call.door()
    if await door.state() is not DoorState.NEW:
        raise CannotCreate(
            f"There is already a profile at {call.folder}: choose another folder with --profile."
        )
    passphrase = read_new_passphrase(call.passphrase_file, call.lines)
    note("Looking for your other device, on which 'parlour terminal add' has to run.")
    made = await door.link(name or machine_name(), passphrase, _Compared(call.lines), place, keep)
    try:
        me = await made.me()
    finally:
        await made.close()
    fields = {"person": me.person, "terminal": me.terminal, "port": me.port}
    call.result(fields, f"This is a device of {one_line(me.name)} now. The profile is at {call.folder}.")


class _Compared:
    """Asks whether both devices show the same words. Every answer but a yes is a no."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    async def __call__(self, view: LinkingView) -> bool:
        _show_words(view)
        same = await confirmed(self._lines, SAME_WORDS)
        if same:
            note(WAITING)
        return same


def machine_name() -> str:
    """What this machine is called, as far as that is a name for a device."""
    return platform.node().partition(".")[0].strip()[:32] or "device"


@terminal.command("keep")
@click.argument("time", type=Days(), required=False)
@coroutine
async def keep(call: Call, time: int | None) -> None:
    """Keep messages on this device for TIME (30d, or all); without TIME, show it.

    Older messages leave this device once your keeper ('parlour terminal keeper') has said that it holds them.
    Nothing is deleted there or at your contacts. Messages that you have not read, or that have not arrived,
    stay.
    """
    async with messenger(call, offline=time is None) as opened:
        kept = await (opened.retention() if time is None else opened.keep(time))
        call.result(kept_fields(kept), kept_line(kept, await named_devices(opened)))


@terminal.command("keeper")
@click.argument("device", type=DEVICE, required=False)
@click.option("--none", is_flag=True, help="Let no device be it: nothing leaves any of them.")
@coroutine
async def keeper(call: Call, device: str | None, none: bool) -> None:
    """Choose the DEVICE that holds all messages for your others; without DEVICE, show it.

    Your other devices let older messages go ('parlour terminal keep') once this one holds them. If it is lost
    or removed, what they let go of comes back from your contacts alone.
    """
    if none and device is not None:
        raise UsageError("Name a device, or say --none.")
    async with messenger(call, offline=device is None and not none) as opened:
        devices = await named_devices(opened)
        if device is None and not none:
            kept = await opened.retention()
        else:
            chosen = "" if device is None else device_of(devices, device).terminal
            kept = await opened.choose_keeper(chosen)
        call.result({"keeper": kept.keeper}, keeper_line(kept, devices))


def kept_fields(view: RetentionView) -> dict[str, object]:
    return {"days": view.days, "elsewhere": view.elsewhere, "keeper": view.keeper}


def kept_line(view: RetentionView, devices: Sequence[TerminalView]) -> str:
    """What this device keeps, and how many messages are not on it."""
    if any(one.this and one.terminal == view.keeper for one in devices):
        return "This device keeps all messages: it is your keeper."
    time = f"messages for {view.days} {'day' if view.days == 1 else 'days'}" if view.days else "all messages"
    number = f"; {view.elsewhere} are not on it" if view.elsewhere else ""
    said = f"This device keeps {time}{number}."
    return f"{said} {NO_KEEPER}" if view.days and not view.keeper else said


NO_KEEPER: Final = "You chose no keeper, so nothing leaves it: 'parlour terminal keeper' chooses one."


def keeper_line(view: RetentionView, devices: Sequence[TerminalView]) -> str:
    """Which device holds all for the others."""
    held = [_called(one) for one in devices if one.terminal == view.keeper]
    return f"Your keeper is {held[0]}: it keeps all messages." if held else "You chose no keeper."


@terminal.command("compare")
@coroutine
async def compare(call: Call) -> None:
    """Show count and root hash of each conversation: the same on two devices, if both hold the same."""
    async with messenger(call, offline=True) as opened:
        root, known = await opened.history_root(), await talks(opened)
    for one in root.conversations:
        name = label_among(known, one.contact)
        fields = {"conversation": name, "person": one.contact, **_root_fields(one)}
        call.result(fields, f"{_root_line(one)}  {one_line(name)}")
    call.result(_root_fields(root), f"{_root_line(root)}  in all")


def _root_fields(one: ConversationRoot | HistoryRoot) -> dict[str, object]:
    return {"entries": one.entries, "root": one.root, "elsewhere": one.elsewhere}


def _root_line(one: ConversationRoot | HistoryRoot) -> str:
    gone = f", {one.elsewhere} not on this device" if one.elsewhere else ""
    return f"{one.root[:SHORT]}  {one.entries} {'message' if one.entries == 1 else 'messages'}{gone}"


how_gone = click.option(
    "--stolen/--lost", default=None, help="Somebody has it, or it was lost, sold or broken; else asked for."
)


async def handed_out(opened: Messenger) -> None:
    """Wait until somebody was sent what this command signed, since its engine ends with it."""
    if not await opened.handed_out():
        note(NOBODY_REACHED)


async def asked_stolen(call: Call) -> bool:
    """Whether a device was stolen, or else lost, sold or broken. Raises Stopped without an answer."""
    call.lines.forget_typed()
    question(HOW_GONE)
    answer = (await call.lines.next_line() or "").strip().casefold()
    if answer not in ("s", "l"):
        raise Stopped(NOT_TOLD)
    return answer == "s"


@terminal.command("remove")
@click.argument("device", type=DEVICE)
@click.option("--yes", is_flag=True, help="Ask nothing; without --lost it counts as stolen.")
@how_gone
@coroutine
async def remove(call: Call, device: str, yes: bool, stolen: bool | None) -> None:
    """Remove a device of yours for good, by its name or id.

    Of a stolen one only those messages count that this device has now. Of one that was lost, sold or
    broken those count, too, that a contact has when this device meets it next.
    """
    async with messenger(call) as opened:
        devices = [view for view in await named_devices(opened) if view.removable]
        view = device_of(devices, device)
        called = _called(view)
        if (following := next_first(devices, view.terminal)) is not None:
            note(f"{called} is your first device. {_called(following)} becomes the first one. {OTHER_FIRST}")
            if view.this and (await opened.me()).keeps_seed:
                note(WORDS_GO)
        foreseen = await opened.foresee_removal(view.terminal)
        for line in foreseen_text(foreseen, devices, await opened.contacts()):
            note(line)
        asked = f"Remove {called}{', this device' if view.this else ''}? It never comes back. [y/n]"
        if view.left:
            asked = f"{called} was removed already. Remove it again, with what it added? [y/n]"
        if not yes and not await confirmed(call.lines, asked):
            raise Stopped("Nothing was removed.")
        if stolen is None and not yes and not view.this:
            stolen = await asked_stolen(call)
        await opened.remove_terminal(view.terminal, stolen is not False)
        await handed_out(opened)
    said = RENEWED_ELSEWHERE if view.this else RENEWED
    fields = {"removed": view.terminal, **foreseen_fields(foreseen)}
    call.result(fields, f"The device {called} was removed. {said}")


@terminal.command("rename")
@click.argument("device", type=DEVICE)
@click.argument("name", type=TEXT)
@coroutine
async def rename_device(call: Call, device: str, name: str) -> None:
    """Call a device of yours NAME, here only."""
    async with messenger(call) as opened:
        view = device_of(await named_devices(opened), device)
        await opened.set_preference(_NAMED + view.terminal, name.strip())
    call.result(
        {"terminal": view.terminal, "name": name.strip()}, f"The device is called {one_line(name)} here."
    )


def _renamed(view: TerminalView, name: str) -> TerminalView:
    return replace(view, name=name) if name else view
