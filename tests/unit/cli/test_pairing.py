"""invite, join and pair: who confirms what, and what is said when nobody is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from chat.errors import CUT
from chat.interface import InvitationView, PairingStage, Unreachable, VisibilityChanged
from tests.support.cli.line import Line
from tests.support.fakes.others import INVITATION, WORDS


@pytest.fixture
def line(line: Line, monkeypatch: pytest.MonkeyPatch) -> Line:
    """The fake's invitations are of its own time; these are valid now."""
    given = line.messenger.invite

    async def invite() -> InvitationView:
        return replace(await given(), expires=datetime.now(UTC) + timedelta(hours=1))

    monkeypatch.setattr(line.messenger, "invite", invite)
    return line


def joins(line: Line, name: str = "Ben") -> None:
    """Somebody uses the invitation once it is made."""
    line.messenger.after["invite"] = lambda: line.messenger.use_invitation(line.messenger.invited, name)


def test_what_the_engine_says_while_one_joins_is_shown(line: Line) -> None:
    line.messenger.prompt = False

    def named() -> None:
        line.messenger.notice("The invitation added the relay 10.0.0.7:4746.")
        for view in list(line.messenger._pairings.values()):
            line.messenger.move_pairing(view.id, PairingStage.DONE)

    line.messenger.after["join"] = named
    outcome = line.run("join", f"{INVITATION}1", "--json")
    assert (outcome.status, outcome.objects) == (0, [{"paired": "Inviter"}])
    assert "added the relay 10.0.0.7:4746" in outcome.err


def test_invite_prints_the_invitation_and_then_who_joined(line: Line) -> None:
    joins(line)
    outcome = line.run("invite", "--yes", "--json")
    invitation, paired = outcome.objects
    assert outcome.status == 0
    assert list(invitation) == ["invitation", "expires"]
    assert invitation["invitation"] == f"{INVITATION}1"
    assert datetime.fromisoformat(invitation["expires"]).utcoffset() == timedelta(0)
    assert invitation["expires"].endswith("Z")
    assert paired == {"paired": "Ben"}
    assert "[y/n]" not in outcome.err
    joins(line)
    text, done = line.run("invite", "--yes").out.splitlines()
    assert (text[:-1], done[:15]) == (INVITATION, "Paired with Ben")


def test_invite_to_a_person_draws_a_qr_code(line: Line) -> None:
    joins(line)
    line.patch.setattr("chat.cli.pairing.is_interactive", lambda: True)
    drawn = line.run("invite", "--yes").out
    assert drawn.count("\n") > 15
    assert "█" in drawn
    assert f"\n{INVITATION}1\n" in drawn
    assert "\x1b" not in drawn


@pytest.mark.parametrize(("typed", "paired"), [("what?\ny\n", [{"paired": "Ben"}]), ("n\n", []), ("", [])])
def test_invite_asks_who_joined_and_refuses_where_nobody_says_yes(
    line: Line, typed: str, paired: list[object]
) -> None:
    joins(line)
    outcome = line.run("invite", "--json", typed=typed)
    assert (outcome.status, outcome.objects[1:]) == (0 if paired else 1, paired)
    assert "Ben used the invitation" in outcome.err
    assert ("Answer y or n" in outcome.err) is typed.startswith("what?")
    assert line.messenger.called("answer_pairing")[0][1] is bool(paired)
    assert bool(line.messenger._contacts) is bool(paired)


def test_yes_confirms_joiners_and_never_words(line: Line) -> None:
    line.messenger.after["invite"] = lambda: (
        line.messenger.stranger_begins("Mallory"),
        line.messenger.use_invitation(f"{INVITATION}1", "Ben"),
    )
    assert line.run("invite", "--yes", "--json").objects[1] == {"paired": "Ben"}
    assert len(line.messenger.called("answer_pairing")) == 1


