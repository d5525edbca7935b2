"""Local storage: the profile folder and the encrypted database. Failures are those of errors.py."""
