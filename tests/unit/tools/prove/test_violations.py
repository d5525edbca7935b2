"""Each experiment of `parlour prove` fails where its claim is broken: the violation is planted and seen."""

from __future__ import annotations

import itertools
import json
import os
import re
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chat.service import readable
from chat.service.formats import FORMS
from chat.storage import second_reader
from chat.tools.prove import at_rest, exports, relay_holds_nothing, traffic
from chat.tools.prove.findings import Outcome, read_claims
from chat.tools.prove.programs import OWN, own_relay
from chat.tools.prove.runner import look_at
from chat.tools.prove.stage import Setting, Stage, staged
from chat.tools.prove.traffic import TRICKS
from chat.tools.prove.wire import HERE, LoopbackTransport
from tests.architecture.imports import ROOT
from tests.support.lab.hosts import Lab
from tests.support.machine import needs_process_memory, needs_root_network, needs_strace
from tests.support.prove import proof

PLANTED = "tests.support.prove.planted"
CLAIMS = {claim.id: claim for claim in read_claims()[0]}


Plant = Callable[[Stage], Awaitable[None]]


async def broken(claim: str, show: Any, plant: Plant, setting: Setting | None = None) -> list[str]:
    """Why an experiment fails on a stage on which something was planted."""
    async with staged(setting or Setting(traced=False)) as stage:
        await plant(stage)
        finding = await look_at(CLAIMS[claim], show, stage)
    assert finding.outcome is Outcome.FAILS
    return finding.reason.split("; ")


async def nothing(stage: Stage) -> None:
    """The terminals themselves are what is planted."""


async def test_claim_c1_fails_where_a_relay_keeps_one_frame_and_has_a_file_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needs_process_memory()
    log = str(tmp_path / "log")
    monkeypatch.setenv("PARLOUR_PLANTED", f"hoard {log}")
    monkeypatch.setattr(relay_holds_nothing, "FRAMES", 200)
    hoarding = Setting(relay=(PLANTED, *OWN[1:]), traced=False)
    assert await broken("C1", relay_holds_nothing.show, nothing, hoarding) == [
        "1 of 1 marks of frames are in the relay's memory",
        f"the relay has {log} open for writing",
    ]


async def test_a_relay_is_examined_and_another_process_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_process_memory()
    async with own_relay() as running, staged(Setting(relay_pid=running.pid, traced=False)) as stage:
        finding = await look_at(CLAIMS["C1"], relay_holds_nothing.show, stage)
        assert (finding.outcome, finding.reason) == (Outcome.HOLDS, "")
        stage.setting = Setting(relay_pid=os.getpid())
        finding = await look_at(CLAIMS["C1"], relay_holds_nothing.show, stage)
    assert finding.outcome is Outcome.UNSHOWN
    assert "is no relay" in finding.reason


async def plain_files(stage: Stage) -> None:
    (stage.ada.folder / "draft.txt").write_text(f"I wrote {stage.needle} to Ben", encoding="utf-16-le")
    (stage.ada.home / "cache").write_text(stage.needle)
    (stage.ada.folder / "files").mkdir(exist_ok=True)
    (stage.ada.folder / "files" / "thumbnail.png").write_bytes(b"\x89PNG" + stage.needle.encode())
    (stage.ben.folder / "log").write_bytes(b"opened with " + stage.ben.passphrase.encode() + b"\n")
    with closing(sqlite3.connect(stage.ben.folder / "cache.db")) as database:
        database.execute("CREATE TABLE kept (text)")


async def test_claim_c2_fails_where_a_profile_holds_something_plain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(second_reader, "counted", lambda _: {"entries": 0})
    reasons = await broken("C2", at_rest.show_only_ciphertext, plain_files)
    assert any(re.search("Ciphers .* on Ada's database: it counts [1-9]", one) for one in reasons)
    assert set(reasons) >= {
        "in Ada's profile draft.txt: the needle, as UTF-16, little endian",
        "in Ada's profile files/thumbnail.png: the needle, as UTF-8",
        "in Ben's profile cache.db: a database that is not encrypted",
        "in Ben's profile log: Ben's passphrase, as UTF-8",
        "in the home of Ada's device cache: the needle, as UTF-8",
    }


@pytest.mark.network
@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("connect", "reached for 192.0.2.1:443, which is not local"),
        ("look_up", "looked up statistics.example"),
        ("connect_unseen", "a connection to 127.0.0.1:9 was made behind Python's back"),
    ],
)
def test_claim_c3_fails_where_a_terminal_calls_out(way: str, said: str) -> None:
    needs_root_network()
    needs_strace()
    command = [sys.executable, "-m", "tests.support.prove.proof", "C3", PLANTED]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PARLOUR_PLANTED": way}
    with Lab(1) as lab:
        row = json.loads(lab.hosts[0].run(*command, env=environment, cwd=ROOT))
    assert row["outcome"] == "fails"
    assert said in row["reason"]