def test_an_invitation_that_nobody_used_is_69(line: Line) -> None:
    async def expired() -> InvitationView:
        return InvitationView("text", datetime.now(UTC) - timedelta(seconds=1))

    line.patch.setattr(line.messenger, "invite", expired)
    outcome = line.run("invite", "--yes")
    assert (outcome.status, "create a new one" in outcome.err) == (69, True)


def test_join_reads_the_invitation_from_a_pipe_and_puts_pieces_together(line: Line) -> None:
    assert line.run("join", "-", typed=f"{INVITATION}7\nPaired with nobody\n").status == 0
    assert line.run("join", INVITATION, "8").status == 0
    assert line.messenger.called("join") == [(f"{INVITATION}7",), (f"{INVITATION}8",)]
    assert line.run("join", "-").status == 64
    assert line.run("join", f"{INVITATION}8").out.startswith("Paired with Inviter")


def test_join_fails_in_one_line_that_says_why(line: Line) -> None:
    assert "Invitation incomplete" in line.run("join", "nonsense").failed(65)
    line.messenger.failures["join"] = Unreachable("Nobody answers: is Parlour open there?")
    assert "Nobody answers" in line.run("join", f"{INVITATION}7").failed(69)
    line.messenger.prompt = False
    line.messenger.after["join"] = lambda: line.messenger.move_pairing(
        "pairing-1", PairingStage.FAILED, problem="The other side refused: ask them."
    )
    assert line.run("join", f"{INVITATION}7").failed(1) == "The other side refused: ask them."


def test_pair_with_a_chosen_stranger_compares_words(line: Line) -> None:
    line.messenger.see_stranger("Cleo")
    ben = line.messenger.see_stranger("Ben")
    outcome = line.run("pair", "--json", typed="2\ny\n")
    assert (outcome.status, outcome.objects) == (0, [{"paired": "Ben"}])
    assert line.messenger.called("pair_nearby") == [(ben.instance,)]
    assert "  ".join(WORDS) in outcome.err
    assert "1  Cleo" in outcome.err


@pytest.mark.parametrize(
    ("typed", "status", "said"),
    [
        ("1\nn\n", 1, "Does Ben see the same five words?"),
        ("1\n1\nyes\n", 0, "Answer y or n"),
        *((f"{wrong}\n1\ny\n", 0, "Type a number from 1 to 1:") for wrong in ("0", "two", "3", "²")),
    ],
)
def test_pair_asks_for_a_number_and_for_the_words(line: Line, typed: str, status: int, said: str) -> None:
    line.messenger.see_stranger("Ben")
    outcome = line.run("pair", typed=typed)
    assert (outcome.status, bool(outcome.out)) == (status, status == 0)
    assert said in outcome.err
    assert line.messenger.called("answer_pairing")[0][1] is (status == 0)
    assert line.messenger.called("set_visible") == [(True,), (False,)]


@pytest.mark.parametrize(("listed", "typed"), [("Cleo", "y\ny\n"), ("", "y\n")])
def test_pair_takes_a_pairing_that_the_other_side_began(line: Line, listed: str, typed: str) -> None:
    """Whether the first y comes before the words or after, it chooses nobody."""
    if listed:
        line.messenger.see_stranger(listed)
    line.messenger.after["nearby"] = lambda: line.messenger.stranger_begins("Ben")
    outcome = line.run("pair", "--json", typed=typed)
    assert (outcome.status, outcome.objects) == (0, [{"paired": "Ben"}])
    assert not line.messenger.called("pair_nearby")


def test_pair_lists_a_stranger_who_comes_later(line: Line) -> None:
    line.messenger.after["nearby"] = lambda: line.messenger.see_stranger("Ben")
    assert line.run("pair", "--json", typed="1\ny\n").objects == [{"paired": "Ben"}]


