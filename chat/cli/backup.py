"""The commands about backups: export, import."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import click

from chat.cli.completing import TALK
from chat.cli.output import SignOfLife, clear_screen, find, note, one_line, passing_screen, talks
from chat.cli.recovery import NEW_WORDS, typed_back, typed_words
from chat.cli.session import Call, Feed, command, coroutine, messenger
from chat.cli.terminal import ask_secret, is_interactive, read_new_passphrase, read_passphrase
from chat.interface import (
    BackupProgress,
    BackupView,
    DoorState,
    Messenger,
    NotTypedBack,
    Phrase,
    RecoveryView,
    RestoreView,
    UsageError,
    passphrase_problem,
)

T = TypeVar("T")

ITS_OWN: Final = (
    "The backup has a passphrase of its own. Without it, no one can open the file; who has both reads all of"
    " your messages."
)
WITH_SEED: Final = (
    "The recovery words will be in the backup: who has it and its passphrase can remove your devices and take"
    " over your identity."
)
WORDS_NOWHERE: Final = (
    "Careful: your recovery words are neither in this backup nor written down. Without them, nobody can go on"
    " as you on a new device: the backup can only be read there, as an archive. Write the words down with"
    " 'parlour recovery', or give --with-recovery."
)
WORDS_ON_PAPER: Final = (
    "To go on as you on a new device, this backup needs the recovery words that you wrote down. Without them,"
    " it can only be read there, as an archive. The device that made your identity shows the words with"
    " 'parlour recovery' until you confirm that you wrote them down."
)
ONLY_READ: Final = "It can be read, searched and exported, and nothing is sent from it:"
NEW_PEOPLE: Final = (
    "Its contacts are people to pair with again. No backup of another profile has this archive in it: keep"
    " the file, or export it."
)
WITHOUT_WORDS: Final = (
    "The backup has no recovery words. If you have them, run the command again with --words: the restored"
    " profile is then a device of yours. Else begin as a new person with 'parlour init --name NAME'."
)
NOT_RESTORED: Final = "Not all words were typed, so nothing was restored."
PAIR_AGAIN: Final = "Pair again with each contact: until then, nothing is sent or received."
PROMPT: Final = "Passphrase of the backup: "

NOT_ENCRYPTED: Final = "This file is not encrypted: anybody who has it can read it."
PROVEN: Final = (
    "The root hash covers texts, files, times and their order: another device of yours with the same messages"
    " has the same one. The checksum alone covers names, who wrote what, and states. Anybody who edits the"
    " file can compute a new checksum, so compare it with the one that the export printed."
)
UNPROVEN: Final = (
    "The checksum alone covers Markdown. Anybody who edits the file can compute a new one, so compare it with"
    " the one that the export printed."
)
_ENDINGS: Final = {"markdown": "md"}

_FILE: Final = "--backup-passphrase-file"
_FILE_OPTION: Final = click.option(
    _FILE,
    metavar="FILE",
    help="Read the passphrase of the backup from the first line of FILE; - is standard input.",
)


@command("export")
@click.argument("name", required=False, type=TALK)
@click.option(
    "--format",
    "form",
    type=click.Choice(["backup", "jsonl", "markdown", "html"]),
    default="backup",
    help="An encrypted backup, or a readable file of all conversations or the one with NAME.",
)
@click.option("--to", "to", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--with-recovery", is_flag=True, help="Put the recovery words into the backup, too.")
@click.option(
    "--verify",
    "verified",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Check a file instead, and print its root hash and checksum.",
)
@click.option("--salvage", is_flag=True, help="Save what can be read of a damaged profile.")
@_FILE_OPTION
@coroutine
async def export(
    call: Call,
    name: str | None,
    form: str,
    to: Path | None,
    with_recovery: bool,
    verified: Path | None,
    salvage: bool,
    backup_passphrase_file: str | None,
) -> None:
    """Write an encrypted backup: your history, contacts and settings, and no key of this device.

    With --format, write a readable file, which is not encrypted.
    """
    if verified is not None:
        await _verify(call, verified, backup_passphrase_file)
        return
    readable = form != "backup"
    if (name is not None and not readable) or (readable and with_recovery):
        raise UsageError("A backup has all conversations, and no other format has the recovery words.")
    path = _absolute(to or Path(f"parlour-{datetime.now(UTC):%Y-%m-%d}.{_ENDINGS.get(form, form)}"))
    if salvage:
        if readable:
            raise UsageError("What is saved of a damaged profile is a backup: leave --format out.")
        await _salvage(call, path, backup_passphrase_file, with_recovery=with_recovery)
        return
    async with messenger(call, offline=True) as opened:
        if readable:
            note(NOT_ENCRYPTED)
            person = find(await talks(opened), name)[1].person if name is not None else None
            view = await _with_progress(opened, opened.export(path, form, person))
            call.result(_fields(view), f"{one_line(view.path)} was written and checked: {_contents(view)}")
            return
        if with_recovery:
            note(WITH_SEED)
        passphrase = _new_passphrase(call, backup_passphrase_file)
        writing = opened.back_up(path, passphrase, with_recovery)
        view = await _with_progress(opened, writing)
        me = await opened.me()
    call.result(_fields(view), f"{one_line(view.path)} was written and checked: {_contents(view)}")
    if not view.recovery and me.archived is None:
        note(WORDS_NOWHERE if me.keeps_seed else WORDS_ON_PAPER)


async def _salvage(call: Call, path: str, source: str | None, *, with_recovery: bool) -> None:
    if with_recovery:
        note(WITH_SEED)
    own = read_passphrase(call.passphrase_file, call.lines)
    view = await call.door().salvage(path, _new_passphrase(call, source), own, with_recovery)
    lost = {
        "entries": view.entries,
        "texts": view.bodies,
        "contacts": view.contacts,
        "receipts": view.receipts,
    }
    missing = ", ".join(f"{count} {name}" for name, count in lost.items() if count) or "nothing"
    said = f"{one_line(path)} has what could be read: {_contents(view.backup)} Not readable: {missing}."
    call.result(_fields(view.backup) | {"lost": lost}, said)
    if not view.backup.recovery:
        note(WORDS_ON_PAPER)


async def _verify(call: Call, file: Path, source: str | None) -> None:
    path = _absolute(file)
    # Only a backup has a passphrase.
    asked = file.suffix not in (".jsonl", ".html", ".md", ".markdown")
    view = await call.door().verify(path, read_passphrase(source, call.lines, PROMPT, _FILE) if asked else "")
    proven = f" {PROVEN if view.root else UNPROVEN}" if view.checksum else ""
    call.result(_fields(view), f"{one_line(view.path)} is whole: {_contents(view)}{proven}")


def _absolute(path: Path) -> str:
    return str(path.expanduser().absolute())


def _new_passphrase(call: Call, source: str | None) -> str:
    """The passphrase to set for a backup, from a file or typed twice. Raises UsageError, NotPermitted."""
    if source is not None:
        return read_passphrase(source, call.lines)
    note(ITS_OWN)
    first = ask_secret(f"New {PROMPT[0].lower()}{PROMPT[1:]}", _FILE)
    problem = passphrase_problem(first, ask_secret("Repeat it: ", _FILE), confirmed=True)
    if problem is not None or not first:
        raise UsageError(f"{problem or 'The passphrase is empty.'} Run the command again.")
    return first


async def _with_progress(opened: Messenger, writing: Awaitable[BackupView]) -> BackupView:
    """Await a backup, and say how far it is."""
    feed, life = Feed(opened), SignOfLife()

    async def say() -> None:
        while True:
            event = await feed.next()
            if isinstance(event, BackupProgress):
                what = "Checking the file:" if event.checking else "Writing the file:"
                life.show(what, _percent(event.done, event.total))

    saying = asyncio.create_task(say())
    try:
        return await writing
    finally:
        saying.cancel()
        await asyncio.wait({saying})
        await feed.aclose()
        life.end()


def _percent(done: int, whole: int) -> str:
    return f"{min(100, 100 * done // max(whole, 1)):3} %"


@command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--words", is_flag=True, help="Read the recovery words from the input.")
@click.option("--remove-old", is_flag=True, help="Remove the device that wrote the backup.")
@click.option("--same-words", is_flag=True, help="Keep the recovery words: nobody else has seen them.")
@_FILE_OPTION
@coroutine
async def import_backup(
    call: Call,
    file: Path,
    words: bool,
    remove_old: bool,
    same_words: bool,
    backup_passphrase_file: str | None,
) -> None:
    """Restore the backup FILE here as a new device, or add what this profile lacks.

    Nothing changes before all of the file was checked. A new device needs the recovery words, from the backup
    or typed, and pairs again with each contact. New words take their place: they are shown, and some of them
    asked for, before it is one. Without them, and in the profile of another identity, the
    backup becomes an archive, which can only be read.
    """
    door = call.door()
    state = await door.state()
    passphrase = read_passphrase(backup_passphrase_file, call.lines, PROMPT, _FILE)
    typed: tuple[str, ...] = ()
    if state is DoorState.NEW and words:
        with passing_screen():
            typed = await typed_words(call)
            clear_screen()
    if state is DoorState.NEW:
        own = read_new_passphrase(call.passphrase_file, call.lines)
    else:
        own = read_passphrase(call.passphrase_file, call.lines)
    life = SignOfLife()
    try:
        view = await door.restore(
            _absolute(file),
            passphrase,
            own,
            typed,
            remove_old,
            lambda done, whole: life.show("Restoring the backup:", _percent(done, whole)),
            None if same_words else partial(_write_down, call, life),
        )
    finally:
        life.end()
    call.result(_restored_fields(view), _restored_text(call, view, existing=state is not DoorState.NEW))


async def _write_down(call: Call, life: SignOfLife, view: RecoveryView, problem: Phrase) -> tuple[str, ...]:
    """Show new words, and ask for some of them. Raises Stopped, NotTypedBack."""
    life.end()
    if problem and not is_interactive():
        raise NotTypedBack(problem)
    note(problem or NEW_WORDS)
    return await typed_back(call, view, NOT_RESTORED)


def _fields(view: BackupView) -> dict[str, object]:
    return {
        "file": view.path,
        "entries": view.entries,
        "conversations": view.conversations,
        "root": view.root,
        "recovery": view.recovery,
        **({"checksum": view.checksum} if view.checksum else {}),
    }


def _contents(view: BackupView) -> str:
    seed = ", the recovery words" if view.recovery else ""
    counted = "1 conversation" if view.conversations == 1 else f"{view.conversations} conversations"
    messages = "1 message" if view.entries == 1 else f"{view.entries} messages"
    root = f" Root hash {view.root}." if view.root else ""
    checksum = f" Checksum {view.checksum}." if view.checksum else ""
    return f"{messages} in {counted}{seed}.{root}{checksum}"


def _restored_fields(view: RestoreView) -> dict[str, object]:
    return {
        "person": view.person,
        "terminal": view.terminal,
        "new": view.new,
        "removed_old": view.removed,
        "entries": view.entries,
        "root": view.root,
        "backup": _fields(view.backup),
        "archive": view.archive or None,
    }


def _restored_text(call: Call, view: RestoreView, *, existing: bool) -> str:
    name = one_line(view.name)
    same = "the same as in the backup" if view.root == view.backup.root else "which differs from the backup's"
    messages = "1 message" if view.entries == 1 else f"{view.entries} messages"
    held = f"{messages}, root hash {view.root}, {same}."
    if view.archive:
        opened = f"  parlour --profile {shlex.quote(one_line(view.archive))}"
        said = f"This is an archive of what {name} had: {held} {ONLY_READ}\n{opened}\n{NEW_PEOPLE}"
        return said if existing else f"{said}\n{WITHOUT_WORDS}"
    if not view.new:
        return f"The profile at {call.folder} has now {held}"
    return f"This is a new device of {name}. It has {held} {PAIR_AGAIN}"
