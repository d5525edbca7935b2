"""The `parlour` command: a client of `chat.interface`, one file a group of commands."""

import sys

from chat.cli.openssl import leave_out

if "relay" not in sys.argv:  # relays may reach NATS by TLS
    leave_out()