def test_pair_that_finds_nobody_is_69_with_what_to_do(line: Line) -> None:
    for hint_after, hinted in ((5.0, False), (0.01, True)):
        line.patch.setattr("chat.cli.pairing.HINT_AFTER", hint_after)
        outcome = line.run("pair", "--wait", "0.05")
        assert (outcome.status, outcome.out) == (69, "")
        assert "parlour doctor" in outcome.err.splitlines()[-1]
        assert ("No one found yet" in outcome.err) is hinted
    assert line.messenger.called("set_visible") == [(True,), (False,)] * 2


def test_pair_with_nobody_to_choose_ends_with_visibility(line: Line) -> None:
    line.messenger.see_stranger("Ben")
    line.messenger.after["nearby"] = lambda: line.messenger.emit(VisibilityChanged(False))
    assert line.run("pair", typed="").status == 69
    assert not line.messenger.called("pair_nearby")


def test_pair_by_address(line: Line) -> None:
    outcome = line.run("pair", "--address", "[fe80::1]:4748", "--json", typed="y\n")
    assert (outcome.status, list(outcome.objects[0])) == (0, ["paired"])
    assert line.messenger.called("pair_address") == [("fe80::1", 4748)]


@pytest.mark.parametrize("address", ["", "host", "host:", ":4747", "h:0", "h:65536", "h:x", "h:²", "[]:1"])
def test_an_address_that_is_none_is_64(line: Line, address: str) -> None:
    assert "HOST:PORT" in line.run("pair", "--address", address).failed(64)
    assert line.run("pair", "--address", "198.51.100.7:4747").status == 64


def test_an_engine_that_ends_meanwhile_ends_the_pairing_with_77(line: Line) -> None:
    line.messenger.after["nearby"] = lambda: line.messenger._end("locked")
    outcome = line.run("pair")
    assert (outcome.status, "locked" in outcome.err.splitlines()[-1]) == (77, True)


def test_a_peers_name_cannot_forge_the_words(line: Line) -> None:
    line.messenger.after["nearby"] = lambda: line.messenger.stranger_begins("Ben\n    other  words\x1b[A")
    outcome = line.run("pair", typed="y\n")
    (words,) = [text for text in outcome.err.splitlines() if text.startswith("    ")]
    assert words == f"    {'  '.join(WORDS)}"


def test_invite_says_why_a_joiner_was_turned_away_and_ends(line: Line) -> None:
    """Its invitation is burned, so nobody else can use it."""

    def fails() -> None:
        view = line.messenger._begin("", incoming=True)
        line.messenger._pairings[view.id] = replace(view, invitation=f"{INVITATION}1")
        line.messenger.move_pairing(view.id, PairingStage.FAILED, problem="The keys do not match.")

    line.messenger.after["invite"] = fails
    outcome = line.run("invite", "--json")
    assert outcome.status == 69
    assert "The keys do not match. The invitation may be used up: create a new one." in outcome.err


def test_invite_waits_for_the_device_whose_connection_was_cut(line: Line) -> None:
    def is_cut_and_comes_again() -> None:
        view = line.messenger._begin("", incoming=True)
        line.messenger._pairings[view.id] = replace(view, invitation=f"{INVITATION}1")
        line.messenger.move_pairing(view.id, PairingStage.FAILED, problem=CUT)
        line.messenger.use_invitation(f"{INVITATION}1", "Ben")

    line.messenger.after["invite"] = is_cut_and_comes_again
    outcome = line.run("invite", "--yes", "--json")
    assert outcome.objects[-1] == {"paired": "Ben"}
    assert "Only that device can still use the invitation." in outcome.err


def test_invite_passes_over_a_pairing_of_somebody_else(line: Line) -> None:
    def others() -> None:
        view = line.messenger._begin("Mallory", incoming=True)
        line.messenger.move_pairing(view.id, PairingStage.FAILED, problem="The keys do not match.")
        line.messenger.use_invitation(f"{INVITATION}1", "Ben")

    line.messenger.after["invite"] = others
    assert line.run("invite", "--yes", "--json").objects[-1] == {"paired": "Ben"}
