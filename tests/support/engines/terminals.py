"""A second terminal of a person whose engine runs, as a link between own terminals would make it."""

from __future__ import annotations

from collections.abc import Callable

from chat.storage import contacts, keys, persons
from chat.storage.contacts import ContactRow, VoucherRow
from chat.storage.database import Database
from chat.storage.keys import OwnRow, PairingRow
from chat.storage.persons import terminal_rows
from protocol.identity.author import add_operation, recover_operation, sign_recovery
from protocol.identity.log import TerminalKeys, load, parse_operation, sign_operation
from protocol.identity.reduction import Reduction, reduce
from tests.support.engines.engines import Person
from tests.support.protocol.pairings import Terminal


async def add_terminal(first: Person, host: str, *, told: bool = True, seed: bytes = b"") -> Person:
    """Add a terminal of the same person, with the same contacts, on another host, and start both.

    The first one is started again, and its contacts learn of the Add from it. If it is not `told`, only the
    second one knows of the Add. With the recovery `seed` a Recover brings it in, which it has made.
    """
    parts = first.engine._use_cases
    own, new = parts.keyring.own, Terminal.named(f"{first.name} at {host}")
    log = parts.keyring.own_log
    if seed:
        now = Reduction(load(await parts.store.read(persons.operations_of, own.person)))
        made = recover_operation(now, seed, seed, {}, TerminalKeys(new.signing, new.static))
        signed = sign_recovery(made, seed, new.seed)
    else:
        operation = add_operation(log, own.terminal, new.signing, new.static, "laptop")
        signed = sign_operation(operation, own.signing_seed, new.seed)
    row = OwnRow(own.person, new.id, new.seed, new.secret, own.drawn, None)
    fill = await parts.store.read(_copied, row, signed)
    folder = first.folder.with_name(host)
    second = Person(first.name, host, folder, first.network, first.config, first.seed + 50)
    await second.create(fill=fill)
    if told:
        await parts.store.write(persons.add_operation, own.person, parse_operation(signed).id, signed)
        await first.stop()
        await first.start()
    return second


def _copied(database: Database, own: OwnRow, added: bytes) -> Callable[[Database], None]:
    """What writes the new terminal's rows: the person's log, its contacts, and their logs and pairings."""
    log = [*persons.operations_of(database, own.person), added]
    known: list[tuple[ContactRow, list[bytes], tuple[PairingRow, ...]]] = [
        (row, persons.operations_of(database, row.person), keys.pairings_of(database, row.person))
        for row in contacts.all(database)
    ]
    vouchers = [
        VoucherRow(row.person, terminal, keys.read_own(database).terminal, compared)
        for row, *_ in known
        for terminal, compared in contacts.vouchers(database, row.person)
    ]

    def fill(new: Database) -> None:
        keys.create_own(new, own)
        add_log(new, own.person, log)
        persons.pin(new, own.person, [parse_operation(added).id], confirmed=True)
        for row, operations, pairings in known:
            contacts.add(new, row)
            add_log(new, row.person, operations)
            persons.replace_terminals(new, row.person, terminal_rows(reduce(operations)))
            for pairing in reversed(pairings):
                keys.add_pairing(new, pairing)
        for voucher in vouchers:
            contacts.vouch(new, voucher)

    return fill


def add_log(database: Database, person: bytes, operations: list[bytes]) -> None:
    for operation in operations:
        persons.add_operation(database, person, parse_operation(operation).id, operation)
