"""The command `bot`: that a program writes in this person's name, as contacts see it."""

from __future__ import annotations

from typing import Final

import click

from chat.cli.completing import CONTACT
from chat.cli.output import find, one_line
from chat.cli.session import TEXT, Call, coroutine, group, messenger
from chat.interface import BotCommand, Messenger

ALL: Final = "all contacts"


class OneCommand(click.ParamType[BotCommand]):
    """NAME=DESCRIPTION."""

    name = "NAME=DESCRIPTION"

    def convert(
        self, value: str | BotCommand, param: click.Parameter | None, ctx: click.Context | None
    ) -> BotCommand:
        if isinstance(value, BotCommand):
            return value
        name, between, description = TEXT.convert(value, param, ctx).partition("=")
        if not between:
            self.fail(f"{one_line(value)} is not NAME=DESCRIPTION.", param, ctx)
        return BotCommand(name.strip().removeprefix("/"), description.strip())


WITH: Final = click.option("--with", "name", type=CONTACT, help="One contact alone.")


@group("bot")
@coroutine
async def bot(call: Call) -> None:
    """Show whether you are declared as a bot, declare it, or take it back.

    Contacts see the word 'bot' at your name, and complete the commands of your program. It proves nothing,
    and changes nothing of what you can do.
    """
    await _show(call, None)


@bot.command("show")
@WITH
@coroutine
async def show(call: Call, name: str | None) -> None:
    """Show what all contacts see, or one of them."""
    await _show(call, name)


@bot.command("declare")
@click.argument("commands", type=OneCommand(), nargs=-1)
@WITH
@coroutine
async def declare(call: Call, commands: tuple[BotCommand, ...], name: str | None) -> None:
    """Let all contacts and later ones see that a program writes in your name.

    COMMANDS are those that it understands, each as NAME=DESCRIPTION; they replace those declared before.
    """
    async with messenger(call) as opened:
        label, contact = await _of(opened, name)
        await opened.declare_bot(commands, contact)
        await _say(call, opened, label, contact)


@bot.command("withdraw")
@WITH
@coroutine
async def withdraw(call: Call, name: str | None) -> None:
    """Let all contacts see that no program writes in your name any more."""
    async with messenger(call) as opened:
        label, contact = await _of(opened, name)
        await opened.withdraw_bot(contact)
        await _say(call, opened, label, contact)


async def _show(call: Call, name: str | None) -> None:
    async with messenger(call, offline=True) as opened:
        label, contact = await _of(opened, name)
        await _say(call, opened, label, contact)


async def _of(opened: Messenger, name: str | None) -> tuple[str, str | None]:
    """Whom a name means, as it is shown, and its id; None for all. Raises UsageError."""
    if name is None:
        return ALL, None
    label, view = find(await opened.contacts(), name)
    return label, view.person


async def _say(call: Call, opened: Messenger, label: str, contact: str | None) -> None:
    declared = await opened.declared_bot(contact)
    fields = {
        "bot": declared.bot,
        "commands": [{"name": one.name, "description": one.description} for one in declared.commands],
        "person": contact,
    }
    where = "" if contact is None and not declared.bot else f" to {label}"
    said = f"You are {'' if declared.bot else 'not '}declared as a bot{where}."
    lines = [f"  /{one.name}  {one_line(one.description)}" for one in declared.commands]
    call.result(fields, "\n".join([said, *lines]))
