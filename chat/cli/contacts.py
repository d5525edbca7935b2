"""Commands about contacts: contacts with rename, block, unblock and remove, and verify.

Rules: what is printed is read again after the change; a removal destroys history and is asked about
where somebody can answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import click

from chat.cli.output import DONE, Stopped, find, label_among, labels, question
from chat.cli.pairing import YES
from chat.cli.session import TEXT, Call, command, group
from chat.cli.terminal import is_interactive
from chat.interface import ContactView, Messenger


@group("contacts")
@click.pass_context
def contacts(ctx: click.Context) -> int | None:
    """List the contacts, or rename, block, unblock or remove one."""
    call: Call = ctx.obj
    if ctx.invoked_subcommand is not None:
        return None
    return call.run(lambda opened: _list(call, opened), offline=True)


async def _list(call: Call, opened: Messenger) -> int:
    for label, view in labels(await opened.contacts()).items():
        _print(call, label, view)
    return DONE


@contacts.command("rename")
@click.argument("name", type=TEXT)
@click.argument("new", type=TEXT)
@click.pass_obj
def rename(call: Call, name: str, new: str) -> int:
    """Show the contact NAME as NEW on this device."""
    return _change(call, name, lambda opened, person: opened.rename(person, new))


@contacts.command("block")
@click.argument("name", type=TEXT)
@click.pass_obj
def block(call: Call, name: str) -> int:
    """Block the contact NAME: no answer, nothing shown."""
    return _change(call, name, lambda opened, person: opened.block(person, True))


@contacts.command("unblock")
@click.argument("name", type=TEXT)
@click.pass_obj
def unblock(call: Call, name: str) -> int:
    """Unblock the contact NAME."""
    return _change(call, name, lambda opened, person: opened.block(person, False))


@contacts.command("remove")
@click.argument("name", type=TEXT)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def remove(call: Call, name: str, yes: bool) -> int:
    """Remove the contact NAME and the conversation."""
    return call.run(lambda opened: _remove(call, opened, name, yes))


async def _remove(call: Call, opened: Messenger, name: str, yes: bool) -> int:
    label, view = find(await opened.contacts(), name)
    if not yes and is_interactive():
        question(f"Remove {label} and the whole conversation? [y/n]")
        answer = await call.lines.next_line() or ""
        if answer.strip().casefold() not in YES:
            raise Stopped(f"{label} was not removed: answer y to remove.")
    await opened.remove(view.person)
    call.result({"removed": label}, f"{label} and the conversation were removed.")
    return DONE


@command("verify")
@click.argument("name", type=TEXT)
@click.option(
    "--yes/--no", "mark", default=None, help="Record that the numbers match, or remove that record."
)
@click.pass_obj
def verify(call: Call, name: str, mark: bool | None) -> int:
    """Show the safety number to compare with NAME."""
    return call.run(lambda opened: _verify(call, opened, name, mark))


async def _verify(call: Call, opened: Messenger, name: str, mark: bool | None) -> int:
    label, view = find(await opened.contacts(), name)
    number = await opened.safety_number(view.person)
    if mark is not None:
        await opened.set_verified(view.person, mark)
    verified = view.verified if mark is None else mark
    call.result({"safety_number": number, "verified": verified}, _safety_text(label, number, verified))
    return DONE


def _safety_text(label: str, number: str, verified: bool) -> str:
    groups = number.split()
    rows = "\n".join("    " + " ".join(groups[at : at + 4]) for at in range(0, len(groups), 4))
    if verified:
        return f"{rows}\n{label} is verified."
    return (
        f"{rows}\n{label} is not verified: if {label} sees the same number, run 'parlour verify NAME --yes'."
    )


def _change(call: Call, name: str, change: Callable[[Messenger, str], Awaitable[None]]) -> int:
    """Change one contact and print what it is now."""

    async def use(opened: Messenger) -> int:
        person = find(await opened.contacts(), name)[1].person
        await change(opened, person)
        now = await opened.contacts()
        held = {view.person: view for view in now}
        _print(call, label_among(now, person), held[person])
        return DONE

    return call.run(use)


def _print(call: Call, label: str, view: ContactView) -> None:
    words = ["verified" if view.verified else "not verified", "online" if view.present else "offline"]
    words += ["through a relay"] if view.relayed else []
    words += ["blocked"] if view.blocked else []
    fields = {"name": label, "verified": view.verified, "present": view.present}
    call.result(fields, f"{label}  ({', '.join(words)})")
