"""Passes on what Prometheus' Alertmanager reports (its webhook, version 4) to one conversation.

    parlour api add alerts --with Ben --send-only        # prints a token
    parlour api --socket alerts.sock &
    python examples/alert_relay.py --socket alerts.sock --token-file token --port 9099

and in Alertmanager `webhook_configs: [{url: "http://127.0.0.1:9099/"}]`. It listens on loopback alone, and
refuses what a page in a browser of this machine can send. Other users of this machine can report, too, unless
it is started with `--secret-file`: then a report needs `Authorization: Bearer SECRET`, as Alertmanager sends
with `http_config: {authorization: {credentials_file: PATH}}`. It answers only once Parlour has stored the
texts: Alertmanager repeats what may be lost, and what it repeats is sent once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from chat.client import Parlour, connect
from chat.interface import ParlourError

LOOPBACK: Final = "127.0.0.1"
HOSTS: Final = (LOOPBACK, "localhost")
REPORT_BYTES_MAX: Final = 1 << 20
TEXT_CHARACTERS_MAX: Final = 16_000
WITHIN: Final = 10.0
"""Seconds that a report may take to come and to be stored."""


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


class Refused(Exception):
    """A request that is no report of Alertmanager."""


class Relay:
    """Takes reports and sends them to a contact (person id). `secret`: what they present; empty: nothing."""

    def __init__(self, parlour: Parlour, contact: str, secret: str = "") -> None:
        self._parlour, self._contact, self._secret = parlour, contact, secret

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        try:
            async with asyncio.timeout(WITHIN):
                status = await self._take(await self._body(reader))
        except Refused:
            status = "403 Forbidden"
        except TimeoutError:
            status = "503 Service Unavailable"  # which Alertmanager repeats, unlike 400
        except (ValueError, EOFError, OSError, asyncio.LimitOverrunError):
            status = "400 Bad Request"
        except (msgspec.DecodeError, RecursionError):
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

    async def _body(self, reader: asyncio.StreamReader) -> bytes:
        """The body of a report. Raises Refused, ValueError, EOFError, LimitOverrunError."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.split("\r\n")
        if not request.startswith("POST "):
            raise ValueError("not a report")
        fields = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        self._admit(fields)
        size = int(fields.get("content-length", ""))
        if not 0 <= size <= REPORT_BYTES_MAX:
            raise ValueError("too long")
        return await reader.readexactly(size)

    def _admit(self, fields: Mapping[str, str]) -> None:
        """Refuse what a page in a browser sends, and what has not the secret.

        A page cannot send JSON to another origin without asking first, cannot leave out its own one, and
        reaches this address by a name of its own only where the name of the host is not looked at.
        """
        kind = fields.get("content-type", "").partition(";")[0].strip().lower()
        host = fields.get("host", "").rpartition(":")[0] or fields.get("host", "")
        if kind != "application/json" or "origin" in fields or host not in HOSTS:
            raise Refused
        given = fields.get("authorization", "").encode("latin-1")
        if self._secret and not hmac.compare_digest(given, f"Bearer {self._secret}".encode()):
            raise Refused


async def run(socket: str, token: str, port: int, secret: str = "") -> None:
    async with connect(token=token, socket=socket) as parlour:
        contact = parlour.greeting.contact
        if not contact:
            raise SystemExit(
                "The token is for all conversations: make one with 'parlour api add --with NAME'."
            )
        server = await asyncio.start_server(Relay(parlour, contact, secret).accept, LOOPBACK, port)
        print(f"listening on {LOOPBACK}:{server.sockets[0].getsockname()[1]}", flush=True)
        async with server:
            await parlour.ended()  # a supervisor starts both again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--token-file", required=True, type=Path)
    parser.add_argument("--port", type=int, default=9099)
    parser.add_argument("--secret-file", type=Path)
    options = parser.parse_args()
    token = options.token_file.read_text().strip()
    secret = options.secret_file.read_text().strip() if options.secret_file is not None else ""
    if options.secret_file is not None and not secret:
        raise SystemExit(f"{options.secret_file} is empty.")
    try:
        asyncio.run(run(options.socket, token, options.port, secret))
    except ParlourError as problem:
        raise SystemExit(str(problem)) from None


if __name__ == "__main__":
    main()
