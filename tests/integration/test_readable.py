"""Readable exports of real engines: what they show, what they are verified against, and hostile texts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chat.interface import (
    BackupProgress,
    BackupView,
    BadData,
    CannotCreate,
    DeletionScope,
    EntryAdded,
    EntryEdited,
    UsageError,
)
from chat.service import readable
from chat.service.formats import FORMS
from chat.storage import entries
from chat.storage.new_file import NewFile
from protocol.entries_and_receipts import KIND_STATE, KINDS, parse_entry
from protocol.messages import Entry
from tests.integration.steps import in_touch
from tests.integration.test_claims import invented, sends
from tests.integration.test_expiry import timed
from tests.support.engines.engines import Person, in_virtual_time, talk, two_contacts
from tests.unit.service.test_export_forms import BODIES

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=http://x.example/y onerror=z> &amp; '",
    "\x1b]52;c;QUJD\x07\x1b[31m \u202egnp.exe\u2066 \u200e",
    "line one\nline two\r\nline\u2028three",
    "a title\n=====",
    "mail@x.example $x$",
    "# heading *bold* [link](http://x.example) `code` <b>",
    "你好, \U0001f469\u200d\U0001f4bb",
)


async def export(person: Person, path: Path, form: str) -> BackupView:
    return await person.engine.export(str(path), form)


@in_virtual_time
async def test_case_79_hostile_texts_and_names_are_shown_as_text_and_verified(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        for text in HOSTILE:
            await talk(ben, ada, text)
        await ada.engine.rename(await ada.contact(ben), 'Ben <i>x</i> *x* "q"')
        gone = await talk(ada, ben, "deleted")
        await ada.engine.delete(await ada.contact(ben), gone)
        made = {form: await export(ada, tmp_path / f"all.{form}", form) for form in FORMS}
        assert len({one.root for one in made.values()}) == 1
        assert {one.entries for one in made.values()} == {9}
        backup = await ada.engine.back_up(str(tmp_path / "b"), "its own")
        assert backup.root == made["html"].root
        for form in FORMS:
            path = tmp_path / f"all.{form}"
            text = path.read_text("utf-8")
            assert path.stat().st_mode & 0o777 == 0o600
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066\u200e]", text)
        page = (tmp_path / "all.html").read_text("utf-8")
        assert not re.search("<(script|img|b>|i>|a )", page)
        assert "src=" not in re.sub('&[a-z]+;|&#x27;|data-[a-z]+="[0-9a-f]*"|<p dir.*', "", page)
        assert "你好" in page
        assert "[U+202E]" in page
        markdown = (tmp_path / "all.markdown").read_text("utf-8")
        assert not re.search(r"(?<!\\)[<\[=@$]", re.sub("<http://x.example[/y]*>", "", markdown))
        lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text("utf-8").splitlines()]
        assert [one["text"] for one in lines if one.get("kind") == "text"] == list(HOSTILE)
        for form, root in (("jsonl", backup.root), ("html", backup.root), ("markdown", "")):
            found = readable.check(tmp_path / f"all.{form}")
            assert (found.root, found.checksum) == (root, made[form].checksum)


@in_virtual_time
async def test_a_changed_export_is_not_verified(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        for text in ("one", "two", "three"):
            await talk(ada, ben, text)
        for form in FORMS:
            path, spoilt = tmp_path / f"a.{form}", tmp_path / "spoilt"
            await export(ada, path, form)
            assert readable.check(path).entries == 3
            text = path.read_text("utf-8")
            lines = text.splitlines(keepends=True)
            place = next(at for at, line in enumerate(lines) if "two" in line)
            for wrong in (
                text.replace("two", "2"),
                "".join([*lines[:place], *lines[place + 1 :]]),
                "".join([*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]]),
                "".join(lines[:-1]),
                text + lines[-1],
                text.replace("</style>", "</style><script></script>") if form == "html" else lines[0],
                re.sub(r"20\d\d-", "1999-", text),
                "",
            ):
                spoilt.write_text(wrong, "utf-8")
                with pytest.raises(BadData):
                    readable.check(spoilt)


@in_virtual_time
async def test_one_conversation_is_exported_by_its_contact(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "hello")
        path = tmp_path / "a.jsonl"
        made = await ada.engine.export(str(path), "jsonl", await ada.contact(ben))
        assert (made.entries, made.conversations) == (1, 1)
        with pytest.raises(CannotCreate):
            await export(ada, path, "jsonl")
        with pytest.raises(UsageError):
            await export(ada, tmp_path / "b", "pdf")


@in_virtual_time
async def test_what_is_shown_of_an_entry_is_what_its_bytes_say(tmp_path: Path) -> None:
    """Also of an entry without text, and in the eyes of a program that takes the first of two names."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        first = await talk(ada, ben, "first")
        answer = ada.wait(EntryAdded, lambda event: event.entry.text == "an answer")
        await ben.engine.send(await ben.contact(ada), "an answer", first)
        await answer
        await ada.engine.edit(friend, first, "the first")
        await ada.engine.delete(friend, await talk(ada, ben, "gone"))
        await ada.engine.delete(friend, await talk(ada, ben, "gone for all"), DeletionScope.EVERYONE)
        await timed(ada, ben, 60)
        timer = await talk(ben, ada, "with a timer")
        edited = ada.wait(EntryEdited)
        await ben.engine.edit(await ben.contact(ada), timer, "words that end, too")
        await edited
        made = await ada.engine.back_up(str(tmp_path / "b"), "its own")
        for form in ("jsonl", "html"):
            await export(ada, tmp_path / f"a.{form}", form)
            view = readable.check(tmp_path / f"a.{form}")
            assert (view.entries, view.root) == (9, made.root)
            assert "words that end" not in (tmp_path / f"a.{form}").read_text("utf-8")
            assert b"words that end".hex() not in (tmp_path / f"a.{form}").read_text("utf-8")
        lines = (tmp_path / "a.jsonl").read_text("utf-8").splitlines(keepends=True)
        entries = [(place, one) for place, line in enumerate(lines) if "id" in (one := json.loads(line))]
        spoilt = tmp_path / "spoilt"
        for place, entry in entries:
            changes = [
                {"text": f"{entry['text']} "},
                {"kind": "edit" if entry["kind"] == "text" else "text"},
                {"reply": "00" * 32},
                {"own": not entry["own"]},
                {"note": "one more"},
            ]
            wrong = [json.dumps(entry | change) + "\n" for change in changes]
            wrong.append(lines[place].replace("{", '{"text": "something else", ', 1))
            for one in wrong:
                spoilt.write_text("".join([*lines[:place], one, *lines[place + 1 :]]), "utf-8")
                with pytest.raises(BadData):
                    readable.check(spoilt)
        for deep in ("[" * 200_000, "[" * (2 * readable.LINE_MAX)):
            spoilt.write_text(lines[0] + deep, "utf-8")
            with pytest.raises(BadData):
                readable.check(spoilt)
        page = (tmp_path / "a.html").read_text("utf-8")
        for old, new in (
            (' class="own"', ""),
            ("<footer>9 messages", "<footer>8 messages"),
            (">edit<", ">text<"),
        ):
            assert old in page
            spoilt.write_text(page.replace(old, new, 1), "utf-8")
            with pytest.raises(BadData):
                readable.check(spoilt)


