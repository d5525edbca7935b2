"""Where one writes: emoji by name, characters of any script, many lines, and what is pasted."""

from __future__ import annotations

from string import ascii_lowercase

import pytest
from textual import events
from textual.pilot import Pilot

from tests.support.tui.driving import chat, composer, rows, shown, until, until_shown, with_bob_open, write
from tests.support.tui.hostile import ATTACKS
from tui.actions import ACTIONS
from tui.text.safe import safe, without_controls
from tui.text.wrapping import places
from tui.textual_fixes import PasteParser
from tui.textual_fixes import rows as rows_of_line
from tui.widgets.composer import Completion
from tui.widgets.controls import Field

FAMILY = "👨\u200d👩\u200d👧"


def offered(pilot: Pilot[None]) -> bool:
    """Whether a list is shown and has its place on the screen."""
    shown = chat(pilot).query_one(Completion)
    return shown.display and shown.region.height > 1


async def test_a_shortcode_is_completed_by_keys_and_the_list_stays_on_the_screen() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press(*"good :he")
        await until(pilot, lambda: offered(pilot))
        screen = await until_shown(pilot, ":heart:")
        box = chat(pilot).query_one(Completion).region
        assert pilot.app.screen.region.contains_region(box)
        assert box.bottom == composer(pilot).region.y
        assert ":heart:" in screen.split("\n")[box.y]
        await pilot.press("down", "up", "enter")
        assert composer(pilot).text == "good ❤\ufe0f"
        await until(pilot, lambda: not offered(pilot))
        await pilot.press(*" :tad", "tab")
        assert composer(pilot).text == "good ❤\ufe0f 🎉"
        assert pilot.app.focused is composer(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: messenger.called("send") == [(bob.person, "good ❤\ufe0f 🎉")])


