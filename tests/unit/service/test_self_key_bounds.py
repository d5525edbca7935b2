"""How many self keys are taken: of one drawer, of it through others, and in all."""

from __future__ import annotations

from typing import cast

import pytest

from chat.service import renewal
from chat.service.renewal import KEYS_ALIKE, KEYS_HELD, KEYS_OF_DRAWER
from protocol.pairing.renewal import Drawn, Measure

DRAWER, OTHER = b"drawer", b"another drawer"


class Removals:
    """Stands for the measure of a log: each head is one removal more."""

    def covers(self, heads: tuple[bytes, ...]) -> int:
        return len(heads)


def drawn(number: int, terminal: bytes = DRAWER, heads: tuple[bytes, ...] = (b"first",)) -> Drawn:
    return Drawn(number.to_bytes(32), heads, terminal, b"signed")


def has_room(held: list[Drawn], new: Drawn, *, direct: bool) -> bool:
    return renewal._has_room(cast(Measure, Removals()), new, held, direct=direct)


@pytest.mark.parametrize(("most", "direct"), [(KEYS_OF_DRAWER, True), (KEYS_ALIKE, False)])
def test_one_drawer_has_so_many_under_the_same_removals(most: int, direct: bool) -> None:
    held = [drawn(number) for number in range(most)]
    assert has_room(held[:-1], drawn(most), direct=direct)
    assert not has_room(held, drawn(most), direct=direct)
    assert has_room(held, drawn(most, OTHER), direct=direct)


def test_all_drawers_have_so_many_together_and_a_removal_more_always_has_room() -> None:
    held = [drawn(number, number.to_bytes(2)) for number in range(KEYS_HELD)]
    assert has_room(held[:-1], drawn(KEYS_HELD), direct=True)
    assert not has_room(held, drawn(KEYS_HELD), direct=True)
    assert has_room(held, drawn(KEYS_HELD, heads=(b"first", b"second")), direct=True)