@in_virtual_time(limit=600)
async def test_every_kind_that_a_contact_sends_is_exported_and_verified(tmp_path: Path) -> None:
    """With a claim, a file, what both wrote and what devices of one person say to each other."""
    async with in_touch(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        await talk(ada, ben, "mine")
        of_ben = {"author": ben.engine._use_cases.keyring.own.terminal}
        previous = None
        for kind in sorted(KINDS - {KIND_STATE}):
            sent = invented(ada, ben, "", previous, kind=kind, body=BODIES[kind], **of_ben)  # type: ignore[arg-type]
            previous = sent.header.sequence, sent.id
            await sends(ben, ada, sent)
        first = await ada.engine._use_cases.store.read(
            entries.get, bytes.fromhex((await ada.history(ben))[0].id)
        )
        assert first is not None
        own = first.sequence, first.id
        await sends(ben, ada, invented(ada, ben, "I owe you", own, ahead=1_000))
        await ada.engine.rename(friend, "Benny")
        await ada.engine.send((await ada.engine.me()).person, "a note")
        assert [view.text for view in await ada.history(ben) if view.claimed] == ["I owe you"]
        for form in FORMS:
            path = tmp_path / f"a.{form}"
            made = await export(ada, path, form)
            view = readable.check(path)
            assert (view.entries, view.checksum) == (made.entries, made.checksum)
            text = path.read_text("utf-8").replace("\\", "")
            assert "holiday/2027" in text
            assert ("who says that you wrote this" in text) is (form != "jsonl")
        rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
        found = [
            parse_entry(Entry(*(bytes.fromhex(row[name]) for name in ("header", "salt", "body"))))
            for row in rows
            if "id" in row
        ]
        assert {one.header.kind for one in found} >= KINDS


@in_virtual_time
async def test_the_exports_of_two_contacts_have_one_root_hash(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await talk(ben, ada, "hello")
        made = [
            await one.engine.export(str(tmp_path / f"{number}.html"), "html", await one.contact(other))
            for number, (one, other) in enumerate(((ada, ben), (ben, ada)))
        ]
        assert made[0].root == made[1].root
        assert made[0].checksum != made[1].checksum


@in_virtual_time
async def test_an_export_that_cannot_be_read_again_is_refused_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, _ben):
        end = NewFile.end

        def spoil(file: NewFile) -> None:
            end(file)
            data = bytearray(file.unfinished.read_bytes())
            data[data.index(b"before")] ^= 1
            file.unfinished.write_bytes(data)

        for form in FORMS:
            checked = ada.wait(BackupProgress, lambda event: event.checking)
            await export(ada, tmp_path / f"whole.{form}", form)
            await checked
            with monkeypatch.context() as patch:
                patch.setattr(NewFile, "end", spoil)
                with pytest.raises(CannotCreate, match="was not exported"):
                    await export(ada, tmp_path / f"spoilt.{form}", form)
        assert _names(tmp_path) == {f"whole.{form}" for form in FORMS}


def _names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir() if one.name.startswith(("whole", "spoilt"))}
