"""No key and no text where they do not belong: files, reprs, errors, tracebacks (attack 78)."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.storage import entries, keys, sharing
from chat.storage.database import Database
from chat.storage.errors import StorageMisuse, WrongPassphrase
from chat.storage.keys import InvitationRow, PairingRow, ShareRow
from chat.storage.profile import Vault
from chat.storage.secure_deletion import clean_file, cleaning_is_due
from tests.support.storage.samples import ME, PASSPHRASE, TALK, THEM, Author, blob, find, seeded, store
from tests.unit.storage.test_vault import make

NEEDLE = "needleinthehaystack"


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Vault, Database]]:
    made = make(tmp_path / "profile", "secrets")
    database = made.database()
    store(database, Author().write(NEEDLE))
    yield made, database
    database.close()
    made.close()


def secrets() -> list[bytes]:
    rows = [ME.signing_seed, ME.static_secret, ME.first_self_key, ME.recovery_seed or b""]
    key = seeded("secrets")(32)  # the first that creation draws
    return [*rows, key, PASSPHRASE.encode()]


def shown_forms(secret: bytes) -> set[str]:
    return {secret.hex(), repr(secret)[2:-1], str(list(secret))}


def test_attack_78_no_file_holds_a_secret_or_a_text(opened: tuple[Vault, Database]) -> None:
    made, database = opened
    for path in made.folder.iterdir():
        data = path.read_bytes()
        for secret in (*secrets(), NEEDLE.encode(), ME.person, THEM, b"SQLite format"):
            assert secret not in data
            assert secret.hex().encode() not in data
    assert database.value("SELECT count(*) FROM bodies") == 1
    assert made._open_key().reveal() in secrets()


def test_attack_78_no_repr_shows_a_secret_or_a_text(opened: tuple[Vault, Database]) -> None:
    made, database = opened
    row = entries.page(database, TALK, 1)[0]
    values = [
        made,
        database,
        keys.read_own(database),
        PairingRow(THEM, blob("root"), ME.person, (ShareRow(THEM, blob("share")),)),
        InvitationRow(blob("secret", 16), blob("one-time key"), 1, "PARLOUR:SECRET"),
        row,
        Author().write(NEEDLE),
        made._header,
    ]
    hidden = [*secrets(), blob("share"), blob("root"), blob("secret", 16), blob("one-time key"), row.salt]
    for value in values:
        shown = f"{value!r} {value}"
        assert NEEDLE not in shown
        assert "PARLOUR:SECRET" not in shown
        assert not [form for secret in hidden for form in shown_forms(secret) if form in shown]


def test_attack_78_no_traceback_shows_what_a_statement_held(opened: tuple[Vault, Database]) -> None:
    """The library's own message quotes what was searched for; it goes no further, not even as a cause."""
    made, database = opened
    calls = (
        lambda: database.rows("SELECT * FROM search WHERE search MATCH ?", f"{NEEDLE}: x"),
        lambda: database.rows(f"SELECT '{NEEDLE}' FROM nowhere"),
        lambda: made.change_passphrase(NEEDLE, "new", random=seeded("x")),
    )
    for call in calls:
        with pytest.raises((StorageMisuse, WrongPassphrase)) as caught:
            call()
        text = "".join(traceback.format_exception(caught.value))
        assert NEEDLE not in text
        assert caught.value.__suppress_context__


def test_attack_78_a_search_leaves_no_trace_in_a_file(opened: tuple[Vault, Database]) -> None:
    made, database = opened
    before = {path.name: path.read_bytes() for path in made.folder.iterdir()}
    assert len(find(database, NEEDLE)) == 1
    assert {path.name: path.read_bytes() for path in made.folder.iterdir()} == before


def pairing(name: str) -> PairingRow:
    """A pairing by the name of its root."""
    return PairingRow(THEM, blob(name), ME.person, (ShareRow(THEM, blob(f"share under the {name}")),))


def retire(database: Database, root: str) -> None:
    """Forget what the pairing with this root supersedes."""
    for gone in sharing.superseded(database, THEM, blob(root)):
        keys.forget_pairing(database, THEM, gone)


def test_case_90_the_roots_of_earlier_pairings_leave_the_file(opened: tuple[Vault, Database]) -> None:
    """The rows go at once, and what pages still hold of them with the next cleaning, which is then due."""
    _, database = opened
    for name in ("earlier root", "newest root"):
        with database.transaction():
            keys.add_pairing(database, pairing(name))
            keys.opened_under(database, THEM, blob(name), blob("static"), THEM)
    clean_file(database)
    with database.transaction():
        retire(database, "newest root")
    assert keys.pairings_of(database, THEM) == (pairing("newest root"),)
    for table in ("pairings", "shares", "opened"):
        assert database.rows(f"SELECT root FROM {table}") == [(blob("newest root"),)]
    assert cleaning_is_due(database)
    clean_file(database)
    with database.transaction():
        retire(database, "newest root")
    assert not cleaning_is_due(database)


def test_shares_that_are_forgotten_leave_the_file(opened: tuple[Vault, Database]) -> None:
    _, database = opened
    later = ShareRow(blob("a Renew"), blob("a later share"))
    with database.transaction():
        keys.add_pairing(database, pairing("root"))
        keys.add_share(database, THEM, blob("root"), later)
    clean_file(database)
    with database.transaction():
        keys.forget_shares(database, THEM, blob("root"), [later.operation])
    assert keys.pairings_of(database, THEM) == (pairing("root"),)
    assert cleaning_is_due(database)


def test_case_90_a_pairing_that_was_stored_meanwhile_is_not_retired(opened: tuple[Vault, Database]) -> None:
    """A link opened under the second one, and the third is stored before the first is erased."""
    _, database = opened
    with database.transaction():
        for name in ("first", "second", "third"):
            keys.add_pairing(database, pairing(name))
        retire(database, "second")
    assert keys.roots_of(database, THEM) == [blob("third"), blob("second")]


def test_of_two_pairings_at_one_time_none_is_retired_until_a_later_one_is(
    opened: tuple[Vault, Database],
) -> None:
    """The other side may have stored them in another order, and would be left with the other one."""
    _, database = opened
    meanwhile = {"second": {blob("first")}, "third": {blob("first"), blob("second")}}
    with database.transaction():
        for name in ("before", "first", "second", "third", "last"):
            keys.add_pairing(database, pairing(name), meanwhile.get(name, ()))

    def left(newest: str) -> list[bytes]:
        with database.transaction():
            retire(database, newest)
        return keys.roots_of(database, THEM)

    assert left("third") == left("second") == [blob(it) for it in ("last", "third", "second", "first")]
    assert left("last") == [blob("last")]
