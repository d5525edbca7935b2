"""The profiles of released schemas that are kept in seeds/databases, and how the newest is made.

`python -m tests.support.storage.released` makes the folder of the newest schema, if there is none. A released
folder is never made again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path

from msgspec import Struct, structs
from msgspec.structs import replace

from chat.network.connection import format_address
from chat.storage import (
    bots,
    clients,
    contacts,
    entries,
    files,
    keys,
    persons,
    profile,
    receipts,
    removal,
    repair,
    retention,
    secure_deletion,
    settings,
    sharing,
)
from chat.storage.amending import Follower
from chat.storage.clients import ClientRow
from chat.storage.contacts import PAIRED, PENDING, ComparisonRow, ContactRow
from chat.storage.database import Database
from chat.storage.expiry import Moment
from chat.storage.keys import InvitationRow, OwnRow, PairingRow, ShareRow
from chat.storage.migrations import known
from chat.storage.persons import AddressRow
from chat.storage.settings import RelayRow, Settings
from protocol.attachments import file_body
from protocol.bots import bot_body
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_FILE,
    KIND_STATE,
    KIND_TEXT,
    KIND_TIMER,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    cut_body,
    delete_body,
    edit_body,
    read_text,
    sign_entry,
    text_body,
    timer_body,
    write_entry,
)
from protocol.identity.author import NewPerson, create_person
from protocol.identity.log import (
    parse_operation,
)
from protocol.identity.reduction import reduce
from protocol.keys import X25519Pair
from protocol.messages import BotBody, BotCommand, ContactValue, CutHead, FileBody, SharedDrawn, SwitchValue
from protocol.notes import Register, deletion, state_body, write
from protocol.pairing.invitation import format_invitation, make_invitation
from protocol.profile_header import CHEAPEST
from protocol.relay.rendezvous import RelayAddress
from tests.support.storage import samples as tables
from tests.support.storage.samples import blob, seeded

FOLDER = Path(__file__).parents[3] / "seeds" / "databases"
KEY, EXPECTED = "key.txt", "expected.json"
PASSPHRASE = "a public passphrase"
TIME = 1_700_000_000_000


def _person(name: str) -> NewPerson:
    return create_person(name, seeded(name))


ANN, BEN, CAT = map(_person, ("Ann", "Ben", "猫"))
TALK = conversation_of_two(ANN.person, BEN.person)


@dataclass
class Teller:
    """Writes one terminal's entries."""

    person: NewPerson
    incarnation: bytes
    last: tuple[int, bytes] | None = None
    told: int = 0
    talk: bytes = TALK

    def tell(self, text: str, *parents: ParsedEntry) -> ParsedEntry:
        return self.write(KIND_TEXT, text_body(text), *parents)

    def write(self, kind: int, body: bytes, *parents: ParsedEntry, timer: int = 0) -> ParsedEntry:
        self.told += 1
        ids, heads = [parent.id for parent in parents], reduce(self.person.operations).heads
        place = EntryPlace(self.talk, self.person.terminal, self.incarnation, self.last, ids, heads)
        random = seeded(f"{self.person.person.hex()} {self.incarnation.hex()} {self.told}")
        time, key = TIME + 1_000 * self.told, self.person.self_key
        made = write_entry(place, time, kind, body, key, random, timer)
        if self.person is ANN and self.incarnation == b"ann....1":
            made = sign_entry(made, ANN.signing_seed)
        self.last = (made.header.sequence, made.id)
        return made


def fill(database: Database) -> None:
    """Rows of every kind: what this schema can hold."""
    write_persons(database)
    write_contacts(database)
    write_conversation(database)
    let_go(database)
    name_files(database)
    remove_conversation(database)
    mark = "INSERT INTO marks (id, number, token) VALUES (1, 7, ?)"
    database.run(mark, blob("a token", 16))
    database.run("INSERT INTO alerts (kind, since, entries, others) VALUES ('old_copy', ?, 0, 0)", TIME)
    follow(database)
    settings.save(database, Settings(read_receipts=False, typing=True))
    settings.pin_notes(database, True)
    settings.set_preference(database, "theme", "dark")
    settings.set_preference(database, f"draft.{BEN.person.hex()}", "not sent yet")
    settings.hand_timer(database, CAT.person, 3_600)
    settings.add_relay(database, RelayRow(str(RelayAddress("192.168.1.2", 4746, b"\x07" * 32)), True, TIME))


