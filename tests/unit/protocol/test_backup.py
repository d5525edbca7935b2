"""The sealed file and the records of a backup (SPEC §21.1), changed in every way."""

from __future__ import annotations

from typing import Final

import pytest

from protocol import labels
from protocol.backup import sealed
from protocol.backup.records import Record, RecordReader, padding, write_record
from protocol.errors import LocalMisuse, Malformed, ProtocolError
from protocol.limits import BACKUP_CHUNK_BYTES, BACKUP_RECORD_MAX
from protocol.profile_header import CHEAPEST
from protocol.vectors.backup import open_file, seal_file
from tests.vectors.backup import content_of, example
from tests.vectors.files import read_phrase
from tests.vectors.generate import PHRASE_FILE

PASSPHRASE: Final = "a passphrase"


def records() -> list[Record]:
    return list(example(read_phrase(PHRASE_FILE.read_text(encoding="utf-8"))))


def file_of(content: bytes, salt: bytes = bytes(16)) -> bytes:
    header, sealer = sealed.begin(PASSPHRASE, CHEAPEST, lambda _: salt)
    return seal_file(header, sealer, content)


def test_case_76_no_changed_byte_and_no_cut_of_a_backup_opens() -> None:
    data = file_of(b"content")
    assert open_file(data, PASSPHRASE) == b"content"
    key = sealed.unlock(sealed.parse(data), PASSPHRASE)
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(ProtocolError):
            if place < sealed.HEADER_SIZE:
                sealed.unlock(sealed.parse(changed), PASSPHRASE)
            else:
                sealed.Opener(key).open(changed[sealed.HEADER_SIZE :], last=True)
    for size in range(sealed.HEADER_SIZE, len(data)):
        with pytest.raises(ProtocolError):
            sealed.Opener(key).open(data[sealed.HEADER_SIZE : size], last=True)
    for longer in (data + b"\x00", data + data[sealed.HEADER_SIZE :]):
        with pytest.raises(ProtocolError):
            open_file(longer, PASSPHRASE)


def test_case_76_a_backup_opens_under_no_other_passphrase_and_of_no_other_version() -> None:
    data = file_of(b"content")
    for wrong in ("", "A passphrase", "a passphrase ", "passphrase"):
        with pytest.raises(ProtocolError):
            open_file(data, wrong)
    later = data.replace(b"parlour-backup\x01", b"parlour-backup\x02")
    with pytest.raises(sealed.NewerBackup):
        sealed.parse(later)
    with pytest.raises(Malformed):
        sealed.parse(data.replace(b"parlour-backup\x01", b"parlour-backup\x00"))


def test_case_76_chunks_open_in_their_place_of_their_file_alone() -> None:
    content = b"a" * BACKUP_CHUNK_BYTES + b"b" * BACKUP_CHUNK_BYTES + b"end"
    data, other = file_of(content), file_of(content, b"s" * 16)
    size, begin = sealed.SEALED_CHUNK_SIZE, sealed.HEADER_SIZE
    chunks = [data[begin + place * size : begin + (place + 1) * size] for place in range(3)]
    foreign = other[begin : begin + size]
    for parts in (
        chunks[:2],
        chunks[:1],
        chunks[1:],
        [chunks[1], chunks[0], chunks[2]],
        [chunks[0], chunks[0], chunks[2]],
        [chunks[0], chunks[2]],
        [foreign, *chunks[1:]],
        [*chunks, chunks[2]],
    ):
        with pytest.raises(ProtocolError):
            open_file(data[:begin] + b"".join(parts), PASSPHRASE)
    with pytest.raises(ProtocolError):
        open_file(other[:begin] + data[begin:], PASSPHRASE)


def test_case_76_every_cut_and_every_longer_content_is_refused() -> None:
    content = content_of(records())
    for wrong in (*(content[:size] for size in range(0, len(content), 29)), content + b"\x00", content * 2):
        reader = RecordReader()
        with pytest.raises(ProtocolError):
            reader.feed(wrong)
            reader.finish()


def test_case_76_the_size_of_a_backup_is_one_of_few() -> None:
    padded = {size + padding(size) for size in range(60_000, 61_000)}
    assert len(padded) <= 3


def test_case_11_no_hash_of_a_backup_is_one_of_another_use() -> None:
    own = {labels.BACKUP_MAC_KEY, labels.BACKUP_MAC, labels.BACKUP_CHUNKS, labels.HISTORY_ROOT}
    assert len(own) == 4
    assert all(label.startswith(b"parlour.b") for label in own)
    assert {label for label in labels.registry() if label.startswith(b"parlour.b")} == own


def test_a_chunk_of_another_size_or_after_the_last_is_not_sealed() -> None:
    _, sealer = sealed.begin(PASSPHRASE, CHEAPEST, lambda size: bytes(size))
    for chunk, last in ((b"short", False), (bytes(BACKUP_CHUNK_BYTES + 1), True)):
        with pytest.raises(LocalMisuse):
            sealer.seal(chunk, last=last)
    sealer.seal(b"", last=True)
    with pytest.raises(LocalMisuse):
        sealer.seal(b"", last=True)


def test_memory_holds_no_more_than_a_record_and_a_chunk() -> None:
    reader, made = RecordReader(), records()
    reader.feed(write_record(made[0]))
    reader.feed(BACKUP_RECORD_MAX.to_bytes(4))
    with pytest.raises(ProtocolError):
        for _ in range(BACKUP_RECORD_MAX // BACKUP_CHUNK_BYTES + 2):
            reader.feed(bytes(BACKUP_CHUNK_BYTES))
            assert len(reader._pending) <= BACKUP_RECORD_MAX + BACKUP_CHUNK_BYTES
