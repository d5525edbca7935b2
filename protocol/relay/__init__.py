"""The rendezvous at a relay, and both ends of a connection to one (SPEC §11.7)."""
