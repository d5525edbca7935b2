"""What every `Door` does, the fake one and that of a profile folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from chat.interface import (
    BadData,
    CannotCreate,
    Closed,
    Door,
    DoorState,
    Kept,
    LinkingView,
    NotPermitted,
    ParlourError,
    Unreachable,
    UsageError,
)
from tests.contract.subject import until

PASSPHRASE = "correct horse"


@dataclass(frozen=True)
class Doorway:
    """A door under test. `damage`: spoil the profile that is behind it."""

    door: Door
    damage: Callable[[], None]


class DoorContract:
    """The tests. A subclass adds the fixture `doorway`."""

    async def test_where_nothing_is_nothing_opens(self, doorway: Doorway) -> None:
        door = doorway.door
        assert await door.state() is DoorState.NEW
        with pytest.raises(Unreachable):
            await door.attach()
        with pytest.raises(ParlourError):
            await door.unlock(PASSPHRASE)
        for name, passphrase in (("", PASSPHRASE), ("  ", PASSPHRASE), ("Ann", "")):
            with pytest.raises(UsageError):
                await door.create(name, passphrase)
        assert await door.state() is DoorState.NEW

    async def test_a_person_is_made_once_and_can_be_seen(self, doorway: Doorway) -> None:
        door = doorway.door
        made = await door.create("Ann", PASSPHRASE)
        me = await made.me()
        assert me.name == "Ann"
        assert me.visible
        assert await made.contacts() == ()
        assert await door.state() is DoorState.RUNNING
        assert await door.is_held()
        with pytest.raises(CannotCreate):
            await door.create("Ann", PASSPHRASE)
        await made.close()
        assert await door.state() is DoorState.LOCKED
        assert not await door.is_held()
        with pytest.raises(CannotCreate):
            await door.create("Ann", PASSPHRASE)

    async def test_a_device_is_linked_only_under_a_name_and_where_nothing_is(self, doorway: Doorway) -> None:
        async def answer(view: LinkingView) -> bool:
            raise AssertionError("nobody is asked")

        door = doorway.door
        for name, passphrase in (("", PASSPHRASE), ("l" * 33, PASSPHRASE), ("laptop", "")):
            with pytest.raises(UsageError):
                await door.link(name, passphrase, answer)
        made = await door.create("Ann", PASSPHRASE)
        await made.close()
        with pytest.raises(CannotCreate):
            await door.link("laptop", PASSPHRASE, answer)

    async def test_one_engine_has_a_profile_and_others_join_it(self, doorway: Doorway) -> None:
        door = doorway.door
        made = await door.create("Ann", PASSPHRASE)
        others = [await door.unlock(PASSPHRASE, offline) for offline in (False, True)]
        for other in others:
            assert await other.me() == await made.me()
        joined = await door.attach()
        assert await joined.me() == await made.me()
        events = made.events()
        await joined.lock()
        await until(events, lambda event: isinstance(event, Closed))
        for opened in (*others, joined, made):
            await opened.close()
        assert await door.state() is DoorState.LOCKED
        with pytest.raises(Unreachable):
            await door.attach()

    async def test_a_passphrase_opens_the_same_person_again(self, doorway: Doorway) -> None:
        door = doorway.door
        made = await door.create("Ann", PASSPHRASE)
        person = (await made.me()).person
        await made.set_preference("theme", "light")
        await made.close()
        for offline in (False, True):
            with pytest.raises(NotPermitted):
                await door.unlock("not " + PASSPHRASE, offline)
            opened = await door.unlock(PASSPHRASE, offline)
            assert (await opened.me()).person == person
            assert dict(await opened.preferences()) == {"theme": "light"}
            assert await door.state() is (DoorState.LOCKED if offline else DoorState.RUNNING)
            await opened.close()
        assert await door.state() is DoorState.LOCKED

    async def test_a_changed_passphrase_is_the_one_that_opens(self, doorway: Doorway) -> None:
        made = await doorway.door.create("Ann", PASSPHRASE)
        await made.change_passphrase(PASSPHRASE, "another one")
        await made.close()
        with pytest.raises(NotPermitted):
            await doorway.door.unlock(PASSPHRASE)
        opened = await doorway.door.unlock("another one")
        await opened.close()

    async def test_the_passphrase_is_recognised_whether_an_engine_runs_or_not(self, doorway: Doorway) -> None:
        made = await doorway.door.create("Ann", PASSPHRASE)
        for _running in (True, False):
            assert await doorway.door.is_passphrase(PASSPHRASE)
            for other in ("not " + PASSPHRASE, "", "\ud800"):
                assert not await doorway.door.is_passphrase(other)
            await made.close()

    async def test_the_keyring_opens_a_profile_that_its_person_saved_there(self, doorway: Doorway) -> None:
        door = doorway.door
        assert await door.unlock_kept() is None
        with pytest.raises(BadData):
            await door.keep(PASSPHRASE)
        made = await door.create("Ann", PASSPHRASE)
        person = (await made.me()).person
        with pytest.raises(NotPermitted):
            await door.keep("not " + PASSPHRASE)
        assert await door.kept() is Kept.NO
        assert await door.keep(PASSPHRASE)
        await made.change_passphrase(PASSPHRASE, "another one")
        await made.close()
        for offline in (False, True):
            assert await door.kept() is Kept.YES
            opened = await door.unlock_kept(offline)
            assert opened is not None
            assert (await opened.me()).person == person
            await opened.close()
        await door.forget()
        assert await door.kept() is Kept.NO
        assert await door.unlock_kept() is None

    async def test_after_a_lock_the_keyring_opens_nothing_until_the_passphrase_was_typed(
        self, doorway: Doorway
    ) -> None:
        door = doorway.door
        made = await door.create("Ann", PASSPHRASE)
        await door.keep(PASSPHRASE)
        await made.lock()
        await made.close()
        for _ in range(2):
            assert await door.kept() is Kept.PAUSED
            assert await door.unlock_kept() is None
            with pytest.raises(NotPermitted):
                await door.unlock("not " + PASSPHRASE)
            assert await door.kept() is Kept.PAUSED
            await (await door.unlock(PASSPHRASE)).close()
            assert await door.kept() is Kept.YES
            await door.pause_kept()
        await door.wipe()
        assert await door.kept() is Kept.NO
        with pytest.raises(BadData):
            await door.wipe()

    async def test_damage_is_said_and_nothing_begins_again_over_it(self, doorway: Doorway) -> None:
        door = doorway.door
        made = await door.create("Ann", PASSPHRASE)
        await made.close()
        doorway.damage()
        with pytest.raises(BadData):
            await door.state()
        with pytest.raises(BadData):
            await door.unlock(PASSPHRASE)
        with pytest.raises(ParlourError):
            await door.create("Ann", PASSPHRASE)

    async def test_what_is_wiped_is_gone_and_a_profile_can_be_made_there(self, doorway: Doorway) -> None:
        door = doorway.door
        with pytest.raises(BadData):
            await door.wipe()
        made = await door.create("Ann", PASSPHRASE)
        with pytest.raises(CannotCreate):
            await door.wipe()
        await made.close()
        doorway.damage()
        await door.wipe()
        assert await door.state() is DoorState.NEW
        assert await door.archives() == ()
        with pytest.raises(BadData):
            await door.wipe()
        again = await door.create("Ben", PASSPHRASE)
        assert (await again.me()).name == "Ben"
        await again.close()

    async def test_a_backup_that_is_not_there_restores_and_verifies_nothing(
        self, doorway: Doorway, tmp_path: Path
    ) -> None:
        door, path = doorway.door, str(tmp_path / "none.backup")
        with pytest.raises(UsageError):
            await door.restore(path, "of the backup", PASSPHRASE)
        with pytest.raises(UsageError):
            await door.verify(path, "of the backup")
        with pytest.raises(BadData):
            await door.salvage(path, "of the backup", PASSPHRASE)
        assert await door.state() is DoorState.NEW
