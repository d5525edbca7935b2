"""What a contact is called: never as this person or a word of the interface, and never as another contact."""

from __future__ import annotations

from itertools import permutations

import pytest

from chat.looks import label, label_parts, look, telling
from tui.text import translation
from tui.text.translation import _

BEN, OTHER = "ab12" * 16, "cd34" * 16


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("Ben", other) for other in ("BEN", "Ｂｅｎ", "\u202eBen", "B\u00aden", "Ben\u3164", "Be\ufe0fn")),
        *(("Ben", other) for other in ("Ben ", "Ben\u2800", "Ben.", "Веn", "Βen")),
        *(("Ben", other) for other in ("ꓐꓰꓠ", "Ᏼen", "Beո", "Ben\U0001d159", "Ben ✓", "✔Ben")),
        *(("Carl", "ϹагӀ"), ("Bob", "Вօb"), ("Zoë", "Zоё"), ("口力", "ロカ"), ("己土", "已士")),
        *(("You", other) for other in ("Yоu", "Υou", "Y0u", "y o u", "(You)")),
        *(("Bem", "Bern"), ("Ilya", "lIya"), ("Ann Marie", "Ann-Marie"), ("B0b", "Bob")),
        ("Bartholomew of the Long Name", "Bartholomew of the Long Nave"),
    ],
)
def test_names_that_look_alike_look_the_same(one: str, other: str) -> None:
    assert look(one) == look(other)


@pytest.mark.parametrize(
    ("one", "other"), list(permutations(("Ben", "Bea", "Anna", "Änna", "猫", "🙂", "🙃"), 2))
)
def test_other_names_do_not(one: str, other: str) -> None:
    assert look(one) != look(other)


@pytest.mark.parametrize("language", translation.LANGUAGES)
@pytest.mark.parametrize("change", [str, str.upper, lambda name: f" {name}\u200b"])
def test_nobody_is_called_as_the_interface_calls_its_person_or_itself(language: str, change: object) -> None:
    assert callable(change)
    translation.use(language)
    for name in (_("You"), _("Notes"), _("Goes on"), "Parlour", "Ada"):
        assert label_parts(label(change(name), BEN, 0, "Ada")) == (change(name), "~ab12")
    assert label("Ben", BEN, 0, "Ada") == "Ben"


@pytest.mark.parametrize(
    "name",
    [
        *("Ben~cd34", "Ben~ cd34", "Ben∼cd34", "Ben～cd34", "Ben~\u200bcd34", "", "\u200b"),
        *("Ben~cd34.", "Ben~(cd34)", "Ben~cd34 ✓", "Ben∾cd34", "Ben≈cd34", "Ben \u0303cd34"),
        *("Carl ✓", "✅ Carl"),
    ],
)
def test_a_name_that_imitates_digits_or_shows_nothing_has_digits_of_its_own(name: str) -> None:
    assert label(name, BEN, 0, "Ada") == f"{name}~ab12"


def test_as_many_digits_are_shown_as_tell_people_apart() -> None:
    assert telling([]) == telling([BEN]) == telling([BEN, BEN]) == 0
    assert telling([BEN, OTHER]) == 4
    assert telling([BEN, BEN[:4] + OTHER[4:]]) == 8
    assert telling([BEN, BEN[:63] + "0"]) == 64
    assert label_parts(label("Ben", BEN, 8, "Ada")) == ("Ben", "~ab12ab12")
