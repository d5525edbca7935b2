"""On a full disk whatever frees room, or bounds what comes, works: it gets the reserve of the profile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from chat.interface import (
    KEEP_MOST,
    AlertKind,
    DeletionScope,
    EntryDeleted,
    FileSealing,
    FileState,
    ParlourError,
)
from chat.storage.alerts import AlertRow
from chat.storage.database import Database
from chat.storage.errors import StorageFull
from chat.storage.folder import RESERVE, make_reserve
from tests.contract.calls import CALLS
from tests.integration.test_files import LONG, at, content, send
from tests.support.engines.engines import Person, in_virtual_time, talk, two_contacts

Free = Callable[[Person, str, dict[str, str]], Awaitable[object]]


async def cancel(ben: Person, friend: str, _: dict[str, str]) -> None:
    """What is being sealed goes."""
    feed = await ben.engine.open_feed()
    sealing = ben.wait(FileSealing)
    sending = asyncio.ensure_future(ben.engine.send_file(friend, feed, "much.bin", "an id"))
    await ben.engine.feed(feed, bytes(1 << 18))
    await sealing
    await ben.engine.cancel_file(friend, "an id")
    with pytest.raises(ParlourError, match="cancelled"):
        await sending


FREES: Final[dict[str, Free]] = {
    "delete": lambda ben, friend, ids: ben.engine.delete(friend, ids["text"]),
    "delete, on all devices": lambda ben, friend, ids: ben.engine.delete(
        friend, ids["text"], DeletionScope.MINE
    ),
    "delete, for everyone": lambda ben, friend, ids: ben.engine.delete(
        friend, ids["own"], DeletionScope.EVERYONE
    ),
    "clear": lambda ben, friend, ids: ben.engine.clear(friend),
    "clean": lambda ben, friend, ids: ben.engine.clean(),
    "remove": lambda ben, friend, ids: ben.engine.remove(friend),
    "block": lambda ben, friend, ids: ben.engine.block(friend, True),
    "cancel_file": cancel,
    "let_go_of_file": lambda ben, friend, ids: ben.engine.let_go_of_file(friend, ids["whole"]),
    "pause_file": lambda ben, friend, ids: ben.engine.pause_file(friend, ids["comes"]),
    "pause_file, of one that is whole": lambda ben, friend, ids: ben.engine.pause_file(friend, ids["whole"]),
    "limit_files": lambda ben, friend, ids: ben.engine.limit_files(1),
    "set_preference": lambda ben, friend, ids: ben.engine.set_preference(KEEP_MOST, "1"),
    "keep": lambda ben, friend, ids: ben.engine.keep(1),
    "dismiss_alerts": lambda ben, friend, ids: ben.engine.dismiss_alerts(),
    "forget_client": lambda ben, friend, ids: ben.engine.forget_client("a-program"),
}
"""By call, and what is special in it. `ids`: entries of the conversation."""

OTHERS: Final = """
    me contacts nearby set_visible pair_nearby pair_address invite join answer_pairing terminals
    add_terminal stop_adding answer_linking remove_terminal rename_self recovery_words
    foresee_removal foresee_recovery begin_recovery
    confirm_recovery check_recovery recover rename pin mute verification verify unverify questions
    confirm_own alerts check_files send send_file open_feed feed take_file files save_file
    show_picture history latest entry first_unread entry_at details search mark_read mark_all_read
    edit set_timer declare_bot withdraw_bot declared_bot typing settings change_settings preferences
    relays add_relay remove_relay change_passphrase back_up export history_root retention
    choose_keeper diagnose
    handed_out take_earlier takeable clients follow permit client_of take_turn arrivals acknowledge
"""
"""Calls that free nothing."""


def test_each_call_is_known_to_free_room_or_not() -> None:
    frees = {name.partition(",")[0] for name in FREES}
    assert sorted(CALLS) == sorted([*frees, *OTHERS.split()])


@contextmanager
def full(person: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A disk that takes nothing before the reserve of this profile is given up."""
    stores, reserve = Database.transaction, person.folder / RESERVE

    @contextmanager
    def transaction(database: Database) -> Iterator[None]:
        if database.path.parent == person.folder and reserve.exists():
            raise StorageFull
        with stores(database):
            yield

    make_reserve(person.folder)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "transaction", transaction)
        yield


@pytest.mark.parametrize("name", FREES)
@in_virtual_time
async def test_what_frees_room_works_on_a_full_disk(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ben.contact(ada)
        ids = {"own": await talk(ben, ada, "mine"), "text": await talk(ada, ben, "hers")}
        whole = at(ben, FileState.WHOLE)
        ids["whole"] = (await send(ada, ben, tmp_path, content(100_000), "whole.bin")).id
        await whole
        begun = at(ben, FileState.TAKING)
        ids["comes"] = (await send(ada, ben, tmp_path, content(LONG), "long.bin")).id
        await begun
        await ben.engine.follow("a-program")
        await ben.engine._use_cases.alerts.add(AlertRow(AlertKind.MENDED, 1))
        with full(ben, monkeypatch):
            await FREES[name](ben, friend, ids)


@in_virtual_time
async def test_what_ends_by_itself_ends_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ben.contact(ada)
        await ada.engine.set_timer(await ada.contact(ben), 60)
        entry = await talk(ada, ben, "ends soon")
        await ben.engine.mark_read(friend, (entry,))
        with full(ben, monkeypatch):
            ended = await asyncio.wait_for(ben.wait(EntryDeleted), 120)
        assert (ended.id, ended.expired) == (entry, True)
