"""Text that tries to leave its cells: names and bodies of a hostile peer (attacks 14, 79)."""

from __future__ import annotations

import json
from pathlib import Path

FILE = Path(__file__).parents[3] / "seeds" / "hostile" / "texts.json"
NAME_MAX = 64  # characters that a name of the protocol may have


def _joined(parts: list[str | tuple[str, int]]) -> str:
    return "".join(part if isinstance(part, str) else part[0] * part[1] for part in parts)


ATTACKS: dict[str, str] = {
    attack["label"]: _joined(attack["text"]) for attack in json.loads(FILE.read_text(encoding="ascii"))
}

NAMES = tuple(text[:NAME_MAX] for text in ATTACKS.values())
BODIES = tuple(f"{label}: {text}" for label, text in ATTACKS.items())
WORST = ("spacing marks", "flags", "joined family", "tall script", "opening markup", "leading combining")
