"""`parlour demo`: engines of several people in one process, on a network of their own."""
