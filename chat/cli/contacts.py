"""The commands about contacts: contacts, with rename, block, unblock and remove; verify."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click

from chat.cli.output import Stopped, find, label_among, labels, question
from chat.cli.pairing import YES
from chat.cli.session import TEXT, Call, command, coroutine, group, messenger
from chat.cli.terminal import is_interactive
from chat.interface import ContactView, Messenger


@group("contacts")
@coroutine
async def contacts(call: Call) -> None:
    """List the contacts, or rename, block, unblock or remove one."""
    async with messenger(call, offline=True) as opened:
        for label, view in labels(await opened.contacts()).items():
            _print(call, label, view)


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
    """Give NAME no answer any more and show nothing of theirs."""
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
        if not yes and is_interactive():
            question(f"Remove {label} and the whole conversation? [y/n]")
            answer = await call.lines.next_line() or ""
            if answer.strip().casefold() not in YES:
                raise Stopped(f"{label} was not removed: answer y to remove.")
        await opened.remove(view.person)
        call.result({"removed": label}, f"{label} and the conversation were removed.")


@command("verify")
@click.argument("name", type=TEXT)
@click.option(
    "--yes/--no", "mark", default=None, help="Record that the numbers match, or remove that record."
)
@coroutine
async def verify(call: Call, name: str, mark: bool | None) -> None:
    """Show the safety number with NAME, to be compared."""
    async with messenger(call) as opened:
        label, view = find(await opened.contacts(), name)
        number = await opened.safety_number(view.person)
        if mark is not None:
            await opened.set_verified(view.person, mark)
        verified = view.verified if mark is None else mark
        call.result({"safety_number": number, "verified": verified}, _safety_text(label, number, verified))


def _safety_text(label: str, number: str, verified: bool) -> str:
    groups = number.split()
    rows = "\n".join("    " + " ".join(groups[at : at + 4]) for at in range(0, len(groups), 4))
    if verified:
        return f"{rows}\n{label} is verified."
    return (
        f"{rows}\n{label} is not verified: if {label} sees the same number, run 'parlour verify NAME --yes'."
    )


async def _change(call: Call, name: str, change: Callable[[Messenger, str], Awaitable[None]]) -> None:
    """Change one contact and print it as the engine then has it."""
    async with messenger(call) as opened:
        person = find(await opened.contacts(), name)[1].person
        await change(opened, person)
        now = await opened.contacts()
        _print(call, label_among(now, person), next(view for view in now if view.person == person))


def _print(call: Call, label: str, view: ContactView) -> None:
    words = ["verified" if view.verified else "not verified", "online" if view.present else "offline"]
    words += ["through a relay"] if view.relayed else []
    words += ["blocked"] if view.blocked else []
    fields = {"name": label, "verified": view.verified, "present": view.present}
    call.result(fields, f"{label}  ({', '.join(words)})")
