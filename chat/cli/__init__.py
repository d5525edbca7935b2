"""The `parlour` command: a client of `chat.interface`, one file a group of commands."""
