"""Pairing: nearby by words, by address, by invitation (SPEC §7.4, §7.5)."""
