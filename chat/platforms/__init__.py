"""What differs between Linux, macOS and Windows: one module per concern, with one contract for every system.

Each function looks at what the system offers when it is called, so that a test can take that away.
"""
