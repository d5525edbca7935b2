"""Delivery: the states that are said of an entry."""
