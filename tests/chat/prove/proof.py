"""Runs one experiment of `parlour prove` and prints its row: `python -m tests.chat.prove.proof C3 MODULE`."""

from __future__ import annotations

import asyncio
import json
import sys

from chat.prove.findings import Finding
from chat.prove.runner import prove
from chat.prove.stage import Setting


async def look_at(claim: str, setting: Setting | None = None) -> Finding:
    """What the experiment on one claim finds."""
    (finding,) = (await prove(lambda _: None, setting, only=[claim])).findings
    return finding


if __name__ == "__main__":
    found = asyncio.run(look_at(sys.argv[1], Setting(terminal=sys.argv[2])))
    sys.stdout.write(json.dumps(found.row()) + "\n")
