"""Attacks 14 and 79 beside the screen's cells: what is said, copied and notified."""

from __future__ import annotations

import unicodedata

from chat.interface import ContactRemoved, IdentityChanged, Notice, Phrase
from tests.support.tui.driving import chat, until_shown, with_bob_open
from tests.support.tui.hostile import ATTACKS
from tui.messages import EngineEvent
from tui.text.formatting import safe
from tui.widgets.lines import Said

HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"))


def harmless(text: str) -> bool:
    """Whether a text is one line in which every character has its own cells, and stays as it is."""
    return safe(text) == text and not any(unicodedata.category(one) in HIDDEN for one in text)


async def test_attack_79_what_is_said_is_one_harmless_line() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        screen, said = chat(pilot), chat(pilot).query_one(Said)
        for text in ATTACKS.values():
            for event in (
                Notice(Phrase(text)),
                IdentityChanged(bob.person, text, Phrase(text)),
                ContactRemoved("ab" * 32, text),
            ):
                screen.on_engine_event(EngineEvent(messenger, event))
                assert harmless(said.visual.plain), event  # type: ignore[attr-defined]
        assert (pilot.app.title, pilot.app.sub_title) == ("Parlour", "")
        assert not pilot.app._notifications


async def test_attack_79_what_is_copied_has_no_controls_and_no_halves_of_characters() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await until_shown(pilot, "Bob")
        for text in ATTACKS.values():
            pilot.app.copy_to_clipboard(text)
            copied = pilot.app.clipboard
            assert not any(unicodedata.category(one) in ("Cc", "Cs") for one in copied if one not in "\n\t")
            assert copied.encode()
