"""A terminal that says *deleted* while pages and log still have it."""

from __future__ import annotations

from unittest.mock import patch

from chat.storage.database import Database
from chat.tools.prove import terminal


def leave_it(database: Database) -> None:
    """Nothing is written anew, and the log stays as it is."""


if __name__ == "__main__":
    with patch.object(Database, "scrub", leave_it):
        terminal.main()
