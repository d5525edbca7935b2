"""A sample network to look at: real engines of several persons in one process, and nothing that leaves it."""
