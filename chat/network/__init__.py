"""Addresses, connections, links and discovery."""
