"""The messenger of an archive: what can be read of a backup whose recovery words are missing."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from chat.errors import ARCHIVED
from chat.interface import Event, Messenger, NotPermitted

READS: Final = frozenset(
    (
        "me",
        "contacts",
        "nearby",
        "terminals",
        "questions",
        "alerts",
        "dismiss_alerts",
        "check_files",
        "files",
        "save_file",
        "show_picture",
        "history",
        "latest",
        "entry",
        "first_unread",
        "entry_at",
        "details",
        "search",
        "declared_bot",
        "settings",
        "preferences",
        "set_preference",
        "relays",
        "change_passphrase",
        "back_up",
        "export",
        "history_root",
        "retention",
        "clean",
        "diagnose",
        "clients",
        "typing",  # which reaches nobody: no link is open
        "lock",
        "close",
    )
)
"""The calls that change nothing of the history and say nothing to anybody. A new call is not among them."""


def _call(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    @wraps(getattr(Messenger, name))
    async def ask(self: Archive, *arguments: Any, **named: Any) -> Any:
        if name not in READS:
            raise NotPermitted(ARCHIVED)
        return await getattr(self.engine, name)(*arguments, **named)

    return ask


if TYPE_CHECKING:
    _Calls = Messenger
else:
    _names = [name for name, call in vars(Messenger).items() if inspect.iscoroutinefunction(call)]
    _Calls = type("_Calls", (), {name: _call(name) for name in _names})


class Archive(_Calls):
    """Passes on what reads to an engine that is not started, and refuses everything else (NotPermitted)."""

    def __init__(self, engine: Messenger) -> None:
        self.engine = engine

    @classmethod
    def of(cls, engine: Messenger) -> Archive:
        return cls(engine)

    def events(self) -> AsyncIterator[Event]:
        return self.engine.events()
