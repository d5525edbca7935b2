"""Backups: the sealed file, its records, and the root hash of a history (SPEC §21.1)."""
