"""Targets of backups and readable exports, which a person may have got from anybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chat.service import formats
from chat.service.views import utc
from protocol.backup import sealed
from protocol.backup.records import BackupEnd, BackupLog, BackupStart, RecordReader
from protocol.backup.root import RootHash, history_root
from protocol.errors import ProtocolError
from protocol.profile_header import CHEAPEST
from tests.fuzz.target import PHRASE, Target, drawn, text_of
from tests.vectors.backup import content_of, entry_of, example, person, stored
from tests.vectors.files import Seed


def _headers() -> dict[str, bytes]:
    header, _ = sealed.begin("correct horse", CHEAPEST, drawn("backup header"))
    return {"cheapest": header}


def _records(data: bytes) -> object:
    reader = RecordReader()
    for at in range(0, len(data), 64):
        reader.feed(data[at : at + 64])
    reader.finish()
    return reader.end


def _contents() -> dict[str, bytes]:
    start, own, *_ = example(PHRASE)
    assert isinstance(start, BackupStart)
    assert isinstance(own, BackupLog)
    return {
        "a-person-alone": content_of([start, own, BackupEnd(0, history_root([]))]),
        "two-contacts": content_of(example(PHRASE)),
    }


def _export(data: bytes) -> object:
    return formats.verify(text_of(data).splitlines(keepends=True))


def _exports() -> dict[str, bytes]:
    seed = Seed(PHRASE, "export")
    entry = entry_of(seed, person(seed, "Own"), person(seed, "Other"), "hello")
    record, root = stored(entry), RootHash(entry.header.conversation)
    root.add(entry.id, entry.header.content)
    time = utc(entry.header.time)
    shown = (entry.id.hex(), "Ada", True, time, "text", "queued", "", "hello")
    made = formats.Shown(*shown, record.header, record.salt, record.body)
    talk = entry.header.conversation.hex()
    whole = history_root([(entry.header.conversation, root.root)]).hex()
    found = {}
    for name in ("jsonl", "html"):
        form = formats.FORMS[name]
        parts = form.begin("Ada", time), form.talk(talk, "Ben"), form.entry(made)
        ends = form.end_talk(talk, 1, root.root.hex()), form.end(1, whole)
        found[name] = "".join((*parts, *ends)).encode()
    return found


TARGETS: Final[Mapping[str, Target]] = {
    "backup-header": Target(sealed.parse, (ProtocolError,), _headers),
    "backup-records": Target(_records, (ProtocolError,), _contents, slow=True),
    "readable-export": Target(_export, (formats.NotVerified,), _exports, slow=True),
}
