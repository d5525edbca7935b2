"""The connection of a relay to core NATS, which carries the messages of a cluster at most once.

The client library is imported only if it is used. Its queues are bypassed, so outgoing data is bounded here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from chat.interface import UsageError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

INSTALL: Final = "Several relays need the NATS client. Install it with: pip install nats-py"
CROWDED: Final = 4 << 20  # bytes that may wait to be sent before circuits stop reading
LEAST: Final = 1_024
"""Smallest maximum payload of NATS, in bytes, that is accepted. Control messages are smaller."""
CONNECT_SECONDS: Final = 5.0
PAUSES: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds between attempts. The last one repeats."""
PING_SECONDS: Final = 3.0  # time between two pings of NATS
PONG_SECONDS: Final = 5
_PENDING: Final = 1 << 20  # bytes that the client collects before the sender must wait
_FLUSH_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 2.0
_LASTING: Final = 5.0  # seconds after which a connection counts as successful
_ITEM: Final = 64  # approximate memory of a message in addition to its bytes
_LOOK_SECONDS: Final = 0.5
_NEVER: Final = 1 << 30
_NOBODY: Final = "503"


class Listener(Protocol):
    """The receiver of messages."""

    def connected(self) -> None:
        """Connected, without subscriptions."""

    def parted(self) -> None:
        """Disconnected. Messages in transit may be lost."""

    def arrived(self, subject: str, payload: bytes) -> None:
        """A message arrived. Must not raise."""

    def nobody(self, subject: str) -> None:
        """A message with this reply subject had no receiver."""


class Bus(Protocol):
    """The message bus of a cluster."""

    @property
    def is_connected(self) -> bool: ...

    @property
    def is_crowded(self) -> bool:
        """Whether more than CROWDED bytes wait to be sent."""

    @property
    def largest(self) -> int:
        """Size of the largest message in bytes, at least LEAST."""

    def subscribe(self, subject: str) -> None: ...

    def unsubscribe(self, subject: str) -> None: ...

    def post(self, subject: str, payload: bytes, reply: str) -> None:
        """Send a message. `nobody(reply)` follows without a receiver. Dropped while disconnected."""

    def tell(self, wake: Callable[[], None]) -> None:
        """Call `wake` once when the bus is not crowded any more."""

    def forget(self, wake: Callable[[], None]) -> None:
        """Cancel `tell`."""


Say = Callable[[bool], None]  # called with each change of whether NATS is connected

_Work = Callable[["Client"], Awaitable[None]]


