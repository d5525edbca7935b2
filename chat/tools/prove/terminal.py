"""The program that is a terminal of a proof: `python -m chat.tools.prove.terminal PROFILE PORT`.

It reports in JSON lines what it reaches for, from before the engine is loaded.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from chat.storage.folder import make_private
from chat.tools.prove.tracing import tell_of_connections


def say(fields: dict[str, object]) -> None:
    os.write(1, (json.dumps(fields) + "\n").encode())


def main() -> None:
    """PROFILE is the folder, PORT that of the wire before this terminal."""
    make_private()
    tell_of_connections(say)
    from chat.tools.prove.living import serve

    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), say))


if __name__ == "__main__":
    main()