def follow(database: Database) -> None:
    """Two programs that follow: one all, which an entry waits for, the other one contact, by a token."""
    clients.add(database, ClientRow("echo", 0, "all", None, None, TIME))
    clients.add(database, ClientRow("alerts", 0, "send", blob("a token's hash"), BEN.person, TIME))
    (entry,) = database.row("SELECT max(entry) FROM bodies") or ()
    database.run("UPDATE arrived SET position = 1")
    database.run("INSERT INTO arrivals (position, entry) VALUES (1, ?)", entry)


def write_persons(database: Database) -> None:
    drawn = SharedDrawn(ANN.person, ANN.drawn), SharedDrawn(blob("a Renew"), blob("what it draws"))
    secrets = ANN.signing_seed, ANN.static_secret, drawn, ANN.recovery_seed
    keys.create_own(database, OwnRow(ANN.person, ANN.terminal, *secrets))
    for person in (ANN, BEN, CAT):
        for operation in person.operations:
            persons.add_operation(database, person.person, parse_operation(operation).id, operation)
        rows = persons.terminal_rows(reduce(person.operations))
        persons.replace_terminals(database, person.person, rows)
        persons.add_proven_key(database, person.person, rows[0].static)
        persons.pin(database, BEN.person, [blob("recovery seen first")], confirmed=False)
        persons.pin(database, BEN.person, [blob("recovery confirmed")], confirmed=True)


