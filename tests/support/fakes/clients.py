"""Clients of the fake messenger: what comes is what the test emits."""

from __future__ import annotations

import re
from typing import TypeGuard

from msgspec.structs import replace

from chat.errors import phrase
from chat.interface import (
    ArrivalsView,
    ArrivalView,
    ClientChanged,
    ClientRights,
    ClientView,
    EntryAdded,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    Event,
    FileProgress,
    FileState,
    NotPermitted,
    TokenView,
    UsageError,
)
from tests.support.fakes.others import START, Others

CLIENT = re.compile(r"[a-z0-9._-]{1,64}")


def _is_whole(event: Event) -> TypeGuard[FileProgress]:
    return isinstance(event, FileProgress) and event.file.state is FileState.WHOLE


class Clients(Others):
    """`programs`: by name. `tokens`: the name of each. `came`: position, that of the content, contact, id."""

    def __init__(self, name: str = "Ann", *, prompt: bool = True, visible: bool = False) -> None:
        super().__init__(name, prompt=prompt, visible=visible)
        self.programs: dict[str, ClientView] = {}
        self.tokens: dict[str, str] = {}
        self.came: list[tuple[int, int, str, str]] = []
        self._position = 0
        self._turns: dict[str, str] = {}

    def emit(self, event: Event) -> None:
        if self.programs and isinstance(event, EntryAdded | EntryFilled | EntryEdited):
            self._place(event.entry.contact, event.entry.id, isinstance(event, EntryEdited))
        elif self.programs and (isinstance(event, EntryDeleted) or _is_whole(event)):
            self._place(event.contact, event.id, True)
        super().emit(event)

    def _place(self, contact: str, entry: str, changed: bool) -> None:
        self._position += 1
        before = next((one for one in self.came if one[3] == entry), None)
        if before is not None:
            self.came.remove(before)
        came = (before[1] if before is not None else 0) if changed else self._position
        self.came.append((self._position, came, contact, entry))
        self.programs = {name: replace(one, last=self._position) for name, one in self.programs.items()}

    async def clients(self) -> tuple[ClientView, ...]:
        return tuple(self.programs[name] for name in sorted(self.programs))

    async def follow(self, client: str) -> ClientView:
        if CLIENT.fullmatch(client) is None:
            raise UsageError(phrase("This is no program's name."))
        made = ClientView(client, self._position, self._position, START)
        return self.programs.setdefault(client, made)

    async def permit(self, client: str, rights: ClientRights, conversation: str = "") -> TokenView:
        if client in self.programs:
            raise UsageError(phrase("There is a program of this name."))
        if conversation and conversation not in (*self._contacts, self._me.person):
            raise UsageError(phrase("No such contact."))
        made = replace(await Clients.follow(self, client), token=True, rights=rights, contact=conversation)
        self.programs[client], self.tokens[f"token of {client}"] = made, client
        return TokenView(made, f"token of {client}")

    async def client_of(self, token: str) -> ClientView:
        if self.tokens.get(token) not in self.programs:
            raise NotPermitted(phrase("This token is not known here."))
        return self.programs[self.tokens[token]]

    async def forget_client(self, client: str) -> None:
        self._program(client)
        del self.programs[client]
        self._turns.pop(client, None)
        self.emit(ClientChanged(client))

    async def take_turn(self, client: str) -> str:
        self._program(client)
        self._turns[client] = f"turn {next(self._numbers)}"
        self.emit(ClientChanged(client))
        return self._turns[client]

    def _check_turn(self, client: str, turn: str) -> None:
        if turn and self._turns.get(client) != turn:
            raise NotPermitted(phrase("Another program goes on under this name."))

    async def arrivals(self, client: str, after: int, limit: int = 100, turn: str = "") -> ArrivalsView:
        self._check_turn(client, turn)
        if not self._program(client).acknowledged <= after <= self._position:
            raise UsageError(phrase("This position was acknowledged before."))
        rows = [one for one in self.came if one[0] > after][:limit]
        allowed = self.programs[client].contact
        found: list[ArrivalView] = []
        for position, came, contact, entry in rows:
            conversation = self._conversations[contact]
            if allowed in ("", contact):
                view = conversation.entries[conversation.index(entry)]
                found.append(ArrivalView(position, came, view))
        return ArrivalsView(tuple(found), rows[-1][0] if rows else after)

    async def acknowledge(self, client: str, position: int, turn: str = "") -> None:
        self._check_turn(client, turn)
        known = self._program(client)
        if position > self._position:
            raise UsageError(phrase("Nothing has this position."))
        self.programs[client] = replace(known, acknowledged=max(position, known.acknowledged))

    def _program(self, client: str) -> ClientView:
        if client not in self.programs:
            raise UsageError(phrase("No such program."))
        return self.programs[client]
