"""What disappeared and what was deleted here are folded into one row a day, and keys pass over the rest."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from chat.interface import DeletedBy, EntryKind, EntryState, EntryView
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chatting, history, shown, until, until_shown, with_bob


def with_gone(*kinds: EntryKind | DeletedBy, days: int = 1) -> tuple[FakeMessenger, list[EntryView]]:
    """Two texts, and what is gone between them, of both sides in turn; on so many days."""
    messenger, bob = with_bob()
    messenger.receive(bob.person, "before")
    for number, what in enumerate(kinds):
        own = number % 2
        text = f"gone {number}"
        entry = messenger.say_as_me(bob.person, text, EntryState.READ) if own else None
        entry = entry or messenger.receive(bob.person, text)
        assert entry is not None
        kind = what if isinstance(what, EntryKind) else EntryKind.DELETED
        by = what if isinstance(what, DeletedBy) else DeletedBy.NOBODY
        entries = messenger._conversations[bob.person].entries
        time = entry.time + timedelta(days=number * days // len(kinds))
        entries[-1] = replace(entry, kind=kind, deleted_by=by, text="", time=time)
    messenger.say_as_me(bob.person, "after", EntryState.READ)
    messenger.read(bob.person)
    return messenger, messenger._conversations[bob.person].entries


async def test_what_is_gone_has_one_row_which_counts_it() -> None:
    messenger, _entries = with_gone(*[EntryKind.EXPIRED] * 3, *[DeletedBy.HERE] * 2)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "(3 disappeared, 2 deleted here)")
        for one in ("(disappeared)", "(deleted here)"):
            assert one not in shown(pilot)


async def test_one_alone_and_what_others_deleted_have_their_rows() -> None:
    messenger, _entries = with_gone(EntryKind.EXPIRED, DeletedBy.AUTHOR, DeletedBy.HERE, DeletedBy.MINE)
    async with chatting(messenger) as pilot:
        screen = await until_shown(pilot, "(deleted on all your devices)")
        for one in ("(disappeared)", "(deleted by its author)", "(deleted here)"):
            assert one in screen


async def test_each_day_has_a_row_of_its_own() -> None:
    messenger, _entries = with_gone(*[EntryKind.EXPIRED] * 4, days=2)
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: shown(pilot).count("(2 disappeared)") == 2)


async def test_the_cursor_passes_over_what_has_no_row() -> None:
    messenger, entries = with_gone(*[EntryKind.EXPIRED] * 5)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "(5 disappeared)")
        await pilot.press("ctrl+up")
        await until(pilot, lambda: history(pilot).cursor == entries[-1].id)
        await pilot.press("up")
        await until(pilot, lambda: history(pilot).cursor == entries[-2].id)
        await pilot.press("up")
        await until(pilot, lambda: history(pilot).cursor == entries[0].id)
        await pilot.press("shift+down", "shift+down")
        await until(pilot, lambda: len(history(pilot).selected_entries) == len(entries))


async def test_an_entry_that_disappears_joins_the_row() -> None:
    messenger, entries = with_gone(*[EntryKind.EXPIRED] * 2)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "(2 disappeared)")
        messenger.end(entries[-1])
        await until_shown(pilot, "(3 disappeared)")
