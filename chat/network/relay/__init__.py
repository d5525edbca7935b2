"""A terminal's use of relays: connections, waiting, dialling."""
