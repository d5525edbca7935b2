"""Contacts and conversations. Ids of conversations are the protocol's, their numbers are only local."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import groupby
from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

from chat.storage import names, removal, secure_deletion, settings
from chat.storage.database import Database
from chat.storage.errors import StorageMisuse

TWO: Final = 1
NOTES: Final = 3

_SELECT_CONVERSATIONS = "SELECT number, id, kind, contact FROM conversations"


class ConversationRow(Struct, frozen=True):
    """A conversation. `kind` is TWO or NOTES, `contact` the other person of a TWO."""

    number: int
    id: bytes
    kind: int
    contact: bytes | None


def ensure_conversation(db: Database, conversation: bytes, kind: int, contact: bytes | None) -> int:
    """The number of a conversation, which is created if needed."""
    found = find_conversation_number(db, conversation)
    if found is not None:
        return found
    return db.insert(
        "INSERT INTO conversations (id, kind, contact) VALUES (?, ?, ?)", conversation, kind, contact
    )


def conversation(db: Database, conversation: bytes) -> ConversationRow | None:
    found = db.row(f"{_SELECT_CONVERSATIONS} WHERE id = ?", conversation)
    return None if found is None else ConversationRow(*found)


def conversation_with(db: Database, person: bytes) -> ConversationRow | None:
    """The conversation of two with this person."""
    found = db.row(f"{_SELECT_CONVERSATIONS} WHERE contact = ? AND kind = ?", person, TWO)
    return None if found is None else ConversationRow(*found)


def partner(db: Database, row: ConversationRow) -> bytes | None:
    """The person under whom clients know a conversation: the contact, or this person for the notes."""
    if row.kind != NOTES:
        return row.contact
    own: bytes | None = db.value("SELECT person FROM own WHERE id = 1")
    return own


def partner_in(db: Database, number: int) -> bytes | None:
    """The same by the local number of the conversation."""
    found = db.row(f"{_SELECT_CONVERSATIONS} WHERE number = ?", number)
    return None if found is None else partner(db, ConversationRow(*found))


def conversations(db: Database) -> list[ConversationRow]:
    """All conversations, oldest first, without those that are being removed."""
    rows = db.rows(f"{_SELECT_CONVERSATIONS} WHERE number NOT IN {removal.REMOVED} ORDER BY number")
    return [ConversationRow(*found) for found in rows]


def spoken_to(db: Database, terminal: bytes) -> list[bytes]:
    """Persons to whom this terminal wrote, the latest first. By local order, since times are only claims."""
    rows = db.rows(
        "SELECT contact, (SELECT e.number FROM entries AS e WHERE e.conversation = c.number"
        " AND e.author = (SELECT number FROM terminals WHERE terminal = ?)"
        " AND e.number NOT IN (SELECT entry FROM claims)"  # a contact could come first by them
        " ORDER BY e.sequence DESC LIMIT 1) AS newest FROM conversations AS c"
        " WHERE contact IS NOT NULL AND newest IS NOT NULL ORDER BY newest DESC",
        terminal,
    )
    return [row[0] for row in rows]


def find_conversation_number(db: Database, conversation: bytes) -> int | None:
    """The number of a conversation, or None."""
    found = db.value("SELECT number FROM conversations WHERE id = ?", conversation)
    return None if found is None else int(found)


def conversation_number(db: Database, conversation: bytes) -> int:
    """The number of a conversation. Raises StorageMisuse if it does not exist."""
    found = find_conversation_number(db, conversation)
    if found is None:
        raise StorageMisuse("no such conversation: see ensure_conversation")
    return found


PENDING: Final = "pending"
PAIRED: Final = "paired"

_OWN_LIVE: Final = (
    "(SELECT t.terminal FROM person_terminals AS p JOIN terminals AS t ON t.number = p.terminal"
    " WHERE p.live AND p.person IN (SELECT person FROM own))"
)
# A removed terminal sends nothing to anybody, and would show all contacts as held back.
_NOT_LIVE: Final = f"coalesce((SELECT terminal FROM own) NOT IN {_OWN_LIVE}, 1)"
_COUNTING: Final = f"v.terminal IN {_OWN_LIVE} AND v.source IN {_OWN_LIVE}"
_OF_CONTACT: Final = "FROM vouchers AS v WHERE v.person = c.person"
_SELECT_CONTACTS: Final = (
    "SELECT person, name, petname, state, verified, blocked, held, since, pinned, muted,"
    # Where nobody is known to vouch, nobody who was removed does.
    f" {_NOT_LIVE} OR coalesce((SELECT max({_COUNTING}) {_OF_CONTACT}), 1),"
    f" {_NOT_LIVE} OR coalesce((SELECT max({_COUNTING} AND v.compared) {_OF_CONTACT}), 1)"
    " FROM contacts AS c"
)


class ContactRow(Struct, frozen=True):
    """A contact. `name` is the contact's own name, `petname` this person's name for it, or empty.

    `held`: the identity changed, and nothing is sent until this person confirms. `since` is in milliseconds.
    `verified` and `held` are what is stored, which removals of own terminals change in what is shown:
    `vouched` is whether a live one has paired or compared, `compared` whether a live one has compared. Both
    come from the stored vouchers and are not stored with the row.
    """

    person: bytes
    name: str
    petname: str
    state: str
    verified: bool
    blocked: bool
    held: bool
    since: int
    pinned: bool = False
    muted: bool = False
    vouched: bool = True
    compared: bool = True
    shown: str = ""  # always the displayed name: the petname, or the name, which is text of a peer
    is_verified: bool = False  # always whether a comparison by a terminal that is live makes it verified
    waits: bool = False  # always whether nothing is sent until this person has compared

    def __post_init__(self) -> None:
        force_setattr(self, "shown", self.petname or self.name)
        force_setattr(self, "is_verified", self.verified and self.compared)
        force_setattr(self, "waits", self.held or not self.vouched)


def add(db: Database, row: ContactRow) -> None:
    """Store a contact, replacing a row of the same person."""
    db.run(
        "INSERT OR REPLACE INTO contacts (person, name, petname, state, verified, blocked, held, since,"
        " pinned, muted) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(row.person, row.name, row.petname, row.state),
        *(int(row.verified), int(row.blocked), int(row.held), row.since, int(row.pinned), int(row.muted)),
    )
    _called(db, row.person)


def get(db: Database, person: bytes) -> ContactRow | None:
    """A contact in any state."""
    found = _rows(db, "WHERE person = ?", person)
    return found[0] if found else None


def all(db: Database) -> list[ContactRow]:
    """Paired contacts, by person id."""
    return _rows(db, "WHERE state = ? ORDER BY person", PAIRED)


def pending(db: Database) -> list[ContactRow]:
    """Contacts of unfinished pairings, by person id. They are not displayed."""
    return _rows(db, "WHERE state = ? ORDER BY person", PENDING)


def set_name(db: Database, person: bytes, name: str) -> None:
    """Store the current name of the person's log. Where it has none any more, the former one stays."""
    db.run("UPDATE contacts SET name = ? WHERE person = ? AND ? != ''", name, person, name)
    _called(db, person)


