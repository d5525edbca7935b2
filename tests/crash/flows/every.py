"""Every flow by its name, and the profiles with which flows begin."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from chat.storage import expiry, keys, profile
from protocol.identity.author import recovery_words
from protocol.limits import TEXT_CHARACTERS_MAX
from tests.crash.flows.backup import FILE, Backup, Merge, Restore, export_line
from tests.crash.flows.deletion import NEEDLE, Delete, DeletedByContact, DeleteForAll, DeleteOnAll, Expire
from tests.crash.flows.pairing import Inviting, Joining
from tests.crash.flows.profile import Init, Migrate, Passphrase, RecoveryConfirm, RecoveryUse, let_end
from tests.crash.flows.scene import Flow
from tests.crash.flows.talk import Receive, Send, SendToEngine
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.programs import Station, created, listening, pair, wait_event
from tests.support.lab.hosts import Host

LONG: Final = 24
"""Long texts, so that a backup has more than one chunk."""

FLOWS: Final[dict[str, type[Flow]]] = {
    flow.name: flow
    for flow in (
        Init,
        Inviting,
        Joining,
        Send,
        SendToEngine,
        Receive,
        Delete,
        DeleteOnAll,
        DeleteForAll,
        DeletedByContact,
        Expire,
        Backup,
        Restore,
        Merge,
        Passphrase,
        Migrate,
        RecoveryConfirm,
        RecoveryUse,
    )
}


def prepare(need: str, folder: Path, hosts: Sequence[Host]) -> None:
    """The profiles with which flows begin, to be copied."""
    folder.mkdir(parents=True)
    if need == "old":
        let_end(Station("Ada", folder, hosts[0]))
    elif need:
        ada, ben = created(folder, hosts, "Ada", "Ben")
        if need == "paired":
            _talk(folder, ada, ben)
        elif need == "ended":
            _talk(folder, ada, ben, timer=3600)
            _let_pass(ada, 24 * 3600)
        elif need == "long":
            _talk(folder, ada, ben)
            shutil.copytree(ada.profile, folder / "old")
            with listening(ada):
                for number in range(LONG):
                    ada.say(f"{number} " + "long " * (TEXT_CHARACTERS_MAX // 6))
            assert ada.run(*export_line(folder, FILE, recovery=True)).status == 0


def _talk(folder: Path, ada: Station, ben: Station, timer: int = 0) -> None:
    """Both are paired and have three entries, one to be deleted; the recovery words are noted.

    That one has a timer where there is one, in seconds.
    """
    pair(ada, ben)
    with listening(ada, ben) as (one, _):
        ada.say("the first")
        _set_timer(ada, timer)
        (folder / "needle").write_text(ada.say(NEEDLE))
        _set_timer(ada, 0)
        wait_event(one, "state", id=ada.say("the last"), state="delivered")
    with profile.unlock(ada.profile, PASSPHRASE) as vault, closing(vault.database()) as database:
        seed = keys.read_own(database).recovery_seed
    assert seed is not None
    (folder / "seed").write_text(seed.hex())
    (folder / "words").write_text(" ".join(recovery_words(seed)))


def _set_timer(station: Station, seconds: int) -> None:
    (contact,) = station.contacts()
    station.ask(lambda messenger: messenger.set_timer(contact.person, seconds))


def _let_pass(station: Station, seconds: int) -> None:
    """Set back the clock of a profile that no engine has open: at the next start the time has passed."""
    with profile.unlock(station.profile, PASSPHRASE) as vault, closing(vault.database()) as database:
        moment = expiry.read_clock(database)
        assert moment is not None
        with database.transaction():
            back = 1_000 * seconds
            expiry.save_clock(database, replace(moment, wall=moment.wall - back, since=moment.since - back))
