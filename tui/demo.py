"""What the interface and the linear mode say beyond their usual words where they show a demo.

Rules: it is never left in doubt that this is a demo and that nothing is kept.
"""

from __future__ import annotations

from tui.texts import N_, _

_TRY = (
    N_("Write to somebody: who is here answers."),
    N_("Write to somebody who is away: it waits."),
    N_("Pair with somebody under Nearby."),
)


def welcome(stage: str, passphrase: str) -> str:
    """The first line of a demo: while it is made (`joining`), its passphrase (`locked`), or nothing."""
    if stage == "joining":
        return _("Making a demo for you: a few people, their keys, and what they have said so far…")
    if stage == "locked":
        return _("This is a demo. Its passphrase: {passphrase}").format(passphrase=passphrase)
    return ""


def title() -> str:
    """The name of what is shown."""
    return _("This is a demo")


def about() -> str:
    """What is real in it, and what becomes of it."""
    return _(
        "Everybody here lives in this program, with real keys and an encrypted history. "
        "Nothing leaves it, and all of it is gone when you quit."
    )


def tried_first() -> tuple[str, ...]:
    """What somebody new can do here."""
    return tuple(_(text) for text in _TRY)


def badge() -> str:
    """The reminder that is always there."""
    return _("DEMO, nothing is kept")
