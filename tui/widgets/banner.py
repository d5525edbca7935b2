"""What stands over the composer while nothing can be sent: why, and what ends it.

Rules: it takes the place of the composer under the fingers of somebody who is writing, so that it swallows
letters and Enter: whoever types on does nothing by it.
"""

from __future__ import annotations

from textual import events
from textual.content import Content
from textual.widgets import Static

from tui.actions import action
from tui.formatting import safe_line
from tui.texts import _, told


class Banner(Static, can_focus=True):
    """Says that a contact's identity has changed; a click compares the safety number."""

    def __init__(self) -> None:
        super().__init__("", id="banner", markup=False)
        self.display = False

    def show(self, name: str, causes: tuple[str, ...]) -> None:
        """`name` is a safe name; `causes` are as the engine said them, or none where it did not.

        What ends it stands first: a small screen cuts the rest.
        """
        why = [_("{name}: {cause}").format(name=name, cause=safe_line(told(cause))) for cause in causes]
        why = why or [_("The identity of {name} has changed.").format(name=name)]
        what = _("Nothing can be sent until you compare the safety number: {key} or a click here.")
        first = Content.assemble(
            ("! ", "bold $error"), (what.format(key=action("verify").key), "bold $warning")
        )
        self.update(Content("\n").join([first, *map(Content, why)]))

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        return key == "enter" or (character is not None and character.isprintable())

    def on_key(self, event: events.Key) -> None:
        if self.check_consume_key(event.key, event.character):
            event.stop()
            event.prevent_default()

    async def on_click(self) -> None:
        await self.run_action("screen.verify")
