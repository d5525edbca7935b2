"""Links between two terminals: from greeting to end (SPEC §5, §6)."""
