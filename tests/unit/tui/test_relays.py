"""The relays dialog: how each stands in words, adding by paste, removing after a question."""

from __future__ import annotations

from textual import events
from textual.pilot import Pilot

from chat.interface import RelayStanding
from protocol.relay.rendezvous import RelayAddress
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chatting, shown, until, until_shown, with_bob, with_bob_open
from tui.screens.dialog import ConfirmDialog
from tui.screens.relays import RelaysDialog
from tui.text.formatting import place
from tui.widgets.controls import Field
from tui.widgets.lines import Header

ONE, TWO = (str(RelayAddress(host, 4746, b"\x09" * 32)) for host in ("192.168.1.2", "relay.example.org"))


def with_relays() -> FakeMessenger:
    messenger, _bob = with_bob()
    messenger.name_relay(ONE)
    messenger.name_relay(TWO, invited=True)
    return messenger


async def opened(pilot: Pilot[None]) -> RelaysDialog:
    await pilot.press("alt+r")
    await until(pilot, lambda: isinstance(pilot.app.screen, RelaysDialog))
    dialog = pilot.app.screen
    assert isinstance(dialog, RelaysDialog)
    return dialog


def row(pilot: Pilot[None], text: str) -> str:
    return next((line for line in shown(pilot).split("\n") if text in line), "")


async def test_what_a_relay_sees_is_said_and_none_is_named() -> None:
    async with with_bob_open() as (pilot, _messenger, _bob):
        await opened(pilot)
        assert "who they are or what they write." in await until_shown(pilot, "No relays yet.")


async def test_each_says_how_it_stands_and_follows_as_that_changes() -> None:
    messenger = with_relays()
    async with chatting(messenger) as pilot:
        await opened(pilot)
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
        dialog = await opened(pilot)
        field = dialog.query_one("#address", Field)
        field.post_message(events.Paste(f"{ONE[:30]}\n  {ONE[30:]}\n"))
        await until(pilot, lambda: field.value == ONE)
        await pilot.press("enter")
        await until_shown(pilot, "Relay 192.168.1.2:4746 added")
        assert (field.value, messenger.called("add_relay")) == ("", [(ONE,)])
        assert "not tried yet" in row(pilot, "○ 192.168.1.2:4746")


async def test_what_is_wrong_is_said_and_what_was_typed_stays() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await opened(pilot)
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
    messenger = with_relays()
    async with chatting(messenger) as pilot:
        await opened(pilot)
        for answer in ("n", "y"):
            await pilot.press("tab", "down", "d")
            await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
            assert "relay.example.org:4746" in shown(pilot)
            assert [view.address for view in messenger._relays.values()] == [ONE, TWO]
            await pilot.press(answer)
            await until(pilot, lambda: isinstance(pilot.app.screen, RelaysDialog))
        await until(pilot, lambda: not row(pilot, "relay.example.org"))
        assert messenger.called("remove_relay") == [(TWO,)]


async def test_its_address_is_copied_for_somebody_else() -> None:
    async with chatting(with_relays()) as pilot:
        await opened(pilot)
        await pilot.press("tab", "c")
        await until(pilot, lambda: pilot.app.clipboard == ONE)
        await until_shown(pilot, "Copied")


async def test_the_cursor_stays_on_its_relay_and_letters_go_into_the_field() -> None:
    messenger = with_relays()
    async with chatting(messenger) as pilot:
        dialog = await opened(pilot)
        await pilot.press("d", "c")
        assert dialog.query_one("#address", Field).value == "dc"
        await pilot.press("tab", "down")
        messenger._drop(ONE)
        await until(pilot, lambda: not row(pilot, "192.168.1.2:4746"))
        chosen = dialog._chosen()
        assert chosen is not None
        assert place(chosen) == "relay.example.org:4746"


async def test_a_contact_that_is_reached_through_a_relay_shows_it_in_words_and_by_a_sign() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await until_shown(pilot, "● online")
        assert "⇄" not in shown(pilot)
        messenger.change_contact(bob.person, relayed=True)
        await until_shown(pilot, "● online  ⇄ relay")
        people = [line[:24] for line in shown(pilot).split("\n")]
        assert any("● Bob ⇄" in line for line in people)
        messenger.change_contact(bob.person, present=False)
        await until(pilot, lambda: "⇄" not in shown(pilot))
        messenger.change_contact(bob.person, present=True, relayed=False)
        await until_shown(pilot, "● online")
        assert "⇄" not in shown(pilot)
        assert pilot.app.screen.query_one(Header).display
