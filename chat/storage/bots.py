"""What persons declare of themselves as bots (SPEC §11.11): the last entry of each that counts."""

from __future__ import annotations

from functools import partial
from typing import Final

from msgspec import Struct

from chat.storage import contacts, keys, quarantine
from chat.storage.aside import Aside
from chat.storage.database import Database
from protocol.bots import read_bot
from protocol.entries_and_receipts import KIND_BOT, is_own
from protocol.messages import ENTRY_HEADER, BotBody

_OURS: Final = (
    "SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)"
    " UNION ALL SELECT t.number FROM own AS o JOIN terminals AS t ON t.terminal = o.terminal"
)

_DECLARED: Final = (
    "SELECT e.header, ifnull(b.body, x''), EXISTS (SELECT 1 FROM person_terminals"
    " WHERE terminal = e.author AND person NOT IN (SELECT person FROM own))"
    " FROM entries AS e INDEXED BY entries_that_declare_bots LEFT JOIN bodies AS b ON b.entry = e.number"
    f" WHERE e.conversation = ? AND e.kind = {KIND_BOT} AND e.author {{}} IN ({_OURS})"
    f" AND NOT EXISTS (SELECT 1 FROM {quarantine.QUARANTINED} WHERE q.entry = e.number)"
    " AND e.number NOT IN (SELECT entry FROM uncovered) AND e.number NOT IN (SELECT entry FROM claims)"
    " ORDER BY e.rank DESC, e.id DESC LIMIT ?"
)

LOOKED_AT: Final = 64
"""Entries among which one of this person is looked for. Another person whose log has a terminal of this one
could fill them: this person then declares again."""


def of_contact(db: Database, conversation: bytes) -> BotBody | None:
    """What the contact of a conversation declares; None where nothing is in force."""
    row = db.row(_DECLARED.format("NOT"), contacts.find_conversation_number(db, conversation), 1)
    return read_bot(row[1]) if row is not None and row[1] else None


def of_contacts(db: Database, aside: Aside | None = None) -> dict[bytes, BotBody]:
    """The contacts that declare anything, by person."""
    aside = aside or Aside()
    declares = f"SELECT 1 FROM entries AS e WHERE e.conversation = c.number AND e.kind = {KIND_BOT}"
    rows = db.rows(
        f"SELECT c.contact, c.id FROM conversations AS c WHERE c.contact IS NOT NULL AND EXISTS ({declares})"
    )
    found = {
        contact: aside.read(f"bot {contact.hex()}", partial(of_contact, db, conversation))
        for contact, conversation in rows
    }
    return {contact: body for contact, body in found.items() if body is not None}


class Declared(Struct, frozen=True):
    """What this person declared, None where that is in force no more, and the terminal that wrote it (id)."""

    body: BotBody | None
    terminal: bytes


def own(db: Database, conversation: bytes) -> Declared | None:
    """What this person declared last in a conversation, or in its notes; None where it never did."""
    self_keys = keys.self_keys(db)
    number = contacts.find_conversation_number(db, conversation)
    for header, body, shared in db.rows(_DECLARED.format(""), number, LOOKED_AT):
        fields = ENTRY_HEADER.decode(header)
        if not shared or is_own(fields, self_keys):
            return Declared(read_bot(body) if body else None, fields.author)
    return None
