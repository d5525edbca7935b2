"""A relay: joins two terminals that are both connected now, and holds nothing.

Rules: what is forwarded passes through one buffer a direction and is zeroed behind itself; who is absent is
answered so at once; no file is written, and nothing is logged but counts. Nothing here knows the storage.
"""
