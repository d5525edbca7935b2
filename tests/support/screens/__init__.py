"""Pictures of every screen and dialog: of the real program to look at, and of the one on the fake to compare.

Rules: `scenes.py` says once how each is reached; `python -m tests.support.screens FOLDER` makes the
pictures of the
real program, tests/unit/tui/test_snapshots.py compares the others with what is stored.
"""
