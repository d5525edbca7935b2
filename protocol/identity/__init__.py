"""Persons: the log of signed operations and what it means (SPEC §7.1 to §7.3, §7.7)."""
