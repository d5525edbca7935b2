"""What a readable export shows. C7: what the history holds, and a file that was changed is refused."""

from __future__ import annotations

import asyncio
import json
import random
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from chat.interface import BackupView, BadData
from chat.service import readable
from chat.service.formats import FORMS
from chat.tools.prove.findings import Record
from chat.tools.prove.programs import Terminal, environment, python
from chat.tools.prove.stage import Stage

BYTES: Final = 100
"""Places of each file at which one byte is changed."""

LINES: Final = 20
"""Lines of each file that are left out, doubled and moved."""


async def show(stage: Stage, record: Record) -> None:
    """Export a conversation in each form on both sides, check it, and check it after each change."""
    await stage.say(stage.ada, f"Did you take the {stage.needle}?")
    await stage.say(stage.ben, f"No, I left the {stage.needle}.")
    await stage.give(stage.ada, stage.needle)
    record.did("Two people told each other a random word, and one sent a file.")
    whole = refused = 0
    for form in FORMS:
        made = [await _export(each, form) for each in stage.both]
        record.require(made[0].root == made[1].root, f"the two {form} exports have different root hashes")
        for each, view in zip(stage.both, made, strict=True):
            whole += await _verify(each, view, record)
        path = Path(made[0].path)
        text = await asyncio.to_thread(path.read_text, "utf-8")
        record.require(stage.needle in text, f"the {form} export does not show what was said")
        tried = [one for one in _changes(form, text, stage.needle) if one != text]
        passed = await asyncio.to_thread(_passed, path, tried)
        refused += len(tried) - passed
        record.require(not passed, f"{passed} of {len(tried)} changed {form} exports were called whole")
    record.did("Both exported their conversation in each form: the root hashes of both are the same.")
    record.did("'parlour export --verify' read each file, and computed its root hash and checksum again.")
    record.did(
        "Then bytes were changed, lines were left out, doubled and moved, and speakers were exchanged: each"
        " of these files was refused. So was one with another word and a new checksum, but for Markdown."
    )
    record.measure("exports_verified", whole, "exports verified by the command")
    record.measure("changed_exports_refused", refused, "changed exports refused")


async def _export(each: Terminal, form: str) -> BackupView:
    path = each.folder.with_suffix(f".export.{form}")
    path.unlink(missing_ok=True)
    return await each.messenger.export(str(path), form, each.contact)


async def _verify(each: Terminal, made: BackupView, record: Record) -> bool:
    """Whether the command calls a file whole, and says the same of it as the export did."""
    line = python("chat.cli", "--json", "export", "--verify", made.path)
    process = await asyncio.create_subprocess_exec(
        *line, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=environment(each.home)
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        record.violated(f"{each.name}'s export {made.path} is refused by the command")
        return False
    row: dict[str, Any] = json.loads(said)
    same = row["checksum"] == made.checksum and row["root"] in (made.root, "")
    record.require(same, f"the command says other hashes of {made.path} than the export did")
    return same


def _changes(form: str, text: str, needle: str) -> Iterator[str]:
    """The file with one change each."""
    draw = random.Random(needle)
    for _ in range(BYTES):
        at = draw.randrange(len(text))
        yield text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
    lines = text.splitlines(keepends=True)
    for at in draw.sample(range(len(lines)), min(LINES, len(lines))):
        yield "".join([*lines[:at], *lines[at + 1 :]])
        yield "".join([*lines[: at + 1], *lines[at:]])
        yield "".join([*lines[:at], *lines[at : at + 2][::-1], *lines[at + 2 :]])
    for one, other in (("Ada", "Ben"), ("true", "false"), ("You", "Contact"), ("delivered", "read")):
        yield text.replace(one, "\0").replace(other, one).replace("\0", other)
    if form != "markdown":
        body = "".join(lines[:-1]).replace(needle, needle[::-1])
        yield body + FORMS[form].seal(sha256(body.encode()).hexdigest())


def _passed(path: Path, tried: list[str]) -> int:
    """How many of these texts the check calls a whole file."""
    spoilt, passed = path.with_suffix(".spoilt"), 0
    for text in tried:
        spoilt.write_text(text, "utf-8", newline="")
        try:
            readable.check(spoilt)
        except BadData:
            continue
        passed += 1
    spoilt.unlink()
    return passed