def set_petname(db: Database, person: bytes, petname: str) -> None:
    """Store this person's name for the contact; empty for the contact's own."""
    db.run("UPDATE contacts SET petname = ? WHERE person = ?", petname, person)
    _called(db, person)


def give_name(db: Database, person: bytes, petname: str) -> None:
    """Store a name that this person chooses, which it takes from those who have it no more."""
    set_petname(db, person, petname)
    names.given(db, person, petname, ((row.person, row.shown) for row in all(db)))


def digits(db: Database) -> dict[bytes, int]:
    """By paired contact how many digits of its id its label needs, 0 for none."""
    return names.digits(db, {row.person: row.shown for row in all(db)})


def _called(db: Database, person: bytes) -> None:
    """Keep what a paired contact is called from now on."""
    row = get(db, person)
    if row is not None and row.state == PAIRED:
        names.called(db, person, row.shown)


def set_state(db: Database, person: bytes, state: str) -> None:
    """Store PENDING or PAIRED."""
    db.run("UPDATE contacts SET state = ? WHERE person = ?", state, person)
    _called(db, person)


def set_paired(db: Database, person: bytes, since: int) -> None:
    """Store that a person is a contact since this Unix time in milliseconds."""
    db.run("UPDATE contacts SET state = ?, since = ? WHERE person = ?", PAIRED, since, person)
    _called(db, person)


def set_verified(db: Database, person: bytes, on: bool) -> None:
    """Store whether words or safety numbers were compared. `vouch` stores by which terminal."""
    db.run("UPDATE contacts SET verified = ? WHERE person = ?", int(on), person)


