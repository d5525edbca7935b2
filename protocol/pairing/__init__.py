"""Pairing two persons, and the secret that they then share (SPEC §7.4 to §7.6)."""