class Nats:
    """Core NATS at one of several URLs. UsageError without the library."""

    def __init__(self, urls: Sequence[str], say: Say) -> None:
        self._urls = [checked(url) for url in urls]
        try:
            from nats.aio.client import Client
            from nats.errors import Error
        except ImportError:
            raise UsageError(INSTALL) from None
        self._make, self._errors = Client, Error
        self._say, self._told = say, True
        self._listener: Listener | None = None
        self._client: Client | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._waiting: deque[tuple[int, _Work]] = deque()
        self._size = 0
        self._more, self._over = asyncio.Event(), asyncio.Event()
        self._wakes: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        return self._client is not None

    @property
    def is_crowded(self) -> bool:
        return self._size > CROWDED

    @property
    def largest(self) -> int:
        return LEAST if self._client is None else self._client.max_payload

    def start(self, listener: Listener) -> None:
        """Connect, and reconnect after every failure."""
        self._listener = listener
        loop = asyncio.get_running_loop()
        _quiet(loop, self._over.set)
        self._task = loop.create_task(self._run(listener))

    async def close(self) -> None:
        """Send pending messages for at most _CLOSE_SECONDS, and disconnect."""
        if self._task is None:
            return
        client, self._client = self._client, None
        waiting = list(self._waiting)
        self._task.cancel()
        await asyncio.wait({self._task})
        if client is not None:
            with contextlib.suppress(self._errors, OSError, TimeoutError):
                await asyncio.wait_for(_finish(client, waiting), _CLOSE_SECONDS)
            _abort(client)

    # --- Calls of the cluster ---

    def subscribe(self, subject: str) -> None:
        async def work(client: Client) -> None:
            assert self._listener is not None
            sink = cast("asyncio.Future[Msg]", _Sink(self._listener))
            self._subscriptions[subject] = await client.subscribe(subject, future=sink)

        self._add(len(subject), work)

    def unsubscribe(self, subject: str) -> None:
        async def work(client: Client) -> None:
            if subscription := self._subscriptions.pop(subject, None):
                await subscription.unsubscribe()

        self._add(len(subject), work)

    def post(self, subject: str, payload: bytes, reply: str) -> None:
        self._add(len(payload), lambda client: client.publish(subject, payload, reply))

    def tell(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def forget(self, wake: Callable[[], None]) -> None:
        if wake in self._wakes:
            self._wakes.remove(wake)

    def _add(self, size: int, work: _Work) -> None:
        if self._client is not None:
            self._waiting.append((size + _ITEM, work))
            self._size += size + _ITEM
            self._more.set()

    # --- The connection ---

    async def _run(self, listener: Listener) -> None:
        """Connect to one URL after the other, with a pause after every failed round."""
        failures = turn = 0
        loop = asyncio.get_running_loop()
        while True:
            url = self._urls[turn % len(self._urls)]
            turn += 1
            self._over.clear()
            client, began = await self._connect(url), loop.time()
            if client is not None:
                self._tell(connected=True)
                await self._serve(client, listener)
            if client is not None and loop.time() - began > _LASTING:
                failures = 0
                continue
            failures += 1
            if failures % len(self._urls) == 0:
                self._tell(connected=False)
                await asyncio.sleep(PAUSES[min(failures // len(self._urls), len(PAUSES)) - 1])

    async def _connect(self, url: str) -> Client | None:
        client = self._make()
        try:
            await asyncio.wait_for(client.connect(url, **self._options()), CONNECT_SECONDS)
        except (self._errors, OSError, TimeoutError, ValueError):
            await _let_go(client)
            return None
        if client.max_payload < LEAST:
            await _let_go(client)
            return None
        return client

    def _options(self) -> dict[str, Any]:
        async def closed() -> None:
            self._over.set()

        async def failed(error: Exception) -> None:
            """Not logged, since it may quote data from outside."""

        return {
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "connect_timeout": CONNECT_SECONDS,
            "no_echo": True,
            "ping_interval": _NEVER,
            "pending_size": _PENDING,
            "flush_timeout": _FLUSH_SECONDS,
            "closed_cb": closed,
            "error_cb": failed,
        }

    async def _serve(self, client: Client, listener: Listener) -> None:
        """Use a connection until it fails."""
        self._client = client
        listener.connected()
        work = {asyncio.ensure_future(each) for each in (self._pump(client), self._watch(client))}
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            closing, self._client = self._client is None, None
            if not closing:
                _abort(client)
            for each in work:
                each.cancel()
            await asyncio.wait(work)
        self._subscriptions.clear()
        self._waiting.clear()
        self._size = 0
        listener.parted()
        self._wake_all()
        await _let_go(client)

    async def _pump(self, client: Client) -> None:
        """Pass pending work to the client in order. That blocks while NATS does not keep up."""
        with contextlib.suppress(self._errors, OSError):
            while self._client is client:
                await self._more.wait()
                self._more.clear()
                # The library swallows cancellations, so the client is compared every time.
                while self._waiting and self._client is client:
                    size, work = self._waiting.popleft()
                    await work(client)
                    self._size -= size
                    if self._wakes and not self.is_crowded:
                        self._wake_all()

    async def _watch(self, client: Client) -> None:
        """Ping every few seconds until there is no answer. The library's own ping may never end."""
        due = PING_SECONDS
        with contextlib.suppress(self._errors, OSError):
            while not client.is_closed and not self._over.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), min(_LOOK_SECONDS, PING_SECONDS))
                due -= _LOOK_SECONDS
                if due <= 0:
                    due = PING_SECONDS
                    await client.flush(PONG_SECONDS)

    def _wake_all(self) -> None:
        wakes, self._wakes = self._wakes, []
        for wake in wakes:
            wake()

    def _tell(self, *, connected: bool) -> None:
        if connected is not self._told:
            self._told = connected
            self._say(connected)


class _Sink:
    """Replaces the client's future, queue and task of a subscription, and passes every message on at once."""

    __slots__ = ("_listener",)

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def cancelled(self) -> bool:
        return False

    def set_result(self, message: Msg) -> None:
        headers = message.headers
        if headers and headers.get("Status") == _NOBODY:
            self._listener.nobody(message.subject)
        else:
            self._listener.arrived(message.subject, message.data)


class _Alarm(logging.Handler):
    """Notices that the client logs an error before it stops reading forever. The text is dropped."""

    def __init__(self, broken: Callable[[], None]) -> None:
        super().__init__()
        self._broken = broken

    def emit(self, record: logging.LogRecord) -> None:
        self._broken()


_URL: Final = re.compile(r"(?:nats|tls)://(?:[0-9A-Za-z.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?")


def checked(url: str) -> str:
    """Check a URL of NATS. UsageError if invalid."""
    if not _URL.fullmatch(url):
        raise UsageError("--nats takes an address such as nats://HOST:4222 or tls://HOST:4222.")
    return url


def _quiet(loop: asyncio.AbstractEventLoop, broken: Callable[[], None]) -> None:
    """Suppress logs and unhandled errors of the client, which may quote data from outside."""
    log = logging.getLogger("nats")
    log.handlers[:] = [_Alarm(broken)]
    log.propagate = False
    before = loop.get_exception_handler() or type(loop).default_exception_handler

    def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task, error = context.get("future"), context.get("exception")
        name = getattr(task.get_coro(), "__qualname__", "") if isinstance(task, asyncio.Task) else ""
        # From 3.12 on, a transport that is closed raises AttributeError where the client writes to it.
        if name.startswith("Client.") and isinstance(error, OSError | AttributeError):
            broken()
        else:
            before(loop, context)

    loop.set_exception_handler(handler)


async def _finish(client: Client, waiting: Sequence[tuple[int, _Work]]) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + _CLOSE_SECONDS
    for _, work in waiting:
        await work(client)
        if loop.time() > end:  # the library swallows cancellations
            return
    await client.close()


def _abort(client: Client) -> None:
    """Abort a connection that may be blocked. The library has no method for that."""
    writer = getattr(getattr(client, "_transport", None), "_io_writer", None)
    if isinstance(writer, asyncio.StreamWriter):
        with contextlib.suppress(AttributeError):  # it was closed and has no loop any more
            writer.transport.abort()


async def _let_go(client: Client) -> None:
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.close(), _CLOSE_SECONDS)
