"""Prints the row of one experiment of `parlour prove`: `… proof C3 TERMINAL-MODULE [PID-OF-A-RELAY]`."""

from __future__ import annotations

import asyncio
import json
import sys

from chat.tools.prove.findings import Finding
from chat.tools.prove.runner import prove
from chat.tools.prove.stage import Setting


async def look_at(claim: str, setting: Setting | None = None) -> Finding:
    (finding,) = (await prove(lambda _: None, setting, only=[claim])).findings
    return finding


if __name__ == "__main__":
    claim, module, *pid = sys.argv[1:]
    setting = Setting(terminal=module, relay_pid=int(pid[0]) if pid else None, traced=claim == "C3")
    found = asyncio.run(look_at(claim, setting))
    sys.stdout.write(json.dumps(found.row()) + "\n")
