"""Backups of real engines: what they have, what is refused, and what is restored of them (SPEC §21.1)."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chat.assemble import door
from chat.interface import (
    RECOVERY_WORDS,
    BackupView,
    CannotCreate,
    DeletionScope,
    EntryAdded,
    EntryFilled,
    EntryView,
    NotPermitted,
    Phrase,
    QuestionsChanged,
    RecoveryView,
    RestoreView,
    UsageError,
    WordsReplaced,
)
from chat.service import restore, restoring
from chat.service.backup import Backup
from chat.service.restore import Restorer
from chat.service.restoring import PartRestored
from chat.storage import backup_file, profile
from chat.storage.backup_file import BackupChanged, BackupDamaged, WrongBackupPassphrase
from chat.storage.database import Database
from chat.storage.errors import ProfileUnsettled, StorageBroken, StorageFailure, StorageFull, StorageUnsure
from protocol.backup import sealed
from protocol.profile_header import CHEAPEST
from tests.integration.steps import in_touch
from tests.integration.test_damaged_profiles import flip, root_of
from tests.integration.test_expiry import timed
from tests.integration.test_removed_terminals import Second, synced
from tests.support.engines.engines import (
    PASSPHRASE,
    Person,
    in_virtual_time,
    invite,
    people,
    recover,
    talk,
    two_contacts,
)

BACKUP = "a passphrase of its own"


async def back_up(person: Person, path: Path, *, recovery: bool = True) -> BackupView:
    return await person.engine.back_up(str(path), BACKUP, recovery)


def restore_new(
    folder: Path,
    path: Path,
    *,
    words: tuple[str, ...] = (),
    remove_old: bool = False,
    passphrase: str = BACKUP,
) -> RestoreView:
    asked = restoring.Asked(path, passphrase, words, remove_old)
    return restoring.restore_new(folder, PASSPHRASE, asked, os.urandom, CHEAPEST)


def restore_into(folder: Path, path: Path) -> RestoreView:
    return restoring.restore_into(folder, PASSPHRASE, restoring.Asked(path, BACKUP), os.urandom, CHEAPEST)


async def started(like: Person, folder: Path) -> Person:
    """The person on another machine, with the profile in a folder."""
    other = Person(like.name, "10.0.0.9", folder, like.network, like.config, 77)
    await other.start()
    return other


def names(folder: Path, part: str) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if part in one.name)


def shown(history: tuple[EntryView, ...]) -> list[tuple[object, ...]]:
    return [(one.id, one.text, one.state, one.reply, one.own) for one in history]


@in_virtual_time
async def test_a_restore_on_a_new_machine_gives_the_same_history(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        for number in range(3):
            await talk(ada, ben, f"from Ada {number}")
            await talk(ben, ada, f"from Ben {number}")
        await ada.engine.mark_all_read(await ada.contact(ben))
        gone = await talk(ada, ben, "deleted")
        await ada.engine.delete(await ada.contact(ben), gone)
        unread = await talk(ben, ada, "not read")
        await ada.engine.rename(await ada.contact(ben), "Benny")
        await ada.engine.set_preference("theme", "dark")
        path = tmp_path / "ada.backup"
        made = await back_up(ada, path)
        assert (made.entries, made.conversations, made.recovery) == (8, 1, True)
        assert path.stat().st_mode & 0o777 == 0o600
        before, old = await ada.history(ben), (await ada.engine.me()).terminal
        await ada.stop()
        view = await asyncio.to_thread(restore_new, tmp_path / "new", path)
        assert (view.new, view.entries, view.root, view.removed) == (True, 8, made.root, False)
        other = await started(ada, tmp_path / "new")
        assert shown(await other.history(ben)) == shown(before)
        (contact,) = await other.engine.contacts()
        assert (contact.label, contact.unread, contact.verified) == ("Benny", 1, True)
        assert await other.engine.first_unread(contact.person) == unread
        assert (await other.engine.preferences())["theme"] == "dark"
        assert (await other.engine.me()).terminal == view.terminal != old
        assert [one.terminal for one in await other.engine.terminals()] == [view.terminal, old]
        assert [one.text for one in await other.engine.search("Ada")] == [f"from Ada {n}" for n in range(3)]
        # A second backup of what was restored has the same root.
        assert (await back_up(other, tmp_path / "again", recovery=False)).root == made.root
        await other.stop()


@in_virtual_time
async def test_a_restored_terminal_reaches_contacts_after_it_has_paired_again(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        path = tmp_path / "ada.backup"
        await back_up(ada, path)
        await ada.stop()
        await asyncio.to_thread(restore_new, tmp_path / "new", path, remove_old=True)
        other = await started(ada, tmp_path / "new")
        try:
            (view,) = await ben.engine.contacts()
            (mine,) = await other.engine.contacts()
            assert not mine.present
            await invite(other, ben)
            await ben.engine.verify(view.person, (await ben.engine.verification(view.person)).numbers[0])
            await talk(other, ben, "after")
            await talk(ben, other, "welcome back")
            for history in (await other.history(ben), await ben.history(other)):
                texts = [one.text for one in history if one.kind == "text"]  # and the cut of the old terminal
                assert texts == ["before", "after", "welcome back"]
            assert len(await other.engine.terminals()) == 2
        finally:
            await other.stop()


@in_virtual_time
async def test_a_restored_terminal_gets_what_came_since_from_another_own_one_and_writes_through_it(
    tmp_path: Path,
) -> None:
    """Ada's other device was not lost: it asks once, and the restored one pairs with nobody."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        await back_up(ada, tmp_path / "ada.backup")
        await talk(ben, ada, "since the backup")
        await asyncio.to_thread(restore_new, tmp_path / "new", tmp_path / "ada.backup")
        asked = ada.wait(QuestionsChanged)
        other = await started(ada, tmp_path / "new")
        try:
            (question,) = (await asked).questions
            came = other.wait(EntryAdded, lambda event: event.entry.text == "since the backup")
            await ada.engine.confirm_own(question.operation)
            await came
            there = ben.wait(EntryAdded, lambda event: event.entry.text == "from the restored one")
            # Ada's recovery holds what Ben sends until he has compared, and not what he receives.
            await other.engine.send(await other.contact(ben), "from the restored one")
            await there
        finally:
            await other.stop()


