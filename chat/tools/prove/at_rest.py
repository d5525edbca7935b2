"""What databases hold. C2: only ciphertext. C5: nothing deleted. C6: everything that is called delivered."""

from __future__ import annotations

import asyncio
import math
import secrets
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Final

from msgspec import Struct

from chat.interface import ContactChanged, EntryChanged, EntryKind, EntryState, EntryView, Event
from chat.storage import folder, migrations, profile, second_reader
from chat.storage.errors import DatabaseForeign, WrongPassphrase
from chat.tools.prove import search as search_module
from chat.tools.prove.findings import CannotShow, Record
from chat.tools.prove.programs import Terminal
from chat.tools.prove.search import Stored, Unreadable
from chat.tools.prove.stage import Stage
from protocol.profile_header import DatabaseKey

ENTROPY_LEAST: Final = 7.9
"""Bits a byte. 4,096 random bytes have 7.95; a page of text or of a plain database has 1 to 5."""


async def show_only_ciphertext(stage: Stage, record: Record) -> None:
    texts = {"the needle": stage.needle}
    texts |= {f"{each.name}'s passphrase": each.passphrase for each in stage.both}
    await stage.say(stage.ada, f"{stage.needle} to Ben")
    await stage.say(stage.ben, f"{stage.needle} to Ada")
    record.did("Two people on throw-away profiles told each other a random word, the needle.")
    picture = await stage.give(stage.ada, stage.needle)
    record.did("Ada sent a picture full of it, which Ben's device took.")
    await stage.show(picture, record)
    _control(stage, record)
    profiles = [await asyncio.to_thread(search_module.look, each.folder, texts) for each in stage.both]
    record.did(
        "Every file of both profiles was searched for the needle and the passphrases in nine forms of"
        " writing, and for the beginning of a database that is not encrypted."
    )
    record.measure("files_searched", sum(one.files for one in profiles), "files of the profiles searched")
    record.measure("file_bytes_searched", sum(one.bytes for one in profiles), "bytes in them")
    for each, looked in zip(stage.both, profiles, strict=True):
        record.require(bool(looked.files), f"{each.name}'s profile has no file at all")
        for place in looked.found:
            record.violated(f"in {each.name}'s profile {place}")
    await _look_elsewhere(stage, texts, record)
    await asyncio.to_thread(_look_at_databases, stage, record)
    await asyncio.to_thread(_look_at_pieces, stage, record)


def _sealed_pieces(terminal: Terminal) -> list[Path]:
    """The sealed pieces of the files that a terminal holds."""
    return sorted((terminal.folder / folder.FILES).glob("*.data"))


def _look_at_pieces(stage: Stage, record: Record) -> None:
    """The search of all files has looked for the needle in them; noise has no words at all."""
    least, total = 8.0, 0
    for each in stage.both:
        held = _sealed_pieces(each)
        record.require(len(held) == 1, f"{each.name}'s device holds {len(held)} files and not the one sent")
        for path in held:
            data = path.read_bytes()
            least, total = min(least, entropy(data)), total + len(data)
    record.require(least >= ENTROPY_LEAST, f"sealed pieces have {least:.2f} bits of entropy a byte")
    record.measure("bytes_of_pieces", total, "bytes of sealed pieces of the file")
    record.measure("least_entropy_of_pieces", round(least, 3), "bits of entropy a byte in them")


async def _look_elsewhere(stage: Stage, texts: Mapping[str, str], record: Record) -> None:
    """What the programs keep outside their profiles, and what they have open."""
    homes = [await asyncio.to_thread(search_module.look, each.home, texts) for each in stage.both]
    for each, looked in zip(stage.both, homes, strict=True):
        for place in looked.found:
            record.violated(f"in the home of {each.name}'s device {place}")
    record.did(
        "So were the homes and the folders for temporary files, new ones, that their programs were given."
    )
    record.measure("files_elsewhere", sum(one.files for one in homes), "files made in their homes")
    if not sys.platform.startswith("linux"):
        return
    for each in stage.both:
        for one in await asyncio.to_thread(search_module.open_files, each.pid):
            if one.keeps and not Path(one.target).is_relative_to(each.folder):
                record.violated(f"{each.name}'s device has {one.target} open for writing")
    record.did("Their open files were looked at: those that can be written to are the profile's own.")


