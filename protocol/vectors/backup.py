"""Checks the vectors of backups: the sealed file, its records, and root hashes (SPEC §21.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol.backup import sealed
from protocol.backup.records import RecordReader
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.limits import BACKUP_CHUNK_BYTES
from protocol.profile_header import Cost
from protocol.vectors.frame import Action, Json, read_bytes, run_steps, write_bytes

AREA: Final = "backup"


def _file(inputs: Json, step: Json) -> bytes:
    """The bytes of a step's file: its own, or slices of the group's."""
    if "slices" not in step:
        return read_bytes(step["file"])
    whole = read_bytes(inputs["file"])
    return b"".join(whole[start:end] for start, end in step["slices"])


def seal_file(header: bytes, sealer: sealed.Sealer, content: bytes) -> bytes:
    """The whole file of a content."""
    starts = range(0, max(len(content), 1), BACKUP_CHUNK_BYTES)
    chunks = [
        sealer.seal(content[at : at + BACKUP_CHUNK_BYTES], last=at + BACKUP_CHUNK_BYTES >= len(content))
        for at in starts
    ]
    return b"".join([header, *chunks])


def open_file(data: bytes, passphrase: str) -> bytes:
    """The content of a whole file."""
    opener = sealed.Opener(sealed.unlock(sealed.parse(data), passphrase))
    parts = list[bytes]()
    for at in range(sealed.HEADER_SIZE, max(len(data), sealed.HEADER_SIZE + 1), sealed.SEALED_CHUNK_SIZE):
        end = at + sealed.SEALED_CHUNK_SIZE
        parts.append(opener.open(data[at:end], last=end >= len(data)))
    return b"".join(parts)


def _seal(_: Json, step: Json) -> Json:
    salt, cost = read_bytes(step["salt"]), Cost(step["operations"], step["memory_bytes"])
    header, sealer = sealed.begin(step["passphrase"], cost, lambda _: salt)
    return {"file": write_bytes(seal_file(header, sealer, read_bytes(step["content"])))}


def _open(inputs: Json, step: Json) -> Json:
    return {"content": write_bytes(open_file(_file(inputs, step), step["passphrase"]))}


def _read(_: Json, step: Json) -> Json:
    reader, content, numbers = RecordReader(), read_bytes(step["content"]), list[int]()
    for at in range(0, len(content), step.get("pieces", BACKUP_CHUNK_BYTES)):
        found = reader.feed(content[at : at + step.get("pieces", BACKUP_CHUNK_BYTES)])
        numbers += [int(str(type(record).__struct_config__.tag)) for record, _ in found]
    reader.finish()
    roots = {
        conversation.hex(): {"count": count, "root": root.hex()}
        for conversation, (count, root) in reader.roots.items()
    }
    end = {"entries": reader.end.entries, "root": reader.end.root.hex()} if reader.end else {}
    return {"numbers": numbers, "roots": roots, "end": end}


def _root(_: Json, step: Json) -> Json:
    root = RootHash(read_bytes(step["conversation"]))
    for entry in step["entries"]:
        root.add(read_bytes(entry["id"]), read_bytes(entry["content"]) or NOT_HELD)
    return {"root": root.root.hex()}


def _history(_: Json, step: Json) -> Json:
    pairs = [(read_bytes(one["conversation"]), read_bytes(one["root"])) for one in step["roots"]]
    return {"root": history_root(pairs).hex()}


ACTIONS: Final[Mapping[str, Action[Json]]] = {
    "seal": _seal,
    "open": _open,
    "read": _read,
    "root": _root,
    "history": _history,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else."""
    run_steps(test, ACTIONS, inputs)