@in_virtual_time
async def test_what_ends_comes_back_from_contacts_until_it_ends(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, 60)
        await talk(ada, ben, "over before the restore")
        path = tmp_path / "ada.backup"
        await asyncio.sleep(50)  # of virtual time, so that this one ends before the next
        await talk(ben, ada, "not read yet")
        await back_up(ada, path)
        await asyncio.sleep(20)  # of virtual time: now the first one has ended
        await ada.stop()
        asked = restoring.Asked(path, BACKUP, clock=ada.clock)
        new = tmp_path / "new"
        await asyncio.to_thread(restoring.restore_new, new, PASSPHRASE, asked, os.urandom, CHEAPEST)
        other = await started(ada, new)
        try:
            kinds = [one.kind for one in await other.history(ben)]
            assert kinds == ["timer", "expired", "missing"]
            (view,) = await ben.engine.contacts()
            came = other.wait(EntryFilled)
            await invite(other, ben)
            await ben.engine.verify(view.person, (await ben.engine.verification(view.person)).numbers[0])
            entry = (await came).entry
            assert (entry.text, entry.expires is not None) == ("not read yet", True)
            await other.engine.mark_all_read(await other.contact(ben))
            await asyncio.sleep(61)  # of virtual time: it has ended by then, not at some time
            assert [one.kind for one in await other.history(ben)] == ["timer", "expired", "expired"]
        finally:
            await other.stop()


