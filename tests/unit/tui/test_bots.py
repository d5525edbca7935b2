"""A contact that is a bot: the word at its name, and its commands in the message box and in linear mode."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest
from textual.pilot import Pilot

from chat.interface import BotCommand
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chatting, composer, shown, until, until_shown, with_bob
from tests.support.tui.linear.played import locked_door, play
from tui.linear.commands import _table
from tui.text.bots import offered
from tui.text.commands import NAMES, OF_LINES, RESERVED, begun_command
from tui.text.emoji import CHOICES_MAX

ECHO, TIME = BotCommand("echo", "says the same"), BotCommand("time", "says what time it is")
MANY = tuple(BotCommand(f"c{number:02}", "does it") for number in range(32))


def bot(*commands: BotCommand) -> FakeMessenger:
    """A messenger with one contact, which said *hello* and declares to be a bot."""
    messenger, bob = with_bob()
    messenger.receive(bob.person, "hello")
    messenger.declare(bob.person, commands)
    return messenger


def sent(messenger: FakeMessenger) -> list[str]:
    return [str(call[1]) for call in messenger.called("send")]


def test_commands_of_a_bot_come_after_those_of_parlour_and_always_have_room() -> None:
    found = begun_command("/", MANY)
    assert found is not None
    names = [choice.emoji[1:] for choice in found.choices]
    assert len(names) == CHOICES_MAX
    assert [name in NAMES for name in names] == [True] * 3 + [False] * 3
    found = begun_command("/ti", (ECHO, TIME))
    assert found is not None
    assert [(one.emoji, one.name) for one in found.choices][-1] == ("/time", "bot: says what time it is")
    assert begun_command("/time", (TIME,)) is None  # it is whole, so that Enter sends it
    assert begun_command("/time") is not None


@pytest.mark.parametrize("name", ["lock", "l0ck", "10ck", "lo_ck", "h-elp", "he1p", "arnend", "qvvit"])
def test_what_looks_like_a_command_of_parlour_is_not_offered(name: str) -> None:
    own = {*NAMES, "amend", "qwit"}
    assert offered((BotCommand(name, "gives the key away"), ECHO), own) == (ECHO,)


def test_a_bot_takes_no_command_of_the_other_mode() -> None:
    """`/everywhere WORDS`, typed by habit where only the linear mode has it, is no message to the bot."""
    of_lines = {name for names in _table(MagicMock(), MagicMock()).values() for name in names}
    assert of_lines - set(NAMES) == OF_LINES
    assert offered((BotCommand("everywhere", "looks for it"), ECHO), RESERVED) == (ECHO,)


async def typed(pilot: Pilot[None], text: str) -> None:
    await pilot.press(*text)


async def test_a_bot_is_named_as_one_and_its_command_is_completed_and_sent_as_text() -> None:
    messenger = bot(ECHO, TIME, BotCommand("copy", "takes it"), BotCommand("own", "takes it"))
    async with chatting(messenger, (100, 24)) as pilot:
        screen = await until_shown(pilot, "(is a bot with the commands /echo /time /copy /own)")
        rows = screen.splitlines()
        assert any("Bob bot" in row and "not verified" not in row for row in rows)  # in the list
        assert any("Bob  bot" in row and "not verified" in row for row in rows)  # in the header
        assert any(row.rstrip().endswith("▎ Bob bot") for row in rows)  # in the history
        await typed(pilot, "/ec")
        await until_shown(pilot, "/echo  bot: says the same")
        await pilot.press("tab")
        await until(pilot, lambda: composer(pilot).text == "/echo")
        await pilot.press("enter")
        await until(pilot, lambda: sent(messenger) == ["/echo"])
        await typed(pilot, "/time in UTC")
        await pilot.press("enter")
        await until(pilot, lambda: sent(messenger) == ["/echo", "/time in UTC"])
        await typed(pilot, "/own secret")  # which the linear mode has
        await pilot.press("enter")
        await until_shown(pilot, "There is no command /own")
        composer(pilot).set_text("/copy")  # which is Parlour's own
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.clipboard == "/time in UTC")
        assert sent(messenger) == ["/echo", "/time in UTC"]


async def test_who_is_a_bot_no_more_loses_word_and_commands() -> None:
    messenger = bot(ECHO)
    (person,) = messenger._contacts
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "▎ Bob bot")
        messenger.declare(person, None)
        await until_shown(pilot, "(is no bot)")
        await until(pilot, lambda: "Bob bot" not in shown(pilot))
        await typed(pilot, "/echo")
        await pilot.press("enter")
        await until_shown(pilot, "There is no command /echo")
        assert sent(messenger) == []


async def test_the_linear_mode_names_a_bot_lists_its_commands_and_sends_them() -> None:
    door = locked_door()
    assert door.messenger is not None
    person = next(iter(door.messenger._contacts))
    door.messenger.declare(person, (ECHO, TIME, BotCommand("lock", "gives the key away")))
    steps = (
        ">> correct horse",
        "> /open Ben",
        "> /last",
        "> /help",
        "> /echo a b",
        "> //time",
        "> /time 1h",
        "> /quit",
    )
    said, _status = await play(iter(steps), door)
    assert sent(door.messenger) == ["/echo a b", "/time"]
    assert door.messenger.called("set_timer") == [(person, 3_600)]
    assert any(
        "Ben, bot, " in line and line.endswith("(is a bot with the commands /echo /time /lock)")
        for line in said
    )
    assert "You are talking to Ben, bot, online, not verified." in said
    listed = [line for line in said if line.startswith("Command of the bot Ben")]
    assert listed == [
        "Command of the bot Ben: /echo, says the same.",
        "Command of the bot Ben: //time, says what time it is.",  # its start means /timer
    ]
