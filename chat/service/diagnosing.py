"""`doctor` from inside a running engine."""

from __future__ import annotations

from chat.doctor import Context
from chat.doctor import diagnose as examine
from chat.interface import DiagnosisView
from chat.ports import Ports
from chat.service.world import World
from chat.storage.database import Database
from chat.storage.vault import Vault


async def diagnose(world: World, heard: int, vault: Vault, ports: Ports) -> tuple[DiagnosisView, ...]:
    """All checks, with this engine's port, profile and database; `heard`: the terminals announced now."""

    async def database() -> str:
        problems = await world.store.read(Database.integrity)
        return problems[0] if problems else ""

    context = Context(
        port=world.port,
        listening=True,
        profile=vault.folder,
        heard=heard,
        visible=world.visibility.visible,
        transport=ports.transport,
        clock=ports.clock,
        database=database,
    )
    return await examine(context)