def forget_comparisons(db: Database, person: bytes) -> None:
    """No terminal has compared with a contact since its identity changed: it is not verified."""
    set_verified(db, person, False)
    db.run("UPDATE vouchers SET compared = 0 WHERE person = ?", person)


def set_blocked(db: Database, person: bytes, on: bool) -> None:
    """Store whether the contact is treated like a stranger."""
    db.run("UPDATE contacts SET blocked = ? WHERE person = ?", int(on), person)


def set_pinned(db: Database, person: bytes, on: bool) -> None:
    """Store whether the conversation with the contact is listed before others."""
    db.run("UPDATE contacts SET pinned = ? WHERE person = ?", int(on), person)


def set_muted(db: Database, person: bytes, on: bool) -> None:
    """Store whether what comes in the conversation with the contact makes no sound."""
    db.run("UPDATE contacts SET muted = ? WHERE person = ?", int(on), person)


def set_held(db: Database, person: bytes, on: bool) -> None:
    """Store whether sending waits until this person confirms a changed identity."""
    db.run("UPDATE contacts SET held = ? WHERE person = ?", int(on), person)


class ComparisonRow(Struct, frozen=True):
    """The last comparison with a contact, by pairing words or by the safety number, at `time` (milliseconds).

    `newest` and `terminals` are the contact's newest recovery and live terminals then (ids of 32 bytes).
    """

    person: bytes
    by_words: bool
    time: int
    newest: bytes
    terminals: tuple[bytes, ...]


def add_comparison(db: Database, row: ComparisonRow) -> None:
    """Store a comparison in the place of the one before."""
    db.run(
        "INSERT OR REPLACE INTO comparisons (person, by_words, time, newest, terminals)"
        " VALUES (?, ?, ?, ?, ?)",
        *(row.person, int(row.by_words), row.time, row.newest, b"".join(row.terminals)),
    )


def comparison(db: Database, person: bytes) -> ComparisonRow | None:
    """The last comparison with a contact, None if there was none since this is stored."""
    found = db.row("SELECT by_words, time, newest, terminals FROM comparisons WHERE person = ?", person)
    if found is None:
        return None
    by_words, time, newest, joined = found
    terminals = tuple(joined[at : at + 32] for at in range(0, len(joined), 32))
    return ComparisonRow(person, bool(by_words), time, newest, terminals)


class VoucherRow(Struct, frozen=True):
    """A terminal of this person that has paired with a contact, or `compared` with it.

    `source`: the terminal that said so. What one of the two said counts while both are live.
    """

    person: bytes
    terminal: bytes
    source: bytes
    compared: bool


def vouch(db: Database, row: VoucherRow) -> None:
    """Store that a terminal has paired or compared with a contact. A comparison that is there stays."""
    db.run(
        "INSERT INTO vouchers (person, terminal, source, compared) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET compared = max(compared, excluded.compared)",
        *(row.person, row.terminal, row.source, int(row.compared)),
    )


def vouch_here(db: Database, person: bytes, terminal: bytes, *, compared: bool) -> None:
    """Store that this terminal (id) has paired or compared with a contact."""
    vouch(db, VoucherRow(person, terminal, terminal, compared))


def uncompare(db: Database, person: bytes, terminal: bytes) -> None:
    """Store that *verified* was taken away since a terminal compared."""
    db.run(
        "UPDATE vouchers SET compared = 0 WHERE person = ? AND terminal = ? AND source = ?",
        *(person, terminal, terminal),
    )


def vouchers(db: Database, person: bytes) -> list[tuple[bytes, bool]]:
    """The terminals that vouch for a contact (ids), those that count first, and whether each compared.

    What a terminal that is live no more said of others is its own word: who gets it might believe it.
    """
    rows = db.rows(
        f"SELECT CASE WHEN v.source IN {_OWN_LIVE} THEN v.terminal ELSE v.source END AS terminal,"
        f" max(v.compared), max({_COUNTING}) AS counts FROM vouchers AS v"
        " WHERE v.person = ? GROUP BY 1 ORDER BY counts DESC, 1",
        person,
    )
    return [(terminal, bool(compared)) for terminal, compared, _ in rows]


