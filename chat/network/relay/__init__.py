"""Relays as a terminal uses them: connections, waiting, dialling."""
