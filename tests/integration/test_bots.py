"""Who declares to be a bot, with which commands, and what nobody can say of another one (SPEC §11.11)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import BotCommand, ContactChanged, ContactView, EntryAdded, UsageError
from chat.service.export_check import verify
from chat.storage.database import Database
from protocol.bots import bot_body
from protocol.entries_and_receipts import KIND_BOT, KIND_DELETE, delete_body
from protocol.messages import BotBody
from protocol.messages import BotCommand as Command
from tests.integration.steps import current, entry_of, in_touch
from tests.integration.test_claims import invented, renewed, sends, settled
from tests.integration.test_own_terminals import apart, desk_and_laptop, terminal_of
from tests.support.engines.engines import DEFAULTS, Person, contact, in_virtual_time, pair, people, talk

ECHO, TIME = BotCommand("echo", "says the same"), BotCommand("time", "says what time it is")


def offers(*commands: BotCommand) -> bytes:
    return bot_body(BotBody(True, [Command(one.name, one.description) for one in commands]))


async def is_bot(person: Person, *commands: BotCommand) -> bool:
    """Whether the one contact of a person is shown as a bot with these commands."""
    view = await contact(person)
    return view.bot and view.commands == commands


def shown_as(person: Person, *commands: BotCommand, bot: bool = True) -> asyncio.Future[ContactChanged]:
    def holds(view: ContactView) -> bool:
        return (view.bot, view.commands) == (bot, commands)

    return person.wait(ContactChanged, lambda event: holds(event.contact))


def kinds(person: Person, other: Person) -> int:
    """How many declarations a person holds, in all conversations and the notes."""
    database: Database = person.engine._use_cases.store._database
    return int(database.value(f"SELECT count(*) FROM entries WHERE kind = {KIND_BOT}") or 0)


@in_virtual_time
async def test_a_contact_sees_the_bot_and_its_commands_which_a_later_declaration_replaces(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        seen = shown_as(ben, ECHO, TIME)
        await ada.engine.declare_bot((TIME, ECHO))
        await seen
        held = kinds(ada, ben)
        await ada.engine.declare_bot((ECHO, TIME))  # the same: nothing is sent
        assert kinds(ada, ben) == held
        history = await ben.history(ada)
        assert [(one.kind, one.bot, one.commands) for one in history[1:]] == [("bot", True, (ECHO, TIME))]
        assert (await contact(ben)).unread == 1  # "before" alone
        assert not (await contact(ada)).bot
        notes = (await ada.engine.me()).person
        assert await ada.engine.history(notes) == ()
        for form in ("jsonl", "html"):
            file = tmp_path / f"all.{form}"
            await ada.engine.export(str(file), form)
            assert verify(file.read_text("utf-8").splitlines(keepends=True)).entries

        await ben.stop()
        await ben.start()
        assert await is_bot(ben, ECHO, TIME)
        seen = shown_as(ben, ECHO)
        await ada.engine.declare_bot((ECHO,))
        await seen
        seen = shown_as(ben, bot=False)
        await ada.engine.withdraw_bot()
        await seen


@in_virtual_time
async def test_a_later_contact_hears_of_it_as_well_also_after_a_restart(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await ada.engine.declare_bot((ECHO,))
        await ada.stop()
        await ada.start()
        seen = shown_as(ben, ECHO)
        await pair(ada, ben)
        await seen
        assert kinds(ben, ada) == 1


@in_virtual_time
async def test_one_contact_alone_and_none_that_is_blocked_hears_of_it(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        await ada.engine.block(friend, True)
        with pytest.raises(UsageError):
            await ada.engine.declare_bot((ECHO,), friend)
        await ada.engine.declare_bot((ECHO,))
        assert kinds(ada, ben) == 1  # in the notes
        seen = shown_as(ben, ECHO)
        await ada.engine.block(friend, False)
        await seen
        seen = shown_as(ben, bot=False)
        await ada.engine.withdraw_bot(friend)
        await seen


@in_virtual_time(limit=600)
async def test_a_contact_marks_nobody_else(tmp_path: Path) -> None:
    """What Ben passes in Ada's name is a claim of his, and in his own it is about himself."""
    async with in_touch(tmp_path) as (_, ada, ben):
        await sends(ben, ada, invented(ada, ben, "", kind=KIND_BOT, body=offers(ECHO)))
        parts = ada.engine._use_cases
        await settled(ada)
        assert not (await contact(ada)).bot
        assert not (await contact(ben)).bot
        assert not parts.book.bots
        # Ada has declared nothing, so that what she says now is no repetition.
        seen = shown_as(ben, ECHO)
        await ada.engine.declare_bot((ECHO,))
        await seen
        await renewed(ada)
        await settled(ada)
        assert not (await contact(ada)).bot


@in_virtual_time(limit=600)
async def test_no_delete_takes_a_declaration_back(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        seen = shown_as(ada, ECHO)
        await ben.engine.declare_bot((ECHO,))
        await seen
        (declared,) = [bytes.fromhex(one.id) for one in await ada.history(ben) if one.kind == "bot"]
        await current(ben, ada).driver.send(entry_of(ben, ada, amends=(KIND_DELETE, delete_body([declared]))))
        await talk(ben, ada, "after")
        assert await is_bot(ada, ECHO)


@in_virtual_time(limit=600)
async def test_the_other_terminals_of_both_persons_know_it_too(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        seen = shown_as(laptop, TIME), shown_as(desk, TIME)
        await ben.engine.declare_bot((TIME,))
        await asyncio.gather(*seen)
        mine = shown_as(ben, ECHO)
        await laptop.engine.declare_bot((ECHO,))
        await mine
        await apart(network, laptop, ben)
        off = shown_as(ben, bot=False)
        await desk.engine.withdraw_bot()
        await off


@in_virtual_time(limit=600)
async def test_a_later_contact_hears_of_it_from_another_terminal_once_the_one_that_declared_is_removed(
    tmp_path: Path,
) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        seen = shown_as(ben, ECHO)
        await laptop.engine.declare_bot((ECHO,))
        await seen
        after = desk.wait(EntryAdded, lambda event: event.entry.text == "after it")
        await laptop.engine.send((await laptop.engine.me()).person, "after it")
        await after  # of the declaration in the notes, which comes before it, nobody is notified
        assert (await desk.engine.declared_bot()).bot
        await desk.engine.remove_terminal(terminal_of(laptop))
        cleo = Person("Cleo", "10.0.0.9", tmp_path / "Cleo", network, DEFAULTS, 900)
        await cleo.create()
        seen = shown_as(cleo, ECHO)
        await pair(desk, cleo)
        await seen
        await cleo.engine.close()


HOSTILE = (
    (BotCommand("Echo", "says the same"),),
    (BotCommand("e\u0441ho", "says the same"),),
    (BotCommand("echo this", "says the same"),),
    (BotCommand("echo", "says\nthe same"),),
    (BotCommand("echo", "says \u202ethe same"),),
    (BotCommand("echo", ""),),
    (BotCommand("echo", "\ud800"),),
    (BotCommand("echo", "d" * 101),),
    (BotCommand("c" * 33, "says the same"),),
    (ECHO, ECHO),
    tuple(BotCommand(f"c{number}", "does it") for number in range(33)),
)


@in_virtual_time
async def test_commands_that_nobody_could_read_are_refused(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        for commands in HOSTILE:
            with pytest.raises(UsageError):
                await ada.engine.declare_bot(commands)
        assert kinds(ada, ada) == 0