def _control(stage: Stage, record: Record) -> None:
    """The search must find each form where it was planted."""
    planted = stage.folder / "planted"
    planted.mkdir()
    wanted = search_module.forms(stage.needle)
    for number, form in enumerate(wanted.values()):
        (planted / str(number)).write_bytes(b"\x00something" + form + b"else" + search_module.SQLITE)
    found = search_module.look(planted, {"the needle": stage.needle}).found
    shutil.rmtree(planted)
    if not all(
        any(place.startswith(f"{number}: the needle") for place in found) for number in range(len(wanted))
    ):
        raise CannotShow("the search of files does not find what was planted: this is a fault of Parlour")
    record.measure("planted_forms_found", len(wanted), "forms of it found where they were planted first")


def _look_at_databases(stage: Stage, record: Record) -> None:
    stored: list[Stored] = []
    pages = held = 0
    for each in stage.both:
        try:
            one, plain = Stored.read_whole(each.database, each.key)
        except Unreadable as page:
            record.violated(f"{page} of {each.name}'s database is not sealed by its key")
            continue
        with_it = sum(stage.needle.encode() in page.plain for page in plain)
        record.require(with_it > 0, f"{each.name}'s database does not hold what was said")
        stored.append(one)
        pages, held = pages + len(plain), held + with_it
    record.measure("pages_decrypted", pages, "pages and frames opened by the key")
    record.measure("pages_with_the_needle", held, "of them with the needle inside")
    record.did("With its own key each database was decrypted here page by page: the needle is in it.")
    others = sum(one.opened_by(secrets.token_bytes(32)) for one in stored)
    record.require(others == 0, f"{others} pages open with a key that is not theirs")
    record.measure("pages_opened_by_another_key", others, "of them opened by another key")
    least = min((entropy(page) for one in stored for _, _, page in one.sealed()), default=0.0)
    record.require(least >= ENTROPY_LEAST, f"a page of a database has {least:.2f} bits of entropy a byte")
    record.measure(
        "least_entropy", round(least, 3), "bits of entropy a byte in the plainest page (8 is the most)"
    )
    for each in stage.both:
        _by_other_ways(each, record)
    record.did(
        "Another key, another passphrase and an ordinary SQLite were tried on each of them: each was refused."
    )
    _by_another_library(stage, record)


def _by_another_library(stage: Stage, record: Record) -> None:
    """Let a library that wrote none of it read a copy of each database and its log, and count the rows."""
    libraries, rows = set[str](), 0
    for each in stage.both:
        copy = each.folder.with_suffix(".copy")
        shutil.copytree(each.folder, copy, ignore=shutil.ignore_patterns(folder.SOCKET, "lock"))
        try:
            seen = second_reader.look(copy / folder.DATABASE, each.key, lambda: False, log=True)
            with closing(migrations.open_history(copy / folder.DATABASE, DatabaseKey(each.key))) as database:
                own = second_reader.counted(database)
        except second_reader.NoSecondReader:
            record.did(f"The databases were {second_reader.NOT_INSTALLED}.")
            return
        finally:
            shutil.rmtree(copy)
        for difference in second_reader.differences(seen, own):
            record.violated(f"{seen.library} on {each.name}'s database: {difference}")
        rows += sum(seen.rows.values())
        libraries.add(seen.library)
    record.measure("rows_read_by_another_library", rows, "rows read by a library that wrote none of them")
    record.did(
        f"A library that wrote none of it ({', '.join(libraries)}) read a copy of each with its key, found"
        " every table and index whole, and counted the same rows."
    )


def _by_other_ways(terminal: Terminal, record: Record) -> None:
    """Open a copy with another key, another passphrase, and no key."""
    copy = terminal.folder.with_suffix(".copy")
    shutil.copytree(terminal.folder, copy, ignore=shutil.ignore_patterns(folder.SOCKET, "lock"))
    try:
        with suppress(DatabaseForeign):
            migrations.open_history(copy / folder.DATABASE, DatabaseKey.generate(secrets.token_bytes)).close()
            record.violated(f"{terminal.name}'s database opens with another key")
        with suppress(WrongPassphrase):
            folder.unwrap(folder.read_header(copy / folder.HEADER), terminal.passphrase + "!")
            record.violated(f"{terminal.name}'s key is unwrapped by another passphrase")
        with closing(sqlite3.connect(copy / folder.DATABASE)) as connection, suppress(sqlite3.DatabaseError):
            connection.execute("SELECT count(*) FROM sqlite_master")
            record.violated(f"{terminal.name}'s database opens without a key")
    finally:
        shutil.rmtree(copy)


