"""The terminal's own storage: a locked profile folder and one encrypted database.

Rules: rows go in and out as frozen dataclasses; nothing here decides what to show, send or trust; every
failure is one of chat/storage/errors.py.
"""
