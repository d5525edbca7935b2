"""Counts copies of a secret in the memory of another process: what `parlour prove` searches with."""

from __future__ import annotations

from chat.prove.memory import copies as copies
from chat.prove.memory import which_are_held as which_are_held
