"""The linear mode as a program of its own, on the fake: what the tests run with a terminal or a pipe.

Usage: python -m tests.tui.linear.program. Ends with status 3 where Textual was loaded, with 4 where the
messenger was not closed.
"""

from __future__ import annotations

import sys

from tests.tui.linear.played import OPTIONS, locked_door
from tui.linear import run


def main() -> None:
    """Talk until it is left."""
    door = locked_door()
    status = run(door, OPTIONS)
    assert door.messenger is not None
    if "textual" in sys.modules:
        status = 3
    elif door.messenger.calls and not door.messenger.called("close"):
        status = 4
    sys.exit(status)


if __name__ == "__main__":
    main()
