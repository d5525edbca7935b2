"""The command that shows Parlour to somebody who has no profile yet: demo.

Rules: its folder is gone however it ends, but for kill -9, and then with the next demo; nobody's profile is
opened or asked for.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

import click

from chat.cli.options import command
from chat.cli.output import note
from chat.cli.session import Call
from chat.interface import UsageError

ITS_OWN: Final = "A demo has a profile, a passphrase and a network of its own: leave the options out."
SIGNALS: Final = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_LOCALE: Final = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


@command("demo")
@click.option("--linear", is_flag=True, help="Show it line by line, for screen readers and braille.")
@click.pass_obj
def demo(call: Call, linear: bool) -> int:
    """Try Parlour out: a few people on this machine, with a past.

    They answer what is written to them. Nothing leaves the program, and all of it is gone when it ends.
    """
    if call.json or call.profile or call.port or call.passphrase_file is not None:
        raise UsageError(ITS_OWN)
    call.linear = call.linear or linear
    # A program of its own, as those that measure are.
    from chat.demo.door import PASSPHRASE, DemoDoor
    from chat.demo.folder import throw_away

    with ended_in_order(), throw_away(note) as folder:
        try:
            return call.show(call, DemoDoor(folder, language(os.environ)), PASSPHRASE)
        finally:
            _set_all(signal.SIG_IGN)  # the folder is removed whole


def language(environment: Mapping[str, str]) -> str:
    """The language of the sample: `zh` where the locale asks for Chinese, else English."""
    wanted = next((environment[name] for name in _LOCALE if environment.get(name)), "")
    return "zh" if wanted.lower().startswith("zh") else "en"


@contextmanager
def ended_in_order() -> Iterator[None]:
    """What would kill the program ends it by SystemExit, with the shell's status for the signal."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _set_all(handler: signal.Handlers) -> None:
    for number in SIGNALS:
        signal.signal(number, handler)
