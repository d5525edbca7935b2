"""The interface for programs: JSON-RPC 2.0, one object a line, derived from the type hints of `Messenger`."""
