"""Emoji by name: what completes a shortcode, what one stands for, and what is left alone."""

from __future__ import annotations

import unicodedata

import pytest

from tui.text.emoji import ALIASES, CHOICES_MAX, begun, chinese_name, ended, familiar, matching, named
from tui.text.emoji_chinese import NAMES
from tui.text.safe import safe
from tui.text.wrapping import places


@pytest.mark.parametrize(
    ("name", "emoji"),
    [
        ("tada", "🎉"),
        ("TADA", "🎉"),
        ("+1", "👍"),
        ("-1", "👎"),
        ("heart", "❤\ufe0f"),
        ("face_with_tears_of_joy", "😂"),
        ("thumbs-up-sign", "👍"),
        ("no such thing", None),
        ("bold", None),
    ],
)
def test_an_emoji_has_the_names_that_people_expect_and_those_of_unicode(name: str, emoji: str | None) -> None:
    assert named(name) == emoji


def test_every_name_can_be_typed_and_every_emoji_is_one_character_that_can_be_seen() -> None:
    for name, emoji in ALIASES.items():
        whole = ended(f":{name}")
        assert whole is not None
        assert whole.choices[0].emoji == emoji
        assert len(places(emoji)) == 2
        assert safe(emoji) == emoji[0]
        assert unicodedata.category(emoji[0]) == "So"


@pytest.mark.parametrize("beginning", ["c", "do", "kiss", "face", "h"])
def test_each_name_that_is_offered_leads_to_its_emoji(beginning: str) -> None:
    for choice in (*matching(beginning, 500), *familiar(("cat", "no such name", "cat"))):
        assert named(choice.name) == choice.emoji
    assert len({choice.emoji for choice in familiar()}) == len(familiar())


def test_what_begins_so_is_offered_known_names_first() -> None:
    assert [choice.name for choice in matching("hea")][:2] == ["heart", "heart_eyes"]
    assert matching("wav")[0].emoji == "👋"
    assert "🥳" in [choice.emoji for choice in matching("party")]
    assert any("_cat" in choice.name for choice in matching("cat"))
    assert len(matching("f")) == CHOICES_MAX
    assert len({choice.emoji for choice in matching("face", 500)}) == len(matching("face", 500)) > 50
    assert matching("qqq") == ()


@pytest.mark.parametrize(
    ("before", "start"),
    [(":he", 0), ("yes :tad", 4), ("(:smi", 1), ("\uff1asmi", 0), ("见 \uff1asmi", 2), (":+1", 0)],
)
def test_a_colon_at_the_begin_of_a_word_begins_a_shortcode(before: str, start: int) -> None:
    found = begun(before)
    assert found is not None
    assert found.start == start


@pytest.mark.parametrize(
    "before",
    [
        *(":", ":h", "10:30", "http://he", "a:he", "::he"),
        *(":D", "时间:he", "密码\uff1ahe", ":he lo", ":qqq", "C:he"),
    ],
)
def test_nothing_is_offered_where_a_colon_may_be_of_the_text(before: str) -> None:
    assert begun(before) is None


def test_a_colon_ends_a_whole_name_and_no_other() -> None:
    assert ended("好:tada") is not None
    assert ended("\uff1atada") is not None
    for before in (":tad", "at 10:30", "a:tada", "https:tada", "::tada", "x:y:tada"):
        assert ended(before) is None


def test_every_familiar_emoji_has_chinese_names_of_its_own_which_are_offered() -> None:
    assert set(NAMES) == set(ALIASES.values())
    names = [name for some in NAMES.values() for name in some.split()]
    assert len(names) == len(set(names))
    for emoji, some in NAMES.items():
        assert chinese_name(emoji) == some.split()[0]
        for name in some.split():
            found = begun(f"看 :{name}")
            assert found is not None
            assert emoji in [choice.emoji for choice in matching(name, 50)]
            assert named(name) == emoji


@pytest.mark.parametrize("text", ["名单：猫", ":猫:", "注：狗："])
def test_chinese_between_colons_is_a_text(text: str) -> None:
    assert ended(text.removesuffix(text[-1])) is None
    assert begun(f"x{text}") is None
