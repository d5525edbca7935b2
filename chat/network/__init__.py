"""Reaching other terminals: addresses, connections, links, discovery."""
