"""A damaged database, of which what can be read is read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from chat.storage.database import Database, Row
from chat.storage.errors import DatabaseDamaged


class DamagedDatabase(Database):
    """Opens the database again after each page that cannot be read: the library then reads no other page."""

    def __init__(self, path: Path, key: bytes, *, read_only: bool = False) -> None:
        self._again = partial(super().__init__, path, key, read_only=read_only)
        self._opens()

    def _opens(self) -> None:
        self._is_open = False
        self._again()
        self._is_open = True

    def rows(self, sql: str, *values: object) -> list[Row]:
        try:
            return super().rows(sql, *values)
        except DatabaseDamaged:
            if self._is_open:
                self.abandon()
                self._opens()
            raise

    def row(self, sql: str, *values: object) -> Row | None:
        found = self.rows(sql, *values)
        return found[0] if found else None

    def value(self, sql: str, *values: object) -> Any:
        found = self.rows(sql, *values)
        return found[0][0] if found else None

    def __repr__(self) -> str:
        return f"DamagedDatabase({self.path})"
