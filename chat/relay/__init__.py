"""The relay program, which joins two connected terminals. It stores nothing and writes no file."""
