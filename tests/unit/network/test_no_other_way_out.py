"""An engine loads no network library, and its system calls reach only what Python reports."""

from __future__ import annotations

from chat.tools.prove.findings import Outcome
from chat.tools.prove.stage import Setting
from tests.architecture.test_layers import all_loaded_by, modules_of
from tests.support.machine import needs_strace
from tests.support.prove.proof import look_at
from tests.unit.network.test_one_way_out import NETWORK_LIBRARIES

# What asyncio brings along and what only takes addresses of pages apart: neither reaches anybody by itself.
HARMLESS = {"ssl", "urllib", "urllib.parse"}
ENGINE = ("chat.service", "chat.storage", "chat.network")


def test_an_engine_loads_nothing_that_reaches_other_machines_by_itself() -> None:
    modules = [name for package in ENGINE for name in modules_of(package)]
    loaded = all_loaded_by(["chat.engine", "chat.ipc.server", "chat.ipc.client", *modules])
    assert "chat.network.transport" in loaded
    assert {name for name in loaded if name.split(".")[0] in NETWORK_LIBRARIES} <= HARMLESS


async def test_an_engine_that_is_traced_reaches_only_what_python_tells_of() -> None:
    needs_strace()
    finding = await look_at("C3", Setting())
    measured = finding.row()["measured"]
    assert isinstance(measured, dict)
    assert finding.outcome is Outcome.HOLDS, finding.reason
    assert measured["calls_traced"] == measured["calls_by_both"] == measured["connections"] > 0
    assert measured["programs_started"] == measured["names_looked_up"] == 0
