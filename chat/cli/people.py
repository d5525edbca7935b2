"""The commands about people: init, passphrase, lock for this one; contacts, verify for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import click

from chat.cli.output import Stopped, find, label_among, labels, note, one_line, timestamp
from chat.cli.session import TEXT, Call, command, coroutine, existing, group, messenger
from chat.cli.terminal import confirmed, is_interactive, read_new_passphrase, read_passphrase
from chat.interface import (
    CannotCreate,
    ContactView,
    DoorState,
    IdentityChangeView,
    Messenger,
    OwnChange,
    QuestionView,
    Unreachable,
    UsageError,
    VerificationView,
)

ENDS_WITHIN: Final = 15.0
"""Seconds in which a command that has the profile open without an engine ends, or offers one."""

SHORT: Final = 16
"""Digits of an id that a line shows."""

NOT_LOCKED: Final = (
    "Another Parlour has this profile open and does not answer, so it is not locked: end that one, then try"
    " again."
)


@command("init")
@click.option("--name", required=True, type=TEXT, help="The name that contacts see.")
@coroutine
async def init(call: Call, name: str) -> None:
    """Create a person and this terminal."""
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


@command("passphrase")
@click.option(
    "--new-passphrase-file",
    metavar="FILE",
    help="Read the new passphrase from a file; - is standard input.",
)
@coroutine
async def passphrase(call: Call, new_passphrase_file: str | None) -> None:
    """Change the passphrase."""
    await existing(call)
    old = read_passphrase(call.passphrase_file, call.lines, "Current passphrase: ")
    new = read_new_passphrase(new_passphrase_file, call.lines)
    async with messenger(call, old) as opened:
        await opened.change_passphrase(old, new)
    call.result({"changed": True}, "The passphrase was changed.")


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
    call.result({"locked": True}, "The profile is locked.")


@group("contacts")
@coroutine
async def contacts(call: Call) -> None:
    """List the contacts, or rename, block, unblock or remove one."""
    async with messenger(call, offline=True) as opened:
        now = await opened.contacts()
        for label, view in labels(now).items():
            _print(call, label, view, now)


@contacts.command("rename")
@click.argument("name", type=TEXT)
@click.argument("new", type=TEXT)
@coroutine
async def rename(call: Call, name: str, new: str) -> None:
    """Call NAME by the name NEW, here only."""
    await _change(call, name, lambda opened, person: opened.rename(person, new))


@contacts.command("block")
@click.argument("name", type=TEXT)
@coroutine
async def block(call: Call, name: str) -> None:
    """Give NAME no answer any more and show nothing from NAME."""
    await _change(call, name, lambda opened, person: opened.block(person, True))


@contacts.command("unblock")
@click.argument("name", type=TEXT)
@coroutine
async def unblock(call: Call, name: str) -> None:
    """Undo `block`."""
    await _change(call, name, lambda opened, person: opened.block(person, False))


@contacts.command("remove")
@click.argument("name", type=TEXT)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@coroutine
async def remove(call: Call, name: str, yes: bool) -> None:
    """Remove NAME with the whole conversation."""
    async with messenger(call) as opened:
        label, view = find(await opened.contacts(), name)
        asked = f"Remove {label} and the whole conversation? [y/n]"
        if not yes and is_interactive() and not await confirmed(call.lines, asked):
            raise Stopped(f"{label} was not removed: answer y to remove.")
        await opened.remove(view.person)
        call.result({"removed": label}, f"{label} and the conversation were removed.")


@command("verify")
@click.argument("name", type=TEXT, required=False)
@click.argument("number", type=TEXT, nargs=-1)
@click.option("--no", "take_back", is_flag=True, help="Remove the verification of NAME.")
@click.option("--own", is_flag=True, help="Show changes of your identity that this device did not make.")
@coroutine
async def verify(call: Call, name: str | None, number: tuple[str, ...], take_back: bool, own: bool) -> None:
    """Show the safety number with NAME, or compare it with the NUMBER that NAME sees.

    With --own, NAME and NUMBER are changes of your identity, of which you say that you made them.
    """
    if own:
        await _verify_own(call, tuple(filter(None, (name, *number))))
        return
    if name is None or (take_back and number):
        raise UsageError("Give the name of a contact, and its number or --no: see 'parlour verify --help'.")
    async with messenger(call) as opened:
        label, view = find(await opened.contacts(), name)
        verified = view.verified
        if number:
            await opened.verify(view.person, " ".join(number))
            verified = True
        elif take_back:
            await opened.unverify(view.person)
            verified = False
        found = await opened.verification(view.person)
        call.result(_verification_fields(found, verified), _verification_text(found, label, verified))


def _verification_fields(found: VerificationView, verified: bool) -> dict[str, object]:
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
        "verified": verified,
        "contested": list(found.numbers[1:]),
        "compared": timestamp(found.compared) if found.compared is not None else None,
        "by": _compared_by(found),
        "changes": changes,
    }


def _compared_by(found: VerificationView) -> str | None:
    if found.compared is None:
        return None
    return "words" if found.by_words else "number"


def _verification_text(found: VerificationView, label: str, verified: bool) -> str:
    lines = []
    for number in found.numbers:
        groups = number.split()
        lines += ["    " + " ".join(groups[at : at + 4]) for at in range(0, len(groups), 4)] + [""]
    if len(found.numbers) > 1:
        lines.append(f"{label} has recoveries that contradict each other, and sees one of these numbers.")
    said = (
        f"not verified: compare by voice, then run 'parlour verify NAME NUMBER' with what {label} reads out."
    )
    lines.append(f"{label} is {'verified.' if verified else said}")
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
    found = [one for one in asked if one.operation.startswith(start.casefold())]
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
    return (
        f"{head} Was that you? If so, run 'parlour verify --own {question.operation[:SHORT]}'."
        " If not, someone has your keys: run 'parlour recovery'."
    )


async def _change(call: Call, name: str, change: Callable[[Messenger, str], Awaitable[None]]) -> None:
    """Change one contact and print it as the engine then has it."""
    async with messenger(call) as opened:
        person = find(await opened.contacts(), name)[1].person
        await change(opened, person)
        now = await opened.contacts()
        _print(call, label_among(now, person), next(view for view in now if view.person == person), now)


def _print(call: Call, label: str, view: ContactView, everybody: Sequence[ContactView]) -> None:
    words = ["verified" if view.verified else "not verified", "online" if view.present else "offline"]
    words += ["through a relay"] if view.relayed else []
    words += ["blocked"] if view.blocked else []
    others = [label_among(everybody, person) for person in view.same_key]
    words += [f"the same device key as {other}" for other in others]
    fields = {"name": label, "verified": view.verified, "present": view.present, "same_key": others}
    call.result(fields, f"{label}  ({', '.join(words)})")
