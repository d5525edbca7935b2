"""Targets of backups and readable exports, which a person may have got from anybody."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from chat.interface import EntryState
from chat.service import export_check, formats
from chat.service.views import utc
from protocol.backup import sealed
from protocol.backup.records import BackupEnd, BackupLog, BackupStart, RecordReader
from protocol.backup.root import RootHash, history_root
from protocol.errors import ProtocolError
from protocol.profile_header import CHEAPEST
from tests.fuzz.target import PHRASE, Target, drawn, text_of
from tests.vectors.backup import content_of, entry_of, example, person
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
    return export_check.verify(text_of(data).splitlines(keepends=True))


def _exports() -> dict[str, bytes]:
    seed = Seed(PHRASE, "export")
    own, other = person(seed, "Own"), person(seed, "Other")
    entry = entry_of(seed, own, other, "hello")
    root = RootHash(entry.header.conversation)
    root.add(entry.id, entry.header.content)
    who = formats.Speakers(own.person.hex(), "Ada", other.person.hex(), "Ben")
    made = formats.shown(entry, who, formats.Known(own=True, state=EntryState.QUEUED))
    talk = entry.header.conversation.hex()
    whole = history_root([(entry.header.conversation, root.root)]).hex()
    found = {}
    for name, form in formats.FORMS.items():
        time = utc(entry.header.time)
        parts = form.begin(who.own, "Ada", time), form.talk(talk, who.person, "Ben"), form.entry(made)
        text = "".join((*parts, form.end_talk(talk, 1, root.root.hex()), form.end(1, whole)))
        found[name] = f"{text}{form.seal(sha256(text.encode()).hexdigest())}".encode()
    return found


TARGETS: Final[Mapping[str, Target]] = {
    "backup-header": Target(sealed.parse, (ProtocolError,), _headers),
    "backup-records": Target(_records, (ProtocolError,), _contents, slow=True),
    "readable-export": Target(_export, (formats.NotVerified,), _exports, slow=True),
}
