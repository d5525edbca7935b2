"""Passes on what Prometheus' Alertmanager reports (its webhook, version 4) to one conversation.

    parlour api add alerts --with Ben --send-only        # prints a token
    parlour api --socket alerts.sock &
    python examples/alert_relay.py --socket alerts.sock --token-file token --port 9099

and in Alertmanager `webhook_configs: [{url: "http://127.0.0.1:9099/"}]`. It listens on loopback alone. It
answers only once Parlour has stored the texts: Alertmanager repeats what may be lost, and what it repeats is
sent once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from chat.client import Parlour, connect
from chat.interface import ParlourError

LOOPBACK: Final = "127.0.0.1"
REPORT_BYTES_MAX: Final = 1 << 20
TEXT_CHARACTERS_MAX: Final = 16_000
WITHIN: Final = 10.0
"""Seconds that a report may take to come."""


class Alert(Struct, frozen=True, rename="camel"):
    """One alert of a report; what else it has is ignored."""

    status: str
    fingerprint: str = ""
    starts_at: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Report(Struct, frozen=True):
    """The body of a request."""

    alerts: list[Alert]


def text_of(alert: Alert) -> str:
    """One line for an alert, and what its annotations say."""
    name = alert.labels.get("alertname", "alert")
    where = alert.labels.get("instance", "")
    said = [alert.annotations[key] for key in ("summary", "description") if alert.annotations.get(key)]
    line = f"{alert.status.upper()}: {name}{f' on {where}' if where else ''}"
    return "\n".join((line, *said))[:TEXT_CHARACTERS_MAX]


def id_of(alert: Alert) -> str:
    """The same for a report of the same change that comes again."""
    change = "\0".join((alert.fingerprint, alert.status, alert.starts_at, text_of(alert)))
    return f"alerts-{hashlib.sha256(change.encode()).hexdigest()[:40]}"


class Relay:
    """Takes reports and sends them to a contact (person id)."""

    def __init__(self, parlour: Parlour, contact: str) -> None:
        self._parlour, self._contact = parlour, contact

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        try:
            async with asyncio.timeout(WITHIN):
                status = await self._take(await _body(reader))
        except (TimeoutError, ValueError, EOFError, msgspec.DecodeError):
            status = "400 Bad Request"
        except ParlourError as problem:
            print(f"not sent: {problem}", flush=True)
            status = "503 Service Unavailable"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    async def _take(self, body: bytes) -> str:
        for alert in msgspec.json.decode(body, type=Report).alerts:
            await self._parlour.send(self._contact, text_of(alert), send_id=id_of(alert))
        return "200 OK"


async def _body(reader: asyncio.StreamReader) -> bytes:
    """The body of a POST. Raises ValueError, EOFError (IncompleteReadError)."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request, *lines = head.split("\r\n")
    if not request.startswith("POST "):
        raise ValueError("not a report")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    size = int(fields.get("content-length", ""))
    if not 0 <= size <= REPORT_BYTES_MAX:
        raise ValueError("too long")
    return await reader.readexactly(size)


async def run(socket: str, token: str, port: int) -> None:
    async with connect(token=token, socket=socket) as parlour:
        contact = parlour.greeting.contact
        if not contact:
            raise SystemExit(
                "The token is for all conversations: make one with 'parlour api add --with NAME'."
            )
        server = await asyncio.start_server(Relay(parlour, contact).accept, LOOPBACK, port)
        print(f"listening on {LOOPBACK}:{server.sockets[0].getsockname()[1]}", flush=True)
        async with server:
            await parlour.ended()  # a supervisor starts both again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--token-file", required=True, type=Path)
    parser.add_argument("--port", type=int, default=9099)
    options = parser.parse_args()
    try:
        asyncio.run(run(options.socket, options.token_file.read_text().strip(), options.port))
    except ParlourError as problem:
        raise SystemExit(str(problem)) from None


if __name__ == "__main__":
    main()
