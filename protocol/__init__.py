"""Parlour's protocol, sans-IO: bytes in, events out.

No file, no socket, no clock; randomness is an argument. SPEC.md in this folder is the normative text.
"""
