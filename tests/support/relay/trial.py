"""A cluster to try out: three nodes of core NATS and three relays of one key on this machine, until Ctrl-C.

`python -m tests.support.relay.trial` (make relay-cluster)
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.support.relay.processes import Member, Node, member, nodes, shared_key

NUMBER = 3
NO_NATS = "nats-server is not installed (Debian, Ubuntu: apt-get install nats-server)"


def run(say: Callable[[str], None], until: Callable[[], None]) -> None:
    """Start everything, say how it is reached, and end it all when `until` returns or is interrupted."""
    with ExitStack() as stack:
        say(f"Starting {NUMBER} NATS nodes …")
        running = stack.enter_context(nodes(NUMBER))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="parlour-cluster-"))
        key = shared_key(Path(folder))
        relays = [_relay(stack, say, key, number, running) for number in range(NUMBER)]
        for line in _told(running, relays):
            say(line)
        until()


def _relay(
    stack: ExitStack, say: Callable[[str], None], key: Path, number: int, running: Sequence[Node]
) -> Member:
    say(f"Starting relay {number + 1} of {NUMBER} …")
    urls = [node.url for node in running]
    made = stack.enter_context(member(key, *urls[number:], *urls[:number]))
    made.on_nats()
    return made


def _told(running: Sequence[Node], relays: Sequence[Member]) -> list[str]:
    return [
        "",
        "The relays; name any of them with 'parlour relays add', another one for each person:",
        *(f"  {each.address}   (process {each.pid}, counts at {each.page})" for each in relays),
        "The NATS nodes; end one (kill PID) and see the relays go on:",
        *(f"  {each.url}   (process {each.pid})" for each in running),
        "",
        "Ctrl-C ends them all.",
    ]


def main() -> int:
    if shutil.which("nats-server") is None:
        print(NO_NATS, file=sys.stderr)  # noqa: T201 - a program of the terminal
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(lambda line: print(line, flush=True), signal.pause)  # noqa: T201
    except KeyboardInterrupt:
        print("\nEnded; nothing is left.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