def losing(db: Database, live: Collection[bytes], renewed: bytes = b"") -> tuple[list[bytes], list[bytes]]:
    """The contacts for which nobody would vouch any more once these terminals (ids) alone are live.

    And the others that would be verified no more. Persons, ascending; a blocked one is none of them.
    `renewed`: the id of this terminal, if new keys take over what it did (`carry_over`).
    """
    left = {*((one, other) for one in live for other in live), (renewed, renewed)}
    rows = db.rows(
        f"SELECT v.person, v.terminal, v.source, c.verified AND v.compared, {_COUNTING} FROM vouchers AS v"
        " JOIN contacts AS c ON c.person = v.person AND c.state = ? AND NOT c.blocked ORDER BY v.person",
        PAIRED,
    )
    held, unverified = list[bytes](), list[bytes]()
    for person, some in groupby(rows, key=lambda row: bytes(row[0])):
        said = list(some)
        before = {bool(compared) for *_, compared, counts in said if counts}
        after = {bool(compared) for _, *by, compared, _ in said if tuple(by) in left}
        if before and not after:
            held.append(person)
        elif True in before and True not in after:
            unverified.append(person)
    return held, unverified


def carry_over(db: Database, former: bytes, terminal: bytes) -> None:
    """What this terminal did under a former id it did: it has other keys now, and the same person."""
    db.run(
        "UPDATE OR IGNORE vouchers SET terminal = ?1, source = ?1 WHERE terminal = ?2 AND source = ?2",
        *(terminal, former),
    )


def vouched_by(db: Database, terminal: bytes) -> list[VoucherRow]:
    """What a terminal has said itself of paired contacts that share a secret, by person id."""
    rows = db.rows(
        "SELECT v.person, v.terminal, v.source, v.compared FROM vouchers AS v JOIN contacts AS c"
        " ON c.person = v.person AND c.state = ?1 WHERE v.terminal = ?2 AND v.source = ?2"
        " AND EXISTS (SELECT 1 FROM pairings AS s WHERE s.contact = v.person) ORDER BY v.person",
        *(PAIRED, terminal),
    )
    return [VoucherRow(person, by, source, bool(compared)) for person, by, source, compared in rows]


def drop_pending(db: Database, is_late: Callable[[int], bool]) -> list[bytes]:
    """Remove contacts that have been pending since a time that is too late. Returns their person ids."""
    late = [row.person for row in pending(db) if is_late(row.since)]
    for person in late:
        remove(db, person)
    return late


def remove(db: Database, person: bytes) -> None:
    """Delete a contact with its log, terminals, addresses, shares and preferences, and begin to remove its
    history, which nothing shows from now on.

    Of the history only the ids of deleted entries stay. `secure_deletion.clean_file` must follow: it removes
    the rest.
    """
    settings.forget_person(db, person)
    names.forget(db, person)
    conversation = conversation_with(db, person)
    if conversation is not None:
        removal.begin(db, conversation.number)
    for table in ("known_addresses", "seen"):
        db.run(
            f"DELETE FROM {table} WHERE terminal IN (SELECT terminal FROM terminals WHERE number IN"
            " (SELECT terminal FROM person_terminals WHERE person = ?1))"
            " AND terminal NOT IN (SELECT terminal FROM terminals WHERE number IN"
            " (SELECT terminal FROM person_terminals WHERE person != ?1))",
            person,
        )
    for table in ("pairings", "shares", "opened"):
        db.run(f"DELETE FROM {table} WHERE contact = ?", person)
    db.run("DELETE FROM operations WHERE person = ?", person)
    db.run("DELETE FROM proven_keys WHERE person = ?", person)
    db.run("DELETE FROM pins WHERE person = ?", person)
    db.run("DELETE FROM comparisons WHERE person = ?", person)
    db.run("DELETE FROM vouchers WHERE person = ?", person)
    theirs = db.rows("SELECT terminal FROM person_terminals WHERE person = ?", person)
    db.run("DELETE FROM person_terminals WHERE person = ?", person)
    removal.drop_terminals(db, [number for (number,) in theirs])
    db.run("DELETE FROM contacts WHERE person = ?", person)
    secure_deletion.mark_unclean(db)


def _rows(db: Database, where: str, *values: object) -> list[ContactRow]:
    rows = db.rows(f"{_SELECT_CONTACTS} {where}", *values)
    return [
        ContactRow(
            *(person, name, petname, state, bool(verified), bool(blocked), bool(held), since),
            pinned=bool(pinned),
            muted=bool(muted),
            vouched=bool(vouched),
            compared=bool(compared),
        )
        for person, name, petname, state, verified, blocked, held, since, *more in rows
        for pinned, muted, vouched, compared in [more]
    ]
