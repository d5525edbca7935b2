"""The system's keyring and a real profile: what is saved is checked, what is wiped is gone, a lock holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from keyring.errors import KeyringLocked

from chat.assemble import ProfileDoor, door
from chat.engine import Engine
from chat.interface import BadData, Door, DoorState, Kept, KeyringFailure, Notice, NotPermitted
from chat.network import mdns, transport
from chat.storage import errors
from chat.storage import folder as stored_folder
from chat.storage.system_keyring import SystemKeyring
from protocol import profile_header
from tests.contract.subject import until
from tests.support.fakes.keyring import MemoryKeyring, system_keyring
from tests.support.fakes.network import MemoryDiscovery, MemoryTransport, Network

PASSPHRASE = "correct horse"
OTHER = "another one"


@dataclass(frozen=True)
class Home:
    """A profile, its door and the keyring of its system."""

    folder: Path
    door: ProfileDoor
    store: MemoryKeyring

    async def create(self) -> Engine:
        made = await self.door.create("Ann", PASSPHRASE)
        assert isinstance(made, Engine)
        return made

    @property
    def is_there(self) -> bool:
        return self.folder.exists()

    def refuse(self, *calls: str) -> None:
        def before(call: str) -> None:
            if call in calls:
                raise KeyringLocked

        self.store.before = before


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    network, folder = Network(), tmp_path / "profile"
    monkeypatch.setattr(transport, "TcpTransport", partial(MemoryTransport, network, "10.0.0.1"))
    monkeypatch.setattr(mdns, "ZeroconfDiscovery", partial(MemoryDiscovery, network, "10.0.0.1"))
    with system_keyring() as store:
        yield Home(folder, door(folder, cost=profile_header.CHEAPEST), store)


async def nothing_is_saved_unchecked(home: Home) -> None:
    await (await home.create()).close()
    with pytest.raises(NotPermitted):
        await home.door.keep("not " + PASSPHRASE)
    assert (home.store.asked, await home.door.kept()) == ([], Kept.NO)


async def nothing_is_left_by_a_wipe(home: Home) -> None:
    for lock in (False, True):
        made = await home.create()
        await home.door.keep(PASSPHRASE)
        assert list(home.store.entries.values()) == [PASSPHRASE]
        await (made.lock() if lock else made.close())
        await home.door.wipe()
        assert home.store.entries == {}
        assert not home.is_there


async def nothing_opens_after_a_lock(home: Home) -> None:
    made = await home.create()
    await home.door.keep(PASSPHRASE)
    joined = await home.door.attach()
    await joined.lock()
    await joined.close()
    await made.close()
    opened = await home.door.unlock_kept()
    if opened is not None:
        await opened.close()
    assert opened is None
    await (await home.door.unlock(PASSPHRASE)).close()
    await _opens(home.door)


async def _does_nothing(_: SystemKeyring) -> None:
    """In the place of a removal."""


Check = Callable[[Home], Awaitable[None]]
PLANTED: list[tuple[Check, object, str, object]] = [
    (nothing_is_saved_unchecked, stored_folder, "check_passphrase", lambda folder, passphrase: None),
    (nothing_is_left_by_a_wipe, SystemKeyring, "remove", _does_nothing),
    (nothing_opens_after_a_lock, SystemKeyring, "pause", lambda self: None),
]


@pytest.mark.parametrize("check", [row[0] for row in PLANTED])
async def test_the_keyring_of_a_profile(home: Home, check: Check) -> None:
    await check(home)


@pytest.mark.parametrize(("check", "place", "name", "instead"), PLANTED)
async def test_a_planted_fault_is_seen(
    home: Home, monkeypatch: pytest.MonkeyPatch, check: Check, place: object, name: str, instead: object
) -> None:
    monkeypatch.setattr(place, name, instead)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await check(home)


async def test_a_wrong_passphrase_in_the_keyring_is_said_and_the_right_one_can_be_typed(home: Home) -> None:
    await (await home.create()).close()
    await home.door.keep(PASSPHRASE)
    (entry,) = home.store.entries
    home.store.entries[entry] = "not " + PASSPHRASE
    with pytest.raises(errors.KeyringOutdated):
        await home.door.unlock_kept()
    await (await home.door.unlock(PASSPHRASE)).close()
    await home.door.keep(PASSPHRASE)
    await _opens(home.door)


async def test_a_changed_passphrase_is_the_one_in_the_keyring(home: Home) -> None:
    made = await home.create()
    with pytest.raises(NotPermitted):  # while an engine runs too
        await home.door.keep(OTHER)
    await home.door.keep(PASSPHRASE)
    joined = await home.door.attach()
    await joined.change_passphrase(PASSPHRASE, OTHER)
    await joined.close()
    with pytest.raises(NotPermitted):
        await made.change_passphrase(PASSPHRASE, "a third one")
    assert list(home.store.entries.values()) == [OTHER]
    await made.close()
    await _opens(home.door)


@pytest.mark.parametrize("refused", [("set",), ("set", "delete")])
async def test_a_keyring_that_does_not_take_the_new_passphrase_is_said_and_not_used(
    home: Home, refused: tuple[str, ...]
) -> None:
    made = await home.create()
    await home.door.keep(PASSPHRASE)
    (entry,) = home.store.entries
    home.refuse(*refused)
    joined = await home.door.attach()
    with pytest.raises(KeyringFailure, match="The passphrase was changed") as said:  # through the socket
        await joined.change_passphrase(PASSPHRASE, OTHER)
    await joined.close()
    assert (entry[1] in str(said.value)) is ("delete" in refused)
    assert await home.door.kept() is Kept.NO
    await made.close()
    await (await home.door.unlock(OTHER)).close()


async def test_a_passphrase_that_a_power_cut_may_undo_is_in_the_keyring(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await home.create()
    await home.door.keep(PASSPHRASE)
    events = made.events()
    replace = stored_folder.replace_private

    def unsettled(path: Path, data: bytes) -> None:
        replace(path, data)
        raise stored_folder.NotDurable

    monkeypatch.setattr(stored_folder, "replace_private", unsettled)
    with pytest.raises(errors.PassphraseUnsettled):
        await made.change_passphrase(PASSPHRASE, OTHER)
    assert list(home.store.entries.values()) == [OTHER]
    home.refuse("set")
    with pytest.raises(errors.PassphraseUnsettled):
        await made.change_passphrase(OTHER, PASSPHRASE)
    said = await until(events, lambda event: isinstance(event, Notice))
    assert isinstance(said, Notice)
    assert "keyring did not take the new one" in said.text
    await made.close()


async def test_a_wipe_destroys_the_profile_also_where_the_keyring_refuses(home: Home) -> None:
    await (await home.create()).close()
    await home.door.keep(PASSPHRASE)
    home.refuse("delete")
    with pytest.raises(errors.KeyringLeft):
        await home.door.wipe()
    assert await home.door.state() is DoorState.NEW
    with pytest.raises(BadData):
        await home.door.wipe()


async def test_what_a_cut_wipe_left_in_the_keyring_goes_with_the_next_one(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    await (await home.create()).close()
    await home.door.keep(PASSPHRASE)
    with monkeypatch.context() as patch:
        patch.setattr(SystemKeyring, "remove", _does_nothing)
        await home.door.wipe()
    assert home.store.entries
    await home.door.wipe()
    assert (home.store.entries, home.is_there) == ({}, False)


async def test_a_profile_without_a_header_saves_nothing(home: Home) -> None:
    with pytest.raises(errors.ProfileMissing):
        await home.door.keep(PASSPHRASE)
    await (await home.create()).close()
    (home.folder / stored_folder.HEADER).write_bytes(b"not a header")
    with pytest.raises(errors.HeaderDamaged):
        await home.door.keep(PASSPHRASE)
    assert home.store.asked == []


async def _opens(profile: Door) -> None:
    opened = await profile.unlock_kept()
    assert opened is not None
    await opened.close()
