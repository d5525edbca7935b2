"""The relays dialog: the standing of each in words, adding by paste, removing after a question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual import events
from textual.pilot import Pilot

from chat.interface import RelayStanding
from protocol.relay.rendezvous import RelayAddress
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import shown, until, until_shown, with_bob_open
from tests.support.tui.opened import on_top, opened
from tui.screens.dialog import ConfirmDialog
from tui.screens.relays import RelaysDialog
from tui.text.formatting import place
from tui.widgets.controls import Field

ONE, TWO = (str(RelayAddress(host, 4746, b"\x09" * 32)) for host in ("192.168.1.2", "relay.example.org"))


@asynccontextmanager
async def with_relays() -> AsyncIterator[tuple[Pilot[None], FakeMessenger, RelaysDialog]]:
    """The dialog with two relays, the second of which an invitation named."""
    async with with_bob_open() as (pilot, messenger, _):
        messenger.name_relay(ONE)
        messenger.name_relay(TWO, invited=True)
        yield pilot, messenger, await opened(pilot, "alt+r", RelaysDialog)


def row(pilot: Pilot[None], text: str) -> str:
    return next((line for line in shown(pilot).split("\n") if text in line), "")


async def test_what_a_relay_sees_is_said_and_none_is_named() -> None:
    async with with_bob_open() as (pilot, _messenger, _bob):
        await opened(pilot, "alt+r", RelaysDialog)
        assert "who they are or what they write." in await until_shown(pilot, "No relays yet.")


async def test_each_says_how_it_stands_and_follows_as_that_changes() -> None:
    async with with_relays() as (pilot, messenger, _):
        await until_shown(pilot, "not tried yet")
        for standing, sign, words in (
            (RelayStanding.CONNECTING, "○", "connecting…"),
            (RelayStanding.WAITING, "●", "ready"),
            (RelayStanding.OTHER_KEY, "✗", "key does not match"),
            (RelayStanding.UNREACHABLE, "✗", "unreachable"),
        ):
            messenger.stand_relay(TWO, standing)
            await until_shown(pilot, f"relay.example.org:4746  {words}")
            line = row(pilot, "relay.example.org")
            assert sign in line
            assert "from an invitation" in line
        assert "from an invitation" not in row(pilot, "192.168.1.2:4746")
        messenger._drop(ONE)
        await until(pilot, lambda: not row(pilot, "192.168.1.2:4746"))


async def test_one_is_added_by_a_paste_that_a_terminal_broke() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await opened(pilot, "alt+r", RelaysDialog)
        field = dialog.query_one("#address", Field)
        field.post_message(events.Paste(f"{ONE[:30]}\n  {ONE[30:]}\n"))
        await until(pilot, lambda: field.value == ONE)
        await pilot.press("enter")
        await until_shown(pilot, "Relay 192.168.1.2:4746 added")
        assert (field.value, messenger.called("add_relay")) == ("", [(ONE,)])
        assert "not tried yet" in row(pilot, "○ 192.168.1.2:4746")


async def test_what_is_wrong_is_said_and_what_was_typed_stays() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await opened(pilot, "alt+r", RelaysDialog)
        field = dialog.query_one("#address", Field)
        await pilot.press("enter")
        field.insert_text_at_cursor("192.168.1.2:4746")
        await pilot.press("enter")
        await until_shown(pilot, "The relay's key is missing")
        assert field.value == "192.168.1.2:4746"
        await pilot.press("end", "x")
        await until(pilot, lambda: "key is missing" not in shown(pilot))
        assert len(messenger.called("add_relay")) == 1


async def test_a_removal_is_asked_about_first() -> None:
    async with with_relays() as (pilot, messenger, _):
        for answer in ("n", "y"):
            await pilot.press("tab", "down", "d")
            await on_top(pilot, ConfirmDialog)
            await until(pilot, lambda: "relay.example.org:4746" in shown(pilot))
            assert [view.address for view in messenger._relays.values()] == [ONE, TWO]
            await pilot.press(answer)
            await on_top(pilot, RelaysDialog)
        await until(pilot, lambda: not row(pilot, "relay.example.org"))
        assert messenger.called("remove_relay") == [(TWO,)]


async def test_a_letter_copies_an_address_or_goes_into_the_field_and_the_cursor_stays_on_its_relay() -> None:
    async with with_relays() as (pilot, messenger, dialog):
        await pilot.press("d", "c")
        assert dialog.query_one("#address", Field).value == "dc"
        await pilot.press("tab", "c")
        await until(pilot, lambda: pilot.app.clipboard == ONE)
        await until_shown(pilot, "Copied")
        await pilot.press("down")
        messenger._drop(ONE)
        await until(pilot, lambda: not row(pilot, "192.168.1.2:4746"))
        chosen = dialog._chosen()
        assert chosen is not None
        assert place(chosen) == "relay.example.org:4746"


async def test_a_contact_shows_that_it_is_reached_through_a_relay_while_it_is() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.change_contact(bob.person, relayed=True)
        await until_shown(pilot, "● online  ⇄ relay")
        assert "● Bob ⇄" in shown(pilot)
        messenger.change_contact(bob.person, present=False)
        await until(pilot, lambda: "⇄" not in shown(pilot))
        messenger.change_contact(bob.person, present=True, relayed=False)
        assert "⇄" not in await until_shown(pilot, "● online")