@in_virtual_time
async def test_a_profile_of_the_same_person_gets_what_it_lacks_and_deleted_stays_deleted(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        kept, gone = await talk(ada, ben, "kept"), await talk(ada, ben, "deleted later")
        first, second = tmp_path / "first", tmp_path / "second"
        await back_up(ada, first)
        await ada.engine.delete(await ada.contact(ben), gone)
        later = await talk(ben, ada, "later")
        made = await back_up(ada, second)
        await ada.stop()
        # What was deleted after the first backup does not come back by it.
        view = await asyncio.to_thread(restore_into, ada.folder, first)
        assert (view.new, view.entries, view.root) == (False, 3, made.root)
        # A profile of the first backup learns by the second one of the deletion and of what is new.
        await asyncio.to_thread(restore_new, tmp_path / "new", first)
        for _ in range(2):  # the second time nothing changes
            view = await asyncio.to_thread(restore_into, tmp_path / "new", second)
            assert (view.entries, view.root) == (3, made.root)
        other = await started(ada, tmp_path / "new")
        texts = {one.id: one.text for one in await other.history(ben)}
        assert texts == {kept: "kept", gone: "", later: "later"}
        await other.stop()


def ways(folder: Path, *ids: str) -> list[int]:
    """How a stopped profile has these entries as deleted, whether it holds them or not."""
    with profile.unlock(folder, PASSPHRASE) as vault, closing(vault.database()) as database:
        sql = (
            "SELECT destroyed FROM entries WHERE id = ?1 UNION ALL SELECT how FROM deletions WHERE entry = ?1"
        )
        return [database.value(sql, bytes.fromhex(one)) for one in ids]


@in_virtual_time
async def test_the_scope_of_a_deletion_is_restored_and_the_wider_one_holds(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        here, mine = await talk(ben, ada, "here"), await talk(ben, ada, "on all")
        friend = await ada.contact(ben)
        await ada.stop()
        shutil.copytree(ada.folder, tmp_path / "before")
        await ada.start()
        await ada.engine.delete(friend, here, DeletionScope.HERE)
        await ada.engine.delete(friend, mine, DeletionScope.MINE)
        await back_up(ada, tmp_path / "held")
        await ada.engine.remove(friend)
        await back_up(ada, tmp_path / "not held")
        await ada.stop()
        for file in ("held", "not held"):
            await asyncio.to_thread(restore_new, tmp_path / f"new {file}", tmp_path / file)
            assert ways(tmp_path / f"new {file}", here, mine) == [1, 4]
            existing = tmp_path / f"existing {file}"
            shutil.copytree(tmp_path / "before", existing)
            await asyncio.to_thread(restore_into, existing, tmp_path / file)
            assert ways(existing, here, mine) == [1, 4]
        with (
            profile.unlock(tmp_path / "new held", PASSPHRASE) as vault,
            closing(vault.database()) as database,
            database.transaction(),
        ):
            database.run("UPDATE entries SET destroyed = 5 - destroyed WHERE destroyed")
        await asyncio.to_thread(restore_into, tmp_path / "new held", tmp_path / "not held")
        assert ways(tmp_path / "new held", here, mine) == [4, 4]


@in_virtual_time
async def test_deletes_and_edits_of_a_backup_are_in_force_when_it_is_restored(tmp_path: Path) -> None:
    """Before anything is shown: a command that prints the history ends before much else is done."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        edited, gone = await talk(ada, ben, "as it was"), await talk(ada, ben, "deleted for everyone")
        await back_up(ada, tmp_path / "first")
        await ada.engine.edit(await ada.contact(ben), edited, "as it is")
        await ada.engine.delete(await ada.contact(ben), gone, DeletionScope.EVERYONE)
        made = await back_up(ada, tmp_path / "second")
        await ada.stop()
        shown_entry = (
            "SELECT hex(e.id), destroyed, EXISTS (SELECT 1 FROM amended WHERE entry = e.number),"
            " (SELECT count(*) FROM search WHERE search MATCH 'is' AND rowid = e.number)"
            " FROM entries AS e WHERE kind = 1 ORDER BY e.number"
        )
        await asyncio.to_thread(restore_new, tmp_path / "old", tmp_path / "first")
        view = await asyncio.to_thread(restore_into, tmp_path / "old", tmp_path / "second")
        assert view.root == made.root
        view = await asyncio.to_thread(restore_new, tmp_path / "new", tmp_path / "second")
        assert view.root == made.root
        for folder in (tmp_path / "old", tmp_path / "new"):
            with profile.unlock(folder, PASSPHRASE) as vault, closing(vault.database()) as database:
                assert database.rows(shown_entry) == [(edited.upper(), 0, 1, 1), (gone.upper(), 1, 1, 0)]


@pytest.mark.parametrize(
    ("failure", "said"), [(StorageFull, "The disk is full."), (StorageUnsure, "The disk cannot be read")]
)
@in_virtual_time
async def test_a_disk_that_fails_amid_a_restore_is_told_with_what_was_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[StorageFailure], said: str
) -> None:
    """The first pieces are stored by then, and their failure's own text says that nothing was."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await back_up(ada, tmp_path / "first")
        for number in range(9):
            await talk(ada, ben, f"{number} {'x' * 16_000}")
        made = await back_up(ada, tmp_path / "second")
        await ada.stop()
        new = tmp_path / "new"
        empty = await asyncio.to_thread(restore_new, new, tmp_path / "first")
        take, taken = Restorer.take, list[object]()

        def failing(self: Restorer, found: Any) -> None:
            if len(taken) == 2:
                raise failure
            taken.append(found)
            take(self, found)

        with monkeypatch.context() as patch, pytest.raises(PartRestored) as raised:
            patch.setattr(Restorer, "take", failing)
            await asyncio.to_thread(restore_into, new, tmp_path / "second")
        assert str(raised.value).startswith(said)
        assert "nothing was" not in str(raised.value)
        with profile.unlock(new, PASSPHRASE) as vault, closing(vault.database()) as database:
            assert 0 < database.value("SELECT count(*) FROM entries") < made.entries
        view = await asyncio.to_thread(restore_into, new, tmp_path / "second")
        assert (view.entries, view.root) == (9, made.root) != (9, empty.root)


@in_virtual_time
async def test_a_profile_that_was_restored_is_there_though_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> RestoreView:
        raise StorageBroken

    async with two_contacts(tmp_path) as (_, ada, _ben):
        await back_up(ada, tmp_path / "file")
        with monkeypatch.context() as patch, pytest.raises(ProfileUnsettled):
            patch.setattr(restore, "report", failing)
            await asyncio.to_thread(restore_new, tmp_path / "new", tmp_path / "file")
        profile.unlock(tmp_path / "new", PASSPHRASE).close()


@in_virtual_time
async def test_a_file_of_somebody_else_changes_nothing_of_a_profile(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        path = tmp_path / "ada.backup"
        await back_up(ada, path)
        await ben.stop()
        before = (ben.folder / "history.db").read_bytes()
        assert (await asyncio.to_thread(restore_into, ben.folder, path)).archive
        assert (ben.folder / "history.db").read_bytes() == before


@in_virtual_time
async def test_case_76_all_of_a_file_is_verified_before_anything_changes(tmp_path: Path) -> None:
    """A cut, a changed or a longer file, or another passphrase, leaves no profile and changes none."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        text = "x" * 16_000
        for number in range(9):  # more than one chunk, so that the first ones open
            await talk(ada, ben, f"{number} {text}")
        path, spoilt = tmp_path / "ada.backup", tmp_path / "spoilt"
        made = await back_up(ada, path)
        await talk(ben, ada, "later")
        second = await back_up(ada, tmp_path / "second")
        await ada.stop()
        data = path.read_bytes()
        assert len(data) > 75 + 2 * 65_552
        wrong = [
            data[:-1],
            data[: 75 + 65_552],
            data + b"\x00",
            data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
            data[:75]
            + data[75 + 65_552 : 75 + 2 * 65_552]
            + data[75 : 75 + 65_552]
            + data[75 + 2 * 65_552 :],
        ]
        for one in wrong:
            spoilt.write_bytes(one)
            with pytest.raises(BackupDamaged):
                await asyncio.to_thread(restore_new, tmp_path / "new", spoilt)
            assert not (tmp_path / "new").exists()
        # The last chunk of the second one is spoilt: the first ones must not be merged before that is known.
        data = (tmp_path / "second").read_bytes()
        spoilt.write_bytes(data[:-1])
        await asyncio.to_thread(restore_new, tmp_path / "new", path)
        with pytest.raises(BackupDamaged):
            await asyncio.to_thread(restore_into, tmp_path / "new", spoilt)
        view = await asyncio.to_thread(restore_into, tmp_path / "new", path)
        assert (view.entries, view.root) == (9, made.root) != (10, second.root)
        asked = restoring.Asked(path, BACKUP + ".")
        with pytest.raises(WrongBackupPassphrase):
            await asyncio.to_thread(
                restoring.restore_new, tmp_path / "no", PASSPHRASE, asked, os.urandom, CHEAPEST
            )


@in_virtual_time
async def test_case_76_a_file_that_changes_after_it_was_verified_is_not_said_to_have_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        empty, path = tmp_path / "empty", tmp_path / "ada.backup"
        await back_up(ada, empty)
        for number in range(9):
            await talk(ada, ben, f"{number} " + "x" * 16_000)
        made = await back_up(ada, path)
        await ada.stop()
        await asyncio.to_thread(restore_new, tmp_path / "new", empty)
        data, verify = path.read_bytes(), restore.verify

        def cutting(*arguments: Any) -> restore.Verified:
            verified = verify(*arguments)
            path.write_bytes(data[: 75 + 65_552 + 100])
            return verified

        with monkeypatch.context() as patch:
            patch.setattr(restore, "verify", cutting)
            with pytest.raises(BackupChanged):
                await asyncio.to_thread(restore_into, tmp_path / "new", path)
        path.write_bytes(data)
        assert (await asyncio.to_thread(restore_into, tmp_path / "new", path)).root == made.root


@in_virtual_time
async def test_case_70_a_damaged_profile_is_mended_before_a_backup_is_added(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        for number in range(6):
            await talk(ada, ben, f"{number} " + "x" * 1_000)
        path = tmp_path / "ada.backup"
        made = await back_up(ada, path)
        pages = [await root_of(ada, table) for table in ("receipts", "missing", "entries_by_rank", "bodies")]
        await ada.stop()
        whole = (ada.folder / "history.db").read_bytes()
        for page in pages:
            (ada.folder / "history.db").write_bytes(whole)
            flip(ada.folder, page)
            view = await asyncio.to_thread(restore_into, ada.folder, path)
            assert (view.entries, view.root) == (6, made.root)


@in_virtual_time
async def test_without_the_seed_in_it_the_words_bring_the_new_terminal_in(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        words = (await ada.engine.recovery_words()).words
        others = (await ben.engine.recovery_words()).words
        path = tmp_path / "ada.backup"
        assert not (await back_up(ada, path, recovery=False)).recovery
        await ada.stop()
        for typed, remove_old in (((), True), (others, False), (words[:-1], False)):
            with pytest.raises(UsageError):
                await asyncio.to_thread(
                    restore_new, tmp_path / "new", path, words=typed, remove_old=remove_old
                )
            assert not (tmp_path / "new").exists()
        # Who finds the words later has an archive in the folder already.
        assert (await asyncio.to_thread(restore_new, tmp_path / "new", path)).archive
        view = await asyncio.to_thread(restore_new, tmp_path / "new", path, words=words, remove_old=True)
        assert view.removed
        other = await started(ada, tmp_path / "new")
        assert not (await other.engine.me()).keeps_seed
        assert await other.engine.questions() == ()
        await other.stop()


def typed_back(view: RecoveryView, _problem: Phrase) -> tuple[str, ...]:
    return tuple(view.words[place] for place in view.asked)


@pytest.mark.parametrize("in_file", [True, False])
@in_virtual_time
async def test_a_restored_terminal_replaces_the_words(tmp_path: Path, in_file: bool) -> None:
    """The new ones open it from then on. One that was mistyped is asked for once more, with others."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        words, path = (await ada.engine.recovery_words()).words, tmp_path / "ada.backup"
        await back_up(ada, path, recovery=in_file)
        await ada.stop()
        shown, problems = list[RecoveryView](), list[str]()

        def write_down(view: RecoveryView, problem: Phrase) -> tuple[str, ...]:
            shown.append(view)
            problems.append(problem)
            return typed_back(view, problem) if len(shown) > 1 else ("acorn",) * 4

        typed = () if in_file else words
        asked = restoring.Asked(path, BACKUP, typed, True, write_down=write_down)
        folder = tmp_path / "new"
        await asyncio.to_thread(restoring.restore_new, folder, PASSPHRASE, asked, os.urandom, CHEAPEST)
        assert problems[0] == ""
        assert "is another one" in problems[1]
        assert shown[0].words == shown[1].words != words
        other = await started(ada, folder)
        assert not (await other.engine.me()).keeps_seed
        with pytest.raises(WordsReplaced):
            await other.engine.check_recovery(words)
        await other.engine.check_recovery(shown[0].words)
        await recover(other, shown[0].words, ())
        await other.stop()


@in_virtual_time
async def backed_up(folder: Path) -> None:
    """A backup of Ada, with its recovery seed, in a folder."""
    async with people(folder, "Ada") as (_, (ada,)):
        await back_up(ada, folder / "ada.backup")


@pytest.mark.parametrize("way", ["left", "cancelled"])
def test_nothing_is_restored_where_the_new_words_are_not_typed_back(tmp_path: Path, way: str) -> None:
    backed_up(folder=tmp_path)
    folder = tmp_path / "new"

    async def restored() -> None:
        async def left(view: RecoveryView, _problem: Phrase) -> tuple[str, ...]:
            assert len(view.words) == RECOVERY_WORDS
            if way == "left":
                raise UsageError("left")
            task.cancel()
            return await asyncio.Future[tuple[str, ...]]()

        opened = door(folder, cost=CHEAPEST)
        path = str(tmp_path / "ada.backup")
        task = asyncio.create_task(opened.restore(path, BACKUP, PASSPHRASE, write_down=left))
        await task

    with pytest.raises(UsageError if way == "left" else asyncio.CancelledError):
        asyncio.run(restored())
    assert not folder.exists()


@in_virtual_time
async def test_a_backup_has_its_name_only_when_it_was_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        path = tmp_path / "ada.backup"
        looked, check = list[bool](), Backup._check

        async def looking(self: Backup, *others: Any) -> None:
            looked.append(path.exists())
            await check(self, *others)

        monkeypatch.setattr(Backup, "_check", looking)
        # What a program left that was killed goes, and a file of this name stays.
        (tmp_path / "ada.backup.parlour-part").write_bytes(b"left over")
        await back_up(ada, path)
        assert looked == [False]
        assert names(tmp_path, "backup") == ["ada.backup"]
        data = path.read_bytes()
        with pytest.raises(CannotCreate):
            await back_up(ada, path)
        assert path.read_bytes() == data
        # A disk that stores something else is found out.
        seal = sealed.Sealer.seal
        monkeypatch.setattr(sealed.Sealer, "seal", lambda *args, **how: seal(*args, **how)[:-1] + b"\x00")
        with pytest.raises(BackupDamaged):
            await back_up(ada, tmp_path / "other.backup")
        assert names(tmp_path, "other") == []


@in_virtual_time
async def test_what_is_deleted_while_a_backup_is_written_is_not_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        gone = await talk(ada, ben, "a secret")
        path, check = tmp_path / "ada.backup", Backup._check

        async def deleting(self: Backup, *others: Any) -> None:
            await ada.engine.delete(await ada.contact(ben), gone)
            await check(self, *others)

        monkeypatch.setattr(Backup, "_check", deleting)
        made = await back_up(ada, path)
        await ada.stop()
        view = await asyncio.to_thread(restore_new, tmp_path / "new", path)
        assert view.root == made.root
        other = await started(ada, tmp_path / "new")
        assert await other.texts(ben) == [""]
        await other.stop()


@in_virtual_time
async def test_no_secret_of_a_terminal_and_no_contact_secret_is_in_a_backup(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        path = tmp_path / "ada.backup"
        await back_up(ada, path)
        reader = backup_file.BackupReader(path, BACKUP)
        opener, data = sealed.Opener(reader._key), path.read_bytes()[75:]
        chunks = [data[at : at + 65_552] for at in range(0, len(data), 65_552)]
        content = b"".join(
            opener.open(one, last=place == len(chunks) - 1) for place, one in enumerate(chunks)
        )
        keyring = ada.engine._use_cases.keyring
        (contact,) = keyring.contacts.values()
        secrets = [keyring.own.signing_seed, keyring.own.static_secret]
        secrets += [
            secret
            for pair in keyring.pairs(contact.state.person)
            for secret in (pair.root, *(share.share for share in (*pair.own, *pair.theirs)))
        ]
        assert all(one.secret in content for one in keyring.own.drawn)
        assert [secret for secret in secrets if secret in content] == []


@in_virtual_time
async def test_a_seed_that_was_erased_cannot_be_backed_up(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        view = await ada.engine.recovery_words()
        await ada.engine.confirm_recovery(tuple(view.words[place] for place in view.asked))
        with pytest.raises(NotPermitted):
            await back_up(ada, tmp_path / "ada.backup")
        assert names(tmp_path, "backup") == []
        with pytest.raises(UsageError):
            await ada.engine.back_up("relative", BACKUP)


@in_virtual_time
async def test_what_does_not_count_at_the_source_does_not_count_after_a_restore(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        honest = second.write("honest")
        await second.passed(honest)
        await second.removed()
        await second.passed(second.write("perhaps after"))
        doubted = await talk(ben, ada, "passed on")
        doubt = "INSERT INTO uncovered (entry) SELECT number FROM entries WHERE id = ?"
        await ada.engine._use_cases.store.write(Database.run, doubt, bytes.fromhex(doubted))
        await marks_stay(ada, ben, tmp_path / "by what was held", doubted)
        await synced(second, honest)
        await second.cut()
        await talk(ben, ada, "after the cut")
        await marks_stay(ada, ben, tmp_path / "by a cut", doubted)
        (cut,) = [one.id for one in await ada.history(ben) if one.kind == "cut"]
        await ada.engine.delete(await ada.contact(ben), cut)
        await marks_stay(ada, ben, tmp_path / "by a deleted cut", doubted)


async def marks_stay(ada: Person, ben: Person, folder: Path, doubted: str) -> None:
    """A backup restored has the marks of the entries, and the entry that was passed on is in doubt."""
    path = folder.with_suffix(".backup")
    made, before = await back_up(ada, path), await ada.history(ben)
    view = await asyncio.to_thread(restore_new, folder, path)
    assert view.root == made.root
    other = await started(ada, folder)
    try:
        after = await other.history(ben)
        assert [(one.text, one.quarantined) for one in after] == [
            (one.text, one.quarantined) for one in before
        ]
        assert any(one.quarantined for one in after)
        assert (await other.engine.details(await other.contact(ben), doubted)).uncovered
    finally:
        await other.stop()
