"""What the interface says beyond its usual words where it shows a demo.

Rules: on every screen it can be seen that this is one, and that nothing is kept; keys come from the registry.
"""

from __future__ import annotations

from textual.content import Content

from tui.actions import action
from tui.filling import filled
from tui.texts import N_, _

_TRY = (
    N_("Write to somebody: who is here answers."),
    N_("Write to somebody who is away: it waits."),
    N_("Pair with somebody under Nearby."),
)
_ACTIONS = ("search", "verify", "invite", "lock", "help")


def welcome(stage: str, passphrase: str) -> str:
    """The first screen's line at a stage of it: a demo is being made, or its passphrase; else nothing."""
    if stage == "joining":
        return _("Making a demo for you: a few people, their keys, and what they have said so far…")
    if stage == "locked":
        return _("This is a demo. Its passphrase: {passphrase}").format(passphrase=passphrase)
    return ""


def badge() -> Content:
    """The reminder in the status line."""
    return Content.assemble((_("DEMO, nothing is kept"), "bold $warning"), "  ")


def guide() -> list[Content]:
    """What can be tried, while no conversation is open."""
    about = _(
        "Everybody here lives in this program, with real keys and an encrypted history. "
        "Nothing leaves it, and all of it is gone when you quit."
    )
    tried = [filled("{mark} {text}", mark=("•", "bold $primary"), text=(_(text), "")) for text in _TRY]
    keys = [Content.assemble((f"{one.key:<8}", "bold $primary"), one.title) for one in map(action, _ACTIONS)]
    title = Content.assemble((_("This is a demo"), "bold"))
    return [title, Content(""), Content(about), Content(""), *tried, Content(""), *keys]
