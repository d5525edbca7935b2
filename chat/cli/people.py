"""The commands about people: init, passphrase, lock, wipe for this one; contacts, verify for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import click

from chat.cli.changes import until_erased
from chat.cli.completing import CONTACT, TALK
from chat.cli.devices import (
    SHORT,
    SHORTEST_ID,
    handed_out,
    named_devices,
    where_removed,
)
from chat.cli.output import (
    Stopped,
    find,
    held_line,
    label_among,
    labels,
    note,
    one_line,
    say_marks,
    timestamp,
)
from chat.cli.printing import print_contact
from chat.cli.session import LOOK_EVERY, TEXT, Call, command, coroutine, existing, group, messenger
from chat.cli.terminal import confirmed, is_interactive, read_new_passphrase, read_passphrase
from chat.interface import (
    CannotCreate,
    ContactView,
    DoorState,
    IdentityChangeView,
    Kept,
    KeyringFailure,
    Messenger,
    OwnChange,
    QuestionView,
    UnlockCost,
    Unreachable,
    UsageError,
    VerificationView,
    means_notes,
    notes_view,
)

ENDS_WITHIN: Final = 15.0
"""Seconds in which a command that has the profile open without an engine ends, or offers one."""

NOT_LOCKED: Final = (
    "Another Parlour has this profile open and does not answer, so it is not locked: end that one, then try"
    " again."
)


OLD_HEADER: Final = (
    "An old copy of the profile's header, as in a backup of your files, still opens the history with the old"
    " passphrase: 'parlour passphrase --new-key' ends that."
)


@command("init")
@click.option("--name", required=True, type=TEXT, help="The name that contacts see.")
@coroutine
async def init(call: Call, name: str) -> None:
    """Create a person and this device."""
    door = call.door()
    if await door.state() is not DoorState.NEW:
        raise CannotCreate(
            f"There is already a profile at {call.folder}: choose another folder with --profile."
        )
    made = await door.create(name, read_new_passphrase(call.passphrase_file, call.lines))
    try:
        me = await made.me()
    finally:
        await made.close()
    fields = {"person": me.person, "terminal": me.terminal, "port": me.port}
    call.result(fields, f"The profile is at {call.folder}. This device listens on port {me.port}.")


_NEW_FILE: Final = "--new-passphrase-file"


@command("passphrase")
@click.option(
    _NEW_FILE,
    metavar="FILE",
    help="Read the new passphrase from a file; - is standard input.",
)
@click.option(
    "--cost",
    type=click.Choice([UnlockCost.MODERATE.value, UnlockCost.SENSITIVE.value]),
    help="What each try of a passphrase costs: 256 MiB of memory, or 1 GiB and seconds. Default: as before.",
)
@click.option(
    "--new-key",
    is_flag=True,
    help="Seal the history under another key, which no older copy of the profile's header opens.",
)
@coroutine
async def passphrase(call: Call, new_passphrase_file: str | None, cost: str | None, new_key: bool) -> None:
    """Change the passphrase, or the cost of guessing it: the new one may be the old one."""
    await existing(call)
    if await call.door().kept() is not Kept.NO:
        note("The system's keyring gets the new passphrase too, and may ask you to unlock it.")
    old = read_passphrase(call.passphrase_file, call.lines, "Current passphrase: ")
    new = read_new_passphrase(new_passphrase_file, call.lines, _NEW_FILE)
    async with messenger(call, old) as opened:
        await opened.change_passphrase(old, new, UnlockCost(cost or UnlockCost.KEPT), new_key)
    call.result({"changed": True}, "The passphrase was changed.")
    if not new_key:
        note(OLD_HEADER)


@command("lock")
@coroutine
async def lock(call: Call) -> None:
    """Stop the engine that runs on the profile."""
    door, state = await existing(call)
    now = asyncio.get_running_loop().time
    until = now() + ENDS_WITHIN
    while state is DoorState.RUNNING or await door.is_held():
        with suppress(Unreachable):  # it ended by itself, and another command may go on with the next
            running = await door.attach()
            try:
                await running.lock()
                break
            finally:
                await running.close()
        if state is not DoorState.RUNNING and now() > until:
            raise Unreachable(NOT_LOCKED)
        state = await door.state()
    else:
        note("No engine was running with this profile.")
    await door.pause_kept()
    call.result({"locked": True}, "The profile is locked.")


WIPES: Final = (
    "This destroys the profile at {folder}: your keys and every message in it. Nobody can undo it."
    " Destroy it? [y/n]"
)


WIPES_ARCHIVES: Final = (
    "This destroys the profile at {folder}: your keys and every message in it, and its archives ({number}),"
    " too. Nobody can undo it. Destroy it? [y/n]"
)


@command("wipe")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@coroutine
async def wipe(call: Call, yes: bool) -> None:
    """Destroy the profile on this device: its key first, then everything else. It needs no passphrase."""
    door, now = call.door(), asyncio.get_running_loop().time
    if not yes:
        asked = WIPES.format(folder=call.folder)
        if archives := len(await door.archives()):
            asked = WIPES_ARCHIVES.format(folder=call.folder, number=archives)
        if not await confirmed(call.lines, asked):
            raise Stopped("Nothing was destroyed.")
    until = now() + ENDS_WITHIN
    while True:
        with suppress(Unreachable):  # none runs
            running = await door.attach()
            try:
                await running.lock()
            finally:
                await running.close()
        try:
            await door.wipe()
            break
        except KeyringFailure:
            call.result({"wiped": True}, "The profile is destroyed.")
            raise
        except CannotCreate:  # a command has the profile open for a moment
            if now() > until:
                raise
            await asyncio.sleep(LOOK_EVERY)
    call.result({"wiped": True}, "The profile is destroyed.")


@command("rename")
@click.argument("name", type=TEXT)
@coroutine
async def rename(call: Call, name: str) -> None:
    """Change the name that your contacts see to NAME."""
    async with messenger(call) as opened:
        await opened.rename_self(name)
        await handed_out(opened)
    call.result({"name": name}, f"Your contacts see {one_line(name)} now.")


@group("contacts")
@coroutine
async def contacts(call: Call) -> None:
    """List the contacts, or rename, pin, mute, block or remove one."""
    await _list(call)


@contacts.command("list")
@coroutine
async def list_(call: Call) -> None:
    """List the contacts, as without a command."""
    await _list(call)


async def _list(call: Call) -> None:
    async with messenger(call, offline=True) as opened:
        now = await opened.contacts()
        last = {entry.contact: entry for entry in await opened.latest()}
        for label, view in sorted(labels(now).items(), key=lambda one: not one[1].pinned):
            print_contact(call, label, view, now, last.get(view.person))
        say_marks(labels(now))
        if not now:
            call.nothing("You have no contacts yet: 'parlour pair --help' says how to add one.")


@contacts.command("rename")
@click.argument("name", type=CONTACT)
@click.argument("new", type=TEXT)
@coroutine
async def rename_contact(call: Call, name: str, new: str) -> None:
    """Call NAME by the name NEW, on your devices only."""
    async with messenger(call) as opened:
        before, view = find(await opened.contacts(), name)
        await opened.rename(view.person, new)
        now = await opened.contacts()
        label = label_among(now, view.person)
        fields = {"name": label, "before": before, "called": view.called, "person": view.person}
        call.result(fields, f"{before} is called {label} here now, and calls itself {one_line(view.called)}.")
        say_marks([label])


@contacts.command("block")
@click.argument("name", type=CONTACT)
@coroutine
async def block(call: Call, name: str) -> None:
    """Give NAME no answer any more and show nothing from NAME, on all your devices."""
    await _change(call, name, lambda opened, person: opened.block(person, True))


@contacts.command("unblock")
@click.argument("name", type=CONTACT)
@coroutine
async def unblock(call: Call, name: str) -> None:
    """Undo `block`."""
    await _change(call, name, lambda opened, person: opened.block(person, False))


@contacts.command("pin")
@click.argument("name", type=TALK)
@coroutine
async def pin(call: Call, name: str) -> None:
    """List NAME first. That holds on all your devices. `notes` are your own notes."""
    await _pin(call, name, on=True)


@contacts.command("unpin")
@click.argument("name", type=TALK)
@coroutine
async def unpin(call: Call, name: str) -> None:
    """Undo `pin`."""
    await _pin(call, name, on=False)


async def _pin(call: Call, name: str, *, on: bool) -> None:
    if not means_notes(name):
        await _change(call, name, lambda opened, person: opened.pin(person, on))
        return
    async with messenger(call) as opened:
        await opened.pin((await opened.me()).person, on)
        view = notes_view(await opened.me())
        said = "pinned" if view.pinned else "not pinned"
        call.result({"name": view.label, "pinned": view.pinned}, f"{view.label}  ({said})")


NONE_TO_TAKE: Final = "Nothing to take here. What another device of yours wrote is taken on that device."


@contacts.command("take")
@click.argument("name", type=CONTACT)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@coroutine
async def take(call: Call, name: str, yes: bool) -> None:
    """Take what NAME has of you from before a removal or recovery as yours, on all your devices.

    These are the messages that `history` shows as yours, as NAME has them. Who had a device of yours before
    can have invented some with NAME's help.
    """
    if not yes and not is_interactive():
        raise UsageError("Confirmation needs a terminal: use --yes to take them without it.")
    async with messenger(call) as opened:
        label, contact = find(await opened.contacts(), name)
        taken = await opened.takeable(contact.person)
        messages = "1 earlier message" if taken == 1 else f"{taken} earlier messages"
        question = f"Take {messages}, as {label} has {'it' if taken == 1 else 'them'}, as yours?"
        if taken and not yes and not await confirmed(call.lines, f"{question} It cannot be undone. [y/n]"):
            raise Stopped("Nothing was changed: answer y to take them.")
        if taken:
            taken = await opened.take_earlier(contact.person)
        said = "1 message counts as yours now." if taken == 1 else f"{taken} messages count as yours now."
        call.result({"name": label, "taken": taken}, said if taken else NONE_TO_TAKE)


@contacts.command("mute")
@click.argument("name", type=CONTACT)
@coroutine
async def mute(call: Call, name: str) -> None:
    """Mute NAME. It rings no bell and notifies of nothing on all your devices, until `unmute`."""
    await _change(call, name, lambda opened, person: opened.mute(person, True))


@contacts.command("unmute")
@click.argument("name", type=CONTACT)
@coroutine
async def unmute(call: Call, name: str) -> None:
    """Undo `mute`."""
    await _change(call, name, lambda opened, person: opened.mute(person, False))


HALF_REMOVED: Final = (
    "If 'parlour contacts' no longer lists {label}, the contact is removed. The profile file may still"
    " contain parts of the conversation, and Parlour erases them while it is open."
)


@contacts.command("remove")
@click.argument("name", type=CONTACT)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@coroutine
async def remove(call: Call, name: str, yes: bool) -> None:
    """Remove NAME with the whole conversation, on all your devices.

    Only the ids of messages that you deleted stay: these do not come back if you pair again. If the command
    is interrupted after NAME is gone, Parlour finishes the work the next time it is open.

    Status 0: the profile file no longer contains the messages.
    """
    async with messenger(call) as opened:
        label, view = find(await opened.contacts(), name)
        where = where_removed(await named_devices(opened))
        asked = f"Remove {label} and the whole conversation {where}? [y/n]"
        if not yes and is_interactive() and not await confirmed(call.lines, asked):
            raise Stopped(f"{label} was not removed: answer y to remove.")
        await until_erased(opened.remove(view.person), HALF_REMOVED.format(label=label))
        call.result({"removed": label}, f"{label} and the conversation were removed {where}.")


@command("verify")
@click.argument("name", type=CONTACT, required=False)
@click.argument("number", type=TEXT, nargs=-1)
@click.option("--no", "take_back", is_flag=True, help="Remove the verification of NAME.")
@click.option("--own", is_flag=True, help="Show changes of your identity that this device did not make.")
@coroutine
async def verify(call: Call, name: str | None, number: tuple[str, ...], take_back: bool, own: bool) -> None:
    """Show the safety number with NAME, or compare it with the NUMBER that NAME sees.

    With --own, NAME and NUMBER are changes of your identity, of which you say that you made them.
    """
    if own and take_back:  # as an answer it would say the opposite of what --own does
        raise UsageError("--own takes no --no. If a change was not you, run 'parlour recovery use'.")
    if own:
        await _verify_own(call, tuple(filter(None, (name, *number))))
        return
    if name is None or (take_back and number):
        raise UsageError("Give the name of a contact, and its number or --no: see 'parlour verify --help'.")
    async with messenger(call) as opened:
        label, view = find(await opened.contacts(), name)
        if number:
            typed = " ".join(number)
            if not any(map(str.isdecimal, typed)):  # a yes would be to a number that was shown before
                raise UsageError(
                    f"To confirm, run 'parlour verify NAME NUMBER' with what {label} reads out."
                    " To take it back, run 'parlour verify NAME --no'."
                )
            await opened.verify(view.person, typed)
        elif take_back:
            await opened.unverify(view.person)
        found = await opened.verification(view.person)
        view = next((one for one in await opened.contacts() if one.person == view.person), view)
        call.result(_verification_fields(found, view), _verification_text(found, label, view))


def _verification_fields(found: VerificationView, view: ContactView) -> dict[str, object]:
    changes = [
        {
            "cause": change.cause,
            "operation": change.operation,
            "terminal": change.terminal,
            "author": change.author,
        }
        for change in found.changes
    ]
    return {
        "safety_number": found.numbers[0],
        "verified": view.verified,
        "held": view.held,
        "unvouched": view.unvouched,
        "contested": list(found.numbers[1:]),
        "compared": timestamp(found.compared) if found.compared is not None else None,
        "by": _compared_by(found),
        "changes": changes,
    }


def _compared_by(found: VerificationView) -> str | None:
    if found.compared is None:
        return None
    return "words" if found.by_words else "number"


def _verification_text(found: VerificationView, label: str, view: ContactView) -> str:
    lines = []
    for number in found.numbers:
        groups = number.split()
        lines += ["    " + " ".join(groups[at : at + 4]) for at in range(0, len(groups), 4)] + [""]
    if len(found.numbers) > 1:
        lines.append(f"{label} has recoveries that contradict each other, and sees one of these numbers.")
    said = (
        f"not verified: compare by voice, then run 'parlour verify NAME NUMBER' with what {label} reads out."
    )
    lines.append(f"{label} is {'verified.' if view.verified else said}")
    if view.held:
        lines.append(held_line(label, view))
    if found.compared is not None:
        how = "pairing words" if found.by_words else "the safety number"
        lines.append(f"Last compared by {how}: {timestamp(found.compared)}")
    lines += [f"Since then {label} {_change_text(change)}" for change in found.changes]
    return "\n".join(lines)


def _change_text(change: IdentityChangeView) -> str:
    device = f" (device {change.terminal[:SHORT]})" if change.terminal else ""
    signed = f", signed by device {change.author[:SHORT]}" if change.author else ""
    return f"{one_line(change.cause)}{device}{signed}"


async def _verify_own(call: Call, operations: Sequence[str]) -> None:
    """List the open questions, or answer those that are named by (the start of) their ids with yes."""
    async with messenger(call) as opened:
        asked = await opened.questions()
        if not asked:
            note("Your identity has no change that this device did not make.")
        named = [_question(asked, start) for start in operations]
        for question in named or asked:
            if named:
                await opened.confirm_own(question.operation)
            fields = {
                "operation": question.operation,
                "change": question.change.value,
                "terminal": question.terminal,
                "author": question.author,
                "confirmed": bool(named),
            }
            call.result(fields, _question_text(question, confirmed=bool(named)))


def _question(asked: Sequence[QuestionView], start: str) -> QuestionView:
    found = [one for one in asked if one.operation.startswith(start.casefold()) and len(start) >= SHORTEST_ID]
    if len(found) != 1:
        raise UsageError(f"No single change begins with {one_line(start)}: see 'parlour verify --own'.")
    return found[0]


def _question_text(question: QuestionView, *, confirmed: bool) -> str:
    added = question.change is OwnChange.ADDED
    what = "A device was added to your identity" if added else "Your recovery words were used"
    device = f": device {question.terminal[:SHORT]}" if question.terminal else ""
    signed = f", signed by device {question.author[:SHORT]}" if question.author else ""
    head = f"{question.operation[:SHORT]}  {what}{device}{signed}."
    if confirmed:
        return f"{head} You said that this was you."
    by = question.author[:SHORT]
    remove = f"'parlour terminal remove {by}' shuts out both. If that is refused, " if added and by else ""
    return (
        f"{head} Was that you? If so, run 'parlour verify --own {question.operation[:SHORT]}'."
        f" If not, {remove}someone has your keys: run 'parlour recovery use'."
    )


async def _change(call: Call, name: str, change: Callable[[Messenger, str], Awaitable[None]]) -> None:
    """Change one contact and print it as the engine then has it."""
    async with messenger(call) as opened:
        person = find(await opened.contacts(), name)[1].person
        await change(opened, person)
        now = await opened.contacts()
        last = next((entry for entry in await opened.latest() if entry.contact == person), None)
        view = next(view for view in now if view.person == person)
        print_contact(call, label_among(now, person), view, now, last)
