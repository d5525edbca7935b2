"""Every flow by its name, and the profiles with which flows begin."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from chat.storage import keys, profile
from protocol.identity.author import recovery_words
from tests.crash.flows.deletion import NEEDLE, Delete
from tests.crash.flows.pairing import Inviting, Joining
from tests.crash.flows.profile import Init, Migrate, Passphrase, RecoveryConfirm, RecoveryUse
from tests.crash.flows.scene import Flow
from tests.crash.flows.talk import Receive, Send, SendToEngine
from tests.support.cli.line import PASSPHRASE
from tests.support.e2e.programs import Station, created, listening, pair, wait_event
from tests.support.lab.hosts import Host
from tests.support.storage import released

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
        shutil.copytree(released.FOLDER / "v0001", folder / "ada")
    elif need:
        stations = created(folder, hosts, "Ada", "Ben")
        if need == "paired":
            _talk(folder, *stations)


def _talk(folder: Path, ada: Station, ben: Station) -> None:
    """Both are paired and have three entries, one to be deleted; the recovery words are noted."""
    pair(ada, ben)
    with listening(ada, ben) as (one, _):
        ada.say("the first")
        (folder / "needle").write_text(ada.say(NEEDLE))
        wait_event(one, "state", id=ada.say("the last"), state="delivered")
    with profile.unlock(ada.profile, PASSPHRASE) as vault, closing(vault.database()) as database:
        seed = keys.read_own(database).recovery_seed
    assert seed is not None
    (folder / "seed").write_text(seed.hex())
    (folder / "words").write_text(" ".join(recovery_words(seed)))
