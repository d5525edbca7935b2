"""What the parts of the chat screen share: the messenger, what is known of people, and how to speak.

Rules: views only; a refused call is said in the line above the status and nothing else happens.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from textual.screen import Screen

from chat.interface import ContactView, Messenger, NearbyView, SelfView
from tui.attention import Attention
from tui.messages import Problem, attempt
from tui.preferences import Options, Preferences
from tui.text.formatting import NAME_CELLS, contact_name, look_alikes
from tui.text.translation import _
from tui.widgets.lines import Said

T = TypeVar("T")


class ChatBase(Screen[None]):
    """State of the chat screen, for the parts that act on it."""

    def __init__(self, messenger: Messenger, options: Options, attention: Attention) -> None:
        super().__init__()
        self.messenger = messenger
        self.options = options
        self.attention = attention
        self.preferences = Preferences()
        self.me = SelfView("", "", "", 0, (), visible=False)
        self.contacts: dict[str, ContactView] = {}
        self.nearby: tuple[NearbyView, ...] = ()
        self.current: str | None = None

    def open_conversation(self, person: str) -> None:
        """Show the conversation with a contact."""
        raise TypeError("the chat screen opens conversations")

    def use_keys(self) -> None:
        """Answer to the keys that hold now."""
        raise TypeError("the chat screen has keys")

    def dress(self) -> None:
        """Show everything in the spacing and the language that hold now."""
        raise TypeError("the chat screen shows things")

    def attention_moved(self) -> None:
        """Somebody begins to look at the terminal, or looks no more."""
        raise TypeError("the chat screen knows what is looked at")

    async def run_chosen(self, name: str | None) -> None:
        """Do the action that a menu returned."""
        if name is not None:
            await self.run_action(f"screen.{name}")

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show one safe line above the status. It belongs to the open conversation."""
        self.query_one(Said).say(text, person=self.current, problem=problem)

    async def ask(self, call: Awaitable[T]) -> T | None:
        """The answer of a call; a refusal is said, and None returned."""
        answer = await attempt(call)
        if isinstance(answer, Problem):
            self.say(answer.text, problem=True)
            return None
        return answer

    async def done(self, call: Awaitable[None]) -> bool:
        """Whether a call without an answer was done; a refusal is said."""
        answer = await attempt(call)
        if isinstance(answer, Problem):
            self.say(answer.text, problem=True)
        return not isinstance(answer, Problem)

    def named(self, view: ContactView, cells: int = NAME_CELLS) -> str:
        """The name of a contact as it is shown, told apart from those that look the same."""
        return contact_name(view, look_alikes(self.contacts.values()), cells)

    def chosen(self) -> ContactView | None:
        """The contact of the open conversation; without one, that is said."""
        view = self.contacts.get(self.current or "")
        if view is None:
            self.say(_("Open a conversation first: select a contact on the left."))
        return view
