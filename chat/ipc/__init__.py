"""The profile's socket: one engine serves other processes of the same user."""
