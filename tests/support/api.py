"""A program at the API, line by line, in the test's own process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from chat.api.session import Session
from chat.interface import Messenger

PATIENCE = 20.0
"""Seconds after which a test that waits is broken; no test passes because of it."""

Line = dict[str, Any]


class Talker:
    """Says lines to a session and reads its answers. `reads`: unset, the program takes nothing more."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.events: asyncio.Queue[Line] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.others: asyncio.Queue[Line] = asyncio.Queue()
        self._answers: dict[object, asyncio.Future[Line]] = {}
        self._numbers = count(1)

    async def take(self, line: bytes) -> None:
        await self.reads.wait()
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        said: Line = json.loads(line)
        assert said["jsonrpc"] == "2.0"
        if said.get("method") == "event":
            self.events.put_nowait(said["params"])
        elif said["id"] in self._answers:
            self._answers.pop(said["id"]).set_result(said)
        else:
            self.others.put_nowait(said)

    async def all_lines(self) -> AsyncIterator[bytes | None]:
        while (line := await self.lines.get()) is not None:
            yield line

    def say(self, line: bytes) -> None:
        self.lines.put_nowait(line)

    async def ask(self, method: str, params: object = None, **more: Any) -> Line:
        """The whole answer."""
        number = next(self._numbers)
        answer: asyncio.Future[Line] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        request = {"jsonrpc": "2.0", "id": number, "method": method, **more}
        if params is not None:
            request["params"] = params
        self.say(json.dumps(request).encode())
        async with asyncio.timeout(PATIENCE):
            return await answer

    async def call(self, method: str, **params: Any) -> Any:
        """The result. The test fails where it is an error."""
        said = await self.ask(method, params)
        assert "error" not in said, said
        return said["result"]

    async def refused(self, method: str, **params: Any) -> str:
        """The kind of the error."""
        said = await self.ask(method, params)
        assert "error" in said, said
        return str(said["error"].get("data", {}).get("kind", said["error"]["code"]))

    async def told(self, *names: str) -> Line:
        """The next event, or the next of these."""
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await self.events.get()
                if not names or event["event"] in names:
                    return event


@asynccontextmanager
async def talking(messenger: Messenger, *, token_required: bool = False) -> AsyncIterator[Talker]:
    """A session for the time of the block, which the program leaves at its end."""
    talker = Talker()
    session = Session(messenger, talker.take, program="test", token_required=token_required)
    serving = asyncio.create_task(session.serve(talker.all_lines()))
    try:
        yield talker
    finally:
        talker.reads.set()
        talker.lines.put_nowait(None)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(serving, return_exceptions=True)
