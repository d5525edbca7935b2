"""Delivery: what each side holds, and so what the other lacks; the states that are said of an entry."""
