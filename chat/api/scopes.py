"""What a client may do: all that its person may, or what the rights of its token say."""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import asdict, replace

from chat.errors import phrase
from chat.interface import (
    ClientRights,
    ClientView,
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntryChanged,
    EntryView,
    Event,
    NotPermitted,
    parse_query,
)

READS: Final = frozenset(
    ("contacts", "history", "latest", "entry", "first_unread", "entry_at", "details", "search")
)
WRITES: Final = frozenset(("send", "edit", "declare_bot", "withdraw_bot"))
MARKS: Final = frozenset(("mark_read", "mark_all_read", "typing"))
PLACE: Final = frozenset(("hello", "subscribe", "ack"))

MAY: Final = {
    ClientRights.ALL: READS | WRITES | MARKS | PLACE,
    ClientRights.READ: READS | PLACE,
    ClientRights.SEND: WRITES | frozenset(("hello",)),
}
"""The methods of each scope. None of them reaches a file, a device, a contact's keys or a setting."""

SEEN: Final = (EntryChanged, ContactChanged, ContactRemoved)
"""Events without a position that a client with a token hears."""

REFUSED = phrase("The token of this program does not allow that.")
NO_NAMES = phrase("The token of this program searches one conversation: leave out from: and in:.")
NO_TOKEN = phrase("A token is needed here: say hello with it first.")


class Scope:
    """Of a client that needs no token, everything; of no client where one is required, only `hello`."""

    def __init__(self, client: ClientView | None, *, required: bool = False) -> None:
        self._client = client if client is not None and client.token else None
        self._nobody = required and self._client is None

    @property
    def bounded(self) -> bool:
        """Whether it depends on a token, which may be revoked."""
        return self._client is not None

    def allow(self, method: str) -> None:
        """Raises NotPermitted for a method that is not this client's."""
        if self._nobody and method != "hello":
            raise NotPermitted(NO_TOKEN)
        if self._client is not None and method not in MAY[self._client.rights]:
            raise NotPermitted(REFUSED)

    def allow_in(self, params: dict[str, Any]) -> None:
        """Raises NotPermitted for parameters that name another conversation, or none where one is due."""
        within = self._client.contact if self._client is not None else ""
        if within and params.get("contact", within) != within:
            raise NotPermitted(REFUSED)
        if within and "words" in params:
            asked = parse_query(params["words"])
            if asked.authors or asked.conversations:
                # What begins like a name tells whether there is such a contact, letter by letter.
                raise NotPermitted(NO_NAMES)

    def shown(self, result: Any) -> Any:
        """What of a result the client may see: `contacts` and `latest` say something of all conversations."""
        if self._client is None:
            return result
        if isinstance(result, EntryView) and self._client.rights is ClientRights.SEND:
            # This person may have edited meanwhile what was sent.
            return replace(result, text="", edited=False, change="")
        if not isinstance(result, tuple):
            return result
        return tuple(self._contact(one) for one in result if self._is_within(one))

    def shown_event(self, event: Event) -> Event:
        """What of an event that the client hears it may see."""
        return ContactChanged(self._contact(event.contact)) if isinstance(event, ContactChanged) else event

    def sees(self, event: Event) -> bool:
        """Whether the client hears an event without a position."""
        if self._client is None:
            return not self._nobody
        if self._client.rights is ClientRights.SEND or not isinstance(event, SEEN):
            return False
        match event:
            case ContactChanged():
                return self._is_within(event.contact)
            case ContactRemoved():
                return self._client.contact in ("", event.person)
            case _:
                return self._client.contact in ("", event.contact)

    def _is_within(self, one: object) -> bool:
        assert self._client is not None, "a scope that is bounded"
        match one:
            case ContactView():
                return self._client.contact in ("", one.person)
            case EntryView():
                return self._client.contact in ("", one.contact)
        return True

    def _contact(self, one: Any) -> Any:
        """A contact without the others that are named in it."""
        if isinstance(one, ContactView) and self._client is not None and self._client.contact:
            return replace(one, same_key=())
        return one


def given(params: Any) -> dict[str, Any]:
    """The parameters of a call by their names."""
    return asdict(params)