def write_contacts(database: Database) -> None:
    ben = ContactRow(BEN.person, "Ben", "Benjamin", PAIRED, True, False, True, TIME, pinned=True, muted=True)
    contacts.add(database, ben)
    contacts.add(database, ContactRow(CAT.person, "猫", "", PENDING, False, True, False, TIME + 1))
    compared = ComparisonRow(BEN.person, False, TIME + 2, BEN.person, (BEN.terminal, blob("terminal")))
    contacts.add_comparison(database, compared)
    contacts.vouch_here(database, BEN.person, ANN.terminal, compared=True)
    for name in ("root", "newest root"):
        theirs = (ShareRow(BEN.person, blob(f"share under the {name}")),)
        keys.add_pairing(database, PairingRow(BEN.person, blob(name), ANN.person, theirs))
    renewed = ShareRow(blob("a Renew of Ben"), blob("the share that it draws"))
    keys.add_share(database, BEN.person, blob("root"), renewed)
    keys.opened_under(database, BEN.person, blob("root"), blob("static key"), renewed.operation)
    keys.forget_shares(database, BEN.person, blob("root"), [BEN.person])
    one_time = X25519Pair(blob("one-time key"))
    made = make_invitation(
        *(ANN.person, X25519Pair(ANN.static_secret).public, one_time.public, TIME // 1_000),
        *([format_address("192.168.1.1", 4747)], [], seeded("invitation")),
    )
    row = InvitationRow(made.secret, one_time.reveal(), made.expires, format_invitation(made))
    keys.add_invitation(database, row)
    keys.burn_invitation(database, made.secret, blob("joiner"))
    persons.add_address(database, AddressRow(BEN.terminal, "192.168.1.7", 4747, TIME))
    persons.keep_seen(database, {blob("a laptop"): TIME})


def write_conversation(database: Database) -> None:
    """Two people who talk, a gap, a deleted entry, a fork, a rank that is due, and what has been read."""
    contacts.ensure_conversation(database, TALK, contacts.TWO, BEN.person)
    ann, ben = Teller(ANN, b"ann....1"), Teller(BEN, b"ben....1")
    first = ann.tell("Hello Ben")
    answer = ben.tell("你好 Ann, 明天去北京吗?", first)
    second = ann.tell("Yes ❤", answer)
    ben.tell("this one never came")
    late = ben.tell("and this one names it", second)
    gone = ann.tell("deleted on this terminal", late)
    tellers = {told: Teller(BEN, b"ben....1", (1, answer.id), told) for told in (7, 8)}
    copies = [teller.tell(f"written by copy {told}") for told, teller in tellers.items()]
    waiting = ann.tell("nobody has this yet", gone)
    ann.told = 90
    ahead = ann.tell("written when the clock was ahead")
    overtaking = ben.tell("arrives before what it names, and is to be ranked behind it", ahead)
    for entry in (first, answer, second, late, gone, *copies, waiting, overtaking, ahead):
        entries.insert(database, entry, unread=entry.header.author == BEN.terminal)
    entries.destroy(database, gone.id)
    alone = replace(ben.tell("whose body is missing", waiting), salt=b"", body=b"", said=None)
    entries.insert(database, alone, unread=True, carrier=BEN.terminal)
    removed = Teller(CAT, b"cat....1").tell("from a removed terminal", waiting)
    entries.insert(database, removed, unread=True, former=True)
    cut = ben.write(KIND_CUT, cut_body(CAT.terminal, [CutHead(b"cat....1", 1, removed.id)]), removed)
    entries.insert(database, cut, unread=True)
    edit = ben.write(KIND_EDIT, edit_body(answer.id, "你好 Ann, 后天去北京吗?"), cut)
    waits = ann.write(KIND_DELETE, delete_body([blob("an entry that has not come")]), edit)
    for entry in (edit, waits):
        entries.insert(database, entry, unread=True)
    Follower(database).piece()
    timing = ben.write(KIND_TIMER, timer_body(3_600), waits)
    timed = ann.write(KIND_TEXT, text_body("ends in an hour"), timing, timer=3_600)
    moment = Moment(TIME, 0, "a start", 5)
    offered = BotBody(True, [BotCommand("echo", "说同样的话")])
    declared = ben.write(KIND_BOT, bot_body(offered), timed)
    for entry in (timing, timed, declared):
        entries.insert(database, entry, unread=entry is not timed, moment=moment)
    database.run(
        "INSERT INTO clearing (conversation, first, done, last) SELECT number, 1, 0, 0 FROM conversations"
    )
    passed_on = entries.insert(database, ben.tell("passed on by another of Ann's terminals"), unread=True)
    repair.doubt(database, [passed_on] if passed_on else [], [ANN.terminal])
    for by, text in (
        (entries.BY_CONTACT, "never written"),
        (entries.BY_OWN, "under a key of another terminal"),
    ):
        claim = Teller(ANN, b"claimed" + bytes([by]), told=50 + by)
        entries.insert(database, claim.tell(text), unread=False, claimed=by)
    repair.passed_again(database, repair.before_gaps(database, [late]), BEN.terminal)
    database.run("INSERT INTO remarked (conversation) SELECT number FROM conversations")
    database.run(
        "INSERT INTO cuts_due (conversation, terminal, body) SELECT max(c.number), max(t.number), NULL"
        " FROM conversations AS c, terminals AS t"
    )
    write_notes(database)
    receipts.add(database, BEN.terminal, receipts.STORED, [first.id, second.id, gone.id], TIME + 9)
    receipts.add(database, BEN.terminal, receipts.READ, [first.id], TIME + 10)
    receipts.mark_read(database, TALK, [answer.id], ANN.terminal, TIME + 11)
    receipts.remember_send(database, "drawn by a client", second.id)


def let_go(database: Database) -> None:
    """Ann's terminal keeps 30 days, and one text is on her keeper."""
    teller = Teller(BEN, b"ben....2")
    teller.told = -30_000_000  # before the epoch of the others by a year
    old = teller.tell("held by the keeper")
    entries.insert(database, old, unread=False)
    settings.name_keeper(database, blob("a laptop").hex())
    retention.keep(database, 30)
    keeper, own = blob("a laptop"), persons.terminal_rows(reduce(ANN.operations))
    added = persons.TerminalRow(ANN.person, keeper, blob("its static key"), True, 1)
    persons.replace_terminals(database, ANN.person, [*own, added])
    retention.let_go(database, [old.id], keeper, TIME)
    persons.replace_terminals(database, ANN.person, own)


def name_files(database: Database) -> None:
    """Ben sent two files, of which one is taken and one was deleted, so that its pieces are to go."""
    teller = Teller(BEN, b"ben....3")
    for name in ("taken.txt", "deleted.txt"):
        body = FileBody(name, "text/plain", 7, 1, blob(f"key of {name}"), blob(f"root of {name}"), [], 0)
        entry = teller.write(KIND_FILE, file_body(body))
        entries.insert(database, entry, unread=True)
        files.hold(database, entry.id, blob(f"place of {name}", 16))
        files.held_at(database, entry.id, BEN.terminal)
        if name == "deleted.txt":
            entries.destroy(database, entry.id)


def write_notes(database: Database) -> None:
    """What Ann's terminals share of Ben, whose block and deleted entry are still to be followed."""
    notes = sharing.ensure(database, ANN.person)
    facts = [write(Register.CONTACT, BEN.person, ContactValue(BEN.person, TIME))]
    teller = Teller(ANN, b"ann...n1", talk=notes)
    deleted = [deletion(blob("an entry that is to come"))]
    for writes in (facts, [write(Register.BLOCKED, BEN.person, SwitchValue(False))], deleted):
        entries.insert(database, teller.write(KIND_STATE, state_body(writes)), unread=False)
    database.run("DELETE FROM registers_due WHERE register = ?", int(Register.CONTACT))


def remove_conversation(database: Database) -> None:
    """A conversation that was removed after an entry of it was deleted, whose id is left."""
    removed = blob("a removed conversation")
    number = contacts.ensure_conversation(database, removed, contacts.TWO, CAT.person)
    entry = tables.sample("deleted", author=ANN.terminal, conversation=removed)
    entries.insert(database, entry, unread=False)
    entries.destroy(database, entry.id)
    tables.remove_conversation(database, number)
    half = blob("a conversation that is being removed")
    removal.begin(database, contacts.ensure_conversation(database, half, contacts.TWO, blob("former")))


def contents(database: Database) -> object:
    """All that the storage says of it, in plain values: ids and keys in hex."""
    rows = entries.page(database, TALK, 100)
    people = [ANN.person, BEN.person, CAT.person]
    told = {
        "own": keys.read_own(database),
        "drawn": [(one.operation, one.secret) for one in keys.read_own(database).drawn],
        "names": [reduce(persons.operations_of(database, person)).name for person in people],
        "terminals": [tables.terminals_of(database, person) for person in people],
        "proven keys": persons.proven_keys(database),
        "pins": tables.pins(database),
        "contacts": [*contacts.all(database), *contacts.pending(database)],
        "vouchers": contacts.vouchers(database, BEN.person),
        "comparison": contacts.comparison(database, BEN.person),
        "pairings": keys.pairings_of(database, BEN.person),
        "opened under": list(keys.last_opened(database, BEN.person, blob("root")).items()),
        "invitations": keys.invitations(database),
        "addresses": persons.addresses_of(database, BEN.terminal),
        "seen": sorted(persons.seen(database).items()),
        "settings": settings.load(database),
        "notes pinned": settings.notes_pinned(database),
        "preferences": settings.preferences(database),
        "relays": settings.all_relays(database),
        "conversations": contacts.conversations(database),
        "entries": rows,
        "bots": [[person.hex(), body] for person, body in bots.of_contacts(database).items()],
        "texts": [read_text(row.body).text if row.body and row.kind == KIND_TEXT else None for row in rows],
        "tips": entries.tips(database, TALK),
        "heads": tables.heads(database, TALK),
        "missing": tables.missing(database, TALK),
        "evidence": tables.evidence(database),
        "receipts": [receipts.of(database, [row.id]).get(row.id) for row in rows],
        "sent with": receipts.sent_with(database, TALK, "drawn by a client"),
        "outbox": receipts.unacknowledged(database, TALK, ANN.terminal, BEN.person),
        "read": receipts.read_by(database, TALK, [ANN.terminal], 10),
        "unread": receipts.unread(database, TALK),
        "clients": clients.all_clients(database),
        "arrivals": [row.entry.id for row in clients.arrivals(database, 0, 10)[0]],
        "files": files.standing(database, files.Standing.WHOLE),
        "files without a key": files.gone(database),
        "cleaning is due": secure_deletion.cleaning_is_due(database),
        "found": [row.id for row in tables.find(database, "北京")],
        "found here": [row.id for row in tables.find(database, "北京", conversation=TALK)],
    }
    return {name: plain(value) for name, value in told.items()}


def plain(value: object) -> object:
    """Rows as dictionaries, bytes as hex, sequences as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Struct):
        return plain(structs.asdict(value))
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case list() | tuple():
            return [plain(one) for one in value]
    return value


def says(now: object, then: object) -> bool:
    """Whether everything that was said then is said now; later versions may say more of a row."""
    if isinstance(now, dict) and isinstance(then, dict):
        return all(name in now and says(now[name], value) for name, value in then.items())
    if isinstance(now, list) and isinstance(then, list):
        return len(now) == len(then) and all(map(says, now, then))
    return now == then


def main() -> None:
    folder = FOLDER / f"v{len(known()):04}"
    made = profile.create(folder, PASSPHRASE, fill, random=seeded("kept profile"), cost=CHEAPEST)
    database = made.database()
    told = json.dumps(contents(database), indent=1, ensure_ascii=False)
    (folder / EXPECTED).write_text(f"{told}\n", "utf-8")
    database.close()
    made.close()
    # The first bytes that a creation draws are the database's key.
    (folder / KEY).write_text(seeded("kept profile")(32).hex() + "\n")
    (folder / "lock").unlink()


if __name__ == "__main__":
    main()
