"""What the tests of storage start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.storage.database import Database
from tests.support.storage.samples import new_database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new database with this person, a contact's terminal and their conversation."""
    made = new_database(tmp_path)
    yield made
    made.close()
