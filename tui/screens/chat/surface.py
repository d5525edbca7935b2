"""What the parts of the chat screen share: what it knows, and what they may do with the screen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import TypeVar

from textual.message import Message
from textual.screen import Screen, ScreenResultCallbackType

from chat.interface import ContactView, NearbyView, SelfView
from tui.actions import Group, action, command, of_group
from tui.conversation import Conversation
from tui.messages import Problem, attempt, start_worker
from tui.recent import Recent
from tui.screens.dialog import ConfirmDialog, Dialog, MenuDialog, Texts
from tui.text.formatting import contact_label, notes_of, safe_label
from tui.text.safe import NAME_CELLS
from tui.text.translation import _
from tui.widgets.frames import HeldScreen
from tui.widgets.lines import Said

T = TypeVar("T")
R = TypeVar("R")


class ChatState:
    def __init__(self) -> None:
        self.me = SelfView("", "", "", 0, (), visible=False)
        self.contacts: dict[str, ContactView] = {}
        self.recent = Recent()
        self.nearby: tuple[NearbyView, ...] = ()
        self.conversation: Conversation | None = None
        self.removed = False  # this device is none of its person's any more: nothing can be sent

    def open(self, conversation: Conversation | None) -> None:
        self.conversation = conversation

    @property
    def talks(self) -> dict[str, ContactView]:
        """The contacts, and after them the notes, by person id."""
        return {**self.contacts, **({self.me.person: notes_of(self.me)} if self.me.person else {})}

    def talk(self, person: str | None) -> ContactView | None:
        """The contact with this id, or the notes."""
        return self.talks.get(person or "")

    def in_order(self) -> list[ContactView]:
        """The conversations as the list has them: the latest one first."""
        return self.recent.in_order(self.talks.values())

    @property
    def current(self) -> str | None:
        return self.conversation.person if self.conversation is not None else None

    @property
    def contact(self) -> ContactView | None:
        return self.talk(self.current)

    def named(self, view: ContactView, cells: int = NAME_CELLS) -> str:
        """What a contact is called."""
        return safe_label(contact_label(view), cells)

    def name_of(self, person: str) -> str:
        """What the contact with an id is called."""
        view = self.contacts.get(person)
        return self.named(view) if view is not None else _("someone who is not a contact")


@dataclass(repr=False)
class Surface:
    """Lets controllers speak, open dialogs and run workers on a screen."""

    screen: HeldScreen
    state: ChatState
    said: Said
    _left: dict[str, Texts] = field(init=False, default_factory=dict)  # in dialogs, until Parlour locks

    def say(self, text: str, *, problem: bool = False) -> None:
        """Show one safe line above the status. It belongs to the open conversation."""
        self.said.say(text, person=self.state.current, problem=problem)

    def notice(self, text: str) -> None:
        """Show a safe line that belongs to no conversation, until somebody had the time to read it."""
        self.said.say(text, notice=True)

    def clear(self) -> None:
        self.said.clear()

    def on_contact(self, act: Callable[[ContactView], None]) -> None:
        """Act on the contact of the open conversation; without one, a line says so."""
        if self.state.contact is not None:
            act(self.state.contact)
        else:
            self.say(_("Open a conversation first: select a contact on the left."))

    def on_other_person(self, act: Callable[[ContactView], None]) -> None:
        """The same for what the notes do not have."""
        if self.state.contact is not None and self.state.contact.notes:
            self.say(_("These are your own notes: only conversations with contacts have that."))
        else:
            self.on_contact(act)

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
        start_worker(self.screen, group, work, *arguments, exclusive=exclusive)

    def call(self, group: str, method: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Call the messenger in a worker; a refusal is shown."""

        async def work() -> None:
            await self.ask(method(*arguments))

        self.run(group, work)

    def outlast(self, group: str, work: Callable[..., Awaitable[object]], *arguments: object) -> None:
        """Run work in a worker that goes on when the screen closes."""
        start_worker(self.screen.app, group, work, *arguments)

    async def finished(self, group: str) -> None:
        """Wait for the workers of a group. Raises WorkerError where one was cancelled."""
        workers = self.screen.workers
        await workers.wait_for_complete([one for one in workers if one.group == group])

    def push(self, dialog: Screen[R | None], then: ScreenResultCallbackType[R | None] | None = None) -> None:
        """Open a dialog, with what was typed the last time that it was left."""
        if not isinstance(dialog, Dialog):
            self.screen.app.push_screen(dialog, then)
            return
        kind = type(dialog).__name__
        dialog.offer(self._left.get(kind, {}))

        async def ended(result: R | None) -> None:
            self._left[kind] = dialog.left
            follows = then(result) if then is not None else None
            if isawaitable(follows):
                await follows

        self.screen.app.push_screen(dialog, ended)

    def choose(self, dialog: Screen[R | None], then: Callable[[R], object]) -> None:
        """Open a dialog. `then` gets its result; it is not called for a dialog that was left without one."""

        async def ended(result: R | None) -> None:
            follows = then(result) if result is not None else None
            if isawaitable(follows):
                await follows

        self.push(dialog, ended)

    def confirm(self, question: str, consequence: str, do: Callable[[], None]) -> None:
        self.choose(ConfirmDialog(question, consequence), lambda yes: do() if yes else None)

    def offer(self, name: str, group: Group, useless: Set[str] = frozenset()) -> None:
        """Open the menu of an action: the others of its group, without those that are of no use now."""
        ways = tuple(one for one in of_group(group) if one.id not in {name, *useless})
        self.choose(MenuDialog(action(name).label, ways), self.act)

    def dialogs(self, kind: type[T]) -> list[T]:
        return [screen for screen in self.screen.app.screen_stack if isinstance(screen, kind)]

    async def act(self, name: str) -> None:
        await self.screen.run_action(command(name))

    def post(self, message: Message) -> None:
        self.screen.post_message(message)

    def copy(self, text: str) -> None:
        self.screen.app.copy_to_clipboard(text)

    def hold_frame(self) -> None:
        self.screen.hold_frame()

    def release_frame(self) -> None:
        self.screen.release_frame()

    def after_refresh(self, callback: Callable[[], object]) -> None:
        self.screen.call_after_refresh(callback)

    def later(self, seconds: float, callback: Callable[[], object]) -> None:
        self.screen.set_timer(seconds, callback)

    @property
    def active(self) -> bool:
        """Whether no dialog lies over the screen."""
        return self.screen.is_active