def entropy(data: bytes) -> float:
    """Shannon entropy in bits per byte."""
    counts = Counter(chain(data)).values()
    return -sum(count / len(data) * math.log2(count / len(data)) for count in counts)


ENTRIES: Final = 12


class Search(Struct, frozen=True):
    """Search of one database: pages and frames decrypted, and where needles were found."""

    pages: int
    frames: int
    found: tuple[str, ...]


async def show_deleted(stage: Stage, record: Record) -> None:
    """Write, delete on both sides, clean, and search all that the databases contain."""
    word = stage.deleted.encode()
    # The search index shares the beginning of adjacent words, so the end is looked for too.
    needles = word, word[len(word) // 2 :]
    texts = [f"{stage.deleted} {number} to be deleted, among other words" for number in range(ENTRIES)]
    entries = [*await stage.say(stage.ada, *texts), *await stage.say(stage.ben, *texts[:3])]
    record.did(f"{len(entries)} messages with another random word were said, and found in both databases.")
    others = _pieces_of(stage)
    entries.append(await stage.give(stage.ada, stage.deleted))
    record.did("Ada sent a picture full of that word, too, which Ben's device took.")
    await stage.show(entries[-1], record)
    record.measure("pieces_before", _pieces_of(stage) - others, "bytes of its sealed pieces before")
    before = await _search_both(stage, needles)
    if not all(one.found for one in before):
        raise CannotShow("the search of pages does not find what is there: this is a fault of Parlour")
    record.measure("places_before", sum(len(one.found) for one in before), "pages and frames had it before")
    for each in stage.both:
        await _delete(each, entries, record)
    record.did(
        "Both people deleted all of them, each for themselves, and waited until it was said to be done."
    )
    after = await _search_both(stage, needles)
    await stage.say(stage.ada, "what is said afterwards")
    later = await _search_both(stage, needles)
    record.did(
        "Every page and every frame of the log was then decrypted and searched, and again after more was"
        " said."
    )
    searches = [*zip(stage.both, after, strict=True), *zip(stage.both, later, strict=True)]
    for terminal, one in searches:
        for place in one.found:
            record.violated(f"{place} of {terminal.name}'s database still holds what was deleted")
    record.measure("pages_decrypted", sum(one.pages for _, one in searches), "pages decrypted and searched")
    frames = sum(one.frames for _, one in searches)
    record.measure("wal_frames_decrypted", frames, "frames of the logs as well")
    record.measure("places_after", sum(len(one.found) for _, one in searches), "of them had it afterwards")
    left = _pieces_of(stage) - others
    record.measure("pieces_after", left, "bytes of sealed pieces afterwards")
    if left:
        record.violated(f"{left} bytes of the pieces of a deleted file are left")
    wanted = {"the word": stage.deleted}
    looked = [await asyncio.to_thread(search_module.look, each.folder, wanted) for each in stage.both]
    record.measure("files_searched", sum(one.files for one in looked), "files searched for it in clear")
    for place in (place for files in looked for place in files.found):
        record.violated(place)


def _pieces_of(stage: Stage) -> int:
    """Bytes of what both terminals hold of files: pieces, their trees, and which are held."""
    return sum(
        path.stat().st_size for each in stage.both for path in (each.folder / folder.FILES).glob("*.*")
    )


async def _delete(terminal: Terminal, entries: Sequence[EntryView], record: Record) -> None:
    for entry in entries:
        await terminal.messenger.delete(terminal.contact, entry.id)
    await terminal.messenger.clean()
    left = {entry.id: entry for entry in await terminal.history()}
    for entry in entries:
        kept = left.get(entry.id)
        record.require(kept is not None, f"at {terminal.name}'s the place of a deleted message is gone")
        if kept is not None and (kept.kind is not EntryKind.DELETED or kept.text):
            record.violated(f"at {terminal.name}'s a deleted message is still shown")


async def _search_both(stage: Stage, needles: tuple[bytes, ...]) -> list[Search]:
    return [await asyncio.to_thread(search, each, needles) for each in stage.both]


def search(terminal: Terminal, needles: tuple[bytes, ...]) -> Search:
    """Decrypt and search all of a terminal's open database. Raises CannotShow."""
    try:
        stored, pages = Stored.read_whole(terminal.database, terminal.key)
    except Unreadable as page:
        raise CannotShow(f"{page} of {terminal.name}'s database cannot be decrypted") from None
    found = tuple(page.place for page in pages if any(needle in page.plain for needle in needles))
    return Search(len(pages) - stored.frames, stored.frames, found)


KILLS: Final = 30
BURST_MOST: Final = 0.2
"""Seconds from the first entry of a burst that is called delivered to the kill, at most."""


class Burst:
    """What one terminal says in a row. `sent`: texts by id; `delivered`: ids that its engine calls so."""

    def __init__(self, speaker: Terminal, needle: str) -> None:
        self.mark = f"{needle} in a burst,"
        self.sent: dict[str, str] = {}
        self.delivered: set[str] = set()
        self._speaker = speaker
        self._goes_on = False

    async def speak(self) -> None:
        """Say one text after the other until `end`."""
        self._goes_on = True
        while self._goes_on:
            text = f"{self.mark} {len(self.sent)}"
            entry = await self._speaker.messenger.send(self._speaker.contact, text)
            self.sent[entry.id] = text

    def end(self) -> None:
        self._goes_on = False

    async def follow(self, holds: Callable[[Event], bool], otherwise: str) -> None:
        """Follow what the engine says, up to an event for which `holds`. Raises CannotShow."""

        def found(event: Event) -> bool | None:
            if isinstance(event, EntryChanged) and event.state in (EntryState.DELIVERED, EntryState.READ):
                self.delivered.add(event.id)
            return holds(event) or None

        await self._speaker.expect(found, otherwise)


async def show_delivered(stage: Stage, record: Record) -> None:
    """Kill the receiver within a burst, again and again, and read its database before it starts again."""
    ada, ben = stage.both
    for each in stage.both:
        await each.stop()
        await each.load()
        await each.run()
    burst, under_way = Burst(ada, stage.needle), 0
    for _ in range(KILLS):
        await _kill_within(burst, ben)
        under_way += len(burst.sent) > len(burst.delivered)
        held = await asyncio.to_thread(_held, ben, burst.mark.encode())
        lost = len(burst.delivered - {id.hex() for id, _body in held})
        twice = len(held) - len({body for _id, body in held})
        record.require(not lost, f"after a kill {lost} messages that were called delivered are not there")
        record.require(not twice, f"after a kill {twice} messages are there twice")
        await ben.run()
        ada.look_around()
    record.did(
        f"Ada said one thing after the other, and Ben's device was killed {KILLS} times at random moments,"
        " by kill -9. Each time its database was read before it started again."
    )
    if not under_way:
        raise CannotShow("nothing was under way when the kills came, so that nothing can be told from them")
    record.measure("kills", KILLS, "kills, and readings of the database")
    record.measure("kills_under_way", under_way, "of them while messages were under way")
    record.measure(
        "entries_called_delivered", len(burst.delivered), "messages called delivered until the last"
    )
    if burst.delivered < burst.sent.keys():
        await burst.follow(lambda _: burst.delivered >= burst.sent.keys(), "the rest was not delivered")
    shown = Counter(entry.text for entry in await ben.history())
    missing = sum(not shown[text] for text in burst.sent.values())
    twice = sum(shown[text] > 1 for text in burst.sent.values())
    record.require(not missing, f"{missing} messages that were sent are not shown")
    record.require(not twice, f"{twice} messages are shown twice")
    record.measure(
        "entries_shown", len(burst.sent) - missing, f"of {len(burst.sent)} messages shown at the end"
    )


async def _kill_within(burst: Burst, receiver: Terminal) -> None:
    """Kill the receiver at a random moment, and follow the speaker until it has seen the end of the link."""
    await receiver.load()
    before = len(burst.delivered)
    speaking = asyncio.create_task(burst.speak())
    try:
        await burst.follow(lambda _: len(burst.delivered) > before, "nothing was delivered")
        await asyncio.sleep(secrets.randbelow(1000) / 1000 * BURST_MOST)
        await receiver.kill()
    finally:
        burst.end()
        await speaking
    await burst.follow(_has_gone, "the end of the link was not seen")


def _has_gone(event: Event) -> bool:
    return isinstance(event, ContactChanged) and not event.contact.present


def _held(terminal: Terminal, mark: bytes) -> list[tuple[bytes, bytes]]:
    """Id and body of the entries with a mark, in the database of a terminal that does not run."""
    rows = "SELECT e.id, b.body FROM entries e JOIN bodies b ON b.entry = e.number"
    with (
        profile.unlock(terminal.folder, terminal.passphrase) as opened,
        closing(opened.database()) as database,
    ):
        return [(id, body) for id, body in database.rows(rows) if mark in body]