async def test_escape_refuses_a_list_until_another_shortcode_begins() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press(*":smi")
        await until(pilot, lambda: offered(pilot))
        await pilot.press("escape", "l")
        await until(pilot, lambda: not offered(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: messenger.called("send") == [(bob.person, ":smil")])
        await pilot.press(*"x :smi")
        await until(pilot, lambda: offered(pilot))
        await pilot.press("left")
        await until(pilot, lambda: not offered(pilot))
        await pilot.press("end", "backspace")
        await until(pilot, lambda: offered(pilot))
        chat(pilot).action_do("choose_entry")
        await until(pilot, lambda: not offered(pilot))


async def test_a_click_takes_what_it_is_on() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await pilot.press(*":he")
        await until(pilot, lambda: offered(pilot))
        await pilot.click(Completion, offset=(5, 0))
        await until(pilot, lambda: composer(pilot).text == "❤\ufe0f")
        assert composer(pilot).has_focus


async def test_a_closing_colon_puts_the_emoji_there_and_one_step_back_takes_it_away() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        await pilot.press(*"a", "space", *":tada:")
        assert composer(pilot).text == "a 🎉"
        await pilot.press("ctrl+underscore")
        assert composer(pilot).text == "a :tada"
        composer(pilot).set_text("at 10:30")
        await pilot.press(":")
        assert composer(pilot).text == "at 10:30:"


async def test_a_chosen_emoji_stands_where_one_writes_and_is_offered_first_the_next_time() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        await write(pilot, "ab")
        await pilot.press("left", "alt+e")
        await until_shown(pilot, ":smile:")
        pilot.app.screen.query_one(Field).value = "party face"
        await until(pilot, lambda: ":grinning:" not in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: composer(pilot).text == "ab")
        pilot.app.screen.query_one(Field).value = ":tad"
        await until_shown(pilot, ":tada:")
        await pilot.press("enter")
        await until(pilot, lambda: composer(pilot).text == "a🎉b")
        assert composer(pilot).has_focus
        await pilot.press("ctrl+underscore", "alt+e")
        assert composer(pilot).text == "ab"
        await until_shown(pilot, ":tada:")
        row = next(row for row in rows(pilot) if ":tada:" in row or ":smile:" in row)
        assert ":tada:" in row
        # drafts are stored as preferences too, some time after a change
        stored = [call for call in messenger.called("set_preference") if call[0] == "emoji"]
        assert stored[-1] == ("emoji", "tada")


@pytest.mark.parametrize("one", [FAMILY, "e\u0301", "宽", "🇩🇪", "👍🏿", "❤\ufe0f", "स्", "\u1112\u1161\u11ab"])
async def test_keys_go_by_what_is_seen_as_one_character(one: str) -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        field = composer(pilot)
        field.set_text(f"a{one}{one}b")
        for by in (1, len(one), len(one)):
            column = field.cursor_location[1]
            field.action_cursor_left()
            assert field.cursor_location == (0, column - by)
        field.action_cursor_right()
        assert field.cursor_location == (0, 1 + len(one))
        field.action_delete_left()
        assert field.text == f"a{one}b"
        field.action_delete_right()
        assert field.text == "ab"
        field.action_undo()
        field.action_undo()
        assert field.text == f"a{one}{one}b"
        field.cursor_location = (0, len(one))
        assert field.cursor_location[1] in places(field.text)


async def test_what_input_methods_send_in_parts_becomes_one_character_in_the_middle_too() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        field = composer(pilot)
        field.set_text("👩🚀!")
        field.cursor_location = (0, 1)
        field.post_message(events.Key("zero_width_joiner", "\u200d"))
        await until(pilot, lambda: field.text == "👩\u200d🚀!")
        assert field.cursor_location == (0, 3)
        await pilot.press("x")
        assert field.text == "👩\u200d🚀x!"


async def test_words_of_any_script_are_gone_over_and_deleted_whole() -> None:
    async with with_bob_open() as (pilot, _messenger, _):
        field = composer(pilot)
        field.set_text("one नमस्ते cafe\u0301")
        for column in (11, 4, 0):
            field.action_cursor_word_left()
            assert field.cursor_location == (0, column)
        for column in (3, 10, 16):
            field.action_cursor_word_right()
            assert field.cursor_location == (0, column)
        field.action_delete_word_left()
        assert field.text == "one नमस्ते "
        field.cursor_location = (0, 4)
        field.action_delete_word_right()  # Textual ends a word at a mark: not in the middle of a character
        assert field.text == "one ते "
        field.action_delete_line()
        assert field.text == ""


async def test_it_grows_to_a_few_rows_and_scrolls_then() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("a")
        await until(pilot, lambda: composer(pilot).size.height == 1)
        await pilot.press("ctrl+j", "b")
        await until(pilot, lambda: composer(pilot).size.height == 2)
        text = "\n".join(f"line {number}" for number in range(40))
        pilot.app.screen.post_message(events.Paste(f"\n{text}\r\n\x1b[31mlast\x85end\u202e"))
        await until_shown(pilot, "[31mlast")
        await until(pilot, lambda: composer(pilot).outer_size.height == 10)
        assert "line 39" in shown(pilot)
        assert "line 20" not in shown(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: bool(messenger.called("send")))
        assert messenger.called("send") == [(bob.person, f"a\nb\n{text}\n[31mlast\nend\u202e")]
        await until(pilot, lambda: composer(pilot).size.height == 1)


async def test_attack_79_no_text_of_ones_own_disturbs_the_screen() -> None:
    """Texts come back that were written elsewhere: recalled, or as a draft of another terminal."""
    async with with_bob_open() as (pilot, _messenger, _):
        for text in ATTACKS.values():
            composer(pilot).set_text(f"{text}\nend")
            await pilot.pause()
            for row in rows(pilot):
                assert safe(row) == row
            assert composer(pilot).draft == without_controls(f"{text}\nend")
        pilot.app.screen.post_message(events.Paste("a\x1bb\ud83dc"))
        await until(pilot, lambda: composer(pilot).text.endswith("endabc"))


def keys_of(*pieces: str) -> list[str]:
    """What a terminal's input means, given in these pieces."""
    parser = PasteParser()
    found = []
    for piece in pieces:
        for event in parser.feed(piece):
            assert isinstance(event, events.Key | events.Paste)
            found.append(event.key if isinstance(event, events.Key) else f"paste {event.text!r}")
    return found


@pytest.mark.parametrize(
    "evil", ["\x1b[31mred\r", "\x1b\r", "\x1b", "\x1b[20", "\x1b[201", "\x1b\x1b[A\r\x11"]
)
def test_attack_79_nothing_in_a_paste_is_a_key(evil: str) -> None:
    whole = f"a\x1b[200~one{evil}two\x1b[201~b"
    expected = ["a", f"paste {('one' + evil + 'two').replace(chr(27), '')!r}", "b"]
    assert keys_of(whole) == expected
    assert keys_of(*whole) == expected
    for at in range(1, len(whole)):
        assert keys_of(whole[:at], whole[at:]) == expected


def test_keys_between_pastes_stay_keys() -> None:
    pasted = keys_of("\x1b[200~x\x1b[201~\x1b[A\x1b[200~y\x1b[201~\r")
    assert pasted == ["paste 'x'", "up", "paste 'y'", "enter"]
    assert keys_of("\x1b[13;2u", "\x1b\r", "\n", "\r") == ["shift+enter", "alt+enter", "ctrl+j", "enter"]


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ("\x1bn\x1bn", ["alt+n", "alt+n"]),
        ("\x1bj\x1b[B", ["alt+j", "down"]),
        ("\x1bjgg\x1b", ["alt+j", "g", "g", "escape"]),
        ("\x1bb\x1bb", ["ctrl+left", "ctrl+left"]),
    ],
)
def test_a_key_with_alt_stays_one_key_whatever_follows_it(keys: str, names: list[str]) -> None:
    assert keys_of(keys, "") == names


@pytest.mark.parametrize("line", ["two words", "两个字"])
def test_a_line_is_laid_out_where_there_are_no_columns(line: str) -> None:
    assert rows_of_line(line, 0) == rows_of_line(line, 1)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ("\x1b[97;5:1u", ["ctrl+a"]),
        ("\x1b[97;5:3u", []),
        ("\x1b[1;1:3A", []),
        ("\x1b[97:65:113;;97u", ["a"]),
        ("\x1b[97;1;99999999u", []),
        ("\x1b[99999999999999u", []),
        ("\x1b[57358;1:2u", ["caps_lock"]),
    ],
)
def test_a_key_with_more_than_was_asked_for_ends_no_reading(keys: str, names: list[str]) -> None:
    """Terminals say when a key is let go once any program before this one has asked for that."""
    assert keys_of(keys + "z", "") == [*names, "z"]
    assert keys_of(*keys, "z", "") == [*names, "z"]


def test_the_first_key_of_each_action_comes_from_a_terminal_of_the_old_kind() -> None:
    """Escape before a letter is Alt there, but for Alt+B, which moves the cursor."""
    sent = {f"alt+{letter}": f"\x1b{letter}" for letter in ascii_lowercase}
    sent |= {f"ctrl+{letter}": chr(ord(letter) & 31) for letter in ascii_lowercase}
    shown = {one.id: one.keys[0] for one in ACTIONS if one.keys and one.keys[0] in sent}
    assert len(shown) > 25
    assert {name: key for name, key in shown.items() if keys_of(sent[key], "") != [key]} == {}
