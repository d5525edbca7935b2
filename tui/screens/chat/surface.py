"""What the parts of the chat screen share: what it knows, and what they may do with the screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from textual.message import Message
from textual.screen import Screen, ScreenResultCallbackType

from chat.interface import ContactView, NearbyView, SelfView
from tui.actions import command
from tui.conversation import Conversation
from tui.messages import Problem, attempt, start_worker
from tui.text.formatting import NAME_CELLS, contact_name, look_alikes
from tui.text.translation import _
from tui.widgets.lines import Said

T = TypeVar("T")
R = TypeVar("R")


class ChatState:
    def __init__(self) -> None:
        self.me = SelfView("", "", "", 0, (), visible=False)
        self.contacts: dict[str, ContactView] = {}
        self.nearby: tuple[NearbyView, ...] = ()
        self.conversation: Conversation | None = None

    def open(self, conversation: Conversation | None) -> None:
        self.conversation = conversation

    @property
    def current(self) -> str | None:
        return self.conversation.person if self.conversation is not None else None

    @property
    def contact(self) -> ContactView | None:
        return self.contacts.get(self.current or "")

    def named(self, view: ContactView, cells: int = NAME_CELLS) -> str:
        """The name of a contact as it is shown, told apart from those that look the same."""
        return contact_name(view, look_alikes(self.contacts.values()), cells)


class Surface:
    """Lets controllers speak, open dialogs and run workers on a screen."""

    def __init__(self, screen: Screen[None], state: ChatState, said: Said) -> None:
        self._screen = screen
        self._state = state
        self._said = said

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show one safe line above the status. It belongs to the open conversation."""
        self._said.say(text, person=self._state.current, problem=problem)

    def notice(self, text: str) -> None:
        """Show a safe line that belongs to no conversation and stays."""
        self._said.say(text, stays=True)

    def clear(self) -> None:
        self._said.clear()

    def chosen(self) -> ContactView | None:
        """The contact of the open conversation; without one, a line says so."""
        view = self._state.contact
        if view is None:
            self.say(_("Open a conversation first: select a contact on the left."))
        return view

    async def ask(self, call: Awaitable[T]) -> T | None:
        """The answer of a call; None after a refusal, which is shown."""
        answer = await attempt(call)
        if isinstance(answer, Problem):
            self.say(answer.text, problem=True)
            return None
        return answer

    async def done(self, call: Awaitable[None]) -> bool:
        answer = await attempt(call)
        if isinstance(answer, Problem):
            self.say(answer.text, problem=True)
        return not isinstance(answer, Problem)

    def run(
        self, group: str, work: Callable[..., Awaitable[object]], *arguments: object, exclusive: bool = False
    ) -> None:
        """Run work in a worker, which ends with the screen."""
        start_worker(self._screen, group, work, *arguments, exclusive=exclusive)

    def call(self, group: str, method: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Call the messenger in a worker; a refusal is shown."""

        async def work() -> None:
            await self.ask(method(*arguments))

        self.run(group, work)

    def outlast(self, group: str, work: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Run work in a worker that goes on when the screen closes."""
        start_worker(self._screen.app, group, work, *arguments)

    async def finished(self, group: str) -> None:
        """Wait for the workers of a group. Raises WorkerError where one was cancelled."""
        workers = self._screen.workers
        await workers.wait_for_complete([one for one in workers if one.group == group])

    def push(self, dialog: Screen[R | None], then: ScreenResultCallbackType[R | None] | None = None) -> None:
        self._screen.app.push_screen(dialog, then)

    def dialogs(self, kind: type[T]) -> list[T]:
        return [screen for screen in self._screen.app.screen_stack if isinstance(screen, kind)]

    async def act(self, name: str | None) -> None:
        if name is not None:
            await self._screen.run_action(command(name))

    def post(self, message: Message) -> None:
        self._screen.post_message(message)

    def copy(self, text: str) -> None:
        self._screen.app.copy_to_clipboard(text)

    def after_refresh(self, callback: Callable[[], object]) -> None:
        self._screen.call_after_refresh(callback)

    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        self._screen.set_timer(seconds, callback)

    @property
    def active(self) -> bool:
        """Whether no dialog lies over the screen."""
        return self._screen.is_active
