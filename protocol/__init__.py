"""Parlour's protocol without I/O: bytes in, events out. SPEC.md in this folder is the normative text."""
