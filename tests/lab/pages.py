"""Searches every page and WAL frame of a SQLCipher 4 file: what `parlour prove` searches with."""

from __future__ import annotations

from chat.prove.pages import Unreadable as Unreadable
from chat.prove.pages import residues as residues
