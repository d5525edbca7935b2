"""The soak of a bot starts it again as a service manager does, whenever it ends."""

from __future__ import annotations

import json
import sys
from unittest import mock

import pytest

from tests.soak import bot
from tests.support.lab.programs import Program


def test_a_bot_that_ends_late_is_started_while_its_answer_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine it notices after the next start of its engine that the one before was killed."""
    monkeypatch.setattr(bot, "LOOKS_EVERY", 0.01)
    answer = json.dumps({"event": "entry", "author": "Ben"})
    with Program([sys.executable, "-c", "print(input()); input()"]) as hearing:

        def start_again() -> None:
            hearing.write(f"{answer}\n")

        ended = mock.Mock(bot.Bot, start_again=start_again)
        assert bot._heard(hearing, ended)
