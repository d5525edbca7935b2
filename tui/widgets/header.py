"""The line over a conversation: with whom it is, and how things stand with them; a click opens their menu.

Rules: every state is said in words beside its colour.
"""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from chat.interface import ContactView
from tui.texts import _

_APART = ("  ", "")


class Header(Static):
    """The name of a contact with its marks."""

    def __init__(self) -> None:
        super().__init__("", id="header", markup=False)

    def show(self, view: ContactView, name: str, *, muted: bool) -> None:
        """`name` is the safe name as it is shown here."""
        parts: list[tuple[str, str]] = [(name, "bold")]
        verified = (_("✓ verified"), "$success") if view.verified else (_("not verified"), "$quiet")
        parts += [_APART, verified]
        if view.blocked:
            parts += [_APART, (_("⊘ blocked"), "$error")]
        elif view.typing:
            parts += [_APART, (_("typing…"), "$accent")]
        else:
            parts += [_APART, (_("● here"), "$success") if view.present else (_("○ away"), "$quiet")]
        if view.relayed and view.present and not view.blocked:
            parts += [_APART, (_("⇄ relay"), "$quiet")]
        if muted:
            parts += [_APART, (_("z muted"), "$quiet")]
        self.update(Content.assemble(*parts))

    async def on_click(self) -> None:
        await self.run_action("screen.contact")
