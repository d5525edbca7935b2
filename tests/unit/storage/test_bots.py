"""Which declaration of a bot is in force: the last one that counts."""

from __future__ import annotations

import pytest

from chat.storage import bots
from chat.storage.database import Database
from protocol import labels
from protocol.bots import bot_body
from protocol.codec import encode
from protocol.entries_and_receipts import KIND_BOT, ParsedEntry, parse_entry
from protocol.messages import BotBody, BotCommand, Entry, EntryHeader
from protocol.primitives import b2b
from tests.support.storage.samples import TALK, THEIR_TERMINAL, blob, store

SALT = bytes(16)
OF_RULE = (
    "INSERT INTO rules (number, conversation, author, cut, decides, over)"
    " SELECT 7, conversation, author, 0, 1, 0"
)


def declared(command: str, sequence: int, previous: bytes = b"") -> ParsedEntry:
    body = bot_body(BotBody(True, [BotCommand(command, "does it")]))
    header = EntryHeader(
        conversation=TALK,
        author=THEIR_TERMINAL.terminal,
        incarnation=b"incarnat",
        sequence=sequence,
        previous=previous,
        parents=[],
        membership=[blob("a head")],
        time=1_000 * sequence,
        kind=KIND_BOT,
        timer=0,
        until=0,
        content=b2b(SALT + body, personal=labels.CONTENT),
        self_tag=b"",
    )
    return parse_entry(Entry(encode(header), SALT, body))


@pytest.mark.parametrize(
    "left_out",
    [
        ("INSERT INTO uncovered (entry) SELECT number FROM entries WHERE id = ?",),
        (
            f"{OF_RULE} FROM entries WHERE id = ?",
            "INSERT INTO quarantine (entry, rule) SELECT number, 7 FROM entries WHERE id = ?",
        ),
    ],
    ids=["uncovered", "quarantined"],
)
def test_what_does_not_count_declares_nothing(database: Database, left_out: tuple[str, ...]) -> None:
    first = declared("first", 1)
    last = declared("last", 2, first.id)
    store(database, first, last)
    before = bots.of_contact(database, TALK)
    with database.transaction():
        for statement in left_out:
            database.run(statement, last.id)
    after = bots.of_contact(database, TALK)
    assert before is not None
    assert after is not None
    assert [one.commands[0].name for one in (before, after)] == ["last", "first"]
