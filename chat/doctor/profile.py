"""Is the profile private, is there room on its disk, and is its database whole?"""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from chat.doctor.context import Context
from chat.interface import DiagnosisView
from chat.network.interfaces import Interface
from chat.phrases import Phrase, phrase

CHECK = phrase("profile")
DATABASE = phrase("database")
ROOM_MIN: Final = 64 * 1024 * 1024
"""Bytes that should be free: the database and its write-ahead log grow by less than this in a long while."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


async def check(context: Context, found: Sequence[Interface]) -> list[DiagnosisView]:
    """A line for the folder, one for the disk if it is full, one for the database."""
    if not context.profile.is_dir():
        return [DiagnosisView(CHECK, True, phrase("there is none yet at {path}", path=str(context.profile)))]
    return [*_folder(context.profile), *_room(context.profile), await _database(context)]


def _folder(profile: Path) -> Iterator[DiagnosisView]:
    if os.name == "posix" and (open_to_others := [path for path in _paths(profile) if _is_open(path)]):
        names = ", ".join(path.name for path in open_to_others)
        said = phrase("others on this machine may read {names}", names=names)
        fix = Phrase(f"chmod -R go= {shlex.quote(str(profile))}")
        yield DiagnosisView(CHECK, False, said, fix)
    elif os.name == "posix" and profile.stat().st_uid != os.geteuid():
        fix = phrase("Run Parlour as the user who made the profile.")
        yield DiagnosisView(CHECK, False, phrase("{path} belongs to another user", path=str(profile)), fix)
    else:
        yield DiagnosisView(CHECK, True, phrase("{path} is readable by its owner alone", path=str(profile)))


def _paths(profile: Path) -> list[Path]:
    return [profile, *sorted(profile.iterdir())]


def _is_open(path: Path) -> bool:
    mode = path.lstat().st_mode
    return not stat.S_ISLNK(mode) and bool(mode & _OTHERS)


def _room(profile: Path) -> Iterator[DiagnosisView]:
    free = shutil.disk_usage(profile).free
    if free < ROOM_MIN:
        said = phrase("the disk of the profile has only {number} MiB left", number=free // 1_048_576)
        fix = phrase("Free some space: entries that cannot be stored are not accepted.")
        yield DiagnosisView(CHECK, False, said, fix)


async def _database(context: Context) -> DiagnosisView:
    if context.database is None:
        return DiagnosisView(DATABASE, True, phrase("locked, and so not looked at"))
    wrong = await context.database()
    if not wrong:
        return DiagnosisView(DATABASE, True, phrase("every page is whole"))
    fix = phrase("Restore the profile from a backup; leave the damaged one as it is until that has worked.")
    return DiagnosisView(DATABASE, False, Phrase(wrong), fix)