async def plain_words(stage: Stage) -> None:
    """Somebody's program says in clear over the wire what was said."""
    port = await stage.wire.front(stage.ada.name)
    talking = await LoopbackTransport().connect(HERE, port, 5)
    await talking.write(b"\x00\x00" + f"Ada said {stage.needle}".encode() + stage.ada.ids[0])
    while await talking.read():
        """A greeting, perhaps, before it is seen that this is no frame."""
    talking.close()


def only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(traffic, "ROUNDS", 1)
    monkeypatch.setattr(traffic, "TRICKS", {name: TRICKS[name] for name in names})


async def test_claim_c4_fails_where_words_are_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "flipped")
    seen = ["the needle, as UTF-8 stands on the wire", "who Ada is stands on the wire"]
    assert await broken("C4", traffic.show_unreadable, plain_words) == seen


async def test_claim_c4_fails_where_a_terminal_goes_on_with_a_spoilt_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only(monkeypatch, "flipped", "replayed")
    monkeypatch.setenv("PARLOUR_PLANTED", "forgive")
    assert await broken("C4", traffic.show_unreadable, nothing, Setting(PLANTED, traced=False)) == [
        f"1 of 1 frames that were {trick} were not rejected" for trick in ("flipped", "replayed")
    ]


async def test_claim_c5_fails_where_pages_or_log_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLOUR_PLANTED", "keep")
    reasons = "; ".join(await broken("C5", at_rest.show_deleted, nothing, Setting(PLANTED, traced=False)))
    assert "database still holds what was deleted" in reasons
    assert "frame" in reasons


async def test_claim_c5_fails_where_the_pieces_of_a_file_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLOUR_PLANTED", "keep_pieces")
    (reason,) = await broken("C5", at_rest.show_deleted, nothing, Setting(PLANTED, traced=False))
    assert re.fullmatch(r"\d+ bytes of the pieces of a deleted file are left", reason)


@pytest.mark.parametrize(
    ("claim", "shows"), [("C2", at_rest.show_only_ciphertext), ("C5", at_rest.show_deleted)]
)
async def test_claims_c2_and_c5_fail_where_a_thumbnail_is_kept(
    claim: str, shows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARLOUR_PLANTED", "keep_pixels")
    reasons = await broken(claim, shows, nothing, Setting(PLANTED, traced=False))
    assert any("thumbnail" in reason for reason in reasons)


async def test_claim_c7_fails_where_an_export_shows_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLOUR_PLANTED", "embellish")
    reasons = await broken("C7", exports.show, nothing, Setting(PLANTED, traced=False))
    for name, form in itertools.product(("Ada", "Ben"), FORMS):
        assert any(
            re.fullmatch(f"{name}'s export .*{form} is refused by the command", one) for one in reasons
        )


async def test_claim_c7_fails_where_a_changed_export_is_called_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "BYTES", 3)
    monkeypatch.setattr(readable, "check", lambda path: None)
    reasons = await broken("C7", exports.show, nothing)
    assert [re.sub("[0-9]+", "N", one) for one in reasons] == [
        f"N of N changed {form} exports were called whole" for form in FORMS
    ]


async def test_claim_c6_fails_where_a_receipt_goes_before_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLOUR_PLANTED", "hasten")
    monkeypatch.setattr(at_rest, "KILLS", 3)
    reasons = await broken("C6", at_rest.show_delivered, nothing, Setting(PLANTED, traced=False))
    assert re.fullmatch(r"after a kill \d+ messages that were called delivered are not there", reasons[0])


async def test_claim_c6_holds_through_some_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_rest, "KILLS", 3)
    async with staged(Setting(traced=False)) as stage:
        finding = await look_at(CLAIMS["C6"], at_rest.show_delivered, stage)
    assert (finding.outcome, finding.reason) == (Outcome.HOLDS, "")
    measured = {one.name: one.value for one in finding.measured}
    assert measured["kills"] == 3
    assert measured["entries_shown"] >= measured["entries_called_delivered"] >= 3  # type: ignore[operator]


async def test_without_strace_it_is_said_and_python_alone_tells() -> None:
    finding = await proof.look_at("C3", Setting(traced=False))
    assert (finding.outcome, finding.reason) == (Outcome.HOLDS, "")
    assert any("nothing was recorded from outside" in what for what in finding.done)
    assert "calls_traced" not in finding.row()["measured"]  # type: ignore[operator]
